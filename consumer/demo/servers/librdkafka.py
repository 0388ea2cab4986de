"""librdkafka's mock broker as a program of its own: `mock` starts it by its path, nothing imports it.

It runs on the library that the confluent-kafka wheel brings, through ctypes, and imports nothing of ours. It says its
address on a line, then answers each line it reads: `topic NAME PARTITIONS`, `down`, `up`. It ends when none can write
to it any more, that is, with its parent, however that ends.
"""

import ctypes
import importlib.util
import sys
from pathlib import Path

PRODUCER = 0  # a cluster needs a client to live in; it is never used
ALL_BROKERS = -1
SOUND = (0, 36)  # no error; the topic is there already


def main() -> None:
    """Serve until standard input ends."""
    library = _library()
    client = library.rd_kafka_new(PRODUCER, None, None, 0)
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), 1))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    _say(library.rd_kafka_mock_cluster_bootstraps(cluster).decode())
    for line in sys.stdin:
        _say(_answer(library, cluster, line.split()))


def _answer(library: ctypes.CDLL, cluster: ctypes.c_void_p, words: list[str]) -> str:
    match words:
        case ["topic", name, partitions]:
            code = library.rd_kafka_mock_topic_create(cluster, name.encode(), int(partitions), 1)
        case ["down"]:
            code = library.rd_kafka_mock_broker_set_down(cluster, ALL_BROKERS)
        case ["up"]:
            code = library.rd_kafka_mock_broker_set_up(cluster, ALL_BROKERS)
        case _:
            return f"unknown: {' '.join(words)}"
    return "ok" if code in SOUND else f"error {code}"


def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        sys.exit("confluent-kafka is not installed")
    package = Path(spec.origin).parent
    places = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    if not places:
        sys.exit("this confluent-kafka brings no librdkafka of its own")
    library = ctypes.CDLL(str(places[0]))
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
