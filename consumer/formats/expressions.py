"""The expressions of a template: read before the engine sees them, so that it sees texts and nothing else.

minijinja calls methods of whatever Python object it is given: `{{ data.clear() }}` empties a dict. So each path, such
as `data.customer.name`, is looked up by us, and the engine gets its value under a name of our own. What this reader
does not know, it refuses: statements but for `if`, filters that are not listed, calls.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.channels import HOLE_NAME

Path = tuple[str | int, ...]

ROOTS: Final = frozenset({"id", "type", "timestamp", "data", "message", "is_test"})
FILTERS: Final = frozenset(
    {
        *(
            "abs",
            "capitalize",
            "d",
            "default",
            "e",
            "escape",
            "first",
            "float",
            "grouped",
            "indent",
            "int",
            "join",
            "last",
        ),
        *("length", "lower", "moment", "number", "replace", "round", "string", "title", "trim", "truncate", "upper"),
        "urlencode",
    }
)
TESTS: Final = frozenset({"defined", "undefined", "none", "startingwith", "endingwith"})
_KEYWORDS: Final = frozenset(
    {"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"}
)
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_STEP: Final = rf"""\.{_NAME}|\[[0-9]{{1,9}}\]|\["[^"\\\]]*"\]|\['[^'\\\]]*'\]"""
_PATH: Final = rf"{_NAME}(?:{_STEP})*"
_TOKEN: Final = re.compile(
    rf"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<path>{_PATH})|(?P<number>[0-9]+(?:\.[0-9]+)?)"""
    r"""|(?P<mark>==|!=|<=|>=|\*\*|//|[<>=|~+\-*/%()\[\],]))""",
    re.DOTALL,
)
_STEPS: Final = re.compile(_STEP)
_ONLY: Final = re.compile(rf"\s*\{{\{{\s*(?P<path>{_PATH})\s*\}}\}}\s*")
_OPENING: Final = re.compile(r"\{\{[-+]?|\{%[-+]?|\{#")
_VARIABLE_END: Final = re.compile(r"\s*([-+]?\}\})")
_STATEMENT_END: Final = re.compile(r"\s*([-+]?%\})")
_END: Final = re.compile(r"\s*()\Z")
_STATEMENT: Final = re.compile(rf"\s*(?P<name>{_NAME})\b")
_SECRET: Final = re.compile(HOLE_NAME)
# The engine recurses for each, and without end: of 25,000 (`1+1+…`) the whole process dies (minijinja 3.1, with a stack
# of 8 MiB; with one of 512 KiB of 1,600, of `elif` 800). Parentheses, brackets and nested `if` it counts itself.
MOST_OPERATIONS: Final = 100  # of one expression
MOST_ELIFS: Final = 100  # of one text
MOST_STEPS: Final = 32  # of one path
# Each character of the text is looked for among these, which costs the engine no fuel (minijinja 3.1: 64 KiB among as
# many, twenty times: 1 s).
MOST_TRIMMED: Final = 16
_OPERATIONS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else"})
_NO_OPERATIONS: Final = frozenset({",", ")", "]"})
_COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">="})


class BadExpression(ValueError):
    """An expression says something that templates can't do; the text says what, for a person."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the engine gets.

    Attributes:
        text: with each path replaced by a name.
        paths: by that name.
    """

    text: str
    paths: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Copy:
    """A text that is exactly one path: its raw value is copied, with all digits."""

    path: Path


@dataclass(frozen=True, slots=True)
class SecretName:
    """A text that is exactly `{{ secrets.name }}`: it stays empty until the body is sent."""

    name: str


def read(text: str) -> Source | Copy | SecretName | None:
    """Return what the template *text* is; None where there is nothing to replace in it.

    Raises:
        Unreadable: it can't be a template.
    """
    if not is_template(text):
        return None
    if only := _ONLY.fullmatch(text):
        path = _path(only["path"])
        if path[0] == "secrets":
            return _secret(path)
        if path[0] not in _KEYWORDS:
            _check_root(path)
            return Copy(path)
    return _Reader(text).template()


