"""The console's own small functions: what is text, what a page is called, where one may go, who is asked."""

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from markupsafe import Markup

from consumer import clock, encryption
from consumer.decide.model import Reason
from consumer.decide.outcome import OutcomeClass
from consumer.serve.console import origins, paging, rendering, words
from consumer.serve.console.pages.overview import HEIGHT, bars
from consumer.serve.console.rendering import Templates
from consumer.serve.console.sessions import LASTS, Sessions
from consumer.serve.console.summaries import summary
from consumer.serve.console.visits import Form, is_place, redirect, segment
from consumer.serve.problems import ApiProblem
from schemas import answers
from schemas.events import DeliveryState
from schemas.rules import RuleType

CONSOLE = Path(__file__).parents[2] / "consumer" / "serve" / "console"
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain text, ümläut, 日本語, 👩‍👩‍👧", "plain text, ümläut, 日本語, 👩‍👩‍👧"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("\x00\x1b[31m\x7f\x85", "\\u0000\\u001b[31m\\u007f\\u0085"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        (None, ""),
        (Decimal("1E+5"), "100000"),
        (Decimal("0.10000000000000000000000000001"), "0.10000000000000000000000000001"),
        (10.0, "10"),
        (0.001, "0.001"),
        (7, "7"),
    ],
)
def test_what_is_printed_is_what_a_person_can_read(value: object, shown: str) -> None:
    assert rendering.visible(value) == shown


def test_markup_of_ours_is_printed_as_it_is() -> None:
    assert rendering.visible(Markup("<b>\u202e</b>")) == "<b>\u202e</b>"


def test_json_is_broken_into_lines_and_no_digit_of_it_changes() -> None:
    assert rendering.pretty(b'{"a":1.10,"b":1e400,"c":12345678901234567890123456789}') == (
        '{\n  "a": 1.10,\n  "b": 1e400,\n  "c": 12345678901234567890123456789\n}'
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_takes_a_text_for_markup(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"\|\s*safe\b|autoescape|Markup|\bstyle=|\bon[a-z]+=\"|<style|javascript:|https?://", text)
    assert not re.search(r"\s[a-z-]+=\s*\{\{", text)  # an attribute without quotes


def test_scripts_and_styles_stay_small_and_ours() -> None:
    script, style = (CONSOLE / "static" / "console.js").read_text(), (CONSOLE / "static" / "console.css").read_text()

    assert len(script.splitlines()) <= 150
    assert len(style) < 10_240
    assert not re.search(
        r"innerHTML|insertAdjacentHTML|outerHTML|document\.write|\beval\b|https?:|new Function", script
    )
    assert not re.search(r"url\(|@import|https?:", style)


def test_static_files_are_named_by_what_they_hold() -> None:
    names = {re.sub(r"[0-9a-f]{12}", "…", name) for name in rendering.static_files()}

    assert names == {"console.….css", "console.….js", "icon.….svg"}


def test_every_code_has_a_word() -> None:
    assert set(words.TYPES) == set(RuleType)
    assert set(words.REASONS) == set(Reason)
    assert set(words.OUTCOMES) == set(OutcomeClass)
    assert set(DeliveryState) <= set(words.STATES)
    assert {tone for _, tone in words.STATES.values()} == {"good", "bad", "busy", "idle"}


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("usage_percentage", Decimal(80), "usage ≥ 80 %"),
        ("PERCENT", "80.50", "usage ≥ 80.50 %"),
        ("usage_value", Decimal("1E+3"), "usage ≥ 1000"),
        ("balance_value", Decimal("0.5"), "balance ≤ 0.5"),
        ("a_later_one", Decimal(1), "a_later_one 1"),
    ],
)
def test_a_threshold_is_said_as_people_write_it(kind: str, value: Decimal | str, said: str) -> None:
    assert words.level(kind, value) == said


@pytest.mark.parametrize(
    ("kind", "payload", "what", "level"),
    [
        (
            RuleType.BALANCE_THRESHOLD,
            b'{"data":{"threshold":{"type":"PERCENT","value":80.0},"value":{"usage":8100.10,"totalAvailableGrantAmount":1e4}}}',
            "usage ≥ 80.0 %",
            "8100.10 of 1e4 used",
        ),
        (
            RuleType.BALANCE_THRESHOLD,
            b'{"data":{"threshold":{"type":"balance_value","value":5},"value":{"balance":4}}}',
            "balance ≤ 5",
            "balance 4",
        ),
        (RuleType.ENTITLEMENT_RESET, b'{"data":{"reset":{"kind":"manual","at":"x"}}}', "manual reset", ""),
        (
            RuleType.INVOICE_UPDATED,
            b'{"data":{"number":"INV-1","previousStatus":"issued","statusDetails":{"extendedStatus":"paid"}}}',
            "issued → paid",
            "invoice INV-1",
        ),
        (
            RuleType.INVOICE_CREATED,
            b'{"data":{"id":"i-1","status":"draft","previousStatus":null}}',
            "draft",
            "invoice i-1",
        ),
        (RuleType.BALANCE_THRESHOLD, b'{"data":{"threshold":[],"value":7,"customer":"x","feature":null}}', "", ""),
        (RuleType.BALANCE_THRESHOLD, b"{}", "", ""),
    ],
)
def test_an_event_is_said_in_a_line(kind: RuleType, payload: bytes, what: str, level: str) -> None:
    said = summary(kind, payload)

    assert (said.what, said.level) == (what, level)


