"""What every server promises, whatever it is made of: the demo and the tests know these three alone."""

from typing import Protocol


class Server(Protocol):
    """A server at a fixed address, which can be stopped, killed and started again.

    Its methods block, for seconds: call them from a thread where an event loop must go on.
    """

    @property
    def description(self) -> str:
        """What it is and where it came from, for a person."""

    @property
    def is_real(self) -> bool:
        """Whether it is the real thing, not an imitation that distorts."""

    @property
    def is_ours(self) -> bool:
        """Whether we started it; otherwise `start`, `stop` and `kill` are refused."""

    def start(self) -> None:
        """Start it where it was, with what it kept; return once it answers.

        Raises:
            Unavailable: it ended or did not answer in time; the message has the end of its log.
            Refused: it is not ours.
        """

    def stop(self) -> None:
        """End it in good order; return once it has ended."""

    def kill(self) -> None:
        """End it like a power cut; return once it has ended."""


class Broker(Server, Protocol):
    """A Kafka broker."""

    @property
    def bootstrap(self) -> str:
        """Its address: `host:port`."""


class PostgresServer(Server, Protocol):
    """A Postgres server."""

    @property
    def url(self) -> str:
        """A superuser's URL, `postgresql://…`, with the database `postgres`. It holds a password."""
