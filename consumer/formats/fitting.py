"""What a channel must have for its format: a URL of the target, its secrets, a template."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

from consumer.formats import checks, cloudevents, template_trial
from consumer.formats.template_tree import TemplateProblem
from schemas import urls
from schemas.channels import SHORTEST_SECRET, ChannelConfig
from schemas.refusals import Place
from schemas.rules import RuleType
from schemas.secret import Secret

NO_TEMPLATE: Final = "is missing: the format template needs one"
NOT_OF_IT: Final = "belongs to the format template alone"
NOT_OF_CLOUDEVENTS: Final = "belongs to the format cloudevents alone"


def problems(
    config: ChannelConfig,
    url: str,
    secrets: Mapping[str, Secret],
    is_own: Callable[[str], bool],
    types: Collection[RuleType] | None = None,
    *,
    headers: Collection[str] = (),
) -> list[tuple[Place, str]]:
    """Return what does not fit *config*'s format, each with its place; never anything secret.

    Args:
        config: of the channel.
        url: the channel's, unmasked.
        secrets: the channel's, unmasked.
        is_own: whether a host is the operator's, who may have a proxy or a test's receiver there.
        types: of the rules that send to the channel, for each of which a template must work; None: not known, then it
            must work for one.
        headers: names of the channel's own.
    """
    found: list[tuple[Place, str]] = []
    finding = checks.look(config.format, url, is_own) if urls.problem(url) is None else None
    if finding is not None and finding.is_refused:
        found.append((("url",), finding.text))
    if config.secret_url and urls.problem(url) is None and 1 < len(urls.split(url).target) <= SHORTEST_SECRET:
        found.append(
            (("url",), f"has a path and query of fewer than {SHORTEST_SECRET} characters: too short for a secret")
        )
    found += checks.secret_problems(config.format, secrets)
    if (config.format == "template") is not (config.template is not None):
        found.append((("template",), NO_TEMPLATE if config.format == "template" else NOT_OF_IT))
    elif config.template is not None:
        found += _of_template(config, secrets, types)
    if config.content_type != "json" and config.format != "template":
        found.append((("contentType",), NOT_OF_IT))
    if config.format != "cloudevents" and config.content_mode != "structured":
        found.append((("contentMode",), NOT_OF_CLOUDEVENTS))
    if config.format != "cloudevents" and config.request_origin is not None:
        found.append((("requestOrigin",), NOT_OF_CLOUDEVENTS))
    if config.content_mode == "binary":
        taken = [name for name in headers if name.lower() in cloudevents.HEADERS]
        found += [
            (("customHeaders", name), "is an attribute of the CloudEvent, which sets it: leave it out")
            for name in taken
        ]
    return found


def warnings(
    config: ChannelConfig, url: str, is_own: Callable[[str], bool], types: Collection[RuleType] | None = None
) -> list[tuple[Place, str]]:
    """Return what is odd about a channel in which there are no `problems`, each with its place; nothing secret.

    Args: as of `problems`. Where *types* are not known, a template's rare events are those of types that it works for.
    """
    finding = checks.look(config.format, url, is_own) if urls.problem(url) is None else None
    found: list[tuple[Place, str]] = [] if finding is None or finding.is_refused else [(("url",), finding.text)]
    if config.format != "template" or config.template is None:
        return found
    trial = template_trial.tried(config)
    rare = [one for kind in types or RuleType if not trial.is_refused(kind) for one in trial.of(kind)]
    return [*found, *{one.place: (_place(one), one.text) for one in reversed(rare)}.values()]


def misfit(config: ChannelConfig, kind: RuleType) -> str | None:
    """Return what is wrong with *config*'s template for events of *kind*, with its place; None where nothing is."""
    if config.template is None:
        return None
    return next((str(one) for one in template_trial.tried(config).of(kind) if one.is_refused), None)


def _of_template(
    config: ChannelConfig, secrets: Mapping[str, Secret], types: Collection[RuleType] | None
) -> list[tuple[Place, str]]:
    trial = template_trial.tried(config)
    if trial.unreadable:
        return [(_place(one), one.text) for one in trial.unreadable]
    missing = [(("secrets", name), "is missing: the template needs it") for name in sorted(trial.secrets)]
    by_type = [[one for one in trial.of(kind) if one.is_refused] for kind in types or RuleType]
    refused = [one for found in by_type for one in found] if types or all(by_type) else []
    at_each = {one.place: (_place(one), one.text) for one in refused}
    return [*at_each.values(), *(one for one in missing if one[0][1] not in secrets)]


def _place(problem: TemplateProblem) -> Place:
    """Return the place that is written `template.blocks[0].text`."""
    parts = re.findall(r"\[(\d+)\]|([^.\[]+)", problem.place)
    return tuple(int(number) if number else name for number, name in parts)
