"""Servers that run already, by their address: not ours to start or stop."""

from dataclasses import dataclass

from consumer import errors

NOT_OURS = "is not ours to start, stop or kill"


@dataclass(frozen=True, slots=True)
class Given:
    """A server at a given address, as a `Broker` or a `Database`."""

    description: str
    bootstrap: str = ""
    url: str = ""
    is_real: bool = True
    is_ours: bool = False

    def start(self) -> None:
        """Refuse."""
        raise errors.Refused(f"{self.description} {NOT_OURS}")

    def stop(self) -> None:
        """Refuse."""
        raise errors.Refused(f"{self.description} {NOT_OURS}")

    def kill(self) -> None:
        """Refuse."""
        raise errors.Refused(f"{self.description} {NOT_OURS}")


def kafka(address: str) -> Given:
    """Return the broker at *address*, `host:port`."""
    return Given(f"Kafka at {address}", bootstrap=address)


def postgres(url: str) -> Given:
    """Return the Postgres at *url*, which is not shown: it may hold a password."""
    return Given("PostgreSQL at the given URL", url=url)
