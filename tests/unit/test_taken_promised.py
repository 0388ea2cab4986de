"""Slots promised to who may have nothing ahead: each has its turn, however often it is looked meanwhile."""

from tests.unit.test_taken import claim, due, taken


def test_a_promise_outlives_a_look_at_which_no_slot_is_free() -> None:
    one = taken(total=4)
    assert len(claim(one, due("a"))) == 4
    one.allot(due("b", "c", "d", "e", "late"))

    one.allot(due("late", "b", "c", "d", "e"))
    assert [one.free("a", 0) for _ in range(4)] == [None] * 4

    assert one.allot(due("late", "b", "c", "d", "e")).now == {"b": 1, "c": 1, "d": 1, "e": 1}
