"""What may be a custom header: nothing that changes how the request is read, nothing that is ours."""

import pytest

from schemas import headers
from schemas.secret import Secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer abc.def-ghi=="),
        ("X-Webhook-Secret", "s3cret"),
        ("x-api-key", "a\tb c"),  # RFC 9110 allows both within
        ("accept", "application/json"),
        ("X", ""),
        ("!#$%&'*+-.^_`|~09azAZ", "~!"),  # every character of a token
        ("Webhook", "x"),  # the prefix has a hyphen
        ("X-Long", "v" * 4096),
        ("n" * 256, "x"),
    ],
)
def test_a_header_of_the_standard_is_allowed(name: str, value: str) -> None:
    assert headers.problem(name, Secret(value)) is None


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-É", "X\r\nY", "X\0", "X(1)", "X/A", " X", "X\t", "“X”", "X\n"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    problem = headers.problem(name, Secret("tiger"))

    assert problem is not None
    assert repr(name) in problem
    assert "HTTP doesn't allow" in problem


def test_a_name_of_no_end_is_refused_and_not_repeated() -> None:
    problem = headers.problem("n" * 257, Secret(""))

    assert problem is not None
    assert "257 characters" in problem
    assert len(problem) < 200


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Content-Length",
        "TRANSFER-ENCODING",
        "connection",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Authorization",
        "proxy-connection",
        "Expect",
        "Content-Type",
        "Content-Encoding",
        "Accept-Encoding",
        "User-Agent",
        "Webhook-Id",
        "webhook-signature",
        "Svix-Id",
        "X-Amz-Security-Token",
        "X-Goog-Metadata-Request",
        "X-Google-Metadata-Request",
        "Metadata-Flavor",
        "Metadata",
        "X-Forwarded-For",
        "Forwarded",
        "Cookie",
    ],
)
def test_what_frames_the_request_or_is_ours_is_reserved(name: str) -> None:
    assert "is reserved" in (headers.problem(name, Secret("x")) or "")


@pytest.mark.parametrize(
    "value",
    [
        "tiger\r\nX: y",
        "tiger\n",
        "tiger\r",
        "tiger\0",
        "tiger\x1b",
        "tiger\x7f",
        "tïger",
        " tiger",
        "tiger ",
        "\ttiger",
    ],
)
def test_a_value_that_would_be_altered_is_refused_unrepeated(value: str) -> None:
    problem = headers.problem("X-Key", Secret(value))

    assert problem is not None
    assert "'X-Key'" in problem
    assert "ger" not in problem.replace("character", "")


def test_a_value_of_no_end_is_refused() -> None:
    assert "4097 characters" in (headers.problem("X", Secret("v" * 4097)) or "")


def test_a_good_set_has_no_problems() -> None:
    assert headers.problems({f"X-{number}": Secret("v") for number in range(50)}) == []


def test_more_than_fifty_are_refused() -> None:
    found = headers.problems({f"X-{number}": Secret("v") for number in range(51)})

    assert found == ["there are 51 headers: at most 50 are allowed"]


def test_the_same_name_in_another_case_is_refused() -> None:
    found = headers.problems({"X-Key": Secret("a"), "x-key": Secret("b"), "Y": Secret("c")})

    assert found == ["header 'x-key' is there twice, upper and lower case are the same: remove one"]


def test_every_bad_header_of_a_set_is_named() -> None:
    found = headers.problems({"Host": Secret("a"), "X A": Secret("b"), "X": Secret("c")})

    assert len(found) == 2
