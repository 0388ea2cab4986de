"""Apache Kafka itself, one node, from Maven Central's jars: a real broker with no more than Java and Maven."""

import contextlib
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from consumer import errors
from consumer.demo.servers import account, jars, network
from consumer.demo.servers.process import Process

START_LIMIT = timedelta(seconds=60)
# The serial collector and the first compiler alone: up in 1.4 s instead of 1.9 s, and one thread instead of many.
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
# What makes one node complete, and a first group join quick. Limits of size stay the broker's defaults.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",  # for so long after a kill the controller refuses the broker's next life
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",  # tests that kill members need not wait for 6 s
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
}


class ApacheKafka:
    """A broker with its logs in one directory, at one port for its whole life."""

    is_real = True
    is_ours = True

    def __init__(self, java: str, libs: Path, directory: Path, *, behind: Sequence[int] = ()) -> None:
        """Make one of what is in *directory*, or of nothing yet. It is not started.

        For each port *behind*, a proxy's, it has one (`ports_behind`) at which it directs clients through that
        proxy; they would pass by it otherwise.
        """
        self._command = [java, *JVM, "-cp", f"{libs}/*"]
        self._directory = directory
        self._properties = directory / "server.properties"
        self._behind = behind
        self._port, self._controller_port, *self.ports_behind = network.free_ports(2 + len(behind))
        self._process: Process | None = None

    @property
    def description(self) -> str:
        """What it is and where it came from."""
        return f"Apache Kafka {jars.VERSION} (from Maven Central's jars)"

    @property
    def bootstrap(self) -> str:
        """Its address."""
        return f"{network.LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs: a test freezes it."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, with what it kept, after a crash too; return once it has taken up its service.

        Raises:
            Unavailable: it ended or did not answer in time.
        """
        self._write_properties()
        if not (self._directory / "data/meta.properties").exists():
            self._format()
        log = self._directory / "kafka.log"
        log.write_text("")  # what an earlier start said is not this one's reason
        self._process = Process("Kafka", [*self._command, "kafka.Kafka", str(self._properties)], log)
        self._process.wait_until(lambda: network.kafka_answers(network.LOOPBACK, self._port), START_LIMIT)

    def stop(self) -> None:
        """End it in good order; again does nothing."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """Kill it; the next start recovers its logs. Again does nothing."""
        if self._process:
            self._process.kill()
            self._process = None

    def _write_properties(self) -> None:
        controller = f"{network.LOOPBACK}:{self._controller_port}"
        names = [f"PROXY{n}" for n in range(len(self._behind))]
        advertised = _listeners([("PLAINTEXT", self._port), *zip(names, self._behind, strict=True)])
        bound = _listeners([("PLAINTEXT", self._port), *zip(names, self.ports_behind, strict=True)])
        protocols = [SETTINGS["listener.security.protocol.map"], *(f"{name}:PLAINTEXT" for name in names)]
        settings = {
            **SETTINGS,
            "advertised.listeners": advertised,
            "controller.quorum.voters": f"1@{controller}",
            "listener.security.protocol.map": ",".join(protocols),
            "listeners": f"{bound},CONTROLLER://{controller}",
            "log.dirs": str(self._directory / "data"),
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def _format(self) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        named = f"--cluster-id={cluster}"  # one in 64 begins with a dash: apart, it would be taken for an option
        tool = [*self._command, "kafka.tools.StorageTool", "format", named, "-c", str(self._properties)]
        done = account.run(tool, None)
        if done.returncode:
            raise errors.Unavailable(f"Kafka could not format its storage:\n{done.stdout}")


def _listeners(ports: Sequence[tuple[str, int]]) -> str:
    return ",".join(f"{name}://{network.LOOPBACK}:{port}" for name, port in ports)


@contextlib.contextmanager
def local(directory: Path, *, behind: Sequence[int] = ()) -> Iterator[ApacheKafka]:
    """Run a broker on what is in *directory*, a new one where that is empty; it is ended at the end.

    Clients may also come through proxies at the ports *behind*, see `ApacheKafka`.

    Raises:
        Unavailable: no Java, no jars and no way to fetch them, or it does not start.
    """
    server = ApacheKafka(jars.java(), jars.directory(), directory, behind=behind)
    try:
        server.start()
        yield server
    finally:
        server.stop()
