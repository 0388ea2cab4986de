"""`template`: bodies by a tree whose texts are templates; the encoder writes the JSON, so it is always valid.

No template reaches anything but its event: the engine is given the values of the paths that it names, as texts, and
has no globals, loaders or methods. Fuel bounds time and memory: what is made counts as what is run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import minijinja

from consumer.formats import expressions, template_filters
from consumer.formats.document import EventTree, value
from consumer.formats.expressions import Copy, Path, Source
from consumer.formats.rendered import JSON, Rendered
from consumer.formats.template_tree import Leaf, Object, TemplateProblem, Tree, read_tree
from consumer.formats.template_writing import CannotRender, JsonWriter, write_form
from schemas.channels import ContentType
from schemas.refusals import Place

FORM: Final = "application/x-www-form-urlencoded"
AT: Final = ("template",)
# For all texts of a body, and for each of very many. An operation costs one, and so do some 64 bytes of what it makes:
# the slowest attacks that are left take 25 ms.
FUEL: Final = 20_000
LEAST_FUEL: Final = 500
MOST_VALUE: Final = 65_536  # bytes of a value within a text: to compare it costs no fuel
MOST_VALUES: Final = 1024 * 1024  # bytes of the values within all texts of a body: likewise, counted from 0 each time
_FAILURES: Final = (minijinja.TemplateError, ValueError, TypeError)  # the latter two of filters of ours


@dataclass(frozen=True, slots=True)
class Template:
    """A template that may be rendered, from as many tasks as want to.

    Attributes:
        content_type: of its bodies.
        tree: what it says.
        engine: for texts: what an event lacks is an error.
        deciding: for conditions: what an event lacks is false.
    """

    content_type: ContentType
    tree: Tree
    engine: minijinja.Environment
    deciding: minijinja.Environment

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the secrets that the channel must have."""
        return self.tree.secrets

    def render(self, payload: bytes, *, is_test: bool = False) -> Rendered:
        """Return the body for an event's frozen *payload*.

        Raises:
            CannotRender: the event lacks what the template needs, or a limit is exceeded.
            msgspec.MsgspecError: *payload* is no event of ours.
        """
        values = _Values(EventTree(payload, is_test=is_test), self.engine, self.deciding)
        if self.content_type == "form":
            assert isinstance(self.tree.root, Object)  # noqa: S101 - else it was refused
            return Rendered(write_form(self.tree.root, values), FORM)
        writer = JsonWriter(values)
        writer.write(self.tree.root)
        return Rendered(b"".join(writer.parts), JSON, holes=tuple(writer.holes))


def read_template(
    given: object, content_type: ContentType = "json", at: Place = AT
) -> Template | list[TemplateProblem]:
    """Return the template that is *given*, of JSON or YAML; or what is wrong with it, and where.

    Args:
        given: of objects, lists, texts, numbers, truth values and None.
        content_type: of its bodies.
        at: the place of it in what a person wrote.
    """
    tree = read_tree(given, content_type, at)
    if isinstance(tree, list):
        return tree
    fuel = max(FUEL // max(len(tree.leaves) + len(tree.conditions), 1), LEAST_FUEL)
    engine, deciding = _engine(fuel, is_strict=True), _engine(fuel, is_strict=False)
    problems = [*_known(engine, tree.leaves), *_known(deciding, tree.conditions)]
    return problems or Template(content_type, tree, engine, deciding)


def _engine(fuel: int, *, is_strict: bool) -> minijinja.Environment:
    engine = minijinja.Environment(
        fuel=fuel,
        debug=False,  # else an error shows the values around it
        pycompat=False,
        undefined_behavior="strict" if is_strict else "lenient",
        keep_trailing_newline=True,
        finalizer=_finalized,
    )
    for name in list(engine.globals):
        engine.remove_global(name)
    engine.add_filter("number", template_filters.number if is_strict else template_filters.number_if_any)
    engine.add_filter("grouped", template_filters.grouped)
    engine.add_filter("moment", template_filters.moment)
    return engine


def _finalized(shown: object) -> object:
    """Return what is *shown* as JSON spells it, but nothing for null."""
    if isinstance(shown, bool):
        return "true" if shown else "false"
    return "" if shown is None else shown


def _known(engine: minijinja.Environment, leaves: tuple[Leaf, ...]) -> list[TemplateProblem]:
    """Make *leaves* known to *engine*; return what is wrong with them."""
    problems = []
    for leaf in leaves:
        assert isinstance(leaf.what, Source)  # noqa: S101 - the only one that the engine sees
        try:
            engine.add_template(leaf.name, leaf.what.text)
        except minijinja.TemplateError as problem:
            problems.append(TemplateProblem(leaf.place, _said(problem, leaf)))
    return problems


@dataclass(slots=True)
class _Values:
    """What one event makes of a template's texts."""

    document: EventTree
    engine: minijinja.Environment
    deciding: minijinja.Environment
    room: int = MOST_VALUES

    def text(self, leaf: Leaf, source: Source) -> str:
        return self._rendered(self.engine, leaf, source)

    def raw(self, leaf: Leaf, copy: Copy) -> bytes:
        raw = self.document.raw(copy.path)
        if raw is None:
            raise CannotRender(leaf.place, _lacking([copy.path]))
        return bytes(raw)

    def holds(self, condition: Leaf | None) -> bool:
        if condition is None:
            return True
        assert isinstance(condition.what, Source)  # noqa: S101 - conditions are
        return self._rendered(self.deciding, condition, condition.what) == "1"

    def _rendered(self, engine: minijinja.Environment, leaf: Leaf, source: Source) -> str:
        values, missing = self._looked_up(leaf, source.paths)
        try:
            return engine.render_template(leaf.name, **values)
        except _FAILURES as problem:
            raise CannotRender(leaf.place, _lacking(missing) if missing else _said(problem, leaf)) from None

    def _looked_up(self, leaf: Leaf, paths: Mapping[str, Path]) -> tuple[dict[str, str | bool | None], list[Path]]:
        values: dict[str, str | bool | None] = {}
        missing = []
        for name, path in paths.items():
            raw = self.document.raw(path)
            if raw is None:
                missing.append(path)
            elif len(bytes(raw)) > MOST_VALUE:
                raise CannotRender(leaf.place, f"{expressions.written(path)} has more than {MOST_VALUE // 1024} KiB")
            elif (room := self.room - len(bytes(raw))) < 0:
                raise CannotRender(leaf.place, f"all texts together take more than {MOST_VALUES // 1024} KiB of values")
            else:
                self.room = room
                values[name] = value(raw)
        return values, missing


def _lacking(paths: list[Path]) -> str:
    named = ", ".join(expressions.written(path) for path in paths)
    return f"this event has no {named}: give it |default('…'), or the member a `when`"


def _said(problem: Exception, leaf: Leaf) -> str:
    """Return the engine's words for *problem*, in one line, without the name that it has for the text."""
    line = str(problem).partition("\n")[0]
    return line.partition(f" (in {leaf.name}:")[0].removeprefix("syntax error: ")
