"""The reference product's models, of its own OpenAPI document, as a validator that JSON Schema understands."""

import datetime as dt
import functools
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from schemas import export

DOCUMENT = Path(__file__).parents[1] / "reference" / "openmeter-notification.openapi.json"
# Ids and keys come from the source, which writes what these patterns forbid: an empty subject id, `acme-prod`.
OF_THE_SOURCE = frozenset({"id", "key", "featureId", "featureKey", "subjectKey", "meterSlug", "sourceBillingProfileId"})
PAYLOADS = {
    "entitlements.balance.threshold": "NotificationEventBalanceThresholdPayload",
    "entitlements.reset": "NotificationEventResetPayload",
    "invoice.created": "NotificationEventInvoiceCreatedPayload",
    "invoice.updated": "NotificationEventInvoiceUpdatedPayload",
}
formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None


def problems(model: str, payload: object) -> list[str]:
    """Return where and why *payload* is not the reference's *model*: one line a mistake, none where it fits."""
    return [f"{error.json_path}: {error.message}" for error in _validator(model).iter_errors(payload)]


def problems_of_answer(method: str, path: str, status: int, kind: str, answer: object) -> list[str]:
    """Return where and why an answer of the API is not the reference's; nothing for a path that the reference lacks.

    Args:
        method, path: of the request; *path* without parameters.
        status, kind: of the answer; *kind* is its content type.
        answer: its JSON; None where it has no body.
    """
    responses = next(
        (found[method.lower()]["responses"] for found in _operations(path) if method.lower() in found), None
    )
    if responses is None:
        return []
    content = (responses.get(str(status)) or responses["default"]).get("content", {})
    if not content:
        return [] if answer is None else [f"$: {status} has no body in the reference"]
    if kind not in content:
        return [f"$: is {kind}, not {', '.join(content)}"]
    model = content[kind]["schema"]["$ref"].rpartition("/")[2]
    found = problems(model, answer)
    for event in _events(model, answer):
        found += problems_of_payload(event["payload"])
    return found


def problems_of_payload(payload: Any) -> list[str]:
    """Return where and why a payload is not of Tollbell's own schema; of OpenMeter's records of the reference's too."""
    kind, data = payload["type"], payload["data"]
    is_invoice = kind.startswith("invoice.")
    name = "invoice" if is_invoice else kind
    schema = json.loads((export.DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    found = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(payload)]
    # What native records lack (docs/records.md), and OpenMeter's always have.
    is_whole = "supplier" in data if is_invoice else "isUnlimited" in data["entitlement"]
    return found + (problems(PAYLOADS[kind], payload) if is_whole else [])


def _events(model: str, answer: Any) -> list[Any]:
    if model == "NotificationEvent":
        return [answer]
    return list(answer["items"]) if model == "NotificationEventPaginatedResponse" else []


def _operations(path: str) -> list[dict[str, Any]]:
    return [found for template, found in _document()["paths"].items() if _matches(template, path)]


def _matches(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part.startswith("{") or part == one for part, one in zip(parts, given, strict=True)
    )


@functools.cache
def _document() -> Any:
    return json.loads(DOCUMENT.read_text(encoding="utf-8"))


@functools.cache
def _validator(model: str) -> Draft202012Validator:
    schemas = _document()["components"]["schemas"]
    parts = {name: _translated(schema) for name, schema in schemas.items()}
    for name in {model, "NotificationEvent", "NotificationChannelWebhook"}:  # these ids are ours
        if "id" in parts[name].get("properties", {}):
            parts[name]["properties"]["id"] = schemas[name]["properties"]["id"]
    parts["NotificationEvent"]["properties"]["payload"] = {"type": "object"}  # judged by whose record it is of
    parts["NotificationRuleBalanceThreshold"]["properties"]["thresholds"].pop("maxItems")  # ours may have 100
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{model}", "components": {"schemas": parts}}, format_checker=formats
    )


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
