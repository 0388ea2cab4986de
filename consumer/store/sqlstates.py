"""What an error of Postgres, or of its driver, means: an outage, a limit that we set, bad values, or unknown.

An outage is waited out, however long, and nothing that was to be written is given up for it. So only that is one which
says nothing of the statement's own rows. What is on none of these lists is unknown: it is tried again, and where it
stays, narrowed down to the row at fault.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html; two characters stand for their whole class.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import asyncpg


class Meaning(Enum):
    """What an error calls for."""

    LOST_RACE = auto()  # the same statement, again, now
    OUTAGE = auto()  # the same statement, once the server is back
    BUSY = auto()  # likewise: it took longer than it may
    DATA = auto()  # the same statement without the row that it is refused for
    REFUSED = auto()  # a person who mends the database or a setting
    UNKNOWN = auto()  # a person who reads the log; meanwhile, the others' rows


LOST_RACE: Final[Mapping[str, str]] = {
    "40001": "two transactions in a row may succeed where two at once may not",
    "40P01": "one of two that wait for each other is ended",
}
OUTAGE: Final[Mapping[str, str]] = {
    "08": "no connection, or it broke; PgBouncer says 08P01 where it cannot reach the server, or accepts no clients",
    "25006": "a standby, or a primary on its way to become one: the next connection finds the new primary",
    "25P03": "our process stood still inside a transaction, and its session was ended",
    "53100": "the disk is full: nothing can be written, whatever it is",
    "53200": "no memory, or no room for locks: what we send is bounded, so it is the server's state and not a row's",
    "53300": "all connections are taken",
    "57P01": "it is shut down, or an operator ended our session",
    "57P02": "another session crashed, and all of them were ended",
    "57P03": "it starts, stops, or recovers",
    "57P04": "its database was dropped: whether there is a new one, the next connection says",
    "57P05": "a session that was idle for too long was ended",
}
BUSY: Final[Mapping[str, str]] = {
    "25P04": "the operator's transaction_timeout: a lock is held by others, or the server is slow",
    "55P03": "lock_timeout: others hold the lock",
    "57014": "statement_timeout, or an operator's cancel: likewise",
}
DATA: Final[Mapping[str, str]] = {
    "21": "more rows than one where one is meant",
    "22": "a value that its type cannot hold; the driver says so as well, before it sends it",
    "23": "a constraint of the table's, or the operator's own",
    "53400": "temp_file_limit: so much of it at once is too much, less of it is not",
    "54000": "a text too long for an index, an array or text beyond Postgres' limits",
    "54001": "a JSON document nested too deep for the server's stack",
}
REFUSED: Final[Mapping[str, str]] = {
    "26000": "a pooler in transaction mode: the statement was prepared in another session",
    "28": "the user or its password is refused",
    "3D000": "the database does not exist",
    "3F000": "the schema does not exist",
    "42501": "this user may not do that",
    "42703": "a column is missing: the schema is of another release",
    "42883": "likewise a function",
    "42P01": "likewise a table",
    "42P05": "a pooler in transaction mode: another client has prepared a statement in this session",
}
_LISTS: Final = (
    (LOST_RACE, Meaning.LOST_RACE),
    (OUTAGE, Meaning.OUTAGE),
    (BUSY, Meaning.BUSY),
    (DATA, Meaning.DATA),
    (REFUSED, Meaning.REFUSED),
)
_OF_STATE: Final = {state: meaning for states, meaning in _LISTS for state in states}
POOLED: Final = ("26000", "42P05")
# The driver has one class for calls at a bad moment and for calls that are never right. The first is what a
# lost connection looks like from our side.
_CONNECTION_LOST: Final = re.compile(
    r"is closed|is closing|released back to the pool|another operation(?: \(\d+\))? is"
)
_OF_DRIVER: Final = (
    OSError,  # no route, no listener, a reset; TLS as well
    TimeoutError,  # no connection, or no answer, in time: also where a lock is held by others
    asyncpg.TargetServerAttributeNotMatched,  # a URL of several hosts, and none of them is the primary now
    asyncpg.OutdatedSchemaCacheError,  # a migration has just changed what was planned: the next try plans it again
    asyncpg.InvalidCachedStatementError,  # likewise
)


def meaning(exc: BaseException) -> Meaning:
    """Return what *exc*, raised by the driver, means."""
    match exc:
        case UnicodeEncodeError():  # half a surrogate pair
            return Meaning.DATA
        case _ if isinstance(exc, _OF_DRIVER):
            return Meaning.OUTAGE
        case asyncpg.InterfaceError() | asyncpg.InternalClientError() if _CONNECTION_LOST.search(str(exc)):
            return Meaning.OUTAGE
        case asyncpg.PostgresError(sqlstate=str(state)):
            return _OF_STATE.get(state) or _OF_STATE.get(state[:2]) or Meaning.UNKNOWN
        case _:
            return Meaning.UNKNOWN
