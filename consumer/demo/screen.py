"""What a person sees: calm, aligned, at most 100 columns. Colours on a terminal only, and not with NO_COLOR."""

import os
import sys
import textwrap
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, Final

import click

from consumer.demo.receiver import Arrival
from consumer.demo.steps import BUSY, OK, STORAGE, Act, Record, StoryFeature, Usage

INDENT: Final = "   "
LABEL: Final = 13
CUSTOMER: Final = 9
REASON: Final = 17
SUMMARY: Final = 17
FACT: Final = 17
WIDTH: Final = 100
FIRES: Final = frozenset(  # what makes an event
    {"first_crossing", "rearmed", "recovered", "reset_manual", "reset_automatic", "invoice_created", "state_changed"}
)
COLOURS: Final = {"record": "cyan", "judged": "blue", "webhook": "green", "clock": "yellow", "dead letter": "magenta"}


class Screen:
    """Prints the demo, a line at a time."""

    def __init__(self) -> None:
        # None: click takes colours away where no terminal would show them.
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

    def facts(self, name: str, texts: Sequence[str]) -> None:
        """Print a name and all there is to say of it, a line each."""
        for number, text in enumerate(texts):
            self.fact("" if number else name, text)

    def aside(self, text: str) -> None:
        """Print what is no news to everybody."""
        self.fact("", _style(text, dim=True))

    def act(self, number: int, act: Act) -> None:
        """Open an act."""
        self.title(f"{number}. {act.title}")
        self.text(act.shows)

    def record(self, step: Record) -> None:
        """Show a record that Kafka has."""
        self._print("")
        text = _level(step) if isinstance(step, Usage) else f"invoice {step.number} is {step.state}"
        note = _style(f"   ← {step.note}", dim=True) if step.note else ""
        self._labelled("record", step.customer, text + note)

    def clock(self, customer: str, in_seconds: float) -> None:
        """Show that there is nothing to be produced, and what is waited for."""
        self._print("")
        when = f"ends in {in_seconds:.1f} s" if in_seconds > 0 else "has ended"
        self._labelled("clock", customer, f"its period {when}, and no record is produced")

    def judged(self, reasons: Sequence[str], feature: StoryFeature | None, customer: str = "") -> None:
        """Show how a rule judged a record: a reason for each threshold of *feature*, or one for all of it."""
        if feature and len(reasons) == len(feature.percents):
            pairs = zip(feature.percents, reasons, strict=True)
            self._labelled("judged", customer, "".join(f"{percent:f} % {_reason(reason)}" for percent, reason in pairs))
        else:
            self._labelled("judged", customer, _reason(", ".join(reasons)))

    def webhook(self, arrival: Arrival, after_seconds: float | None = None) -> None:
        """Show a webhook, how it was answered, and how long after its record it came."""
        webhook = arrival.webhook
        after = "" if after_seconds is None else f"+{1000 * after_seconds:.0f} ms"
        summary = webhook.summary if webhook else "not trusted"
        customer = webhook.customer if webhook else "?"
        self._labelled("webhook", customer, f"{summary:<{SUMMARY}}{_answer(arrival)}{after:>9}   {_remark(arrival)}")

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


def _level(step: Usage) -> str:
    kind = "reset: " if step.is_reset else "storage: " if step.feature is STORAGE else ""
    percent = f" ({100 * step.usage // step.allowance} %)" if isinstance(step.usage, int) else ""
    return f"{kind}{step.usage} of {step.allowance} used{percent}"


def _reason(reason: str) -> str:
    shown = _style(reason, bold=True) if reason in FIRES else _style(reason, dim=True)
    return shown + " " * (REASON - len(reason))


def _remark(arrival: Arrival) -> str:
    if arrival.problem:
        return arrival.problem
    if arrival.status == BUSY:
        return "busy: Tollbell will try again"
    remark = "the same webhook-id" if arrival.is_again else "signature and secret ok"
    gives_access = arrival.webhook.gives_access if arrival.webhook and arrival.is_taken else None
    if gives_access is None:
        return remark
    return f"{remark} · {_style('access back' if gives_access else 'access cut off', bold=True)}"


def _answer(arrival: Arrival) -> str:
    colour = {OK: "green", BUSY: "yellow"}.get(arrival.status, "red")
    return _style(f"→ {arrival.status}", fg=colour, bold=True)
