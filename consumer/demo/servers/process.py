"""A server's process: apart from our terminal, logged to a file, and gone when we are gone."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from consumer import clock, errors
from consumer.demo.servers.account import Account

PAUSE_SECONDS = 0.02  # between two looks at whether it answers
STOP_LIMIT = timedelta(seconds=30)  # for an end in good order; then it is killed
TAIL_LINES = 12

# Reads until our end of the pipe closes, which the kernel does however we die, then ends the whole process group.
# PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the server ends, and on Linux alone.
WATCHDOG = 'read -r _; kill -s KILL -- "-$1"'  # so spelt, every shell takes it


class Process:
    """A process in a session of its own, so that Ctrl-C on the terminal leaves it to us to end it.

    It dies with us, even when we are killed, and is ended by its own pid only.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, account: Account | None = None) -> None:
        """Start *command*, as *account* where one is given, with all it says appended to *log*."""
        self._name = name
        self._log = log
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", str(self.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._server.pid

    def wait_until(self, answers: Callable[[], bool], limit: timedelta) -> None:
        """Return once *answers* says yes.

        Raises:
            Unavailable: the process ended, or *limit* passed; the message has the end of the log.
        """
        deadline = clock.monotonic() + limit.total_seconds()
        while not answers():
            if self._server.poll() is not None:
                raise errors.Unavailable(f"{self._name} ended at its start:\n{tail(self._log)}")
            if clock.monotonic() > deadline:
                raise errors.Unavailable(
                    f"{self._name} did not answer within {limit.total_seconds():g} s:\n{tail(self._log)}"
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(PAUSE_SECONDS)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end by *sign*; return once it has ended, killed if it takes more than `STOP_LIMIT`."""
        self._server.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(STOP_LIMIT.total_seconds())
        self.kill()

    def kill(self) -> None:
        """End it and its process group at once (SIGKILL); again does nothing."""
        if self._server.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._server.wait()
        self._watchdog.kill()
        self._watchdog.communicate()


def tail(log: Path) -> str:
    """Return the last lines of *log*, for an error message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:]) or "(its log is empty)"
