"""What a person wants of a channel or rule, with what is stored → what is to be stored. Pure.

One place for apply and the API: what keeps a secret, and who disabled a channel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consumer import ids
from consumer.store.configured import DisabledBy, StoredChannel, StoredRule
from schemas import signing_secrets
from schemas.channels import ChannelConfig
from schemas.rules import RuleFields
from schemas.secret import MASK, Secret

UNKEPT: Final = f"is {MASK}, which keeps a stored value: there is none"


@dataclass(frozen=True, slots=True)
class WantedChannel:
    """A channel to be stored; *made* is its signing secret, where that was made here."""

    channel: StoredChannel
    made: Secret | None


def channel(
    config: ChannelConfig, namespace: str, stored: StoredChannel | None, *, headers: Mapping[str, Secret] | None
) -> WantedChannel:
    """Return the channel that *config* asks for.

    A signing secret left out keeps the stored one, or one is made. Who disabled it stays where *config* says nothing of
    that, or repeats `disabled: true`.

    Args:
        config: as a person wrote it.
        namespace: where it belongs.
        stored: as it is; None for one that is to be made.
        headers: its custom headers; None where no key of ours opens those that are to stay.
    """
    is_new = stored is None and config.signing_secret is None
    made = signing_secrets.generate() if is_new else None
    kept = stored.signing_secret if stored else made
    wanted = StoredChannel(
        id=stored.id if stored else ids.new(),
        namespace=namespace,
        key=config.key,
        type=config.type,
        name=config.name,
        url=config.url,
        format=config.format,
        headers=headers,
        signing_secret=config.signing_secret or kept,
        metadata=config.metadata,
        disabled_by=_disabled_by(config, stored),
        retry_schedule=config.retry_schedule,
        concurrency=config.concurrency,
        expire_after=config.expire_after,
        rate_limit=config.rate_limit,
    )
    return WantedChannel(wanted, made)


def headers(given: Mapping[str, Secret], stored: StoredChannel | None) -> tuple[dict[str, Secret], list[str]]:
    """Return *given*, with what is stored in place of each mask; and the names under which nothing is stored."""
    before = {name.lower(): value for name, value in ((stored.headers if stored else None) or {}).items()}
    masked = [name for name, value in given.items() if value == Secret(MASK)]
    kept = {name: before[name.lower()] for name in masked if name.lower() in before}
    return {**given, **kept}, [name for name in masked if name not in kept]


def _disabled_by(config: ChannelConfig, stored: StoredChannel | None) -> DisabledBy | None:
    before = stored.disabled_by if stored else None
    if config.disabled is None:
        return before
    return (before or "person") if config.disabled else None


def rule(config: RuleFields, namespace: str, stored: StoredRule | None, *, channels: Sequence[str]) -> StoredRule:
    """Return the rule that *config* asks for; *channels* are ids, each once."""
    spec = config.spec
    if stored is not None and stored.spec == spec:
        spec = stored.spec  # a threshold is its exact value: 80 now and 80.0 before, however written, are no change
    return StoredRule(
        id=stored.id if stored else ids.new(),
        namespace=namespace,
        key=config.key,
        name=config.name,
        spec=spec,
        channels=tuple(dict.fromkeys(channels)),
        metadata=config.metadata,
        disabled=config.disabled,
    )
