"""The same bytes are the same answer: in one write, in two, byte by byte, or cut anywhere."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.deliver.http.answer import Answer, NotHttp
from tests.support.answers import ANSWERS, Said

KEPT = 4096


class Read(NamedTuple):
    """What a sender makes of an answer."""

    status: int | None
    body: str
    retry_after: bytes | None
    why: str


def read(parts: Iterable[bytes]) -> Read:
    """Read *parts* as they would come, and then the end, like a connection does: nothing more once it is done."""
    answer = Answer()
    try:
        for part in parts:
            answer.feed(part)
            if answer.is_done:
                break
        else:
            answer.end()
    except NotHttp as problem:
        return Read(answer.status, "", None, str(problem))
    return Read(answer.status, answer.text(KEPT), answer.retry_after, "")


def cut(said: bytes, at: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(said) + 1) for place in at} | {len(said)})
    return [said[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if begin < end]


def bytewise(said: bytes) -> list[bytes]:
    return [said[n : n + 1] for n in range(len(said))]


def test_there_are_enough_of_them() -> None:
    assert len(ANSWERS) >= 60


@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("pieces", [lambda said: [said], bytewise], ids=["one write", "byte by byte"])
def test_an_answer_is_what_it_is(said: Said, pieces: Callable[[bytes], list[bytes]]) -> None:
    found = read(pieces(said.said))

    assert found.status == said.status
    assert said.why in found.why
    assert bool(said.why) == bool(found.why)
    assert (found.body, found.retry_after) == (said.body, said.retry_after)


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 2**20), max_size=12))
def test_no_cut_changes_an_answer(name: str, places: list[int]) -> None:
    said = ANSWERS[name].said

    assert read(cut(said, places)) == read([said])


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=12))
def test_no_cut_changes_what_bytes_are(said: bytes, places: list[int]) -> None:
    assert read(cut(said, places)) == read([said])


WORDS = (
    b"HTTP/1.1 |HTTP/1.0 |200|204|100|101|410| OK|Content-Length: |Transfer-Encoding: chunked|Connection: close|: |5|0"
)
SPLINTERS = st.sampled_from([*WORDS.split(b"|"), b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"Upgrade: x", b"hello"])


@given(st.lists(SPLINTERS, max_size=30).map(b"".join), st.lists(st.integers(0, 400), max_size=12))
def test_no_cut_changes_what_broken_answers_are(said: bytes, places: list[int]) -> None:
    whole = read([said])

    assert read(cut(said, places)) == whole
    assert whole.status is None or 101 <= whole.status <= 599
    assert (whole.status is not None) or whole.body == ""


@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
def test_a_connection_is_used_again_only_after_a_whole_answer(said: Said) -> None:
    answer = Answer()

    try:
        answer.feed(said.said)
    except NotHttp:
        assert said.why
    else:
        assert answer.is_reusable == said.is_reusable
        assert answer.is_done == said.is_whole or not said.is_whole
