"""A metric has a series for each pair of rule type and reason that can be: no judgement makes another one."""

from hypothesis import given

from consumer.decide.rules import ACTIONS, REASONS
from tests.property.strategies import EVERY_TYPE, LIVES, billed, ruled
from tests.property.words import Billed, Rule, Shown
from tests.property.world import World


@given(ruled(EVERY_TYPE), LIVES, billed())
def test_no_judgement_has_a_reason_or_action_its_type_cannot(
    rules: dict[str, Rule], records: list[Shown], invoices: list[Billed]
) -> None:
    folded = World(rules).batch([*records, *invoices])

    reasons = {pair for state in folded.values() for pair in state.reasons}
    actions = {(one.rule.type, one.action) for state in folded.values() for one, _ in state.occurrences}
    assert {pair for pair in reasons if pair[1] not in REASONS[pair[0]]} == set()
    assert {pair for pair in actions if pair[1] not in ACTIONS[pair[0]]} == set()
