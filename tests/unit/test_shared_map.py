"""A mapping whose changes are another mapping, which shares the rest."""

import random

from consumer.store.shared_map import BUCKETS, SharedMap


def test_a_change_leaves_the_map_before_as_it_was() -> None:
    before = SharedMap[int, str]().updated({1: "a", 1 + BUCKETS: "b"})  # of one bucket

    after = before.updated({1: "c", 1 + BUCKETS: None, 2: "d", 3: None})

    assert [before.get(n) for n in (1, 1 + BUCKETS, 2, 3)] == ["a", "b", None, None]
    assert [after.get(n) for n in (1, 1 + BUCKETS, 2, 3)] == ["c", None, "d", None]
    assert (len(before), len(after)) == (2, 2)
    assert (sorted(before), sorted(after)) == ([1, 1 + BUCKETS], [1, 2])


def test_many_changes_make_what_a_dict_makes() -> None:
    chance = random.Random(1)
    shared, plain = SharedMap[int, int](), dict[int, int]()
    for n in range(2_000):
        changes = {chance.randrange(3 * BUCKETS): chance.choice([n, None]) for _ in range(3)}

        shared = shared.updated(changes)
        plain = {key: value for key, value in (plain | changes).items() if value is not None}

        assert len(shared) == len(plain)
    assert {key: shared.get(key) for key in shared} == plain
