"""How it went: what the service counted, how long it took, and whether all was as expected."""

import json
import statistics

from consumer import clock
from consumer.demo import story
from consumer.demo.ending import Happened, differences
from consumer.demo.play import Player
from consumer.demo.service import TollbellCommands


async def end(player: Player, tollbell: TollbellCommands, started_at: float) -> bool:
    """Look at what became of the story, show it, and return whether it ended as expected."""
    happened = Happened(counts=await player.service.counts())
    happened.dead_letters = [json.loads(line)["reason"] for line in await tollbell.command("dlq", "list")]
    happened.judged = player.judged()
    happened.clocked = sum(line["events"] for line in player.service.lines("periods.ended"))
    happened.arrivals = player.receiver.arrivals
    happened.cut_off = frozenset(player.receiver.cut_off)
    happened.given_back = frozenset(player.receiver.given_back)
    found = differences(list(story.steps()), happened)
    player.screen.title("It ended differently from the story:" if found else "All as expected.")
    for difference in found:
        player.screen.difference(difference)
    player.screen.text("", room=True)
    _show(player, happened, started_at, is_as_expected=not found)
    return not found


def _show(player: Player, happened: Happened, started_at: float, *, is_as_expected: bool) -> None:
    fact, counts, delays = player.screen.fact, happened.counts, player.delays
    verified = " (each taken once, with its signature and shared secret verified)" if is_as_expected else ""
    if counts:
        fact("records", str(counts.records))
        fact("events", str(counts.events))
        fact("deliveries", f"{counts.deliveries}{verified}")
        fact("retries", str(counts.retries))
        fact("dead letters", f"{counts.dead_letters} ({', '.join(happened.dead_letters)})")
    fact("cut off", ", ".join(sorted(happened.cut_off)))
    fact("access back", ", ".join(sorted(happened.given_back)))
    if delays:
        middle, longest = 1000 * statistics.median(delays), 1000 * max(delays)
        fact("record→webhook", f"p50 {middle:.0f} ms, max {longest:.0f} ms, to the first attempt, on this machine")
    if player.first_webhook_at:
        fact("first webhook", f"{player.first_webhook_at - started_at:.1f} s after the start")
    fact("the whole story", f"{clock.monotonic() - started_at:.1f} s")
