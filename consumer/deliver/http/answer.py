"""An answer, read as it comes. Pure: bytes in, state out; the same bytes are the same answer however they are cut.

Once a final status line and head are read, that is the answer, whatever is wrong with what follows: a 2xx means that
the receiver has it, and a retry would give it twice; any other status is no clearer for its body. What follows decides
only what is kept of the body, and whether the connection may be used again.

The end of a head is found here, and llhttp is given one whole head: so it judges the same bytes each time, and none of
what follows. It would also take `RTSP/1.0 200 OK` and `ICE/1.0 200 OK` for an answer.
"""

import re
from encodings.aliases import aliases
from typing import Final

import httptools

HEAD_LIMIT: Final = 65_536  # bytes, informational answers included; common servers end a head at 8 to 32 KiB
BODY_LIMIT: Final = 16_384  # bytes; more, and it is cheaper to connect again than to read on
WIRE_LIMIT: Final = 2 * BODY_LIMIT  # bytes of a body as it comes: chunks of one byte are six, and 1 µs to parse
MOST_INFORMATIONAL: Final = 16  # RFC 9110 section 15.2 has no limit; none of the two that exist is said more than once
SWITCHING_PROTOCOLS: Final = 101  # informational by its number, and yet the last that is HTTP
NO_BODY: Final = frozenset({204, 304})
_BEGIN: Final = b"HTTP/"
_ALERT: Final = 0x15  # the first byte of a TLS record that says what is wrong (RFC 8446 section 5.1)
_END: Final = re.compile(rb"\n\r?\n")
# A line, not folded, with values that could be lengths.
_LENGTHS: Final = re.compile(rb"^content-length:([0-9, \t]*)\r?\n(?![ \t])", re.IGNORECASE | re.MULTILINE)
_CHARSET: Final = re.compile(rb"""charset\s*=\s*["']?([a-z0-9._:+-]{1,40})""", re.IGNORECASE)
# Of Python's codecs those of texts that a receiver may answer with: others (idna, unicode_escape) are slow or no text.
_CHARSETS: Final = frozenset(
    {
        "ascii",
        "utf-8",
        "utf-16",
        "utf-16-be",
        "utf-16-le",
        "big5",
        "cp932",
        "euc_jp",
        "euc_kr",
        "gb18030",
        "gb2312",
        "gbk",
    }
    | {"iso2022_jp", "koi8-r", "koi8-u", "shift_jis"}
    | {f"iso8859-{n}" for n in range(1, 17)}
    | {f"cp125{n}" for n in range(9)}
)


