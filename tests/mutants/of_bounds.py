"""Mutants that take away a bound: what is too long, too large or too much must be noticed before it stops others."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "schemas/sources.py",
        'msgspec.Meta(max_length=MAX_IDENTIFIER, pattern=_NO_CONTROL, description="May be empty.")',
        'msgspec.Meta(pattern=_NO_CONTROL, description="May be empty.")',
        "a subject's key of any length is written to an index, which stops its partition",
    ),
    Mutant(
        "schemas/native.py",
        "len(subject) > MAX_IDENTIFIER",
        "not MAX_IDENTIFIER",
        "a CloudEvent's subject of any length becomes a key",
    ),
    Mutant(
        "schemas/openmeter_invoices.py",
        "    customer: _Customer | None = None\n",
        "",
        "the customer's key of OpenMeter's invoice has any length",
        by="unit/test_parse_invoices.py",
    ),
    Mutant(
        "schemas/glance.py",
        "_Name = Annotated[str, msgspec.Meta(max_length=MAX_IDENTIFIER)]",
        "_Name = str",
        "a key that is too long is passed over",
        by="unit/test_glance.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        '    "54000": "a text too long for an index, an array or text beyond Postgres\' limits",\n',
        "",
        "a text too long for an index counts as an outage: its partition waits for ever",
        by="integration/test_sqlstates.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        '    "25006": "a standby, or a primary on its way to become one: the next connection finds the new primary",\n',
        "",
        "a failover is narrowed down to each record, as if it were at fault",
        by="integration/test_sqlstates.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        "case asyncpg.InterfaceError() if _CONNECTION_LOST.search(str(exc)):",
        "case asyncpg.InterfaceError() if _CONNECTION_LOST.fullmatch(str(exc)):",
        "a connection that was lost counts as an unknown failure",
        by="integration/test_sqlstates.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        "or Meaning.UNKNOWN",
        "or Meaning.OUTAGE",
        "what is unknown is waited out as an outage, without an error",
        by="integration/test_sqlstates.py",
    ),
]
