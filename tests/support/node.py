"""What tests take from npm, installed once for this user: the reference product's client, run by a script; axe-core."""

import asyncio
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from consumer.demo.servers import jars

SCRIPTS = Path(__file__).parents[1] / "clients"
LISTS = ("package.json", "package-lock.json")
INSTALL_LIMIT_SECONDS = 120


class NoNode(Exception):
    """Why there is nothing of npm here."""


def install() -> Path:
    """Return a directory with the packages that the lock names, in the user's cache.

    Any number of runs may ask at once: the first one moves a complete directory into place.

    Raises:
        NoNode: node or npm is missing, or npm could not install.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NoNode("no node and npm on the path")
    texts = {name: (SCRIPTS / name).read_bytes() for name in LISTS}
    wanted = jars.cache() / f"node-{hashlib.sha256(b''.join(texts.values())).hexdigest()[:16]}"
    if wanted.is_dir():
        return wanted
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="node-", dir=wanted.parent) as place:
        made = Path(place, "made")
        made.mkdir()
        for name, text in texts.items():
            (made / name).write_bytes(text)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], made)
        try:
            made.rename(wanted)
        except OSError:
            if not wanted.is_dir():  # else another run was first
                raise
    return wanted


def _run(command: list[str], place: Path) -> None:
    try:  # with our environment as it is: registry, proxies and certificates are npm's to read
        done = subprocess.run(
            command, check=False, cwd=place, capture_output=True, text=True, timeout=INSTALL_LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise NoNode(f"npm did not install within {INSTALL_LIMIT_SECONDS} s") from None
    if done.returncode:
        raise NoNode(f"npm could not install: {done.stderr[-300:]}")


def _prepare(place: Path, script: str, installed: Path) -> None:
    shutil.copy(SCRIPTS / script, place)
    (place / "node_modules").symlink_to(installed / "node_modules")  # node looks for packages beside the script


async def run(script: str, *arguments: str) -> str:
    """Run a script of `tests/clients` to its end; return what it said.

    Raises:
        NoNode: there is no client here.
        AssertionError: the script failed.
    """
    installed = await asyncio.to_thread(install)
    with tempfile.TemporaryDirectory() as place:
        _prepare(Path(place), script, installed)
        process = await asyncio.create_subprocess_exec(
            "node",
            script,
            *arguments,
            cwd=place,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()
