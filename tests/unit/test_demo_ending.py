"""The demo notices every way in which what happened may differ from its story."""

import dataclasses
from collections.abc import Mapping
from decimal import Decimal

import pytest

from consumer.demo import story
from consumer.demo.ending import Happened, differences, expected_counts
from consumer.demo.receiver import Arrival
from consumer.demo.steps import OK, Clock, Record, answers
from consumer.demo.webhooks import StoryCrossing

STEPS = list(story.steps())
GIVEN_BACK = frozenset({"acme", "globex", "initech"})
LEVELS, RESETS = "entitlements.balance.threshold", "entitlements.reset"
ACME_80 = StoryCrossing("acme", Decimal(80), period=1)


def as_in_the_story() -> Happened:
    arrivals = [
        Arrival(
            webhook,
            f"id of {webhook}",
            status,
            None,
            is_again=number > 0,
            is_taken=status == OK,
            at=0.0,
        )
        for step in STEPS
        for webhook, statuses in answers(step).items()
        for number, status in enumerate(statuses)
    ]
    return Happened(
        judged=[
            (step, {rule_type.value: tuple(map(str, reasons)) for rule_type, reasons in step.reasons.items()})
            for step in STEPS
            if not isinstance(step, Clock)
        ],
        clocked=1,
        arrivals=arrivals,
        cut_off=frozenset({"hooli"}),
        given_back=GIVEN_BACK,
        dead_letters=["invalid"],
        counts=expected_counts(STEPS),
    )


def first_judged(reasons: dict[str, tuple[str, ...]]) -> list[tuple[Record, Mapping[str, tuple[str, ...]]]]:
    first, *rest = as_in_the_story().judged
    return [(first[0], reasons), *rest]


def test_a_run_as_in_the_story_has_no_difference() -> None:
    assert differences(STEPS, as_in_the_story()) == []


def test_a_missing_webhook_is_a_difference() -> None:
    happened = as_in_the_story()
    happened.arrivals = [arrival for arrival in happened.arrivals if arrival.webhook != ACME_80]

    assert differences(STEPS, happened) == ["missing: the webhook acme 80 % reached (period 1, episode 1)"]


def test_a_webhook_that_is_not_in_the_story_is_a_difference() -> None:
    happened = as_in_the_story()
    extra = dataclasses.replace(happened.arrivals[0], webhook=dataclasses.replace(ACME_80, episode=2), webhook_id="x")
    happened.arrivals = [*happened.arrivals, extra]

    assert differences(STEPS, happened) == ["not in the story: the webhook acme 80 % reached (period 1, episode 2)"]


def test_a_webhook_sent_again_after_it_was_taken_is_a_difference() -> None:
    happened = as_in_the_story()
    again = dataclasses.replace(happened.arrivals[0], is_again=True, is_taken=False)
    happened.arrivals = [*happened.arrivals, again]

    assert differences(STEPS, happened) == [
        "the webhook acme 80 % reached (period 1, episode 1) was answered 200, 200, not 200",
    ]


def test_two_events_for_one_crossing_are_a_difference() -> None:
    happened = as_in_the_story()
    happened.arrivals = [*happened.arrivals, dataclasses.replace(happened.arrivals[0], webhook_id="another")]

    found = differences(STEPS, happened)

    assert f"the webhook {ACME_80} came with more than one webhook-id: it is more than one event" in found


def test_a_webhook_id_acted_upon_twice_is_a_difference() -> None:
    happened = as_in_the_story()
    happened.arrivals = [*happened.arrivals, dataclasses.replace(happened.arrivals[0], is_again=True)]

    assert f"the webhook-id id of {ACME_80} was acted upon 2 times" in differences(STEPS, happened)


def test_a_webhook_that_cannot_be_trusted_is_a_difference() -> None:
    happened = as_in_the_story()
    forged = dataclasses.replace(happened.arrivals[0], webhook=None, problem="the signature does not verify: no match")
    happened.arrivals = [*happened.arrivals, dataclasses.replace(forged, is_taken=False)]

    assert differences(STEPS, happened) == ["webhooks turned away: 1: the signature does not verify: no match"]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        # A customer who should have no access has it, or the other way round.
        ({"cut_off": frozenset()}, "hooli still has access"),
        ({"cut_off": frozenset({"hooli", "you"})}, "you has no access any more"),
        ({"cut_off": frozenset({"hooli", "acme"}), "given_back": GIVEN_BACK - {"acme"}}, "acme has no access any more"),
        # A customer has access, and should have lost it in between; or the other way round.
        ({"given_back": GIVEN_BACK - {"initech"}}, "initech never lost access before"),
        ({"given_back": GIVEN_BACK | {"you"}}, "you lost access before"),
        # The clock made no event, or another one as well.
        ({"clocked": 0}, "the clock made 0 events, not 1"),
        ({"clocked": 2}, "the clock made 2 events, not 1"),
        # The dead letters are others.
        ({"dead_letters": []}, "missing: a dead letter with the reason invalid"),
        ({"dead_letters": ["invalid", "not_json"]}, "not in the story: a dead letter with the reason not_json"),
        # The service counted an event that never became a webhook.
        (
            {"counts": dataclasses.replace(expected_counts(STEPS), events=19)},
            "the service counted 19 events, not 18",
        ),
        # A record was not produced, or not judged as in the story, or by a rule that is not in it.
        ({"judged": as_in_the_story().judged[:-1]}, "24 records were produced, not 25"),
        (
            {"judged": first_judged({LEVELS: ("below", "below", "no_allowance"), RESETS: ("same_period",)})},
            "acme at 10 of 100 was judged below, below, no_allowance, not below, below, below, by " + LEVELS,
        ),
        (
            {"judged": first_judged({LEVELS: ("below", "below", "below")})},
            "acme at 10 of 100 was judged nothing, not same_period, by " + RESETS,
        ),
        (
            {"judged": first_judged(dict(as_in_the_story().judged[0][1]) | {"invoice.created": ("invoice_created",)})},
            "acme at 10 of 100 was judged invoice_created, not nothing, by invoice.created",
        ),
    ],
)
def test_each_difference_has_its_line(changes: dict[str, object], difference: str) -> None:
    happened = as_in_the_story()
    for name, value in changes.items():
        setattr(happened, name, value)

    assert differences(STEPS, happened) == [difference]
