"""ULIDs: ids in the reference product's form, ordered by creation within a process."""

from ulid import StrictMonotonicPolicy, ULIDGenerator

_generator = ULIDGenerator(policy=StrictMonotonicPolicy())


def new() -> str:
    """Return a new id of 26 characters; later ones of this process sort after earlier ones."""
    return str(_generator.generate())
