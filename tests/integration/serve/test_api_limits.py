"""The limits of a channel's and a rule's fields, one by one: the last value that is taken, the first that is not."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.model import MAX_METADATA
from schemas.rules import MAX_CHANNELS, MAX_FEATURES, MAX_STATUSES, MAX_THRESHOLDS
from tests.support.api import Api, channel, rule

LONG_URL = "https://example.com/"
KEY_OF_24, KEY_OF_75 = "whsec_" + "A" * 32, "whsec_" + "A" * 100

# (field, values that are taken and come back the same)
CHANNEL: list[tuple[str, list[Any]]] = [
    ("name", ["n", "n" * 256, "ü" * 256, "a\nb"]),
    ("key", [None, "k" * 256, "é ü"]),
    ("url", [LONG_URL + "x" * (2048 - len(LONG_URL)), "http://a:1024/", "http://[2606:4700::1111]:65535"]),
    ("format", ["openmeter", "flat", "cloudevents"]),
    ("retrySchedule", [None, ["0s"], ["1ms"], ["0s"] * 50, ["60h"]]),  # 60 h and 20 % of jitter are 72 h
    ("concurrency", [None, 1, 1000]),
    ("rateLimit", [None, 0.001, 0.5, 10_000]),
    ("expireAfter", [None, "1ms", "730d"]),
    ("disabled", [True, False]),
    ("metadata", [None, {}, {"n" * 256: "v" * 4096}, {"a": ""}, {f"m{n}": "" for n in range(MAX_METADATA)}]),
]
# (field at fault, a value of the field it is in)
NOT_OF_A_CHANNEL: list[tuple[str, Any]] = [
    ("type", "EMAIL"),
    ("name", ""),
    ("name", "n" * 257),
    ("name", 5),
    ("name", None),
    ("key", ""),
    ("key", "k" * 257),
    ("key", "a\nb"),
    ("url", LONG_URL + "x" * (2049 - len(LONG_URL))),
    ("url", "http://a:1023/"),
    ("url", "http://a:65536/"),
    ("url", "http://a:0/"),
    ("url", None),
    ("format", "smoke"),
    ("format", None),
    ("retrySchedule", []),
    ("retrySchedule", ["0s"] * 51),
    ("retrySchedule", ["60h", "1ms"]),
    ("retrySchedule[1]", ["0s", "0.5ms"]),
    ("retrySchedule[0]", [5]),
    ("retrySchedule", "5s"),
    ("concurrency", 0),
    ("concurrency", 1001),
    ("concurrency", 1.5),
    ("concurrency", "5"),
    ("rateLimit", 0.0009),
    ("rateLimit", 10_000.1),
    ("rateLimit", "5"),
    ("rateLimit", True),
    ("expireAfter", "0s"),
    ("expireAfter", "0.5ms"),
    ("expireAfter", "730.1d"),
    ("expireAfter", "999999999d"),
    ("expireAfter", "9" * 100 + "d"),
    ("disabled", "true"),
    ("disabled", 1),
    ("metadata", {f"m{n}": "" for n in range(MAX_METADATA + 1)}),
    ("metadata", []),
    ("metadata.a", {"a": 1}),
    ("metadata.a", {"a": "v" * 4097}),
    ("customHeaders", {f"H-{n}": "" for n in range(51)}),
    ("customHeaders", {"H" * 257: "x"}),
    ("customHeaders", {"H": "v" * 4097}),
    ("customHeaders", {"H": "a\r\nb"}),
    ("customHeaders", {"A": "1", "a": "2"}),
    ("customHeaders.H", {"H": None}),
    ("signingSecret", "whsec_" + "A" * 31),
    ("signingSecret", "whsec_" + "A" * 102),
    ("signingSecret", 5),
    ("signingSecret", ["***"]),
    ("signingSecret", {}),
    ("customHeaders", ["***"]),
    ("customHeaders.H", {"H": ["***"]}),
]
RULE: list[tuple[str, list[Any]]] = [
    ("name", ["n", "n" * 256]),
    ("key", [None, "r" * 256]),
    ("emit", ["each", "highest"]),
    ("rearm", ["period", "recovery"]),
    ("notifyOn", [["triggered"], ["recovered", "triggered"]]),
    ("onCreate", ["evaluate", "ignore"]),
    ("disabled", [True, False]),
    ("metadata", [None, {}, {"n" * 256: "v" * 4096}, {f"m{n}": "" for n in range(MAX_METADATA)}]),
]
NOT_OF_A_RULE: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "n" * 257),
    ("key", "k" * 257),
    ("emit", "none"),
    ("rearm", "never"),
    ("notifyOn", []),
    ("notifyOn", ["recovered"]),
    ("notifyOn", ["triggered", "recovered", "triggered"]),
    ("notifyOn[0]", ["fired"]),
    ("onCreate", "fire"),
    ("disabled", "no"),
    ("metadata", {f"m{n}": "" for n in range(MAX_METADATA + 1)}),
    ("features", []),
    ("features", [f"f{n}" for n in range(MAX_FEATURES + 1)]),
    ("features[1]", ["f", "f" * 257]),
    ("features[0]", [""]),
    ("features[0]", ["a\x96b"]),  # as in no record
    ("features[0]", [{"key": "no id"}]),
    ("channels", []),
    ("channels[0]", [{}]),
    ("channels[0]", ["c" * 257]),
    ("thresholds", []),
    ("thresholds", [{"type": "usage_value", "value": n + 1} for n in range(MAX_THRESHOLDS + 1)]),
    ("thresholds[0]", [80]),
    ("thresholds[0].type", [{"type": "usage", "value": 80}]),
    ("thresholds[0].value", [{"type": "usage_value"}]),
    ("thresholds[0].unit", [{"type": "usage_value", "value": 80, "unit": "GB"}]),
    ("statuses", ["paid"]),  # of another type
]
VALUES = ["1e38", "1E-38", "9.9e38", "1" * 38, "0." + "1" * 38, "100.00"]
NO_VALUES = ["1e39", "1e-39", "1" * 39, "0." + "1" * 39, "", "+1", "01", ".5", "NaN", "1_000", "80%", True, None, [1]]


def field_of(path: str) -> str:
    return path.replace("[", ".").partition(".")[0]


def shown(value: Any) -> Any:
    """What comes back: an empty map, or null, is nothing; a fraction has its digits."""
    if isinstance(value, float):
        return Decimal(str(value))
    return None if value in (None, {}) else value


async def test_a_channels_fields_come_back_up_to_their_limits(shared_api: Api) -> None:
    for field, values in CHANNEL:
        for value in values:
            status, made = await shared_api("POST", "/channels", channel() | {field: value})
            assert status == 201, (field, value, made)
            _, read = await shared_api("GET", f"/channels/{made['id']}")
            assert (made.get(field), read.get(field)) == (shown(value), shown(value)), field
            status, put = await shared_api("PUT", f"/channels/{made['id']}", read)
            assert (status, put.get(field)) == (200, shown(value)), (field, value, put)


async def test_a_channels_secrets_are_taken_up_to_their_limits(shared_api: Api) -> None:
    for secret in (KEY_OF_24, KEY_OF_75, KEY_OF_24.removeprefix("whsec_"), KEY_OF_75.removeprefix("whsec_")):
        status, made = await shared_api("POST", "/channels", channel(signingSecret=secret))
        assert (status, made["signingSecret"]) == (201, secret)
    whole = {f"H-{n}".ljust(256, "x"): "v" * 4096 for n in range(50)}
    for headers in (whole, {"H": ""}, {"H": "a\tb"}):
        status, made = await shared_api("POST", "/channels", channel(customHeaders=headers))
        assert (status, made["customHeaders"]) == (201, dict.fromkeys(headers, "***"))


@pytest.mark.parametrize(("path", "value"), NOT_OF_A_CHANNEL, ids=lambda value: f"{value}"[:30])
async def test_a_channel_beyond_its_limits_is_refused_by_field(shared_api: Api, path: str, value: Any) -> None:
    _, good = await shared_api("POST", "/channels", channel())

    made = await shared_api("POST", "/channels", channel() | {field_of(path): value})
    changed = await shared_api("PUT", f"/channels/{good['id']}", channel() | {field_of(path): value})

    for status, problem in (made, changed):
        assert (status, fields(problem)) == (400, [path]), problem
    _, page = await shared_api("GET", "/channels?includeDisabled=true")
    assert [{**one, "signingSecret": good["signingSecret"]} for one in page["items"]] == [good]


def fields(problem: Any) -> list[str]:
    return [one["field"] for one in problem["extensions"]["invalidFields"]]


async def test_a_rules_fields_come_back_up_to_their_limits(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    for field, values in RULE:
        for value in values:
            status, made = await shared_api("POST", "/rules", rule(hook["id"]) | {field: value})
            assert status == 201, (field, value, made)
            _, read = await shared_api("GET", f"/rules/{made['id']}")
            assert (made.get(field), read.get(field)) == (shown(value), shown(value)), field
            status, put = await shared_api("PUT", f"/rules/{made['id']}", read)
            assert (status, put.get(field)) == (200, shown(value)), (field, value, put)


async def test_a_rules_lists_come_back_up_to_their_limits(shared_api: Api) -> None:
    hooks = [(await shared_api("POST", "/channels", channel()))[1]["id"] for _ in range(MAX_CHANNELS + 1)]
    lines = [{"type": "usage_value", "value": n + 1} for n in range(MAX_THRESHOLDS)]
    names = [f"f{n}".ljust(256, "x") for n in range(MAX_FEATURES)]

    status, made = await shared_api("POST", "/rules", rule(*hooks[:-1], thresholds=lines, features=names))
    assert status == 201
    _, read = await shared_api("GET", f"/rules/{made['id']}")
    assert [one["id"] for one in read["channels"]] == hooks[:-1]
    assert read["thresholds"] == lines
    assert [one["id"] for one in read["features"]] == names
    assert (await shared_api("PUT", f"/rules/{made['id']}", read))[0] == 200
    status, problem = await shared_api("POST", "/rules", rule(*hooks))
    assert (status, fields(problem)) == (400, ["channels"])
    invoices = {"type": "invoice.updated", "name": "Invoices", "channels": hooks[:1]}
    for statuses in (["s" * 256], ["a.b.c"], [f"s{n}" for n in range(MAX_STATUSES)]):
        status, made = await shared_api("POST", "/rules", invoices | {"statuses": statuses})
        assert (status, made["statuses"]) == (201, statuses)
    for path, wrong in (
        ("statuses", []),
        ("statuses", [f"s{n}" for n in range(MAX_STATUSES + 1)]),
        ("statuses[0]", ["s" * 257]),
        ("statuses[0]", ["Paid"]),
        ("statuses[1]", ["paid", "a."]),
    ):
        status, problem = await shared_api("POST", "/rules", invoices | {"statuses": wrong})
        assert (status, fields(problem)) == (400, [path]), wrong


@pytest.mark.parametrize(("path", "value"), NOT_OF_A_RULE, ids=lambda value: f"{value}"[:30])
async def test_a_rule_beyond_its_limits_is_refused_by_field(shared_api: Api, path: str, value: Any) -> None:
    _, hook = await shared_api("POST", "/channels", channel())
    _, good = await shared_api("POST", "/rules", rule(hook["id"]))

    made = await shared_api("POST", "/rules", rule(hook["id"]) | {field_of(path): value})
    changed = await shared_api("PUT", f"/rules/{good['id']}", rule(hook["id"]) | {field_of(path): value})

    for status, problem in (made, changed):
        assert (status, fields(problem)) == (400, [path]), problem
    assert (await shared_api("GET", "/rules?includeDisabled=true"))[1]["items"] == [good]


async def test_a_thresholds_value_is_exact_up_to_its_limits(shared_api: Api) -> None:
    _, hook = await shared_api("POST", "/channels", channel())

    async def made(kind: str, value: Any) -> tuple[int, Any]:
        return await shared_api("POST", "/rules", rule(hook["id"], thresholds=[{"type": kind, "value": value}]))

    for kind in ("usage_percentage", "usage_value", "balance_value", "PERCENT", "NUMBER"):
        for value in [*VALUES, *(["0", "-0", -1, "-1e-38"] if kind == "balance_value" else [])]:
            status, created = await made(kind, value)
            assert status == 201, (kind, value, created)
            _, read = await shared_api("GET", f"/rules/{created['id']}")
            assert read["thresholds"][0]["type"] == kind
            assert Decimal(read["thresholds"][0]["value"]) == Decimal(value), (kind, value)
        for value in [*NO_VALUES, *([] if kind == "balance_value" else [0, "0.0", -1, "-1e-38"])]:
            status, problem = await made(kind, value)
            assert (status, fields(problem)) == (400, ["thresholds[0].value"]), (kind, value)
