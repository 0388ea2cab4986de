"""Is a template good for every event that it may meet? Asked when a channel is written, and by its preview."""

from collections.abc import Collection
from typing import Final

from consumer.formats.examples import Example, examples
from consumer.formats.template import AT, Template, read_template
from consumer.formats.template_tree import TemplateProblem
from consumer.formats.template_writing import CannotRender
from schemas.channels import ContentType
from schemas.refusals import Place
from schemas.rules import RuleType

ALL_TYPES: Final = frozenset(RuleType)


def check_template(
    value: object, content_type: ContentType = "json", *, types: Collection[RuleType] = ALL_TYPES, at: Place = AT
) -> list[TemplateProblem]:
    """Return what is wrong with the template *value*: it can't be read, or can't be made of an event.

    What fails with the fullest event of a type is refused. What fails only with an event that lacks what events may
    lack is a warning: the delivery of such an event would fail.

    Args:
        value: as `read_template` takes it.
        content_type: of its bodies.
        types: of the events that it is for.
        at: the place of *value* in what a person wrote.
    """
    template = read_template(value, content_type, at)
    return template if isinstance(template, list) else try_template(template, types)


def try_template(template: Template, types: Collection[RuleType]) -> list[TemplateProblem]:
    """Return what `check_template` does of a template that was read: to read a large one takes 100 ms."""
    found: dict[str, TemplateProblem] = {}
    for example in examples():
        if example.type in types and (problem := _tried(template, example)) is not None:
            found.setdefault(problem.place, problem)
    return list(found.values())


def _tried(template: Template, example: Example) -> TemplateProblem | None:
    try:
        template.render(example.payload)
    except CannotRender as failed:
        of = f"{example.type.value}, {example.name}"
        return TemplateProblem(failed.place, f"{failed.problem} ({of})", is_refused=example.is_usual)
    return None
