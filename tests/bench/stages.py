"""What a firing record costs in each stage that is ours alone: CPU in one process, without a server.

What the rows of `judging` have beyond the sum of these is asyncpg's, aiokafka's and asyncio's. Each stage goes over all
of a batch, or of a part of it, before the next one begins, as in the service: so a record is cold when its turn comes.
"""

import datetime as dt
import gc
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from msgspec.structs import replace

from consumer import ids
from consumer.app import GC_THRESHOLDS
from consumer.consume.batch import KafkaRecord, WantedRecord, change, fold, in_parts
from consumer.consume.fast_path.sift import settle, sift
from consumer.consume.fast_path.standings import Standings
from consumer.consume.fetch import BATCH_RECORDS
from consumer.decide.model import UNSEEN, AnyDocument
from consumer.store.catalog import Catalog
from consumer.store.memory import MemoryKey
from schemas.rules import Rule
from tests.bench.judging import LINES, NAMESPACES, RULES, Load, values
from tests.bench.place import Place
from tests.support.factories import kafka_record, make_rule

ROUNDS, LATEST = 10, dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


class Stages:
    """One consumer's memory, and the seconds of CPU that each stage has taken."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.standings = Standings(BATCH_RECORDS * 2)
        self._documents: dict[MemoryKey, AnyDocument] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[name] += time.process_time() - began

    def write(self, part: list[WantedRecord]) -> None:
        """Take *part* as far as Postgres, and go on as if that had written it."""
        documents = {one.key: self._documents.get(one.key, UNSEEN) for one in part}
        with self.stage("fold"):
            folded = fold(part, documents, ids.new).states
        with self.stage("change"):
            changes = [change(key, state) for key, state in folded.items()]
        assert sum(len(one.events) for one in changes) == len(part)
        for key, state in folded.items():
            self._documents[key] = replace(state.document, version=state.before.version + 1)
        with self.stage("settle"):
            for key, state in folded.items():
                settle(self.standings, state, self._documents[key])


async def measure(_: Place, family: str) -> dict[str, object]:
    """Measure records of *family*: of entitlements never seen before, and then three more crossings of each."""
    records = [kafka_record(value) for _, value in values(Load(family, 1000, BATCH_RECORDS * len(LINES)))]
    catalog, before = Catalog(1, rules()), gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        rounds = [one_round(records, catalog) for _ in range(ROUNDS)]
    finally:
        gc.set_threshold(*before)
    costs = {name: round(median(one[name] for one in rounds) / len(records) * 1e6, 1) for name in rounds[0]}
    return {"what": f"stages of a firing record, {family}"} | {f"{name}_us": cost for name, cost in costs.items()}


def one_round(records: list[KafkaRecord], catalog: Catalog) -> Counter[str]:
    stages = Stages()
    for begin in range(0, len(records), BATCH_RECORDS):
        with stages.stage("sift"):
            sifted = sift(records[begin : begin + BATCH_RECORDS], catalog, stages.standings, latest=LATEST)
        for part in in_parts(sifted.wanted):
            stages.write(part)
    return stages.seconds


def rules() -> list[Rule]:
    """Return the rules of `judging`: of each namespace one for each of ten features."""
    return [
        make_rule(
            percents=list(LINES), rule_id=f"rule-{namespace}-{feature}", features=[f"feature-{feature}"]
        ).model_copy(update={"namespace": f"ns-{namespace}"})
        for namespace in range(NAMESPACES)
        for feature in range(RULES)
    ]
