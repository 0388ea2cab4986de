"""How old the oldest record is that was not taken: exact in flight, near before that, and absent where unknown."""

import datetime as dt
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition

from consumer import clock
from consumer.consume.batch import KafkaRecord
from consumer.consume.lag import Lag
from consumer.metrics import Metrics
from tests.support.factories import NOW, kafka_record

TP = TopicPartition("usage", 0)


class Watched:
    """A `Lag` by a clock that stands at so many seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 0.0
        self.metrics = Metrics()
        self.lag = Lag(self.metrics)
        monkeypatch.setattr(clock, "now", lambda: NOW + dt.timedelta(seconds=self.at))

    def records(self, *at: float, offset: int = 0) -> dict[TopicPartition, Sequence[KafkaRecord]]:
        """Records of these seconds, from *offset* on."""
        times = [round((NOW.timestamp() + seconds) * 1000) for seconds in at]
        return {TP: [kafka_record(offset=offset + n, timestamp=ms) for n, ms in enumerate(times)]}

    def take(self, *at: float, offset: int = 0) -> None:
        """Take records of these seconds."""
        self.lag.begin(batches := self.records(*at, offset=offset))
        self.lag.taken(batches)

    def look(self, *, end: int, offset: int | None) -> tuple[float | None, float | None]:
        """Look at the partition: its lag in records and in seconds."""
        self.lag.measured({TP: end}, {} if offset is None else {TP: offset})
        return self.shown

    @property
    def shown(self) -> tuple[float | None, float | None]:
        labels = {"topic": "usage", "partition": "0"}
        records, seconds = (
            self.metrics.registry.get_sample_value(name, labels)
            for name in ("tollbell_consumer_lag", "tollbell_consumer_lag_seconds")
        )
        return records, seconds


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_what_is_in_flight_has_its_own_age(watched: Watched) -> None:
    watched.lag.begin(watched.records(-40, -39, -38, offset=7))

    assert watched.look(end=20, offset=7) == (13, 40)


def test_a_partition_read_to_its_end_lags_by_nothing(watched: Watched) -> None:
    watched.take(-40, -39)
    watched.at = 500

    assert watched.look(end=2, offset=2) == (0, 0)


def test_a_new_record_is_no_older_than_the_look_before_it(watched: Watched) -> None:
    watched.take(-36_000)
    watched.look(end=1, offset=1)
    watched.at = 5
    first = watched.look(end=2, offset=1)
    watched.at = 65

    assert first == (1, 5)
    assert watched.look(end=9, offset=1) == (8, 65)


def test_in_a_backlog_the_oldest_is_as_old_as_the_one_before_it(watched: Watched) -> None:
    watched.lag.begin(batches := watched.records(-600, -590))
    watched.look(end=1000, offset=0)
    watched.lag.taken(batches)
    watched.lag.begin({})

    assert watched.look(end=1000, offset=2) == (998, 590)


def test_before_anything_was_read_only_records_are_known(watched: Watched) -> None:
    assert watched.look(end=1000, offset=0) == (1000, None)
    assert watched.look(end=1000, offset=0) == (1000, None)


def test_without_a_position_nothing_is_known(watched: Watched) -> None:
    assert watched.look(end=1000, offset=None) == (None, None)


def test_what_kafka_does_not_say_or_another_reads_is_absent(watched: Watched) -> None:
    watched.take(-40)
    known = watched.look(end=1, offset=1)

    watched.lag.unknown([TP])
    unknown = watched.shown
    again = watched.look(end=1, offset=1)
    watched.lag.forget([TP])

    assert (known, unknown, again, watched.shown) == ((0, 0), (None, None), (0, 0), (None, None))


def test_the_newest_record_is_no_newer_than_now(watched: Watched) -> None:
    watched.take(-40, 10**9)

    newest = watched.metrics.registry.get_sample_value("tollbell_last_record_timestamp_seconds", {"topic": "usage"})
    assert newest == NOW.timestamp()


def test_a_record_without_a_time_says_nothing_of_time(watched: Watched) -> None:
    batches = {TP: [kafka_record(offset=0, timestamp=-1)]}
    watched.lag.begin(batches)
    seconds = watched.look(end=1, offset=0)
    watched.lag.taken(batches)

    newest = watched.metrics.registry.get_sample_value("tollbell_last_record_timestamp_seconds", {"topic": "usage"})
    assert (seconds, newest) == ((1, None), None)
