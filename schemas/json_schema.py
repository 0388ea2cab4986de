"""Generated JSON Schema as a person would write it: what msgspec and pydantic give, tidied. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Schema = dict[str, Any]
NULL: Final = {"type": "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one document writes what differs between documents.

    Attributes:
        amount: an exact decimal.
        reference: a `$ref`, by the generated name of its model.
        null: a choice that may be null.
        node: any node, when all else of it is done.
    """

    amount: Schema
    reference: Callable[[str], str]
    null: Callable[[Schema], Schema]
    node: Callable[[Schema], Schema] = dict


def tidied(node: Any, style: Style) -> Any:
    """Return *node* without generated titles, empty lists and null defaults; amounts, null, references in *style*."""
    if isinstance(node, list):
        return [tidied(child, style) for child in node]
    if not isinstance(node, dict):
        return node
    made = {
        name: {key: tidied(child, style) for key, child in value.items()}
        if name == "properties"  # whose keys are names, not keywords
        else tidied(value, style)
        for name, value in node.items()
        if not _is_noise(name, value)
    }
    if made.get("format") == "decimal":
        made = without(made, "format", "pattern") | style.amount
    if NULL in made.get("anyOf", ()):
        made = style.null(made)
    if "$ref" in made:
        made["$ref"] = style.reference(str(made["$ref"]).rpartition("/")[2])
    return style.node(made)


def without(node: Schema, *names: str) -> Schema:
    """Return *node* without these keywords."""
    return {name: value for name, value in node.items() if name not in names}


def _is_noise(name: str, value: object) -> bool:
    if name == "title":
        return isinstance(value, str)  # of a property called so, it is a schema
    return value == [] or (name == "default" and value is None)
