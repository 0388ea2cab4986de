"""A channel's template, tried on the examples once: to read and try a large one takes 0.3 s. Results are kept by hash.

Safe to call from any thread; where it must not wait, see that it `is_known` first.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from consumer.formats.template import read_template
from consumer.formats.template_check import try_template
from consumer.formats.template_tree import TemplateProblem
from schemas.channels import ChannelConfig, stored_format
from schemas.rules import RuleType

MOST_KEPT: Final = 1_024  # results; each has at most as many problems as there are examples


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        unreadable: why it is not a template; then there is nothing else.
        secrets: names of those that it needs.
        by_type: what is wrong with it for the events of a type.
    """

    unreadable: tuple[TemplateProblem, ...] = ()
    secrets: frozenset[str] = frozenset()
    by_type: Mapping[RuleType, tuple[TemplateProblem, ...]] | None = None

    def of(self, kind: RuleType) -> tuple[TemplateProblem, ...]:
        """Return what is wrong with it for events of *kind*."""
        return (self.by_type or {}).get(kind, self.unreadable)

    def is_refused(self, kind: RuleType) -> bool:
        """Whether it is of no use for events of *kind*."""
        return any(one.is_refused for one in self.of(kind))


class _Kept:
    def __init__(self) -> None:
        self.trial: Trial | None = None


@functools.lru_cache(maxsize=MOST_KEPT)
def _kept(_name: str) -> _Kept:
    return _Kept()


def is_known(config: ChannelConfig) -> bool:
    """Whether `tried` has its result for *config* at hand, or nothing to try."""
    return config.template is None or _kept(stored_format(config)).trial is not None


def tried(config: ChannelConfig) -> Trial:
    """Return what comes of *config*'s template, which there is."""
    kept = _kept(stored_format(config))
    if kept.trial is None:
        kept.trial = _tried(config)
    return kept.trial


def _tried(config: ChannelConfig) -> Trial:
    template = read_template(config.template, config.content_type)
    if isinstance(template, list):
        return Trial(tuple(template))
    return Trial((), template.secrets, {kind: tuple(try_template(template, {kind})) for kind in RuleType})
