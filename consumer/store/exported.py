"""Channels and rules as the file that `tollbell apply` takes: applied as it is, it changes nothing; without secrets."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import yaml

from consumer.errors import Refused
from consumer.store.configured import StoredChannel, StoredRule
from schemas.amounts import MAX_DIGITS
from schemas.rules import RuleFields
from schemas.secret import MASK, Secret

_LINE_ENDS: Final = re.compile("[\r\n\x85\u2028\u2029]")
HEAD: Final = f"""\
# As `tollbell export` writes it. No secret is in here: `tollbell apply` keeps the signing secrets, and every header
# value that is {MASK}. On another database, give each header its value, such as ${{NAME}}.
"""


def text(namespace: str, channels: Sequence[StoredChannel], rules: Sequence[StoredRule]) -> str:
    """Return the file's text.

    Raises:
        Refused: a channel's headers can't be opened: not even their names are known.
    """
    keys = {channel.id: channel.called for channel in channels}
    document = {
        "namespace": namespace,
        "channels": [_channel(channel) for channel in channels],
        "rules": [_rule(rule, keys) for rule in rules],
    }
    return HEAD + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1_000_000
    )


def _channel(stored: StoredChannel) -> dict[str, Any]:
    if stored.headers is None or stored.secrets is None:
        raise Refused(
            f"channel {stored.called}: its headers or secrets cannot be opened: add the old key to"
            " TOLLBELL_ENCRYPTION_KEYS, or set them again"
        )
    config = stored.config.model_copy(
        update={
            "key": stored.called,
            "url": stored.shown_url,
            "custom_headers": dict.fromkeys(stored.headers, Secret(MASK)) or None,
            "secrets": dict.fromkeys(stored.secrets, Secret(MASK)) or None,
            "disabled": True if stored.disabled_by == "person" else None,  # Tollbell's own is no wish of anybody's
        }
    )
    return _written(config.model_dump(by_alias=True, exclude_defaults=True))


def _rule(stored: StoredRule, keys: Mapping[str, str]) -> dict[str, Any]:
    fields = RuleFields(
        key=stored.key or stored.id,
        name=stored.name,
        channels=tuple(keys[one] for one in stored.channels),
        disabled=stored.disabled,
        metadata=dict(stored.metadata),
    )
    spec = stored.spec.model_dump(by_alias=True, exclude_defaults=True)
    return _written(fields.model_dump(by_alias=True, exclude_defaults=True) | spec)


def _written(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* without those that are not set; the identifying ones come first."""
    first = {name: fields[name] for name in ("key", "type", "name") if name in fields}
    return {name: _plain(value) for name, value in (first | dict(fields)).items() if value is not None}


def _plain(value: Any) -> Any:
    """Return *value* in YAML's own types; a text that has `${` in it, so that no variable is read there."""
    match value:
        case str():
            return value.replace("${", "$${")
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value


class _Dumper(yaml.SafeDumper):
    """Writes numbers as `yaml_file` reads them back: with all their digits, and without an exponent."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class' name for it
        """Write everything out: a reader should not have to look for what & and * mean."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    """Write *value* with escapes where it has more than a line: YAML would fold what it takes for a line's end."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if _LINE_ENDS.search(value) else None)


def _number(dumper: yaml.SafeDumper, value: Decimal | float) -> yaml.Node:
    exact = Decimal(str(value))
    digits = f"{exact:f}"
    if len(digits) > MAX_DIGITS:  # zeros would count as digits; YAML 1.1 takes an exponent behind a dot alone
        mantissa, _, exponent = str(exact).partition("E")
        digits = f"{mantissa}{'' if '.' in mantissa else '.0'}E{exponent}" if exponent else digits
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in digits else 'int'}", digits)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _number)
_Dumper.add_representer(float, _number)
