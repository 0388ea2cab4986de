"""What is remembered is bounded, and lean."""

from consumer import ids
from consumer.consume.batch import fold
from consumer.consume.fast_path.sift import settle, sift
from consumer.consume.fast_path.standings import Standings
from consumer.consume.memory import Memory
from consumer.decide.model import NO_RESETS, UNSEEN, AnyDocument, Document
from consumer.store.catalog import Catalog
from consumer.store.memory import EntitlementKey, MemoryKey
from tests.support.factories import NOW, kafka_record, make_rule, native_record


def seen(memory: Memory, *names: str, catalog: Catalog | None = None) -> int:
    """Take a quiet record of each of *names*, as `Ingest` does; *memory* has read none from Postgres.

    Return how many were passed over.
    """
    records = [kafka_record(native_record(10, entitlement=name)) for name in names]
    sifted = sift(records, catalog or CATALOG, memory.standings, latest=NOW)
    states = fold(sifted.wanted, {one.key: UNSEEN for one in sifted.wanted}, ids.new).states
    for key, state in states.items():
        remember(memory, {key: state.document})
        settle(memory.standings, state, state.document)
    return sum(sifted.passed.values())


def remember(memory: Memory, documents: dict[MemoryKey, AnyDocument]) -> None:
    with memory.filling() as filling:
        memory.remember(documents, filling)


CATALOG = Catalog(1, [make_rule(percents=[80])])


def lean(limit: int) -> Memory:
    return Memory(None, limit=limit)  # type: ignore[arg-type] - nothing is read


async def documents(memory: Memory, *names: str) -> dict[str, object]:
    loaded = await memory.load(EntitlementKey("default", name) for name in names)
    return {key.id: document for key, document in loaded.items()}


async def test_those_judged_longest_ago_go_an_eighth_at_once() -> None:
    memory = lean(16)

    seen(memory, *(f"e{n}" for n in range(16)))
    remember(memory, {EntitlementKey("default", "e0"): Document(version=2)})
    seen(memory, "e16")

    assert len(memory) == 14
    assert set(await documents(memory, "e0", "e4", "e16")) == {"e0", "e4", "e16"}
    assert ("default", "e3") not in memory.standings.known


def test_nothing_is_kept_where_nothing_is_to_be_remembered() -> None:
    memory = lean(0)

    seen(memory, "e1")

    assert (len(memory), memory.standings.known) == (0, {})


async def test_a_document_and_where_its_entitlement_stands_share_a_key() -> None:
    memory = lean(10)

    seen(memory, "e1", "e2")
    loaded = await memory.load([EntitlementKey("default", "e1")])

    assert [type(key) for key in memory.standings.known] == [EntitlementKey, EntitlementKey]
    assert all(standing is not None for standing in memory.standings.known.values())
    assert next(iter(loaded.values())).resets is NO_RESETS


def edited(before: Catalog, *features: str) -> Catalog:
    """The catalog after another rule about *features* was made."""
    rule = make_rule(percents=[90], rule_id=f"rule-{before.revision + 1}", features=list(features))
    return before.changed(before.revision + 1, {rule.id: rule})


def test_an_edit_of_another_features_rules_keeps_the_range() -> None:
    """The range of usage in which an entitlement's records are skipped."""
    memory, one = lean(10), Catalog(1, [make_rule(percents=[80], features=["llm_tokens"])])
    other = edited(one, "another")

    seen(memory, "e1", catalog=one)

    assert seen(memory, "e1", catalog=other) == 1
    assert seen(memory, "e1", catalog=edited(other, "f-1")) == 0


def test_changed_rules_are_not_kept_for_quiet_entitlements() -> None:
    memory, catalog = lean(10), CATALOG
    kept = []
    for name in ("e1", "e2", "e3"):
        seen(memory, name, catalog=catalog)
        kept.append(memory.standings.known["default", name])
        catalog = edited(catalog, "f-1")

    unders = [one.under.rules for one in kept if one is not None]
    assert [rules is None for rules in unders] == [True, True, False]


def test_an_entitlement_that_is_forgotten_stands_nowhere() -> None:
    standings = Standings(10)

    standings.forget(EntitlementKey("default", "e1"))
    standings.drop(EntitlementKey("default", "e2"))

    assert standings.known == {("default", "e1"): None}
