"""What may be a channel's URL: one spelling for everybody who reads it after us."""

import re
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import urls

GOOD = [
    "https://example.com",
    "https://example.com/",
    "https://example.com?x=1",
    "HTTPS://Example.COM/Hooks/A",
    "http://localhost:8080/hook",
    "http://my_service.internal:3000/hook",  # as Compose names them
    "https://xn--mnchen-3ya.de/hook",
    "https://example.com./hook",  # a fully qualified name
    "https://example.com:/hook",  # RFC 3986 allows the empty port
    "https://example.com/a/@b;c=1,2/~x/%C3%BC?y=(1)&sig=a%2Bb%2F%3D",
    "http://192.0.2.1:80/hook",
    "https://[2001:db8::1]:8443/hook",
    "https://[::ffff:192.0.2.1]/hook",
    "https://1.example/hook",
    "https://0x7f.example/hook",
    "https://a-b.c--d.example:65535/hook",
    "https://example.com/" + "a" * 2028,
]


@pytest.mark.parametrize("url", GOOD)
def test_a_url_of_the_standard_is_allowed(url: str) -> None:
    assert urls.problem(url) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://example.com/" + "a" * 2029, "2049 characters"),
        ("", "absolute URL"),
        ("example.com/hook", "absolute URL"),
        ("//example.com/hook", "absolute URL"),
        ("https:/example.com", "absolute URL"),
        ("https:example.com", "absolute URL"),
        ("ws://example.com", "scheme"),  # aiohttp takes it
        ("ftp://example.com", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("https://user@example.com/", "user or password"),
        ("https://user:word@example.com/", "user or password"),
        ("https://@example.com/", "user or password"),
        ("https://a@b@example.com/", "user or password"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com#", "fragment"),
        ("https://", "no host"),
        ("https:///hook", "no host"),
        ("https://:8080/hook", "no host"),
        ("https://?x", "no host"),
        # whitespace and controls: aiohttp and browsers strip some of them in silence
        (" https://example.com", "character"),
        ("https://example.com/\n", "character"),
        ("https://exam\tple.com/", "character"),
        ("https://example.com/\r\nx: y", "character"),
        ("https://example.com/\0", "character"),
        ("https://example.com/a b", "character"),
        ("https://example.com\\@127.0.0.1/", "character"),  # browsers and RFC 3986 disagree on the host
        ("https://example.com/%zz", "character"),
        ("https://example.com/%", "character"),
        ("https://münchen.de/", "xn--"),
        ("https://example.com/ü", "percent-encode"),
        # other spellings of 127.0.0.1
        ("http://2130706433/", "unusual spelling"),
        ("http://0x7f000001/", "unusual spelling"),  # aiohttp hands it to the resolver
        ("http://0x7f.0x0.0x0.0x1/", "unusual spelling"),  # likewise
        ("http://0X7F.1/", "unusual spelling"),
        ("http://0177.0.0.1/", "unusual spelling"),
        ("http://127.1/", "unusual spelling"),
        ("http://127.0.0.1./", "unusual spelling"),
        ("http://127.0.0.0x/", "unusual spelling"),
        ("http://017700000001/", "unusual spelling"),
        ("http://0/", "unusual spelling"),
        ("http://1.2.3.256/", "unusual spelling"),
        ("http://1.2.3.4.5/", "unusual spelling"),
        ("http://example.1/", "unusual spelling"),  # no top-level domain is a number
        ("http://\uff11\uff12\uff17.0.0.1/", "character"),  # full-width digits
        ("http://127\u30020\u30020\u30021/", "character"),  # ideographic full stops
        ("http://%31%32%37.0.0.1/", "unusual spelling|not a name"),
        ("http://[::1%25lo]/", "IPv6"),
        ("http://[fe80::1%eth0]/", "character"),
        ("http://[fe80::1%2510]/", "IPv6"),
        ("http://[v1.fe80::a]/", "IPv6"),
        ("http://[127.0.0.1]/", "IPv6"),
        ("http://[]/", "IPv6"),
        ("http://[::1/", "absolute URL"),
        ("http://[::1].example.com/", "absolute URL"),
        ("http://::1/", "absolute URL"),
        # names
        ("http://a..b/", "not a name"),
        ("http://.a/", "not a name"),
        ("http://-a.b/", "not a name"),
        ("http://a-.b/", "not a name"),
        ("http://a.b../", "not a name"),
        ("http://" + "a" * 64 + ".b/", "not a name"),
        ("http://" + "a." * 127 + "b/", "not a name"),
        ("http://a;b/", "not a name"),
        ("http://a%2eb/", "not a name"),
        # ports
        ("http://example.com:x/", "absolute URL"),
        ("http://example.com:-1/", "absolute URL"),
        ("http://example.com:1:2/", "absolute URL"),
        ("http://example.com:0/", "port"),
        ("http://example.com:22/", "port"),
        ("http://example.com:25/", "port"),
        ("http://example.com:1023/", "port"),
        ("http://example.com:65536/", "port"),
        ("http://example.com:" + "9" * 2000 + "/", "port"),
    ],
)
def test_any_other_spelling_is_refused_with_the_reason(url: str, why: str) -> None:
    problem = urls.problem(url)

    assert problem is not None
    assert any(part in problem for part in why.split("|")), problem


