"""What a person wants of a channel or rule, with what is stored → what is to be stored. Pure.

One place for apply and the API: what keeps a secret, and who disabled a channel.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from consumer import ids
from consumer.formats import fitting
from consumer.store.configured import DisabledBy, StoredChannel, StoredRule
from schemas import signing_secrets
from schemas.channels import HIDDEN, MASKED_PATH, ChannelConfig, is_url_secret
from schemas.refusals import Place
from schemas.rules import RuleFields, RuleType
from schemas.secret import MASK, Secret

UNKEPT: Final = f"is {MASK}, which keeps a stored value: there is none"
UNHIDDEN: Final = f"is {MASK}, which keeps a secret that would be shown from now on: set secretUrl, or write it whole"


@dataclass(frozen=True, slots=True)
class WantedChannel:
    """A channel to be stored; *made* is its signing secret, where that was made here."""

    channel: StoredChannel
    made: Secret | None


@dataclass(frozen=True, slots=True)
class Unmasked:
    """What a channel shall have in place of masks; None where no key of ours opens what is to stay.

    Attributes:
        warnings: what is odd about it, each with its place: it is stored all the same.
    """

    url: str
    headers: Mapping[str, Secret] | None
    secrets: Mapping[str, Secret] | None
    warnings: tuple[tuple[Place, str], ...] = ()


def channel(
    config: ChannelConfig, namespace: str, stored: StoredChannel | None, *, unmasked: Unmasked
) -> WantedChannel:
    """Return the channel that *config* asks for.

    A signing secret left out keeps the stored one, or one is made. Who disabled it stays where *config* says nothing of
    that, or repeats `disabled: true`.

    Args:
        config: as a person wrote it.
        namespace: where it belongs.
        stored: as it is; None for one that is to be made.
        unmasked: what `unmask` made of it.
    """
    is_new = stored is None and config.signing_secret is None
    made = signing_secrets.generate() if is_new else None
    kept = stored.signing_secret if stored else made
    wanted = StoredChannel(
        id=stored.id if stored else ids.new(),
        namespace=namespace,
        config=config.model_copy(update=dict.fromkeys(HIDDEN) | {"url": unmasked.url}),
        headers=unmasked.headers,
        signing_secret=config.signing_secret or kept,
        secrets=unmasked.secrets,
        disabled_by=_disabled_by(config, stored),
    )
    return WantedChannel(wanted, made)


def unmask(
    config: ChannelConfig,
    stored: StoredChannel | None,
    *,
    keeps: Collection[str] = (),
    allowed: Sequence[IPv4Network | IPv6Network] = (),
    types: Collection[RuleType] | None = None,
) -> tuple[Unmasked, list[tuple[Place, str]]]:
    """Return *config*'s URL, headers and secrets, with what is stored in place of each mask.

    Args:
        config: as a person wrote it.
        stored: as it is; None for one that is to be made.
        keeps: fields that keep what is stored: `custom_headers`, as they were left out.

        allowed: special ranges that may be delivered to: what stands there, a proxy or a test's receiver, may be any
            format's target.
        types: of the rules that send to it, where they are known.

    Returns:
        And what is wrong, with its place: a mask for which nothing is stored, what does not fit the format.
    """
    given = config.custom_headers or {}
    before = {name.lower(): value for name, value in ((stored.headers if stored else None) or {}).items()}
    known = {name: before[name.lower()] for name in given if name.lower() in before}
    headers: Mapping[str, Secret] | None
    headers, unkept = _kept(given, known)
    missing: list[Place] = [("customHeaders", name) for name in unkept]
    named, unkept = _kept(config.secrets or {}, (stored.secrets if stored else None) or {})
    missing += [("secrets", name) for name in unkept]
    secrets: Mapping[str, Secret] | None = named
    url, wrong = config.url, list[tuple[Place, str]]()
    if stored is not None:
        headers = stored.headers if "custom_headers" in keeps else headers
        secrets = stored.secrets if "secrets" in keeps else named
    if url.endswith(MASKED_PATH):
        if stored is None or not is_url_secret(stored.config) or stored.shown_url != url:
            missing.append(("url",))
        elif not is_url_secret(config):  # of Slack's format, behind a proxy, and now of another
            wrong.append((("url",), UNHIDDEN))
        elif stored.secrets is None:
            secrets = None
        else:
            url = stored.config.url
    wrong += [(place, UNKEPT) for place in missing]
    is_own = owns(allowed)
    if not wrong and secrets is not None:
        wrong += fitting.problems(config, url, secrets, is_own, types, headers=headers or ())
    warnings = () if wrong else tuple(fitting.warnings(config, url, is_own, types))
    return Unmasked(url, headers, secrets, warnings), wrong


def owns(networks: Sequence[IPv4Network | IPv6Network]) -> Callable[[str], bool]:
    """Return what says whether a host is the operator's: an address in one of *networks*."""

    def is_own(host: str) -> bool:
        try:
            return any(ip_address(host) in network for network in networks)
        except ValueError:  # a name
            return False

    return is_own


def _kept(given: Mapping[str, Secret], before: Mapping[str, Secret]) -> tuple[dict[str, Secret], list[str]]:
    """Return *given*, with what was *before* in place of masks; and the masks for which there was nothing."""
    masked = [name for name, value in given.items() if value == Secret(MASK)]
    kept = {name: before[name] for name in masked if name in before}
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
