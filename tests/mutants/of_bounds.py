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
]
