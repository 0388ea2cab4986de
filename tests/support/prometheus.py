"""Prometheus and promtool: those on the path, else Debian's, fetched once into the user's cache and never installed."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from consumer import errors
from consumer.demo.servers import jars

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/tollbell.rules.yaml"
FETCH_LIMIT_SECONDS = 120


def program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`.

    Raises:
        Unavailable: it is neither on the path nor to be had by apt.
    """
    if found := shutil.which(name):
        return found
    return str(_directory() / "usr/bin" / name)


def alerts() -> dict[str, dict[str, object]]:
    """Return the rules of the repository by the alert's name, in order."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def _directory() -> Path:
    wanted = jars.cache() / "prometheus"
    if wanted.is_dir():
        return wanted
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise errors.Unavailable("no promtool on the path, and no apt-get and dpkg-deb to fetch it with")
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=wanted.parent) as name:
        place, unpacked = Path(name), Path(name, "unpacked")
        _run("apt-get", "--quiet", "download", "prometheus", place=place)
        for package in place.glob("prometheus*.deb"):
            _run("dpkg-deb", "--extract", str(package), str(unpacked), place=place)
        try:
            unpacked.rename(wanted)
        except OSError:
            if not wanted.is_dir():  # else another process was first
                raise
    return wanted


def _run(*command: str, place: Path) -> None:
    try:
        done = subprocess.run(
            command, check=False, cwd=place, capture_output=True, text=True, timeout=FETCH_LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired as exc:
        raise errors.Unavailable(f"{command[0]} did not fetch prometheus within {FETCH_LIMIT_SECONDS} s") from exc
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise errors.Unavailable(f"{command[0]} could not fetch prometheus: {said[-1] if said else 'it said nothing'}")
