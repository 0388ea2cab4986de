"""What is kept of an answer says nothing secret: of headers, of signing secrets, of the URL behind its host."""

import html
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest

from consumer.deliver.masking import masked
from consumer.formats.rendered import Hole, fill
from schemas.secret import Secret

SLACK = "https://hooks.slack.example/services/T00000001/B00000002/aBcDeFgHiJkLmNoPqRsTuVwX"
DISCORD = "https://discord.example/api/webhooks/1234567890123456789/Tok_en-of-68-characters-or-so"
QUERY = "https://x.example/in?customer=a&key=s3cr%2Ft+%22k%C3%A9y%22%3C1234"
LIMIT = 4096


def said(text: str, url: str = SLACK, *secrets: str) -> str:
    """What is kept of *text*."""
    found = masked(text, LIMIT, url, [Secret(secret) for secret in secrets])
    return text[:LIMIT] if found is None else found


def as_php(text: str) -> str:
    return json.dumps(text)[1:-1].replace("/", "\\/")


def as_go(text: str) -> str:
    return json.dumps(text)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c")


@pytest.mark.parametrize("spelt", [str, unquote, html.escape, json.dumps, as_php, as_go])
@pytest.mark.parametrize("url", [SLACK, DISCORD, QUERY])
def test_a_path_and_query_that_an_answer_repeats_are_masked(url: str, spelt: Callable[[str], str]) -> None:
    target = "/" + url.split("/", 3)[3]

    kept = said(f"Cannot POST {spelt(target)} here", url)

    assert kept.replace('"', "").replace("\\/", "/") == "Cannot POST /*** here"


@pytest.mark.parametrize(
    ("url", "text", "kept"),
    [
        (SLACK, "no hook aBcDeFgHiJkLmNoPqRsTuVwX of team T00000001", "no hook *** of team T00000001"),
        (SLACK, "https://hooks.slack.example/services/T00000001/B00000002/aBcDeFgHiJkLmNoPqRsTuVwX",
         "https://hooks.slack.example/***"),
        (DISCORD, '{"token": "Tok_en-of-68-characters-or-so"}', '{"token": "***"}'),
        (QUERY, 'the key s3cr/t "kéy"<1234 is wrong', "the key *** is wrong"),
        (QUERY, "what is customer=a&key=s3cr%2Ft+%22k%C3%A9y%22%3C1234?", "what is ***?"),
        ("https://x.example/hook?token=tiger", "not token=tiger", "not ***"),
    ],
)  # fmt: skip
def test_parts_of_a_url_that_are_no_words_are_masked_alone(url: str, text: str, kept: str) -> None:
    assert said(text, url) == kept


@pytest.mark.parametrize(
    "url",
    ["https://x.example", "https://x.example/", "https://x.example/webhooks", "https://x.example/a/b?c=d", "no URL"],
)
def test_words_of_a_url_are_left_as_they_are(url: str) -> None:
    text = "/ a/b webhooks are at https://x.example/, said b and d"

    assert said(text, url) == text


def test_headers_and_signing_secrets_are_masked() -> None:
    assert said(
        "Bearer s3cr3t-1 or s3cr3t-1, or whsec_abc; not Bearer", SLACK, "Bearer s3cr3t-1", "whsec_abc", "1"
    ) == ("*** or ***, or ***; not Bearer")


def as_text(body: str) -> str:
    return json.dumps({"received": body})


def as_text_of_go(body: str) -> str:
    whole = json.dumps({"received": body}, ensure_ascii=False)
    return whole.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@pytest.mark.parametrize("echoed", [str, html.escape, as_text, as_text_of_go])
@pytest.mark.parametrize(
    "secret", ['hu"sh-hush', 'clé-"seçrète"', 'a\\b"c\nd/e<f>&g', "tab\tand\x7frubout", "plain-as.it:is"]
)
def test_a_bodys_secret_is_masked_in_a_receivers_answer(secret: str, echoed: Callable[[str], str]) -> None:
    hole = Hole(8, "key")
    body = fill(b'{"key":""}', [hole], {"key": Secret(secret)}).decode()

    kept = said(echoed(body), SLACK, secret)

    assert "***" in kept
    assert not any(part in kept for part in re.findall(r"\w+", secret) if len(part) > 1)


def test_no_end_of_a_secret_is_left_at_the_end_of_what_is_kept() -> None:
    secret = "0123456789" * 100

    at_the_end = said("." * (LIMIT - 500) + secret, SLACK, secret)
    cut_off = said(secret * 8 + secret[:500], SLACK, secret)  # read no further: its last one is not known as one

    assert at_the_end == "." * (LIMIT - 500) + "***"
    assert cut_off == "***" * 5


def test_an_answer_without_secrets_is_as_it_was() -> None:
    assert masked("no such plan", LIMIT, SLACK, [Secret("whsec_abc")]) is None
    assert masked("", LIMIT, SLACK, [Secret("whsec_abc")]) is None
    assert said(quote("no such plan"), QUERY) == "no%20such%20plan"


def test_what_is_not_kept_takes_no_time() -> None:
    """Nothing else is sent meanwhile: of an answer that was chosen for it 0.1 s, with 70 secrets."""
    secrets = [Secret('<"/&0a') for _ in range(70)]
    kept = '<"/&0a' * (LIMIT // 6)

    def seconds(text: str) -> float:
        taken = []
        for _ in range(7):
            before = time.thread_time()
            masked(text, LIMIT, SLACK, secrets)
            taken.append(time.thread_time() - before)
        return sorted(taken)[3]

    assert seconds(kept * 8) < seconds(kept) * 3


@pytest.mark.parametrize("begins", range(LIMIT - 12, LIMIT + 2))
def test_a_secret_at_the_end_of_what_is_kept_is_known_as_one(begins: int) -> None:
    kept = said("." * begins + "hush-hush-1" + "." * 99, SLACK, "hush-hush-1")

    assert kept == ("." * begins + "***" + "." * max(LIMIT - begins - 11, 0) if begins < LIMIT else "." * LIMIT)
