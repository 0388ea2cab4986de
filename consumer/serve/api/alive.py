"""What a call names and wants to change or use: it has to be there, and not deleted."""

from typing import TypeVar

from consumer.serve.problems import conflict, not_found
from consumer.store.configured import StoredChannel, StoredRule, is_deleted

OneT = TypeVar("OneT", bound=StoredChannel | StoredRule)


def alive(stored: OneT | None, what: str, which: str) -> OneT:
    """Return *stored*; *what* and *which* name it.

    Raises:
        Problem: 404, it is not there; 409, it is deleted.
    """
    if stored is None:
        raise not_found(what, which)
    if is_deleted(stored):
        raise conflict(f"{what} {which}: is deleted")
    return stored
