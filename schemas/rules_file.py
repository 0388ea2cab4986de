"""The file of `tollbell apply`: channels and rules by key."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.channels import ChannelConfig
from schemas.model import Key, Model
from schemas.rules import RuleConfig


class RulesFile(Model):
    """Everything of one namespace that has a key."""

    namespace: Key = "default"
    channels: Annotated[tuple[ChannelConfig, ...], Field(default=())]
    rules: Annotated[tuple[RuleConfig, ...], Field(default=())]

    @model_validator(mode="after")
    def _keys(self) -> Self:
        kinds: tuple[tuple[str, Sequence[ChannelConfig | RuleConfig]], ...] = (
            ("channels", self.channels),
            ("rules", self.rules),
        )
        for what, things in kinds:
            for n, thing in enumerate(things):
                if thing.key is None:
                    raise ValueError(f"{what}[{n}]: key is missing: by it `apply` finds the {what[:-1]} again")
            for key, count in Counter(thing.key for thing in things).items():
                if count > 1:
                    raise ValueError(f"{what}: key {key!r} stands {count} times; a key names one {what[:-1]}")
        known = {channel.key for channel in self.channels}
        for n, rule in enumerate(self.rules):
            if missing := [key for key in rule.channels if key not in known]:
                raise ValueError(f"rules[{n}].channels: no channel of this file has the key {missing[0]!r}")
        return self