def _spelled(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_").replace(":", "_")


_MODULES: Final = {"iso8859-1": "latin_1"}  # the one codec that has another name than its module
# Every spelling of theirs. Python's own look-up imports a module for any other one, and keeps each for ever.
_BY_MODULE: Final = {_MODULES.get(codec, _spelled(codec)): codec for codec in _CHARSETS}
_CODECS: Final = {_spelled(codec): codec for codec in _CHARSETS} | {
    _spelled(alias): _BY_MODULE[module] for alias, module in aliases.items() if module in _BY_MODULE
}


class NotHttp(Exception):
    """What came can't be an answer; the text says why, in our words or llhttp's."""


class Answer:
    """One answer.

    Attributes:
        status: 100 to 599, once the final head is read; None before.
        retry_after: the header as it came.
        allowed_origin, allowed_rate: likewise WebHook-Allowed-Origin and -Rate.
        body: what has been read of it.
        has_begun: a byte of an answer has come.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after: bytes | None = None
        self.allowed_origin: bytes | None = None
        self.allowed_rate: bytes | None = None
        self.body = bytearray()
        self.has_begun = False
        self._charset = "utf-8"
        self._head = bytearray()
        self._head_room = HEAD_LIMIT
        self._wire_room = WIRE_LIMIT
        self._informational = 0
        self._seen = 0
        self._parser: httptools.HttpResponseParser | None = None
        self._announces_body = False
        self._is_whole = False
        self._is_last = True
        self._is_broken = False  # more, or something else, came than the head has announced

    @property
    def is_done(self) -> bool:
        """Whether nothing more is wanted of the connection."""
        return self._is_whole or self._is_broken

    @property
    def is_reusable(self) -> bool:
        """Whether the connection may carry another request: the answer has been read to its end, and ends there."""
        return self._is_whole and not self._is_broken and not self._is_last

    def text(self, limit: int) -> str:
        """Return the first *limit* bytes of the body in its own charset, as Postgres takes it: without NUL."""
        return bytes(self.body[:limit]).decode(self._charset, errors="replace").replace("\0", "\ufffd")

    def feed(self, part: bytes) -> None:
        """Read on.

        Raises:
            NotHttp: this is not going to be an answer.
        """
        rest = part if self.status is not None else self._read_heads(part)
        if rest:
            self._read_body(rest)

    def end(self) -> None:
        """Take note that the receiver says no more.

        Raises:
            NotHttp: what came can't have been the beginning of an answer.
        """
        if self.status is None and self._head:
            self._parse(bytes(self._head))
        self._is_broken = True

    # --- heads ---------------------------------------------------------------------------------------------------

    def _read_heads(self, part: bytes) -> bytes:
        """Read heads to the final one; return what follows that."""
        while self.status is None:
            looked_at = len(self._head)
            self._head += part
            if not looked_at:
                self._skip_empty_lines()
            if not self._head:
                return b""
            self._check_beginning()
            found = _END.search(self._head, max(looked_at - 2, 0))
            length = found.end() if found else len(self._head)
            if length > self._head_room or (not found and length == self._head_room):
                raise NotHttp(f"not HTTP: the head has more than {HEAD_LIMIT} bytes")
            if not found:
                return b""
            part = bytes(self._head[length:])
            head = bytes(self._head[:length])
            self._head.clear()
            self._head_room -= length
            self._take(head)
        return part

    def _skip_empty_lines(self) -> None:
        """Skip what old servers send behind a body (RFC 9112 section 2.2)."""
        begin = len(self._head) - len(self._head.lstrip(b"\r\n"))
        self._head_room -= begin
        del self._head[:begin]
        if self._head_room <= 0:
            raise NotHttp("not HTTP: nothing but empty lines")

    def _check_beginning(self) -> None:
        if self._head[0] == _ALERT:
            raise NotHttp("not HTTP: the receiver speaks TLS on this port, so its URL begins with https://")
        if self._head[: len(_BEGIN)] != _BEGIN[: len(self._head)]:
            raise NotHttp("not HTTP: bad status line")
        self.has_begun = True

    def _take(self, head: bytes) -> None:
        """Take one head, whole: informational, or the final one."""
        status = self._parse(head)
        if not 100 <= status <= 599:  # noqa: PLR2004 - RFC 9110 section 15
            raise NotHttp(f"answered with the status {status}")
        if status < 200 and status != SWITCHING_PROTOCOLS:  # noqa: PLR2004 - likewise
            self._informational += 1
            if self._informational > MOST_INFORMATIONAL:
                raise NotHttp("not HTTP: too much came before an answer")
            self._is_whole = False
            return
        self.status = status
        if status in NO_BODY and self._announces_body:  # it may follow all the same, after the next request is sent
            self._is_last = True
        if status == SWITCHING_PROTOCOLS:
            self._is_broken = True

    def _parse(self, head: bytes) -> int:
        """Return the status of *head*; what its headers say is noted by the callbacks below.

        Raises:
            NotHttp: it can't be read.
        """
        self._parser = parser = httptools.HttpResponseParser(self)
        # As lenient as aiohttp's client: any bytes in values, bare line feeds, spaces behind the size of a chunk.
        parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._seen = 0
        self.retry_after, self._charset = None, "utf-8"
        self.allowed_origin = self.allowed_rate = None
        self._announces_body = self._is_whole = False
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:  # 101
            pass
        except httptools.HttpParserError as problem:
            if (mended := _with_one_length(head)) is not None:
                return self._parse(mended)
            raise NotHttp(f"not HTTP: {str(problem).lower()}") from problem
        return self._seen

    # --- the body ------------------------------------------------------------------------------------------------

    def _read_body(self, part: bytes) -> None:
        if self.is_done or self._parser is None:
            self._is_broken = True
            return
        try:
            self._parser.feed_data(part[: self._wire_room])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # a bad chunk, or what follows the end
            self._is_broken = True
        self._wire_room -= len(part)
        if self._wire_room <= 0 or len(self.body) >= BODY_LIMIT:
            self._is_broken = True

    # --- what llhttp says ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Note what follows the end."""
        if self._is_whole:
            self._is_broken = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what a header of the head says; not a trailer, nor what follows the end."""
        if self._is_whole or self.status is not None:
            return
        match name.lower():
            case b"retry-after":
                self.retry_after = value
            case b"content-type":
                self._charset = _charset(value)
            case b"transfer-encoding":
                self._announces_body = True
            case b"content-length":
                self._announces_body = value.strip(b" \t0") != b""
            case b"webhook-allowed-origin":
                self.allowed_origin = value
            case b"webhook-allowed-rate":
                self.allowed_rate = value

    def on_headers_complete(self) -> None:
        """Note what llhttp knows only now."""
        if self._parser is not None and self.status is None:
            self._seen = self._parser.get_status_code()
            self._is_last = not self._parser.should_keep_alive()

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        if not self._is_whole:
            self.body += part

    def on_message_complete(self) -> None:
        """Note the end."""
        self._is_whole = True
        self._parser = None  # else each would keep the other until the next collection


def _with_one_length(head: bytes) -> bytes | None:
    """Return *head* with its length said once, where it is said several times and always the same; else None.

    RFC 9112 section 6.3 lets a recipient take that for one. llhttp takes it for no HTTP; a status came all the same.
    """
    said = [length.strip(b" \t") for line in _LENGTHS.findall(head) for length in line.split(b",")]
    if len(said) <= 1 or len(set(said)) > 1:
        return None
    status_line, _, rest = _LENGTHS.sub(b"", head).partition(b"\n")
    return b"%s\ncontent-length: %s\r\n%s" % (status_line, said[0], rest)


def _charset(content_type: bytes) -> str:
    found = _CHARSET.search(content_type)
    return _CODECS.get(_spelled(found[1].decode()), "utf-8") if found else "utf-8"
