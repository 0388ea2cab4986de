"""Apache Kafka's jars from Maven Central, fetched once for this user, and the Java to run them."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from consumer import errors

VERSION = "4.3.0"
OLDEST_JAVA = 17
FETCH_LIMIT_SECONDS = 150  # a second try goes on where Maven's own cache stands
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# slf4j-simple: the only one of Kafka's dependencies that writes its log where we can read why it did not start.
POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tollbell</groupId>
  <artifactId>servers</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


def java() -> str:
    """Return the path of a `java` that Kafka runs on.

    Raises:
        Unavailable: there is none on the path, or it is too old.
    """
    found = shutil.which("java")
    if found is None:
        raise errors.Unavailable(f"no java on the path: Kafka needs Java {OLDEST_JAVA} or newer")
    said = subprocess.run([found, "-version"], check=False, capture_output=True, text=True, errors="replace").stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise errors.Unavailable(
            f"java on the path is too old or does not run: Kafka needs Java {OLDEST_JAVA} or newer"
        )
    return found


def directory() -> Path:
    """Return the directory of the jars, fetching them where this user has none yet.

    Any number of processes may ask at once: a directory is moved into place whole, by the first of them.

    Raises:
        Unavailable: Maven is missing, or could not fetch them.
    """
    wanted = cache() / f"kafka-{VERSION}"
    if wanted.is_dir():
        return wanted
    maven = shutil.which("mvn")
    if maven is None:
        raise errors.Unavailable("no mvn on the path to fetch Kafka from Maven Central with")
    try:
        _fetch(maven, wanted)
    except OSError as exc:
        raise errors.Unavailable(f"Kafka's jars cannot be kept in {wanted.parent}: {exc.strerror}") from exc
    return wanted


def cache() -> Path:
    """Return where this user's programs keep what can be fetched again; it may not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".cache"  # the XDG specification: relative is invalid
    return base / "tollbell"


def _fetch(maven: str, wanted: Path) -> None:
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=wanted.parent) as place:
        pom, libs = Path(place, "pom.xml"), Path(place, "libs")
        pom.write_text(POM)
        options = ["-q", "-B", "-f", str(pom), f"-DoutputDirectory={libs}", "-DincludeScope=runtime"]
        _run_maven([maven, *options, PLUGIN], place)
        _move(libs, wanted)


def _move(libs: Path, wanted: Path) -> None:
    try:
        libs.rename(wanted)
    except OSError:
        if not wanted.is_dir():  # else another process was first
            raise


def _run_maven(command: list[str], place: str) -> None:
    try:  # with our environment as it is: proxies and certificates are Maven's to read
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=place,  # where an account without a home has `?/.m2`
            timeout=FETCH_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise errors.Unavailable(f"Maven did not fetch Kafka within {FETCH_LIMIT_SECONDS} s") from exc
    if done.returncode:
        reason = re.search(r"\[ERROR\] (.+)", done.stdout)
        raise errors.Unavailable(f"Maven could not fetch Kafka: {reason[1] if reason else done.stdout[-300:]}")
