"""The demo notices every way in which what happened may differ from its story."""

import dataclasses
from decimal import Decimal

import pytest

from consumer.demo import story
from consumer.demo.ending import Happened, differences, expected_counts
from consumer.demo.receiver import Arrival
from consumer.demo.story import OK, Webhook

STEPS = list(story.steps())
ACME_80 = Webhook("acme", Decimal(80), period=1)


def as_told() -> Happened:
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
        for webhook, answers in step.answers.items()
        for number, status in enumerate(answers)
    ]
    return Happened(
        judged=[(step, tuple(map(str, step.reasons))) for step in STEPS if step.reject is None],
        arrivals=arrivals,
        cut_off=frozenset({"acme", "globex"}),
        dead_letters=["invalid"],
        counts=expected_counts(STEPS),
    )


def test_what_is_told_is_no_difference() -> None:
    assert differences(STEPS, as_told()) == []


def test_a_missing_webhook_is_a_difference() -> None:
    happened = as_told()
    happened.arrivals = [arrival for arrival in happened.arrivals if arrival.webhook != ACME_80]

    assert differences(STEPS, happened) == ["missing: the webhook acme 80 % (period 1, episode 1)"]


def test_a_webhook_that_nobody_tells_of_is_a_difference() -> None:
    happened = as_told()
    extra = dataclasses.replace(happened.arrivals[0], webhook=dataclasses.replace(ACME_80, episode=2), webhook_id="x")
    happened.arrivals = [*happened.arrivals, extra]

    assert differences(STEPS, happened) == ["not in the story: the webhook acme 80 % (period 1, episode 2)"]


def test_a_webhook_sent_again_after_it_was_taken_is_a_difference() -> None:
    happened = as_told()
    again = dataclasses.replace(happened.arrivals[0], is_again=True, is_taken=False)
    happened.arrivals = [*happened.arrivals, again]

    assert differences(STEPS, happened) == [
        "the webhook acme 80 % (period 1, episode 1) was answered 200, 200, not 200",
    ]


def test_two_events_for_one_crossing_are_a_difference() -> None:
    happened = as_told()
    happened.arrivals = [*happened.arrivals, dataclasses.replace(happened.arrivals[0], webhook_id="another")]

    assert (
        "the webhook acme 80 % (period 1, episode 1) came with more than one webhook-id: it is more than one event"
        in (differences(STEPS, happened))
    )


def test_a_webhook_id_acted_upon_twice_is_a_difference() -> None:
    happened = as_told()
    happened.arrivals = [*happened.arrivals, dataclasses.replace(happened.arrivals[0], is_again=True)]

    assert f"the webhook-id id of {ACME_80} was acted upon 2 times" in differences(STEPS, happened)


def test_a_webhook_that_cannot_be_trusted_is_a_difference() -> None:
    happened = as_told()
    forged = dataclasses.replace(happened.arrivals[0], webhook=None, problem="the signature does not verify: no match")
    happened.arrivals = [*happened.arrivals, dataclasses.replace(forged, is_taken=False)]

    assert differences(STEPS, happened) == ["webhooks turned away: 1: the signature does not verify: no match"]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        # A customer who should have no access has it, or the other way round.
        ({"cut_off": frozenset({"acme"})}, "globex still has access"),
        ({"cut_off": frozenset({"acme", "globex", "you"})}, "you has no access any more"),
        # The dead letters are others.
        ({"dead_letters": []}, "missing: a dead letter with the reason invalid"),
        ({"dead_letters": ["invalid", "not_json"]}, "not in the story: a dead letter with the reason not_json"),
        # The service counted an event that never became a webhook.
        (
            {"counts": dataclasses.replace(expected_counts(STEPS), events=8)},
            "the service counted 8 events, not 7",
        ),
        # A record was not judged, or otherwise than told.
        ({"judged": as_told().judged[:-1]}, "12 records were judged, not 13"),
        (
            {"judged": [(STEPS[0], ("below", "below", "no_allowance")), *as_told().judged[1:]]},
            "acme at 10 of 100 was judged below, below, no_allowance, not below, below, below",
        ),
    ],
)
def test_each_difference_has_its_line(changes: dict[str, object], difference: str) -> None:
    happened = as_told()
    for name, value in changes.items():
        setattr(happened, name, value)

    assert differences(STEPS, happened) == [difference]
