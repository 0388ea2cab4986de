"""What a call of the API takes and answers, said once: the OpenAPI document is made of it, see openapi.py."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from schemas.model import KEY_PATTERN, MAX_KEY

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string", "pattern": "^[^\\x00]*$"}  # no table takes a NUL


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query.

    Attributes:
        schema: of one value.
        is_list: whether it may have several values; then it means any of them.
    """

    name: str
    schema: Schema
    description: str
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class RequestBody:
    """What is sent.

    Attributes:
        model: a pydantic model, or an annotated choice of some.
        name: of its schema.
        ignored: fields that are accepted and ignored: clients put back what they read.
        parts: fields that another schema describes: its name.
        references: list fields whose members may be ids, or objects with an `id`, as an answer has them.
        is_optional: whether nothing may be sent: all of its fields have defaults.
    """

    model: Any
    name: str
    ignored: AbstractSet[str] = frozenset()
    parts: Mapping[str, str] = field(default_factory=dict)
    references: AbstractSet[str] = frozenset()
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What an operation takes and answers.

    Attributes:
        summary: what it does, in a line.
        answers: what it answers where it did that, a msgspec Struct by status; None: no body.
        takes: its body.
        query: its parameters.
        problems: why it may not do it, beyond what follows from its path, its query and its body.
    """

    summary: str
    answers: Mapping[HTTPStatus, Any]
    takes: RequestBody | None = None
    query: tuple[Parameter, ...] = ()
    problems: Mapping[HTTPStatus, str] = field(default_factory=dict)


NAMESPACE: Final = Parameter(
    "namespace",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": KEY_PATTERN},
    "Which namespace, with a token for all of them (`*`); without it `default`. Any other token has its own alone.",
)
"""Of every operation."""
CLASH: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.CONFLICT: "It is deleted, its key is another's, or its secrets cannot be opened."
}
