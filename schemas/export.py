"""JSON Schema (2020-12) of the contracts, made of the models themselves: `make schemas`.

Made here, kept in `schemas/json`; a test fails where the two differ.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from schemas.amounts import STRING_PATTERN
from schemas.events import PAYLOADS
from schemas.json_schema import NULL, Schema, Style, tidied, without
from schemas.native import NativeResetEvent, NativeSnapshotEvent
from schemas.native_invoices import NativeCreatedEvent, NativeUpdatedEvent
from schemas.rules_file import RulesFile

DIRECTORY: Final = Path(__file__).parent / "json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def schemas() -> dict[str, Schema]:
    """Return each file's name and its schema."""
    records: dict[str, tuple[type[msgspec.Struct], str]] = {
        "tollbell.usage.snapshot": (NativeSnapshotEvent, "Usage snapshot (a record)"),
        "tollbell.entitlement.reset": (NativeResetEvent, "Entitlement reset (a record)"),
        "tollbell.invoice.created": (NativeCreatedEvent, "Invoice created (a record)"),
        "tollbell.invoice.updated": (NativeUpdatedEvent, "Invoice updated (a record)"),
    }
    return {
        **{f"{name}.json": _of_struct(model, title, _INPUT_AMOUNT) for name, (model, title) in records.items()},
        **{
            f"{name}.json": _of_struct(model, title, {"type": "number"}, is_output=True)
            for name, (model, title) in PAYLOADS.items()
        },
        "rules-file.json": _of_rules_file(),
    }


def text(schema: Schema) -> str:
    """Return *schema* as its file has it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(more: Mapping[str, Schema]) -> None:
    """Write the files, and *more* of them; take away those that no longer are."""
    DIRECTORY.mkdir(exist_ok=True)
    made = {**schemas(), **more}
    for stale in {path.name for path in DIRECTORY.glob("*.json")} - made.keys():
        (DIRECTORY / stale).unlink()
    for name, schema in made.items():
        (DIRECTORY / name).write_text(text(schema), encoding="utf-8")


_INPUT_AMOUNT: Final[Schema] = {"type": ["number", "string"], "pattern": STRING_PATTERN}


def _of_struct(model: type[msgspec.Struct], title: str, amount: Schema, *, is_output: bool = False) -> Schema:
    (root,), parts = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    own = parts.pop(root["$ref"].removeprefix("#/$defs/"))
    return _finished(title, own, parts, amount, is_output=is_output)


def _of_rules_file() -> Schema:
    own = RulesFile.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    parts = own.pop("$defs")
    # A key is optional in the API, where ids are; a file has keys alone.
    for name in [name for name in parts if name.endswith("Config")]:
        parts[name]["properties"]["key"] = _without_null(parts[name]["properties"]["key"])
        parts[name]["required"].append("key")
    # `${NAME}` may stand for what is secret, and an editor can't check its form.
    channel = parts["ChannelConfig"]["properties"]
    for text in (channel["url"], channel["signingSecret"]["anyOf"][0]):
        text.pop("pattern")
    channel["customHeaders"]["anyOf"][0]["additionalProperties"].pop("pattern")
    return _finished("Rules file (tollbell apply)", own, parts, _INPUT_AMOUNT)


def _finished(title: str, own: Schema, parts: Schema, amount: Schema, *, is_output: bool = False) -> Schema:
    style = _style(amount, is_output=is_output)
    defs = {
        _name(name): _ordered({**tidied(part, style), "title": _title(name)}) for name, part in sorted(parts.items())
    }
    body = tidied(own, style)
    return _ordered({"$schema": DIALECT, **body, "title": title, "$defs": defs})


def _style(amount: Schema, *, is_output: bool) -> Style:
    return Style(
        amount=amount,
        reference=lambda name: f"#/$defs/{_name(name)}",
        null=_without_null if is_output else _nullable,
        node=lambda node: _ordered(_chosen(node) if "discriminator" in node else node),
    )


def _chosen(node: Schema) -> Schema:
    """Return a choice by `type` as if and then: a mistake is then named where it is, not as "none of four"."""
    kinds = {kind: reference.removeprefix("#/$defs/") for kind, reference in node["discriminator"]["mapping"].items()}
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(kinds)}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{_name(model)}"},
            }
            for kind, model in kinds.items()
        ],
    }


def _without_null(node: Schema) -> Schema:
    only: Schema = next((choice for choice in node.get("anyOf", ()) if choice != NULL), {})
    return only | without(node, "anyOf", "default")


def _nullable(node: Schema) -> Schema:
    """Return *node*, `anyOf` of one thing and null, as that thing with one type more; a reference stays `anyOf`."""
    only = _without_null(node)
    if "type" not in only:
        return without(node, "default")
    types = only["type"] if isinstance(only["type"], list) else [only["type"]]
    return {**only, "type": [*types, "null"]}


def _name(generated: str) -> str:
    return generated.partition("_")[0].removeprefix("Native").removesuffix("Part").removesuffix("Config")


def _title(generated: str) -> str:
    return _WORD.sub(" ", _name(generated)).capitalize()


_ORDER: Final = ("$schema", "title", "description", "$ref", "type", "enum", "const", "required", "properties")


def _ordered(node: Schema) -> Schema:
    known = {name: node[name] for name in _ORDER if name in node}
    return known | {name: value for name, value in node.items() if name not in known}
