"""Formats: what a channel sends of an event, and what its receiver's answer means. Pure: no I/O, no clock.

`render` has one case for each format; `reading.read` likewise, `checks` what a channel's URL must be. What people read
is written once, in `wording`, and only laid out and escaped by `slack`, `teams`, `discord` and `pagerduty`.
"""

from typing import Literal, assert_never

from consumer.formats import cloudevents, discord, flat, openmeter, pagerduty, slack, teams, wording
from consumer.formats.rendered import DEFAULTS, Options, Rendered
from consumer.formats.seen import see
from schemas.channels import Format


def render(fmt: Format, payload: bytes, options: Options = DEFAULTS) -> Rendered:
    """Return what *fmt* makes of an event's frozen *payload*.

    Raises:
        ValueError: a template cannot be made of this event.
        msgspec.MsgspecError: *payload* is no event of ours.
    """
    match fmt:
        case "openmeter":
            return Rendered(openmeter.render(payload))
        case "flat":
            return Rendered(flat.render(payload))
        case "cloudevents":
            return cloudevents.render(payload, is_binary=options.is_binary)
        case "slack" | "teams" | "discord" | "pagerduty":
            return _message(fmt, payload, options)
        case "template":
            assert options.template is not None  # noqa: S101 - no channel of this format is without one
            return options.template.render(payload, is_test=options.is_test)
        case _:
            assert_never(fmt)


def _message(fmt: Literal["slack", "teams", "discord", "pagerduty"], payload: bytes, options: Options) -> Rendered:
    event = see(payload)
    message = wording.message(event, is_test=options.is_test)
    match fmt:
        case "slack":
            return slack.render(message, options.link)
        case "teams":
            return teams.render(message, options.link)
        case "discord":
            return discord.render(message, event.timestamp, options.link)
        case "pagerduty":
            return pagerduty.render(event, message, options.link, is_test=options.is_test)
        case _:
            assert_never(fmt)
