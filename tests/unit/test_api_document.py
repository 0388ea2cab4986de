"""The OpenAPI document: valid, of every operation, and as its file has it."""

import re
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from consumer.serve.api.call import PREFIX
from consumer.serve.role import OPERATIONS, document
from schemas import export


def test_it_is_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []
    assert document()["openapi"].startswith("3.1.")


def test_every_operation_is_in_it_and_nothing_else() -> None:
    documented = {
        (method.upper(), path.removeprefix(PREFIX), one["operationId"])
        for path, methods in document()["paths"].items()
        for method, one in methods.items()
    }

    assert documented == {(one.method, one.path, one.name) for one in OPERATIONS}


def test_the_file_is_what_the_operations_make() -> None:
    made = export.text(document())

    assert (export.DIRECTORY / "openapi.json").read_text() == made, "run `make schemas`"


def test_every_reference_resolves_and_every_schema_is_used() -> None:
    schemas = document()["components"]["schemas"]
    used = set(re.findall(r'"#/components/schemas/(\w+)"', export.text(document())))

    assert used == schemas.keys()


def test_what_an_answer_has_may_be_put_back() -> None:
    schemas = document()["components"]["schemas"]
    rules = ("BalanceThresholdRuleConfig", "ResetRuleConfig", "InvoiceCreatedRuleConfig", "InvoiceUpdatedRuleConfig")
    put_back: set[str] = set().union(*(schemas[name]["properties"] for name in rules))

    assert schemas["NotificationRule"]["properties"].keys() <= put_back
    assert schemas["NotificationChannel"]["properties"].keys() <= schemas["ChannelConfig"]["properties"].keys()
    assert schemas["ChannelConfig"]["additionalProperties"] is False


def test_every_call_says_why_it_may_be_refused() -> None:
    for path, methods in document()["paths"].items():
        for method, one in methods.items():
            refused: dict[str, Any] = {status: said for status, said in one["responses"].items() if status >= "4"}
            assert {"401", "403", "503"} <= refused.keys(), (method, path)
            assert ("404" in refused) == ("{" in path), (method, path)
            assert all("application/problem+json" in said["content"] for said in refused.values())
