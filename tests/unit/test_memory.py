"""What is remembered is bounded, and lean."""

from consumer import ids
from consumer.consume.batch import fold
from consumer.consume.sift import settle, sift
from consumer.decide.model import NO_RESETS, UNSEEN, AnyDocument, Document
from consumer.store.catalog import Catalog
from consumer.store.memory import EntitlementKey, Memory, MemoryKey, Standings
from tests.factories import NOW, kafka_record, make_rule, native_record


def seen(memory: Memory, *names: str) -> None:
    """Take a quiet record of each of *names*, as `Ingest` does; *memory* has read none from Postgres."""
    records = [kafka_record(native_record(10, entitlement=name)) for name in names]
    sifted = sift(records, CATALOG, memory.standings, latest=NOW)
    states = fold(sifted.wanted, {one.key: UNSEEN for one in sifted.wanted}, ids.new).states
    for key, state in states.items():
        remember(memory, {key: state.document})
        settle(memory.standings, state, state.document, CATALOG)


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


def test_an_entitlement_that_is_forgotten_stands_nowhere() -> None:
    standings = Standings(10)

    standings.forget(EntitlementKey("default", "e1"))
    standings.drop(EntitlementKey("default", "e2"))

    assert standings.known == {("default", "e1"): None}