def test_the_reason_repeats_nothing_of_the_url() -> None:
    for url in ("https://bob:tiger@example.com/", "https://example.com:22/?k=tiger", "https://example.com/?k=tiger ü"):
        assert "tiger" not in (urls.problem(url) or "tiger")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080/x", "127.0.0.1"),
        ("https://[::1]/", "::1"),
        ("https://[0:0:0:0:0:FFFF:7F00:1]:8443", "::ffff:127.0.0.1"),
        ("https://user@10.0.0.1/", "10.0.0.1"),
        ("https://[::1%25lo]/", None),
        ("https://127.1/", None),
        ("https://[127.0.0.1]/", None),
        ("https://example.com/127.0.0.1", None),
        ("nonsense", None),
    ],
)
def test_an_address_in_place_of_a_name_is_read(url: str, address: str | None) -> None:
    assert urls.literal_address(url) == (None if address is None else ip_address(address))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://bob:tiger@example.com:8443/secret?k=v#f", "https://example.com:8443"),
        ("https://example.com/secret", "https://example.com"),
        ("http://[::1]:3000?k=v", "http://[::1]:3000"),
        ("https://example.com:/x", "https://example.com"),
        ("https://exa\nmple.com/x", urls.UNREADABLE),
        ("tiger", urls.UNREADABLE),
        ("https://bob:tiger", urls.UNREADABLE),
    ],
)
def test_logs_show_scheme_host_and_port_alone(url: str, shown: str) -> None:
    assert urls.redacted(url) == shown


@given(st.text())
def test_any_text_has_an_answer_and_is_one_line_in_the_log(text: str) -> None:
    problem = urls.problem(text)

    assert problem is None or re.fullmatch(r".+", problem)
    assert "\n" not in urls.redacted(text)


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://Example.com:8443/a?b", "Example.com"), ("http://[2606:4700::1111]/", "[2606:4700::1111]"), ("no", "")],
)
def test_the_host_is_read_without_its_port(url: str, host: str) -> None:
    assert urls.host(url) == host


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://Example.com.", (True, "example.com", 443, "example.com", "/")),
        ("https://example.com:8443/a?b=c", (True, "example.com", 8443, "example.com:8443", "/a?b=c")),
        ("http://[::1]:80/hook", (False, "::1", 80, "[::1]", "/hook")),
    ],
)
def test_a_url_is_taken_apart_for_a_request(url: str, parts: tuple[object, ...]) -> None:
    assert urls.split(url) == parts


def test_what_is_no_url_is_not_taken_apart() -> None:
    with pytest.raises(ValueError, match="not an absolute URL"):
        urls.split("example.com/hook")
