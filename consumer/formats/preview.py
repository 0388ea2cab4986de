"""What a channel would send: a sample of each type of event, as its format makes it. Pure; nothing is sent."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from consumer import formats
from consumer.decide.payloads import freeze
from consumer.decide.rules import of_type, sample
from consumer.decide.sample_records import UNNAMED
from consumer.formats import handshake
from consumer.formats.rendered import Options, Rendered, masked
from consumer.formats.template import Template, read_template
from consumer.formats.template_tree import TemplateProblem
from consumer.formats.template_writing import CannotRender
from schemas.channels import ChannelConfig
from schemas.rules import Rule, RuleId, RuleType, read_spec
from schemas.secret import MASK

EVENT_ID: Final = "0" * 25 + "1"  # of an event that there is not


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent of an event of *type*.

    Attributes:
        body: `***` where a secret goes.
        headers: those that the receiver reads, by name; values of the channel's own are `***`.
        problem: why no body can be made, and then there is none.
    """

    type: RuleType
    body: bytes
    headers: Mapping[str, str]
    problem: str | None = None


def previews(config: ChannelConfig, at: dt.datetime) -> Iterator[Preview]:
    """Return what the channel would send of a sample of each type of event at *at*."""
    template = _template(config)
    for kind, payload in samples(at):
        yield _preview(config, template, kind, payload, at)


def preview(config: ChannelConfig, kind: RuleType, payload: bytes, at: dt.datetime) -> Preview:
    """Return what the channel would send at *at* of an event of the type *kind* whose frozen data is *payload*."""
    return _preview(config, _template(config), kind, payload, at)


def _template(config: ChannelConfig) -> Template | list[TemplateProblem] | None:
    return None if config.template is None else read_template(config.template, config.content_type)


def _preview(
    config: ChannelConfig,
    template: Template | list[TemplateProblem] | None,
    kind: RuleType,
    payload: bytes,
    at: dt.datetime,
) -> Preview:
    if isinstance(template, list):
        return Preview(kind, b"", {}, str(template[0]))
    options = Options(template=template, is_binary=config.content_mode == "binary")
    try:
        rendered = formats.render(config.format, payload, options)
    except CannotRender as exc:
        return Preview(kind, b"", {}, str(exc))
    return Preview(kind, masked(rendered), _headers(config, rendered, at))


def samples(at: dt.datetime) -> Iterator[tuple[RuleType, bytes]]:
    """Return the frozen data of a sample of each type of event."""
    for kind in RuleType:
        spec = read_spec({"type": kind.value, **of_type(kind).rules.SAMPLE})
        rule = Rule(id=RuleId(EVENT_ID), namespace="default", name="Sample rule", spec=spec, channels=())
        yield kind, freeze(sample(rule, UNNAMED, at), EVENT_ID).body


def _headers(config: ChannelConfig, rendered: Rendered, at: dt.datetime) -> dict[str, str]:
    return {
        "content-type": rendered.content_type,
        "user-agent": f"Tollbell/{metadata.version('tollbell')}",
        "webhook-id": EVENT_ID,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1,{MASK}",
        **({} if config.request_origin is None else {handshake.ORIGIN: config.request_origin}),
        **dict(rendered.headers),
        **dict.fromkeys(config.custom_headers or {}, MASK),
    }