def is_template(text: str) -> bool:
    """Whether *text* has the opening of an expression, statement or comment."""
    return _OPENING.search(text) is not None


def read_condition(text: str) -> Source:
    """Return the template that says `1` where the expression *text* is true.

    Raises:
        Unreadable: it is not an expression.
    """
    if is_template(text):
        raise BadExpression("is an expression itself: leave out the braces")
    return _Reader(text).condition()


def written(path: Path) -> str:
    """Return *path* as a person writes it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _path(text: str) -> Path:
    root = re.match(_NAME, text)
    steps = _STEPS.findall(text)
    if len(steps) > MOST_STEPS:
        raise BadExpression(f"a path has at most {MOST_STEPS} steps")
    return (root[0] if root else "", *(_step(one) for one in steps))


def _step(step: str) -> str | int:
    if step.startswith("."):
        return step[1:]
    inner = step[1:-1]
    return inner[1:-1] if inner[0] in "\"'" else int(inner)


def _check_root(path: Path) -> None:
    if path[0] == "secrets":
        raise BadExpression("a secret is a whole text by itself: exactly {{ secrets.name }}")
    if path[0] not in ROOTS:
        raise BadExpression(f"unknown name {path[0]!r}; known: {', '.join(sorted(ROOTS))}")


def _secret(path: Path) -> SecretName:
    name = path[1] if len(path) == 2 else ""  # noqa: PLR2004 - secrets, and its name
    if isinstance(name, str) and _SECRET.fullmatch(name):
        return SecretName(name)
    raise BadExpression("write {{ secrets.name }}")


@dataclass(slots=True)
class _Token:
    """A token: its kind (text, path, number, mark), and as written."""

    kind: str
    text: str
    is_name: bool = False  # of a filter, test, keyword or argument: not a path

    @property
    def is_operation(self) -> bool:
        """Whether the engine recurses for it."""
        return (
            self.text in _OPERATIONS if self.kind == "path" else self.kind == "mark" and self.text not in _NO_OPERATIONS
        )


class _Reader:
    """Reads one text from its start to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._names: dict[Path, str] = {}
        self._elifs = 0

    def template(self) -> Source:
        parts: list[str] = []
        while found := _OPENING.search(self._text, self._at):
            parts.append(self._text[self._at : found.start()])
            self._at = found.end()
            match found[0][1]:
                case "#":
                    self._skip_comment()
                case "%":
                    parts += [found[0], *self._statement()]
                case _:
                    parts += [found[0], *self._expression(_VARIABLE_END, "}}")]
        parts.append(self._text[self._at :])
        return self._source(parts)

    def condition(self) -> Source:
        expression = self._expression(_END, "the end")
        return self._source(["{% if", *expression, "%}1{% endif %}"])

    def _source(self, parts: list[str]) -> Source:
        return Source("".join(parts), {name: path for path, name in self._names.items()})

    def _skip_comment(self) -> None:
        end = self._text.find("#}", self._at)
        if end < 0:
            raise BadExpression("a comment {# has no end #}")
        self._at = end + 2

    def _statement(self) -> list[str]:
        found = _STATEMENT.match(self._text, self._at)
        name = found["name"] if found else ""
        if found is None or name not in {"if", "elif", "else", "endif"}:
            raise BadExpression(f"unknown statement {name!r}; there are if, elif, else and endif, and no loops")
        self._at = found.end()
        self._elifs += name == "elif"
        if self._elifs > MOST_ELIFS:
            raise BadExpression(f"a text has at most {MOST_ELIFS} elif")
        if name in {"if", "elif"}:
            return [f" {name} ", *self._expression(_STATEMENT_END, "%}")]
        end = _STATEMENT_END.match(self._text, self._at)
        if end is None:
            raise BadExpression(f"{name} takes nothing: write {{% {name} %}}")
        self._at = end.end()
        return [f" {name} ", end[1]]

    def _expression(self, closing: re.Pattern[str], shown: str) -> list[str]:
        tokens: list[_Token] = []
        operations = 0
        while not (end := closing.match(self._text, self._at)):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                rest = self._text[self._at :].lstrip()
                raise BadExpression(f"unexpected {rest[0]!r} in an expression" if rest else f"{shown} is missing")
            self._at = found.end()
            tokens.append(_Token(found.lastgroup or "", found[found.lastgroup or ""]))
            operations += tokens[-1].is_operation
            if operations > MOST_OPERATIONS:
                raise BadExpression(f"an expression has at most {MOST_OPERATIONS} operations")
        self._at = end.end()
        _classify(tokens)
        _check_comparisons(tokens)
        _check_lists(tokens)
        _check_arguments(tokens)
        return [" ", " ".join(self._named(one) for one in tokens), " ", end[1]]

    def _named(self, token: _Token) -> str:
        if token.kind != "path" or token.is_name:
            return token.text
        path = _path(token.text)
        _check_root(path)
        return self._names.setdefault(path, f"v{len(self._names)}")


