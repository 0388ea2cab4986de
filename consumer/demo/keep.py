"""`--keep`: everything goes on running, for records of your own, until Ctrl-C."""

import asyncio
import json
import sys
from typing import Final

from consumer.demo.interrupt import Interrupt
from consumer.demo.place import DemoPlace
from consumer.demo.play import Player, is_worth_showing, show_judgement
from consumer.demo.steps import REQUESTS, Topic, Usage

YOURS: Final = Usage(customer="you", usage=95)
PRODUCE: Final = (
    "{python} -c \"from confluent_kafka import Producer; p = Producer({{'bootstrap.servers': '{bootstrap}'}}); "
    "p.produce('{topic}', key='you', value=open('{file}').read()); p.flush()\""
)


async def going(player: Player, place: DemoPlace, interrupt: Interrupt) -> None:
    """Say where everything is, show what happens, and return at Ctrl-C or when the service ends."""
    with interrupt.noted() as came:
        _say_where(player, place)
        await _show(player, until=came)
    player.screen.title("Stopping. What is in hand is finished first.")


def _say_where(player: Player, place: DemoPlace) -> None:
    screen = player.screen
    screen.title("It goes on running, until Ctrl-C")
    screen.text("", room=True)
    screen.fact("API", f"{player.service.url}api/v1, with the token below")
    screen.fact("Kafka", f"{place.kafka.bootstrap}, topic {place.topic(Topic.USAGE)}")
    screen.fact("PostgreSQL", place.database.url if place.database.is_ours else place.database.description)
    screen.fact("metrics", player.service.metrics_url)
    screen.fact("receiver", player.receiver.url)
    file = place.directory / "record.json"
    file.write_text(json.dumps(json.loads(player.records.value(YOURS)), indent=2), encoding="utf-8")
    screen.title("Produce a record of your own: change the usage in this one, and see what it makes")
    screen.text("", room=True)
    screen.fact("the record", str(file))
    screen.fact("produce it by", "")
    screen.plain(
        PRODUCE.format(
            python=sys.executable, bootstrap=place.kafka.bootstrap, topic=place.topic(Topic.USAGE), file=file
        )
    )
    screen.title("Open the console: everything of the story is in it, and what you produce appears as you watch")
    screen.text("", room=True)
    screen.fact("console", player.service.url)
    screen.fact("sign in with", place.api_token.reveal())
    screen.fact(
        "then", "Events, and one of them: its record, why it fired, each attempt. Or Explain, with your record."
    )


async def _show(player: Player, *, until: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        webhooks = tasks.create_task(_show_webhooks(player), name="webhooks")
        ends = {
            tasks.create_task(_show_judgements(player), name="judgements"),
            tasks.create_task(until.wait(), name="interrupt"),
        }
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in {webhooks, *ends}:
            task.cancel()


async def _show_judgements(player: Player) -> None:
    async for line in player.service.follow():
        if is_worth_showing(line):
            player.screen.text("", room=True)
            show_judgement(player.screen, line, REQUESTS, str(line.get("about", "")).partition("-")[0])


async def _show_webhooks(player: Player) -> None:
    while True:
        player.screen.webhook(await player.receiver.news.get())
