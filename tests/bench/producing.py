"""A producer at a steady pace: `python -m tests.bench.producing BOOTSTRAP TOPIC RATE SECONDS ONE_IN`.

One in ONE_IN has reached its threshold, and is of an entitlement of its own; the others are of QUIET entitlements in
turn, all seen while the service warms up. Each says when it was made, to the microsecond. Nothing lingers while a
request for each record is few; many linger as long as librdkafka lets them by itself.
"""

import sys

from confluent_kafka import Producer

from consumer import clock
from tests.bench.latency import CHANNELS
from tests.bench.place import PARTITIONS
from tests.support.factories import native_record

QUIET = 10_000
TICK = 0.002  # seconds: what is due is sent, then the machine is left to others
FEW = 1000  # records a second; a request for each of 2,000 takes the broker, and this process, half a core
LINGER_MS = 5


def main(bootstrap: str, topic: str, rate: int, seconds: int, one_in: int) -> None:
    linger = LINGER_MS if rate >= FEW else 0
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": linger, "queue.buffering.max.messages": 1_000_000}
    )
    text = native_record("@usage@", entitlement="ent-@ent@", calculated_at="@at@").replace(b"%", b"%%")
    text = text.replace(b"llm_tokens", b"f%(feature)d").replace(b"@ent@", b"%(ent)d")
    template = text.replace(b"@usage@", b"%(usage)d").replace(b"@at@", b"%(at)b")
    began, made = clock.monotonic(), 0
    while made < rate * seconds:
        due = min(int((clock.monotonic() - began) * rate), rate * seconds)
        for n in range(made, due):
            at = clock.now().isoformat().replace("+00:00", "Z").encode()
            is_firing = n % one_in == 0
            feature, entitlement = (n // one_in % CHANNELS, n + QUIET) if is_firing else (n % CHANNELS, n % QUIET)
            usage = 90 if is_firing else 10
            value = template % {b"feature": feature, b"ent": entitlement, b"usage": usage, b"at": at}
            producer.produce(topic, value, partition=n % PARTITIONS)
        made = due
        producer.poll(TICK)
    assert producer.flush(60) == 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
