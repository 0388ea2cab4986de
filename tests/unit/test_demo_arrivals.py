"""Each step of the story gets its own webhooks."""

import asyncio
from decimal import Decimal

from consumer.demo.arrivals import Arrivals
from consumer.demo.receiver import Arrival
from consumer.demo.webhooks import NewPeriod, StoryCrossing, Webhook

ACME_80 = StoryCrossing("acme", Decimal(80), period=1)
CLOCK = NewPeriod("initech", "automatic", period=2)


def arrivals(*came: Webhook | None) -> Arrivals:
    news: asyncio.Queue[Arrival] = asyncio.Queue()
    for webhook in came:
        news.put_nowait(Arrival(webhook, f"id of {webhook}", 200, None, is_again=False, is_taken=True, at=0.0))
    return Arrivals(news, frozenset({CLOCK}))


async def test_what_the_clock_sends_early_is_kept_until_its_act() -> None:
    given = arrivals(CLOCK, ACME_80)

    assert (await given.next([ACME_80])).webhook == ACME_80
    assert (await given.next([CLOCK])).webhook == CLOCK


async def test_what_the_clock_sends_in_its_act_is_given_at_once() -> None:
    assert (await arrivals(CLOCK).next([CLOCK])).webhook == CLOCK


async def test_an_unexpected_webhook_goes_to_the_next_that_waits() -> None:
    given = arrivals(None, ACME_80)

    assert (await given.next([CLOCK])).webhook is None
    assert (await given.next([CLOCK])).webhook == ACME_80
