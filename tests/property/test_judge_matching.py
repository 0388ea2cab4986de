"""Several namespaces, entitlements and features, rules of every type: each record finds the rules about it."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.property.stories import begun, check, go_on
from tests.property.strategies import ENTITLEMENTS, EVERY_TYPE, PERIODS, billed, shown
from tests.property.words import Billed, Rule, Shown
from tests.property.world import World

NAMES = st.sampled_from([f"rule-{n}" for n in range(6)])
FEATURES = st.frozensets(st.sampled_from(["f-1", "f-2", "llm_tokens", "api_calls", "gpu_hours", "never-seen"]))
RULE = st.builds(
    lambda rule, features, namespace: rule._replace(
        features=features if rule.type in {"balance", "reset"} else frozenset(), namespace=namespace
    ),
    EVERY_TYPE,
    st.one_of(st.just(frozenset()), FEATURES),
    st.sampled_from(["default", "default", "other"]),
)
RECORDS = shown(tuple(ENTITLEMENTS), PERIODS[:2], ("usage", "usage", "usage", "reset", "delete", "unmetered"))
# An invoice may have an entitlement's id.
BILLED = billed((("default", "in-1"), ("default", "ent-1"), ("other", "ent-1")))


@given(st.dictionaries(NAMES, RULE), RECORDS, BILLED, st.randoms(use_true_random=False))
def test_a_record_is_judged_by_exactly_the_rules_that_match(
    rules: dict[str, Rule], shows: list[Shown], bills: list[Billed], random: Random
) -> None:
    records: list[Shown | Billed] = [*shows, *bills]
    random.shuffle(records)
    world = World(rules)

    world.batch(records)

    check(world, go_on(begun(rules), records))


@given(st.dictionaries(NAMES, RULE, min_size=2), RECORDS)
def test_a_rule_without_marks_changes_no_event_of_another(rules: dict[str, Rule], records: list[Shown]) -> None:
    """Resets are independent of thresholds, whose only bond is what is newer."""
    resets = {name: rule for name, rule in rules.items() if rule.type == "reset"}
    whole, alone = World(rules), World({name: rule for name, rule in rules.items() if rule.type != "reset"})

    whole.batch(records)
    alone.batch(records)

    assert [one for one in whole.events if one.rule not in resets] == alone.events
