"""Anything that comes in, made of good examples by breaking them: the answer is one of ours, and webhooks are sound.

`make fuzz` runs this for longer; what it finds goes to the corpus (see tests/README.md).
"""

import re
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import fuzzed, openmeter_examples
from tests.support.factories import native_record, openmeter_record
from tests.support.records import native_invoice, native_reset

VALID: Final = (
    native_record(90),
    native_reset(),
    native_invoice("created"),
    native_invoice("updated", data={"previousStatus": "draft"}),
    openmeter_record(),
    openmeter_examples.snapshot("reset"),
    openmeter_examples.created(),
    openmeter_examples.updated(),
)
RULES_FILE: Final = """\
namespace: default
channels:
  - &hook
    key: hook
    type: WEBHOOK
    name: Hook
    url: https://example.com/hook
    customHeaders: {Authorization: "Bearer ${TOKEN}"}
    signingSecret: ${HOOK_SECRET}
    format: flat
    retrySchedule: [0s, 5s, 5m]
    rateLimit: 0.5
    expireAfter: 1d
    metadata: {team: billing}
  - {key: other, type: WEBHOOK, name: &name Other, url: "http://127.0.0.1:8080/", disabled: true, concurrency: 3}
rules:
  - key: quota
    type: entitlements.balance.threshold
    name: Quota
    channels: [hook, other]
    features: [llm_tokens]
    thresholds: [{type: usage_percentage, value: 80}, {type: usage_value, value: "1e3"}]
    emit: each
    rearm: recovery
    notifyOn: [triggered, recovered]
  - {key: paid, type: invoice.updated, name: Paid, channels: [hook], statuses: [paid, draft.created]}
"""
TOKENS: Final = re.compile(rb'"[^"]*"|-?\d[\d.]*|true|false|null|[{}\[\],:]')
SCALARS: Final = re.compile(r"[\w.${}-]+|\"[^\"]*\"|[\[\]{}&*:,<-]")
BIG: Final = st.sampled_from([255, 256, 257, 70_000]) | st.sampled_from([1_048_000, 1_048_577])
JSON_TOKENS: Final = st.one_of(
    st.sampled_from([b"NaN", b"Infinity", b"-Infinity", b"-0", b"1e400", b"-1e-400", b"1E+38", b"1e39", b"0.1e-38"]),
    st.sampled_from(
        [b"01", b"1.", b".5", b"+1", b"0x10", b"1_000", b"9" * 38, b"9" * 39, b"9" * 5000, b"1e" + b"9" * 30]
    ),
    st.sampled_from(
        [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"', b'"\\u0000"', b'"\\ud83d\\ude00"', b'"\xff"']
    ),
    st.sampled_from(
        [b'""', b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:60Z"', b'"2026-02-30T00:00:00Z"', b'"a\nb"']
    ),
    st.sampled_from(
        [b"null", b"true", b"[]", b"{}", b"[[]]", b'{"":{"":1}}', b"\xef\xbb\xbf", b"/**/", b"'a'", b"\x00"]
    ),
    st.integers(1, 120).map(lambda deep: b"[" * deep + b"]" * deep),
    st.integers(1, 40).map(lambda deep: b'{"a":' * deep + b"1" + b"}" * deep),
    BIG.map(lambda size: b'"' + b"x" * size + b'"'),
    st.text(max_size=8).map(lambda text: b'"' + text.encode(errors="surrogatepass") + b'"'),
    st.binary(max_size=4),
)
YAML_TOKENS: Final = st.one_of(
    st.sampled_from(
        ["&hook", "*hook", "*name", "<<", "!!python/object:x", "!other", "!!binary", "!!set", "!!timestamp"]
    ),
    st.sampled_from(["${HOOK_SECRET}", "${TOKEN}", "${ODD}", "${UNSET}", "$${TOKEN}", "${", "***", "*name"]),
    st.sampled_from(
        ["~", "null", "yes", "0o7", "0x1F", "1:30", ".inf", ".nan", "-0", "1e400", "9" * 40, "1e" + "9" * 30]
    ),
    st.sampled_from(
        ["2026-02-30", "? x", "|", ">-", "- - -", "---", "...", "%YAML 9", "\t", "\x00", "\x85", "\ufeff", "\U0001f600"]
    ),
    st.sampled_from(["[" * 30, "{" * 30, "[" * 200 + "]" * 200, "-" * 500, "'", '"', "#", ": :", "x" * 5000, "\u2028"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A good record with tokens of it replaced, doubled, swapped or taken away."""
    value = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(0, 3))):
        tokens = [found.span() for found in TOKENS.finditer(value)]
        begin, end = draw(st.sampled_from(tokens or [(0, 0)]))
        token = value[begin:end]
        new = draw(st.sampled_from(["token", "token", "double", "none", "key"]))
        if new == "token":
            value = value[:begin] + draw(JSON_TOKENS) + value[end:]
        elif new == "key":  # an object with a member twice
            value = value[:begin] + token + b": " + draw(JSON_TOKENS) + b", " + token + value[end:]
        else:
            value = value[:begin] + (token * 2 if new == "double" else b"") + value[end:]
    wrap = draw(st.sampled_from([b"", b"", b"", b"", b"\xef\xbb\xbf", b" \n", b"[", b"\x00"]))
    return wrap + value


@st.composite
def miswritten(draw: st.DrawFn) -> str:
    """A good rules file with lines and words of it replaced, doubled, moved, swapped or taken away."""
    lines = RULES_FILE.splitlines()
    for _ in range(draw(st.integers(0, 3))):
        n = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["word", "word", "word", "double", "none", "indent", "swap"])):
            case "word":
                begin, end = draw(st.sampled_from([found.span() for found in SCALARS.finditer(lines[n])] or [(0, 0)]))
                lines[n] = lines[n][:begin] + draw(YAML_TOKENS) + lines[n][end:]
            case "double":
                lines.insert(n, lines[n])
            case "none" if len(lines) > 1:
                del lines[n]
            case "indent":
                lines[n] = " " * draw(st.integers(0, 8)) + lines[n].lstrip()
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[n], lines[other] = lines[other], lines[n]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "rules.yaml"


def test_what_is_broken_here_is_good_before(path: Path) -> None:
    path.write_text(RULES_FILE, encoding="utf-8")

    assert [fuzzed.problem_of_record(value) for value in VALID] == [None] * len(VALID)
    assert fuzzed.problem_of_rules(path) is None


@given(broken())
def test_a_broken_record_is_rejected_or_its_webhooks_are_sound(value: bytes) -> None:
    assert fuzzed.faults_of_record(value) == [], fuzzed.line(value, fuzzed.problem_of_record(value))


@given(text=miswritten())
def test_a_miswritten_rules_file_is_one_line_without_secrets(path: Path, text: str) -> None:
    value = text.encode()
    path.write_bytes(value)

    assert fuzzed.faults_of_rules(path) == [], fuzzed.line(value, None)
