"""Skipping at a glance what changes nothing: the same events, for the same reasons, as when all is judged."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import isinf

from hypothesis import event, given
from hypothesis import strategies as st

from consumer import ids
from consumer.consume.batch import fold
from consumer.consume.fast_path.sift import Sifted, settle, sift
from consumer.consume.fast_path.standings import Standings
from consumer.decide.model import UNSEEN, AnyDocument
from consumer.store.catalog import Catalog
from consumer.store.memory import MemoryKey
from schemas import times
from tests.property.strategies import AMOUNTS, ENTITLEMENTS, INVOICE_RULES, LIVES, NAMES, ONE, ruled, thresholds
from tests.property.words import Rule, Shown
from tests.property.world import World, event_of, time
from tests.support.factories import kafka_record, openmeter_record

LATEST = time(10_000)
EDITED_EVERY = 3  # batches
Batches = Sequence[Sequence[Shown]]
Form = Callable[[Shown], bytes]
FEATURE = st.sampled_from([frozenset[str](), frozenset({"f-1"}), frozenset({"llm_tokens"}), frozenset({"f-2"})])
RULE = st.one_of(
    thresholds(),
    thresholds(features=FEATURE),
    thresholds(on_create=st.just("ignore")),
    st.just(Rule("reset")),
    INVOICE_RULES,
)
RULES = ruled(RULE)
# A rule is made, changed or deleted; the others stay as they are, and so do the entitlements that it is not about.
EDITS = st.dictionaries(st.sampled_from(NAMES), st.one_of(RULE, RULE, st.none()), max_size=2)


def known(minutes: float) -> str | None:
    return None if isinf(minutes) else times.text(time(minutes))


def native(one: Shown) -> bytes:
    """*one* as a native record; what has no usage is no record at all."""
    feature_id, feature_key = one.feature
    amounts = {"usage": one.usage, "allowance": one.allowance, "balance": one.balance}
    entitlement = {
        "id": one.about[1],
        "period": {"from": known(one.period), "to": known(one.end)},
        "activeFrom": known(one.active_from),
        "activeTo": known(one.active_to),
        "type": "boolean" if one.kind == "unmetered" else "metered",
    }
    data = {
        "namespace": one.about[0],
        "calculatedAt": known(one.at),
        "feature": {"key": feature_key} | ({"id": feature_id} if feature_id else {}),
        "entitlement": entitlement,
        "value": {name: f"@{amount}@" for name, amount in amounts.items() if amount is not None},
    }
    kind = "tollbell.usage.snapshot"
    if one.kind == "reset":
        kind, data["resetAt"] = "tollbell.entitlement.reset", known(one.period)
    record = {"specversion": "1.0", "id": "1", "source": "tests", "type": kind, "data": data}
    return json.dumps(record).replace('"@', "").replace('@"', "").encode()


def openmeter(one: Shown) -> bytes:
    """*one* as OpenMeter's own record: every feature has an id there."""
    feature_id, feature_key = one.feature
    entitlement = {
        "id": one.about[1],
        "type": "boolean" if one.kind == "unmetered" else "metered",
        "featureId": feature_id or "f-0",
        "featureKey": feature_key,
        "currentUsagePeriod": {"from": known(one.period), "to": known(one.end)},
        "activeFrom": known(one.active_from),
        "activeTo": known(one.active_to),
    }
    amounts = {"usage": one.usage, "totalAvailableGrantAmount": one.allowance, "balance": one.balance}
    value = json.dumps({name: f"@{amount}@" for name, amount in amounts.items() if amount is not None})
    about = {"entitlement": entitlement, "namespace": {"id": one.about[0]}, "calculatedAt": known(one.at)}
    operation = {"reset": "reset", "delete": "delete"}.get(one.kind, "update")
    return openmeter_record(value.replace('"@', "").replace('@"', ""), **about, operation=operation)


