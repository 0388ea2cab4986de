"""Who runs a server that refuses root, and where that account can reach its files."""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

UNPRIVILEGED = "nobody"  # there on every Unix; making a user of our own would outlive us
COMMAND_LIMIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """Return who runs what refuses root; None where we are not root and may run it ourselves."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(entry.pw_uid, entry.pw_gid)


def run(command: Sequence[str], account: Account | None) -> subprocess.CompletedProcess[str]:
    """Run *command* to its end as *account*; both outputs in `stdout`.

    Raises:
        OSError: it cannot be run, by that account at least.
    """
    return subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        timeout=COMMAND_LIMIT_SECONDS,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def give(path: Path, account: Account | None) -> None:
    """Make *path*, and all below it, belong to *account*; nothing where that is None."""
    if account is None:
        return
    for each in (path, *path.rglob("*")):
        os.chown(each, account.uid, account.gid, follow_symlinks=False)


def is_open(directory: Path) -> bool:
    """Return whether every account of this machine may pass through *directory*."""
    ways = (directory, *directory.resolve().parents)
    return all(way.stat().st_mode & stat.S_IXOTH for way in ways)


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a new directory that servers can reach under any account; it goes with all its content at the end.

    Only for what may be thrown away: others may pass through it, not list it.
    """
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp makes its own below
    place = next((each for each in places if each.is_dir() and is_open(each)), places[0])
    directory = Path(tempfile.mkdtemp(prefix="tollbell-", dir=place))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