def _classify(tokens: list[_Token]) -> None:
    """Find out which names are paths."""
    for n, token in enumerate(tokens):
        before = tokens[n - 1].text if n else ""
        after = tokens[n + 1].text if n + 1 < len(tokens) else ""
        if token.kind != "path":
            continue
        if before == "|":
            _check_known(token.text, FILTERS, "filter")
            token.is_name = True
        elif token.text in _KEYWORDS and not (before == "is" and token.text == "none"):
            token.is_name = True
        elif before == "is" or (before == "not" and n > 1 and tokens[n - 2].text == "is"):
            _check_known(token.text, TESTS, "test")
            token.is_name = True
        elif after == "=":
            token.is_name = True
        elif after == "(":
            raise BadExpression(
                f"unknown function {token.text!r}: there are only filters, such as {{{{ type|upper }}}}"
            )


def _check_known(name: str, known: frozenset[str], what: str) -> None:
    if name not in known:
        raise BadExpression(f"unknown {what} {name!r}; known: {', '.join(sorted(known))}")


def _check_comparisons(tokens: list[_Token]) -> None:
    """Refuse what would compare a text with a number: amounts are texts, and `"9" >= 100` is true."""
    for n, token in enumerate(tokens):
        if token.text not in _COMPARISONS or not 0 < n < len(tokens) - 1:
            continue
        left, right = tokens[n - 1], tokens[n + 1]
        right_is_bare = _is_bare(right) and (n + 2 >= len(tokens) or tokens[n + 2].text != "|")
        left_is_bare = _is_bare(left)
        is_order = token.text not in {"==", "!="}
        sides = ((left, left_is_bare, right), (right, right_is_bare, left))
        for side, is_bare, other in sides:
            if is_bare and (other.kind == "number" or (is_order and other.kind == "path")):
                raise BadExpression(f"{side.text} is a text, that keeps its digits: compare {side.text}|number")


def _check_lists(tokens: list[_Token]) -> None:
    """Refuse lists of lists, a hundred times a hundred long: minijinja counts no fuel for them (3.1: 51 s)."""
    marks = {token.text for token in tokens if token.kind == "mark"}
    if "[" in marks and marks & {"*", "**"}:
        raise BadExpression("a list is not multiplied")


def _check_arguments(tokens: list[_Token]) -> None:
    """Refuse arguments by which a filter takes longer than its fuel says."""
    for n, token in enumerate(tokens[:-1]):
        if not token.is_name or token.text not in {"trim", "join"} or tokens[n + 1].text != "(":
            continue
        argument, rest = (tokens[n + 2], tokens[n + 3 : n + 4]) if n + 2 < len(tokens) else (token, [])
        is_alone = bool(rest) and rest[0].text == ")"
        if token.text == "join" and argument.text != ")" and not is_alone:
            raise BadExpression("join takes one text, to stand between: join(', ')")
        is_short = argument.kind == "text" and len(argument.text) - len("''") <= MOST_TRIMMED
        if token.text == "trim" and argument.text != ")" and not (is_alone and is_short):
            raise BadExpression(f"trim takes at most {MOST_TRIMMED} characters, as a text: trim('/')")


def _is_bare(token: _Token) -> bool:
    return token.kind == "path" and not token.is_name
