"""librdkafka's mock broker, in a process of its own: for a machine with neither Docker nor Java.

It speaks the protocol, and serves producing, consuming, groups of one member and commits. What it distorts:

* Groups: rebalances take a session time-out; a member that joins beside others may get `INVALID_REQUEST`.
* Latency: an empty fetch waits its full `fetch_max_wait_ms`, new records do not end it.
* Topics: made by us on its own line, a missing one at the first ask for it; their configuration is not kept.
* Memory: it keeps 5 MiB a partition, and nothing of it survives the process. `stop`, `kill` and `start` therefore only
  make it refuse connections and serve again; nothing of a crash is shown by that.
* No transactions, no access control, no limits of size.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from consumer import errors

PROGRAM = Path(__file__).with_name("librdkafka.py")


class Mock:
    """A mock broker, serving as soon as it is made."""

    is_real = False
    is_ours = True
    description = "librdkafka's mock broker (not Apache Kafka)"

    def __init__(self) -> None:
        """Start its process.

        Raises:
            Unavailable: the library is missing or did not come up.
        """
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process; `close` closes it
        self._process = subprocess.Popen(
            [sys.executable, "-P", PROGRAM],  # -P: `kafka` and `docker` beside it are not for it to import
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            start_new_session=True,
        )
        try:
            self.bootstrap = self._read()
        except errors.Unavailable:
            self.close()
            raise

    def create_topic(self, name: str, partitions: int) -> None:
        """Make topic *name*; what is there already stays as it is."""
        self._command(f"topic {name} {partitions}")

    def start(self) -> None:
        """Take connections again."""
        self._command("up")

    def stop(self) -> None:
        """End its connections and refuse others; the records stay."""
        self._command("down")

    def kill(self) -> None:
        """Do the same as `stop`: its records live in its process."""
        self.stop()

    def close(self) -> None:
        """End its process; what it kept is gone."""
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def _command(self, line: str) -> None:
        if self._process.stdin is None:
            raise errors.Unavailable("the mock broker has no settings")
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise errors.Unavailable("the mock broker has ended") from exc
        answer = self._read()
        if answer != "ok":
            raise errors.Unavailable(f"the mock broker answers {answer} to: {line}")

    def _read(self) -> str:
        line = self._process.stdout.readline().strip() if self._process.stdout else ""
        if not line:
            self._complaints.seek(0)
            raise errors.Unavailable(f"the mock broker has ended: {self._complaints.read().decode(errors='replace')}")
        return line


@contextlib.contextmanager
def mock() -> Iterator[Mock]:
    """Run a mock broker; its process ends at the end.

    Raises:
        Unavailable: confluent-kafka is not installed, or the broker did not come up.
    """
    with contextlib.closing(Mock()) as server:
        yield server
