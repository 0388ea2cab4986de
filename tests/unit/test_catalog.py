"""Which rules a record finds: by namespace, and by the feature's id or key."""

import tracemalloc

import pytest

from consumer.store.catalog import EMPTY, Catalog
from schemas.rules import Rule
from tests.support.factories import make_rule


def found(catalog: Catalog, feature_id: str, feature_key: str, namespace: str = "default") -> list[str]:
    return [rule.id for rule in catalog.matching(namespace, feature_id, feature_key)]


def rule(rule_id: str, features: list[str] | None = None, namespace: str = "default") -> Rule:
    return make_rule(percents=[80], rule_id=rule_id, features=features).model_copy(update={"namespace": namespace})


@pytest.mark.parametrize(
    ("features", "feature_id", "is_matching"),
    [
        (None, "f-1", True),  # all
        (None, "", True),
        (["k"], "f-1", True),  # by key
        (["k"], "", True),
        (["f-1"], "f-1", True),  # by id
        (["x", "f-1"], "f-1", True),
        (["x"], "f-1", False),
        (["K"], "f-1", False),
        (["x"], "", False),  # a record without the feature's id
    ],
)
def test_a_rule_matches_its_features_by_id_or_key_or_all(
    features: list[str] | None, feature_id: str, is_matching: bool
) -> None:
    catalog = Catalog(1, [rule("r", features)])

    assert found(catalog, feature_id, "k") == (["r"] if is_matching else [])


def test_rules_come_in_id_order_each_once() -> None:
    rules = [rule("r3", ["f-1", "k"]), rule("r1"), rule("r2", ["k", "k"]), rule("r0", ["f-1"]), rule("r4", ["x"])]

    assert found(Catalog(1, rules), "f-1", "k") == ["r0", "r1", "r2", "r3"]


def test_another_namespace_has_rules_of_its_own() -> None:
    catalog = Catalog(1, [rule("a", ["k"]), rule("b", ["k"], "other"), rule("c", None, "other")])

    assert found(catalog, "", "k") == ["a"]
    assert found(catalog, "", "k", "other") == ["b", "c"]
    assert found(catalog, "", "k", "third") == []


def test_what_was_asked_before_is_answered_the_same() -> None:
    catalog = Catalog(1, [rule("a", ["k"]), rule("b")])

    for _ in range(2):
        assert found(catalog, "", "k") == ["a", "b"]
        assert found(catalog, "", "x") == ["b"]


def test_features_that_never_end_are_answered_all_the_same() -> None:
    catalog = Catalog(1, [rule("a", ["k"]), rule("b")])

    for n in range(30_000):
        assert len(catalog.matching("default", "", f"feature-{n}")) == 1
    assert found(catalog, "", "k") == ["a", "b"]


def test_a_change_keeps_the_objects_of_other_features_rules() -> None:
    before = Catalog(1, [rule("a", ["k"]), rule("b", ["x"]), rule("c", ["x", "f-1"]), rule("d", None, "other")])
    of = [("default", "", "k"), ("default", "f-1", "x"), ("other", "", "k")]
    found_before = [before.matching(*one) for one in of]

    after = before.changed(2, {"e": rule("e", ["y"]), "a": rule("a", ["y"])})

    assert found(after, "", "k") == []
    assert found(after, "", "y") == ["a", "e"]
    assert [after.matching(*one) is same for one, same in zip(of, found_before, strict=True)] == [False, True, True]
    assert found(before, "", "k") == ["a"]  # as it was: records of a batch go on with the catalog they began with
    assert (before.revision, after.revision, before.size, after.size) == (1, 2, 4, 5)


def test_a_rule_that_can_not_be_read_is_named_until_it_can() -> None:
    before = Catalog(1, [rule("a", ["k"]), rule("b", ["k"])])

    newer = before.changed(2, {"b": None, "a": None}, unreadable=["b", "a"])
    other = newer.changed(3, {"c": rule("c", ["k"])})
    again = other.changed(4, {"a": rule("a", ["k"]), "b": None})

    assert (newer.unreadable, found(newer, "", "k")) == (("a", "b"), [])
    assert (other.unreadable, found(other, "", "k")) == (("a", "b"), ["c"])
    assert (again.unreadable, found(again, "", "k")) == ((), ["a", "c"])


def test_before_the_first_look_there_is_no_rule() -> None:
    assert found(EMPTY, "f-1", "k") == []
    assert EMPTY.size == 0


def test_the_catalog_is_bounded_whatever_the_features() -> None:
    catalog = Catalog(1, [rule(f"r{n:03}") for n in range(1000)])
    tracemalloc.start()
    try:
        for n in range(400):
            catalog.matching("default", f"f-{n}", "")
        grown_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(found(catalog, "f-1", "")) == 1000
    assert grown_bytes < 1_500_000  # all of them: 3.2 MB
