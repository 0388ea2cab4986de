"""A small change of the code that a test must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """*old*, which stands once in *file*, becomes *new*; *breaks* says what a receiver would then see.

    *survives* is the argument why no test can notice it; empty where one must. *by* names a case of `tests.faults` or a
    file of tests, which need servers; where it is empty the file decides which tests are run.
    """

    file: str
    old: str
    new: str
    breaks: str
    survives: str = ""
    by: str = ""
