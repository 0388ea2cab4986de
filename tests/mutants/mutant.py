"""A small change of the code that a test must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """*old*, which stands once in *file*, becomes *new*; *breaks* says what a receiver would then see.

    *survives* is the argument why no test can notice it; empty where one must.
    """

    file: str
    old: str
    new: str
    breaks: str
    survives: str = ""
