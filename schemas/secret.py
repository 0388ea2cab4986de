"""A text that must not be seen: repr, str, format and JSON give a mask."""

from typing import Final, final

MASK: Final = "***"  # what is read in place of a secret; written back, it keeps what is stored


@final
class Secret:
    """Holds a secret text; only `reveal()` gives it back. Equal to another with the same text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself: call this at the last moment, and keep what it returns nowhere."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")
