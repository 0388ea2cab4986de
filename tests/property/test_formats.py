"""Whatever an event's names and amounts are, its target takes the message, and interprets nothing of them."""

import json
from decimal import Context, Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from consumer import formats
from consumer.formats import texts
from consumer.formats.rendered import Options, fill
from schemas.secret import Secret
from tests.support.payloads import AMOUNTS, NAMES, PAYLOADS, with_members
from tests.support.targets import TARGETS, length

KEY = {"routing_key": Secret("k" * 32)}
EMOJI = ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1ea\U0001f1fa", "e\u0301")
MARKUP = ("<!channel>", "<@U1>", "@everyone", ":smile:", ":100:", "https://e.example.com", "</b>", "&amp;", "```", "||")
ODD = (
    "\u202e",
    "\u2066",
    "\ufeff",
    "\n",
    "\t",
    "\x00",
    "\u2028",
    "漢字",
    "\U0010ffff",
    "%s",
    "00:00 UTC",
    "אבג",
    "{{",
    "1.",
)
MARKS = st.one_of(st.sampled_from('*_~`|><&[]()#-+.:@\\"$ '), st.sampled_from([*EMOJI, *MARKUP, *ODD]))
LONG = [mark * 256 for mark in "x*😀א\\&漢"] + ["1. " * 80, "a" + "\u0301" * 255]
NAME = st.one_of(st.lists(MARKS, min_size=1, max_size=40).map("".join), st.text(max_size=300), st.sampled_from(LONG))
DIGITS = st.integers(-(10**38) + 1, 10**38 - 1)
AMOUNT = st.builds(lambda digits, exponent: Decimal(digits).scaleb(exponent, WIDE), DIGITS, st.integers(-38, 1))
WIDE = Context(prec=100)
LONGEST = (
    Decimal("9" * 38).scaleb(-38, WIDE),
    Decimal("9" * 38).scaleb(1, WIDE),
    Decimal(123456789012345678901234567890),
)
LINK = "https://tollbell.example.com/events/e-1"
TAKEN = {"slack": 200, "teams": 202, "discord": 200, "pagerduty": 202}
MESSAGES: tuple[formats.Format, ...] = ("slack", "teams", "discord", "pagerduty")


@st.composite
def events(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(sorted(PAYLOADS)))
    members: dict[str, object] = draw(st.dictionaries(st.sampled_from(NAMES), NAME))
    if "value" in json.loads(PAYLOADS[name])["data"]:
        members |= draw(st.dictionaries(st.sampled_from(AMOUNTS), st.one_of(AMOUNT, st.sampled_from(LONGEST))))
    return with_members(PAYLOADS[name], members)


WORST = with_members(
    PAYLOADS["again"],
    {**dict.fromkeys(NAMES, "*" * 256), **dict.fromkeys(AMOUNTS, LONGEST[0]), "value.hasAccess": False},
)


@given(events(), st.booleans())
@example(WORST, True)
def test_every_target_accepts_every_event_and_interprets_none(body: bytes, is_test: bool) -> None:
    options = Options(is_test=is_test, link=LINK)
    for fmt in MESSAGES:
        made = formats.render(fmt, body, options)

        result = TARGETS[fmt](fill(made.body, made.holes, KEY))

        assert (fmt, result.status, result.interpreted) == (fmt, TAKEN[fmt], [])
        assert formats.render(fmt, body, options) == made


@given(events())
def test_every_target_shows_who_it_is_about(body: bytes) -> None:
    customer = json.loads(body)["data"]["customer"]
    who = texts.name(customer["name"])
    for fmt in MESSAGES:
        made = formats.render(fmt, body)

        assert any(who in text for text in TARGETS[fmt](fill(made.body, made.holes, KEY)).shown)


@given(NAME, st.integers(2, 60), st.sampled_from([str, lambda text: text.replace("*", r"\*")]))
def test_a_cut_text_fits_and_is_whole_characters(text: str, limit: int, escape: type[str]) -> None:
    cut = texts.cut(text, limit, escape)

    assert length(cut) <= limit
    cut.encode()
    if cut != escape(text):
        kept = cut.removesuffix("\u2069").removesuffix(texts.ELLIPSIS)
        assert escape(text).startswith(kept)


@given(NAME)
def test_a_name_is_stable_short_and_visible(text: str) -> None:
    name = texts.name(text)

    assert length(name) <= texts.NAME_LIMIT + 2
    assert not any(one in name for one in "\n\r\t\x00\u202e\u2028\u202a")
    assert name == name.strip()
    assert name.count("\u2068") == name.count("\u2069")