def test_an_event_names_its_customer_and_subject() -> None:
    payload = b'{"data":{"action":"recovered","customer":{"id":"c-1","name":"ACME"},"subject":{"key":"prod"}}}'

    said = summary(RuleType.BALANCE_THRESHOLD, payload)

    assert (said.customer, said.customer_key, said.subject, said.feature) == ("ACME", "c-1", "prod", "")
    assert said.is_recovery


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://whatever.example"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://tollbell.example:8080", "Host": "tollbell.example:8080"},
        {"Origin": "HTTP://Tollbell.example", "Host": "TOLLBELL.example"},
    ],
)
def test_a_request_of_a_page_of_ours_is_let_through(headers: dict[str, str]) -> None:
    origins.check(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "tollbell.example"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://tollbell.example", "Host": "tollbell.example:8080"},
        {"Origin": "http://tollbell.example.evil.example", "Host": "tollbell.example"},
        {"Origin": "null", "Host": "null"},
        {"Origin": "tollbell.example", "Host": "tollbell.example"},
        {"Origin": "http://[", "Host": ""},
        {"Origin": "http:///", "Host": ""},
    ],
)
def test_a_request_of_elsewhere_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ApiProblem) as refused:
        origins.check(headers)

    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("/", True),
        ("/events?customer=a%20b&x=//y", True),
        ("/events?customer=/../b", True),
        ("/..b/...", True),
        *(
            (text, False)
            for text in ("", "//evil", "/\\evil", "https://evil", "evil", "/a\\b", "/a b", "/a\nb", "\t//evil")
        ),
        # Under a prefix, these would lead to what else the host has.
        *((text, False) for text in ("/..", "/../x", "/a/../../x", "/./x", "/.%2e/x", "/a/%2E%2e?b", "/..#b")),
    ],
)
def test_one_may_go_to_a_place_within_the_console_alone(text: str, is_one: bool) -> None:
    assert is_place(text) is is_one


def test_what_leads_elsewhere_in_the_console_is_escaped() -> None:
    assert redirect("/x/events", said="a b&c").headers["location"] == "/x/events?said=a+b%26c"
    assert segment("key:a/b?c") == "key%3Aa%2Fb%3Fc"


def test_a_form_has_texts() -> None:
    form = Form(b"a=+1+&b=x&b=&b=y&c=one%0D%0Atwo")

    assert (form.one("a"), form.all("b"), form.one("c"), form.one("none"), form.all("none")) == (
        *("1", ["x", "y"]),
        *("one\ntwo", "", []),
    )


@pytest.mark.parametrize("raw", [b"a=%FF", b"\xff=1", b"a=1&" * 1001])
def test_a_form_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiProblem) as refused:
        Form(raw)

    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("page", "total", "said"),
    [
        (1, 0, (1, None, None)),
        (1, 50, (1, None, None)),
        (1, 51, (2, None, "feature=a&page=2")),
        (2, 120, (3, "feature=a&page=1", "feature=a&page=3")),
        (9, 51, (2, "feature=a&page=2", None)),  # beyond the last: back to it
    ],
)
def test_a_page_of_a_list_leads_to_those_around_it(page: int, total: int, said: tuple[object, ...]) -> None:
    found: answers.Page[int] = answers.Page(total_count=total, page=page, page_size=50, items=[])

    at = paging.Numbered.of(found, {"feature": "a", "page": str(page), "said": "deleted"})

    assert (at.last, at.before, at.after) == said


def test_a_chart_shows_every_hour_that_has_something() -> None:
    made = bars([0, 1, 1000, 500])

    assert [one.height for one in made] == [0, 1, HEIGHT, HEIGHT // 2]
    assert [one.hours_ago for one in made] == [4, 3, 2, 1]
    assert [one.height for one in bars([0, 0])] == [0, 0]


def cookie_of(sessions: Sessions, token: bytes) -> str:
    response = web.Response()
    sessions.begin(make_mocked_request("POST", "/sign-in"), response, token)
    return response.cookies["tollbell"].value


def opened(sessions: Sessions, value: str) -> bytes | None:
    session = sessions.of(make_mocked_request("GET", "/", headers={"Cookie": f"tollbell={value}"}))
    return session.token if session else None


def test_a_session_lasts_as_long_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(encryption.parse_keys(encryption.new_key()), "/")
    made = cookie_of(sessions, b"digest")
    now = clock.now()

    monkeypatch.setattr(clock, "now", lambda: now + LASTS - dt.timedelta(seconds=1))
    before = opened(sessions, made)
    monkeypatch.setattr(clock, "now", lambda: now + LASTS + dt.timedelta(seconds=1))
    after = opened(sessions, made)

    assert (before, after) == (b"digest", None)


def test_a_session_is_opened_by_the_key_that_sealed_it_alone() -> None:
    key, another = encryption.new_key(), encryption.new_key()
    made = cookie_of(Sessions(encryption.parse_keys(key), "/"), b"digest")

    assert opened(Sessions(encryption.parse_keys(f"{another},{key}"), "/"), made) == b"digest"
    assert opened(Sessions(encryption.parse_keys(another), "/"), made) is None
    assert opened(Sessions(encryption.parse_keys(key), "/"), made[:-8] + "AAAAAAAA") is None


def test_every_template_is_one_that_can_be_read() -> None:
    templates = Templates("/x")

    compiled = [templates._environment.get_template(path.name).name for path in TEMPLATES]  # noqa: SLF001 - not shown

    assert "event.html" in compiled
