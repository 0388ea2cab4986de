"""The shape of the code in figures: `make shape`."""

import ast
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("consumer", "schemas", "deploy/enforcement")
# Words that an engineer of the field would not use, in names and prose. Single words alone: a phrase needs a reader.
WORDS: Final = ("anew", "heed", "heeds", "nobody", "somebody", "tell", "tells", "told", "whoever", "whom")
WORD: Final = re.compile(rf"(?<![A-Za-z])({'|'.join(WORDS)})(?![A-Za-z])", re.IGNORECASE)
# Names that are not ours, or that are stored: a Unix user, and a field of documents.
FOREIGN: Final = re.compile(r'"nobody"|name="told"|`told`')
# Released, so never edited again: what their comments say stays.
FROZEN: Final = re.compile(r"consumer/store/migrations/0001_")
# Where the words are data: the contract, word for word; this list, and the tests of it and of the pages' list.
SPELT: Final = {
    *("tests/contract.md", "tests/shape.py"),
    *("tests/architecture/test_words.py", "tests/unit/test_words_of_pages.py"),
}
# A row of tests/sentences.md begins with the words of the contract.
QUOTED: Final = re.compile(r"^\| .*? \| (?=`)", re.MULTILINE)
MOST_FIELDS: Final = 12
_BRANCHES: Final = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.ExceptHandler, ast.comprehension)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of ours."""

    name: str
    text: str
    tree: ast.Module

    def functions(self) -> Iterator[Function]:
        """Give every function and method."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Give every class."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


def sources() -> list[Source]:
    """Return the Python files of the service, the contracts and what customers copy."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    return [Source(name, text, ast.parse(text)) for name, text in texts.items()]


def texts(of: Sequence[Source]) -> dict[str, str]:
    """Return what people read of the code, by file: the sources, and the SQL of the service."""
    statements = _read("consumer/**/*.sql")
    return {one.name: one.text for one in of} | {
        name: text for name, text in statements.items() if not FROZEN.match(name)
    }


def texts_around() -> dict[str, str]:
    """Return what people read around the code, by file: the tests, what is deployed, and the pages next to them."""
    found = _read(
        "tests/**/*.py",
        "deploy/**/*.py",
        "deploy/**/*.yaml",
        *(f"{at}/**/*.md" for at in ("deploy", "schemas", "tests")),
    )
    found["tests/sentences.md"] = QUOTED.sub("", found["tests/sentences.md"])
    return {name: text for name, text in found.items() if name not in SPELT}


def _read(*patterns: str) -> dict[str, str]:
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def lines_of(node: Function) -> int:
    """Return how many lines a function has."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def complexity(node: Function) -> int:
    """Return McCabe's: one, and one for each branch."""
    found = 1
    for part in ast.walk(node):
        if isinstance(part, _BRANCHES):
            found += 1
        elif isinstance(part, ast.BoolOp):
            found += len(part.values) - 1
        elif isinstance(part, ast.Match):
            found += len(part.cases) - 1
    return found


def fields(node: ast.ClassDef) -> int:
    """Return how many a class has: those it declares, else those that its methods set."""
    declared = {
        one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
    }
    made = {
        one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute)
        and isinstance(one.ctx, ast.Store)
        and isinstance(one.value, ast.Name)
        and one.value.id == "self"
    }
    return len(declared | made)


def double_names(of: Sequence[Source]) -> dict[str, list[str]]:
    """Return the classes whose name another one has, with their files."""
    found = defaultdict(list)
    for source in of:
        for node in source.classes():
            if not node.name.startswith("_"):
                found[node.name].append(source.name)
    return {name: files for name, files in sorted(found.items()) if len(files) > 1}


def large(of: Sequence[Source]) -> dict[str, int]:
    """Return the classes with more than `MOST_FIELDS` fields, and how many."""
    counted = {f"{source.name}: {node.name}": fields(node) for source in of for node in source.classes()}
    return {name: count for name, count in counted.items() if count > MOST_FIELDS}


def has_word(line: str) -> bool:
    """Whether *line* has a word of the list, in a name, a comment or a text."""
    return WORD.search(FOREIGN.sub("", line.replace("_", " "))) is not None


def words(of: Mapping[str, str]) -> Counter[str]:
    """Return in how many lines each of these texts has words of the list."""
    found = {name: sum(map(has_word, text.splitlines())) for name, text in of.items()}
    return Counter({name: count for name, count in found.items() if count})


def spread(values: Sequence[int]) -> str:
    """Return median, p95 and largest."""
    return (
        f"median {statistics.median(values):.0f}, p95 {statistics.quantiles(values, n=20)[-1]:.0f}, max {max(values)}"
    )


def report() -> Iterator[str]:
    """Give the figures, a line each."""
    of = sources()
    functions = [node for source in of for node in source.functions()]
    public = [one for one in functions if not one.name.startswith("_")]
    documented = sum(ast.get_docstring(one) is not None for one in public)
    doubles, many, bad = double_names(of), large(of), words(texts(of) | texts_around())
    yield f"files                 {len(of)}"
    yield f"lines a file          {spread([len(one.text.splitlines()) for one in of])}"
    yield f"lines a function      {spread([lines_of(one) for one in functions])} (of {len(functions)})"
    yield f"complexity            {spread([complexity(one) for one in functions])}"
    yield f"documented            {documented} of {len(public)} public functions, {documented / len(public):.0%}"
    yield f"class names twice     {len(doubles)}"
    yield from (f"                      {name}: {', '.join(files)}" for name, files in doubles.items())
    yield f"classes > {MOST_FIELDS} fields   {len(many)}"
    yield from (f"                      {name}: {count}" for name, count in many.items())
    by_package = Counter(bad)
    yield f"words of the list     {by_package.total()}"
    yield from (f"                      {name}: {count}" for name, count in bad.most_common(15))


if __name__ == "__main__":
    print("\n".join(report()))
