"""What schemathesis is to do beside its settings: it loads this file in its own process, see fuzz.py.

The document cannot say which channels there are for a rule to name, that a rule's type stays, that usage is above 0,
that a key is another's, which fields of a channel are one format's alone, nor what a filter matches. So what is good by
the document is made good for the service.
"""

import itertools
import json
import os
from typing import Any, Final

import schemathesis

CHANNELS: Final[list[str]] = json.loads(os.environ["TOLLBELL_TEST_FUZZ_CHANNELS"])
RULES: Final[dict[str, str]] = json.loads(os.environ["TOLLBELL_TEST_FUZZ_RULES"])  # one of each type
KEYED: Final = frozenset({"create_channel", "update_channel", "create_rule", "update_rule"})
OF_ONE_FORMAT: Final = {
    "contentMode": "cloudevents",
    "requestOrigin": "cloudevents",
    "template": "template",
    "contentType": "template",
    "secrets": "template",
}
_numbers: Final = itertools.count()
_taken: Final[set[str]] = set()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - as schemathesis calls it
    operation = case.operation.definition.raw["operationId"]
    is_good = case.meta is None or case.meta.generation.mode.is_positive
    if not is_good or not isinstance(case.body, dict):
        return
    if operation.endswith("_channel") and "url" in case.body:
        fmt = case.body.get("format")
        case.body = {name: value for name, value in case.body.items() if OF_ONE_FORMAT.get(name, fmt) == fmt}
    if operation == "resend_events" and next(_numbers) % 2:
        case.body = {name: value for name, value in case.body.items() if name != "expected"}
        case.body["filter"] = {"state": ["SUCCESS", "FAILED"]}
    if operation not in KEYED:
        return
    key = case.body.get("key")
    if key in _taken:
        case.body = case.body | {"key": f"key-{next(_numbers)}"}
    elif key is not None:
        _taken.add(key)
    if operation in {"create_rule", "update_rule"}:
        case.body = case.body | {"channels": CHANNELS[: len(case.body.get("channels") or [])]}
        if thresholds := case.body.get("thresholds"):
            case.body["thresholds"] = [one | {"value": one["value"] or 1} for one in thresholds]
    if operation == "update_rule" and case.body.get("type") in RULES:
        case.path_parameters["rule"] = RULES[case.body["type"]]
