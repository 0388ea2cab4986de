"""The reference product's models, of its own OpenAPI document, as a validator that JSON Schema understands."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

DOCUMENT = Path(__file__).parent / "reference" / "openmeter-notification.openapi.json"
# Ids and keys come from the source, which writes what these patterns forbid: an empty subject id, `acme-prod`.
OF_THE_SOURCE = frozenset({"id", "key", "featureId", "featureKey", "subjectKey", "meterSlug", "sourceBillingProfileId"})
formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None


def problems(model: str, payload: object) -> list[str]:
    """Return where and why *payload* is not the reference's *model*: one line a mistake, none where it fits."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    parts = {name: _translated(schema) for name, schema in document["components"]["schemas"].items()}
    parts[model]["properties"]["id"] = document["components"]["schemas"][model]["properties"]["id"]  # the event's: ours
    validator = Draft202012Validator(
        {"$ref": f"#/components/schemas/{model}", "components": {"schemas": parts}}, format_checker=formats
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(payload)]


def _translated(node: Any, name: str = "") -> Any:
    """Return *node*, the schema of the property *name*, in JSON Schema: `nullable` there is a type of its own."""
    if isinstance(node, list):
        return [_translated(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {
        keyword: {one: _translated(schema, one) for one, schema in value.items()}
        if keyword == "properties"
        else _translated(value)
        for keyword, value in node.items()
        if not (keyword == "nullable" or (keyword == "pattern" and name in OF_THE_SOURCE))
    }
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made