class Run:
    """Records taken to their effects, as `Ingest` has it."""

    def __init__(self, *, at_a_glance: bool) -> None:
        self.documents: dict[MemoryKey, AnyDocument] = {}
        self.events: list[object] = []
        self.reasons: Counter[object] = Counter()
        self.passed = 0
        self._standings = Standings(100, self.documents)
        self._at_a_glance = at_a_glance

    def batch(self, records: Sequence[bytes], catalog: Catalog) -> None:
        taken = [kafka_record(value) for value in records]
        sifted = sift(taken, catalog, self._standings, latest=LATEST, at_a_glance=self._at_a_glance)
        self.reasons.update(sifted.reasons())
        self.reasons.update(uncovered=sifted.uncovered, rejected=len(sifted.rejected))
        self.passed += sum(sifted.passed.values())
        self._judge(sifted)

    def _judge(self, sifted: Sifted) -> None:
        documents = {one.key: self.documents.get(one.key, UNSEEN) for one in sifted.wanted}
        for key, state in fold(sifted.wanted, documents, ids.new).states.items():
            self.events += [(event_of(one), one.reason, one.occurred_at) for one, _ in state.occurrences]
            self.reasons.update(state.reasons)
            self.documents[key] = state.document
            settle(self._standings, state, state.document)


def taken(
    edits: Sequence[Mapping[str, Rule | None]], batches: Sequence[Sequence[bytes]], *, at_a_glance: bool
) -> list[object]:
    """Take *batches*, rules edited in between; return the events, the reasons and what is remembered after each."""
    run, world, after, kept = Run(at_a_glance=at_a_glance), World(), list[object](), 0
    due = dict(zip(range(0, len(batches), EDITED_EVERY), edits, strict=False))
    for n, batch in enumerate(batches):
        for name, rule in due.get(n, {}).items():
            world.edited(name, rule, n)
        passed = run.passed
        run.batch(batch, world.catalog)
        kept += run.passed > passed and n > 0 and n in due
        after.append((list(run.events), Counter(run.reasons), dict(run.documents)))
    if at_a_glance:
        event(f"passed over: {min(run.passed, 5)}")
        event(f"passed over on what was known before an edit: {kept > 0}")
    return after


def batched(records: st.SearchStrategy[list[Shown]]) -> st.SearchStrategy[Batches]:
    """*records* in batches: few are one batch alone, where nothing is known from the batch before."""
    return st.tuples(records, st.integers(1, 3)).map(
        lambda drawn: [drawn[0][n : n + drawn[1]] for n in range(0, len(drawn[0]), drawn[1])]
    )


USAGES = st.sampled_from(
    ["5", "50", "79.5", "80", "80.0", "8E+1", "85", "99.99999999999999", "100", "130", "-3", "999", "1000", "1500"]
)
# As producers write them: of one entitlement, one after the other, hardly anything but the usage changes.
STEADY = st.lists(
    st.builds(
        lambda times, back, usage, allowance, balance, period: (
            [Shown(ONE[0], back, usage, allowance, balance, *period, feature=ENTITLEMENTS[ONE[0]])] * times
        ),
        st.integers(1, 6),
        st.sampled_from([0] * 20 + [1, 3]),
        st.one_of(USAGES, USAGES, USAGES, AMOUNTS),
        st.sampled_from(["100"] * 20 + ["100.0", "200", "0", None]),
        st.sampled_from([None] * 9 + ["20"]) | st.just("20"),
        st.sampled_from([(0, 1000)] * 20 + [(1000, 2000), (0, 900)]),
    ),
    min_size=4,
    max_size=12,
).map(lambda runs: [one._replace(at=2 * n - one.at + 1) for n, one in enumerate(itertools.chain.from_iterable(runs))])
IN_FORMS = st.sampled_from([native, openmeter])


@given(st.builds(lambda *of: [of[0], *of[1]], RULES, st.lists(EDITS)), batched(st.one_of(STEADY, LIVES)), IN_FORMS)
def test_events_and_reasons_are_those_of_judging_every_record(
    edits: list[dict[str, Rule | None]], batches: Batches, form: Form
) -> None:
    records = [[form(one) for one in batch] for batch in batches]

    assert taken(edits, records, at_a_glance=True) == taken(edits, records, at_a_glance=False)


@given(RULES, AMOUNTS, st.lists(AMOUNTS, min_size=1), IN_FORMS)
def test_skipping_records_misses_no_threshold_between_usages(
    rules: dict[str, Rule], first: str, usages: list[str], form: Form
) -> None:
    about = ONE[0]
    records = [
        [form(Shown(about, n, usage, "100", "50", 0, 1000, feature=ENTITLEMENTS[about]))]
        for n, usage in enumerate([first, first, *usages])
    ]

    assert taken([rules], records, at_a_glance=True) == taken([rules], records, at_a_glance=False)
