"""SQL from files: `sql/<module>/<function>.sql`, one statement each, arguments by name.

asyncpg knows `$1` alone, so `@name` is numbered by first appearance; an argument that the statement does not name, or
one that is missing, is refused before anything is sent.
"""

import functools
import importlib.resources
import re
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"(?<![@\w])@([a-z_]+)")
_COMMENT: Final = re.compile(r"--[^\n]*")


@dataclass(frozen=True, slots=True)
class NumberedStatement:
    """A statement with numbered parameters, and their names in order."""

    name: str
    sql: str
    parameters: tuple[str, ...]

    def arguments(self, given: dict[str, object]) -> list[object]:
        """Return the values of *given* in the statement's order.

        Raises:
            TypeError: a name too many or too few: a mistake in our code.
        """
        if given.keys() != set(self.parameters):
            missing, unknown = set(self.parameters) - given.keys(), given.keys() - set(self.parameters)
            raise TypeError(f"{self.name}: missing {sorted(missing)}, unknown {sorted(unknown)}")
        return [given[name] for name in self.parameters]


@functools.cache
def load(name: str) -> NumberedStatement:
    """Return the statement of `sql/<name>.sql`, such as `deliveries/claim`."""
    text = (importlib.resources.files("consumer.store") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    sql = _COMMENT.sub("", text).strip()
    parameters = tuple(dict.fromkeys(_NAME.findall(sql)))
    numbered = _NAME.sub(lambda found: f"${parameters.index(found[1]) + 1}", sql)
    return NumberedStatement(name, numbered, parameters)


def load_all() -> None:
    """Read every statement now: at its first use the process may have no descriptor left to open a file by."""
    for name in names():
        load(name)


def names() -> list[str]:
    """Return the names of all statements."""
    root = importlib.resources.files("consumer.store") / "sql"
    return sorted(
        f"{folder.name}/{file.name.removesuffix('.sql')}"
        for folder in root.iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    )
