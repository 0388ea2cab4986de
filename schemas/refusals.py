"""What a model refused, in a person's words: the same whether a file or a request was read. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from schemas.rules import RuleType

Place = tuple[int | str, ...]

_VALUE_ERROR: Final = "Value error, "
# By pydantic's kinds of errors; what stands in braces is of the error's context. Its own words are for programmers.
_WORDS: Final = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "enum": "must be {expected}",
    "extra_forbidden": "there is no such field",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "missing": "is missing",
    "model_type": "must be an object",
    "string_pattern_mismatch": "has a form or a character that is not allowed",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have {min_length} or more characters",
    "string_type": "must be a text",
    "too_long": "must have at most {max_length} members",
    "too_short": "must have {min_length} or more members",
    "tuple_type": "must be a list",
}
_TOO_SHORT: Final = "too_short"
# A check over several fields says in its message where it looked: `value: must be above 0`.
_SAID_PATH: Final = re.compile(
    r"(?P<path>[a-zA-Z]+(?:\[[0-9]+\])?(?:\.[a-zA-Z]+(?:\[[0-9]+\])?)*): (?P<problem>.+)", re.DOTALL
)
_TAGS: Final = frozenset(RuleType)  # pydantic puts the kind of a rule into the place of its mistake
_NO_TAG: Final = frozenset({"union_tag_invalid", "union_tag_not_found"})  # whose own words repeat what was given


@dataclass(frozen=True, slots=True)
class FieldRefusal:
    """A field that is wrong: where it stands, and what to change; nothing that was given, it may be a secret."""

    place: Place
    problem: str


def refusals(exc: ValidationError) -> list[FieldRefusal]:
    """Return what *exc* says, unknown fields first: a misspelt one is missing too, and shows what to mend."""
    errors = exc.errors(include_input=False, include_url=False)
    errors.sort(key=lambda error: error["type"] != "extra_forbidden")
    places = [error["loc"] for error in errors]
    return [
        _refusal(error["type"], error["loc"], error["msg"], error.get("ctx", {}))
        for error in errors
        if not (error["type"] == _TOO_SHORT and _has_wrong_member(error["loc"], places))
    ]


def _has_wrong_member(place: Place, places: Sequence[Place]) -> bool:
    """Whether a list is called too short for want of members that are there, and wrong."""
    return any(len(one) > len(place) and one[: len(place)] == place for one in places)


def _refusal(kind: str, location: Place, message: str, context: Mapping[str, object]) -> FieldRefusal:
    place: Place = tuple(part for part in location if part not in _TAGS)
    if kind == "value_error" and (found := _SAID_PATH.fullmatch(message.removeprefix(_VALUE_ERROR))):
        said = re.findall(r"\w+", found["path"])
        return FieldRefusal((*place, *(int(part) if part.isdecimal() else part for part in said)), found["problem"])
    if kind in _NO_TAG:
        return FieldRefusal((*place, "type"), f"must be one of {', '.join(RuleType)}")
    if words := _WORDS.get(kind):
        return FieldRefusal(place, words.format_map(context))
    return FieldRefusal(place, message.removeprefix(_VALUE_ERROR))


def written(place: Place) -> str:
    """Return *place* as people write it: `rules[0].channels`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
