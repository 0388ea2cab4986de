"""What a person sees: calm, aligned, at most 100 columns. Colours on a terminal only, and not with NO_COLOR."""

import os
import sys
import textwrap
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, Final

import click

from consumer.demo.receiver import Arrival
from consumer.demo.story import BUSY, CUTS_OFF, OK, THRESHOLDS, Act, Step

INDENT: Final = "   "
LABEL: Final = 13
CUSTOMER: Final = 9
REASON: Final = 17
FACT: Final = 17
WIDTH: Final = 100
FIRES: Final = "first_crossing"
COLOURS: Final = {"record": "cyan", "judged": "blue", "webhook": "green", "dead letter": "magenta"}


class Screen:
    """Prints the demo, a line at a time."""

    def __init__(self) -> None:
        # None: click takes colours away where nobody would see them.
        self._color = False if os.environ.get("NO_COLOR") else None
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace", line_buffering=True)

    def title(self, text: str) -> None:
        """Print a heading with room above it."""
        self._print("")
        self._print(_style(text, bold=True))

    def plain(self, text: str) -> None:
        """Print *text* as it is, for people to copy."""
        self._print(text)

    def text(self, text: str, *, room: bool = False) -> None:
        """Print a paragraph under a heading, with *room* below it."""
        for line in textwrap.wrap(text, WIDTH - len(INDENT)):
            self._print(INDENT + _style(line, dim=True))
        if room:
            self._print("")

    def fact(self, name: str, text: str) -> None:
        """Print a name and what there is to say of it."""
        self._print(f"{INDENT}{name:<{FACT}}{text}")

    def aside(self, text: str) -> None:
        """Print what is no news to everybody."""
        self.fact("", _style(text, dim=True))

    def act(self, number: int, act: Act) -> None:
        """Open an act."""
        self.title(f"{number}. {act.title}")
        self.text(act.shows)

    def record(self, step: Step) -> None:
        """Show a record that Kafka has."""
        self._print("")
        percent = f" ({100 * step.usage // step.allowance} %)" if isinstance(step.usage, int) else ""
        note = _style(f"   ← {step.note}", dim=True) if step.note else ""
        self._labelled("record", step.customer, f"{step.usage} of {step.allowance} used{percent}{note}")

    def judged(self, reasons: Sequence[str], customer: str = "") -> None:
        """Show how a record was judged: a reason for each threshold, or one for all of it."""
        if len(reasons) == len(THRESHOLDS):
            pairs = zip(THRESHOLDS, reasons, strict=True)
            self._labelled("judged", customer, "".join(f"{percent:f} % {_reason(reason)}" for percent, reason in pairs))
        else:
            self._labelled("judged", customer, _reason(", ".join(reasons)))

    def webhook(self, arrival: Arrival, after_seconds: float | None = None) -> None:
        """Show a webhook, how it was answered, and how long after its record it came."""
        webhook = arrival.webhook
        after = "" if after_seconds is None else f"+{1000 * after_seconds:.0f} ms"
        told = f"{webhook.percent:f} % reached" if webhook else "not trusted"
        customer = webhook.customer if webhook else "?"
        self._labelled("webhook", customer, f"{told:<16}{_answer(arrival)}{after:>9}   {_remark(arrival)}")

    def dead_letter(self, reason: str, error: str) -> None:
        """Show why a record could not be understood."""
        self._labelled("dead letter", "", f"{_style(reason, fg='magenta')}: {error}")

    def difference(self, text: str) -> None:
        """Show in what the demo differs from its story."""
        self._print(f"{INDENT}{_style('✗', fg='red', bold=True)} {text}")

    def _labelled(self, label: str, customer: str, text: str) -> None:
        self._print(f"{INDENT}{_style(f'{label:<{LABEL}}', fg=COLOURS[label])}{customer:<{CUSTOMER}}{text}")

    def _print(self, line: str) -> None:
        click.echo(line.rstrip(), color=self._color)


def _style(text: str, **how: Any) -> str:
    return click.style(text, **how)


def _reason(reason: str) -> str:
    shown = _style(reason, bold=True) if reason == FIRES else _style(reason, dim=True)
    return shown + " " * (REASON - len(reason))


def _remark(arrival: Arrival) -> str:
    if arrival.problem:
        return arrival.problem
    if arrival.status == BUSY:
        return "busy: Tollbell will try again"
    remark = "the same webhook-id" if arrival.is_again else "signature and secret ok"
    is_cut = arrival.is_taken and arrival.webhook is not None and arrival.webhook.percent == CUTS_OFF
    return f"{remark} · {_style('access cut off', bold=True)}" if is_cut else remark


def _answer(arrival: Arrival) -> str:
    colour = {OK: "green", BUSY: "yellow"}.get(arrival.status, "red")
    return _style(f"→ {arrival.status}", fg=colour, bold=True)
