"""What goes over a connection to Kafka or Postgres, read as far as a test must know: which step of ours this is."""

from consumer.store import queries

FETCH, OFFSET_COMMIT = 1, 8  # Kafka's API keys
WITH_RECORDS = 300  # bytes: a fetch answer that brings nothing is smaller
STARTUP, SSL_REQUEST, GSS_REQUEST = 196_608, 80_877_103, 80_877_104
STEPS = {
    "load": "memory/load",
    "write": "outbox/write",
    "look": "deliveries/due_channels",
    "claim": "deliveries/claim",
    "record": "deliveries/record",
}


class KafkaWire:
    """Requests and answers are a length and as many bytes; an answer names its request by the correlation id."""

    def __init__(self) -> None:
        self._sent, self._answered = bytearray(), bytearray()
        self._waiting: dict[int, int] = {}

    def sent(self, chunk: bytes) -> list[str]:
        moments = []
        for frame in _frames(self._sent, chunk):
            key, correlation = int.from_bytes(frame[:2]), int.from_bytes(frame[4:8])
            self._waiting[correlation] = key
            if key == OFFSET_COMMIT:
                moments.append("commit.before")
        return moments

    def answered(self, chunk: bytes) -> list[str]:
        moments = []
        for frame in _frames(self._answered, chunk):
            key = self._waiting.pop(int.from_bytes(frame[:4]), None)
            if key == OFFSET_COMMIT:
                moments.append("commit.after")
            elif key == FETCH and len(frame) > WITH_RECORDS:
                moments.append("fetch")
        return moments


def _frames(buffer: bytearray, chunk: bytes) -> list[bytes]:
    """Return the frames that *chunk* completes, without their lengths."""
    buffer += chunk
    found = []
    while len(buffer) >= 4 and len(buffer) >= 4 + (size := int.from_bytes(buffer[:4])):
        found.append(bytes(buffer[4 : 4 + size]))
        del buffer[: 4 + size]
    return found


class PostgresWire:
    """Messages are a letter, a length that counts itself, and the rest; the first of a client has no letter.

    A statement is parsed under a name once and bound by it ever after; its effects are there when the server is ready
    again (`Z`), for we send one at a time.
    """

    def __init__(self) -> None:
        self._sent, self._answered = bytearray(), bytearray()
        self._has_begun = False
        self._bytes_of_letters = 0  # single ones, which answer a request for encryption
        self._steps: dict[bytes, str] = {}
        self._running: str | None = None
        self._texts = {queries.load(name).sql: step for step, name in STEPS.items()}

    def sent(self, chunk: bytes) -> list[str]:
        self._sent += chunk
        moments = []
        while (message := self._next_sent()) is not None:
            letter, body = message
            if letter == b"P":
                name, text, _ = body.split(b"\0", 2)
                if step := self._texts.get(text.decode()):
                    self._steps[name] = step
            elif letter == b"B":
                name = body.split(b"\0", 2)[1]
                if step := self._steps.get(name):
                    self._running = step
                    moments.append(f"{step}.before")
        return moments

    def _next_sent(self) -> tuple[bytes, bytes] | None:
        if self._has_begun:
            return _message(self._sent)
        if len(self._sent) < 8:
            return None
        size, code = int.from_bytes(self._sent[:4]), int.from_bytes(self._sent[4:8])
        if len(self._sent) < size:
            return None
        del self._sent[:size]
        if code in {SSL_REQUEST, GSS_REQUEST}:
            self._bytes_of_letters += 1
        self._has_begun = code == STARTUP
        return b"", b""

    def answered(self, chunk: bytes) -> list[str]:
        self._answered += chunk
        moments = []
        while self._bytes_of_letters and self._answered:
            self._bytes_of_letters -= 1
            del self._answered[:1]
        while (message := _message(self._answered)) is not None:
            if message[0] == b"Z" and self._running:
                moments.append(f"{self._running}.after")
                self._running = None
        return moments


def _message(buffer: bytearray) -> tuple[bytes, bytes] | None:
    """Take a whole message off *buffer*."""
    if len(buffer) < 5:
        return None
    size = int.from_bytes(buffer[1:5])
    if len(buffer) < 1 + size:
        return None
    message = bytes(buffer[:1]), bytes(buffer[5 : 1 + size])
    del buffer[: 1 + size]
    return message
