"""What `tollbell apply` does, or would do: step by step, with the values before and after; never a secret."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from consumer.store.configured import StoredChannel, StoredRule
from schemas import events, urls
from schemas.channels import HIDDEN
from schemas.secret import Secret

Sign = Literal["+", "~", "-", "=", "!"]
ACTIONS: Final[Mapping[Sign, str]] = {
    "+": "create",
    "~": "update",
    "-": "delete",
    "=": "unchanged",
    "!": "not_in_file",
}
MAX_SHOWN: Final = 300  # characters of a value
KEPT: Final = "is stored and not in the file: it stays; --prune deletes it"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that changes; without values where they are secret."""

    field: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        if self.before is None and self.after is None:
            return f"{self.field}: changed"
        return f"{self.field}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the plan."""

    sign: Sign
    what: Literal["channel", "rule"]
    key: str
    changes: Sequence[FieldChange] = ()
    note: str = ""
    made_secret: Secret | None = None
    warnings: Sequence[str] = ()

    def __str__(self) -> str:
        head = f"{self.sign} {self.what} {self.key}{': ' if self.note else ''}{self.note}"
        return "\n".join([head, *(f"    {change}" for change in self.changes)])

    @property
    def is_change(self) -> bool:
        """Whether anything is written for it."""
        return self.sign not in {"=", "!"}

    def document(self) -> dict[str, Any]:
        """Return the step as a JSON document, for programs."""
        made: dict[str, Any] = {"action": ACTIONS[self.sign], "kind": self.what, "key": self.key}
        if self.changes:
            made["changes"] = [
                {"field": one.field}
                | ({} if one.before is None and one.after is None else {"before": one.before, "after": one.after})
                for one in self.changes
            ]
        return made | ({"note": self.note} if self.note else {})


def of_channel(stored: StoredChannel | None, wanted: StoredChannel, made: Secret | None) -> Step:
    """Return the step that makes *wanted* of *stored*; *made* is its signing secret, where that was made here."""
    key = str(wanted.key)
    if stored is None:
        return Step("+", "channel", key, made_secret=made)
    if stored == wanted:
        return Step("=", "channel", key)
    changes = [
        *_secrets("customHeaders", stored.headers or {}, wanted.headers or {}),
        *_secrets("secrets", stored.secrets or {}, wanted.secrets or {}),
        *_differences(_channel(stored), _channel(wanted)),
    ]
    before, after = stored.config.url, wanted.config.url
    if before != after and urls.redacted(before) == urls.redacted(after):
        changes.append(FieldChange("url (path or query)"))
    if stored.signing_secret != wanted.signing_secret:
        changes.append(FieldChange("signingSecret"))
    return Step("~", "channel", key, sorted(changes, key=lambda change: change.field))


def of_rule(stored: StoredRule | None, wanted: StoredRule, channels: Mapping[str, str]) -> Step:
    """Return the step that makes *wanted* of *stored*; *channels* has the key of each channel by its id."""
    key = str(wanted.key)
    if stored is None:
        return Step("+", "rule", key)
    if stored == wanted:
        return Step("=", "rule", key)
    return Step("~", "rule", key, _differences(_rule(stored, channels), _rule(wanted, channels)))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    names = [*before, *(name for name in after if name not in before)]
    return [
        FieldChange(name, _shown(before.get(name)), _shown(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _shown(value: Any) -> str:
    text = events.encode(value).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _channel(one: StoredChannel) -> dict[str, Any]:
    """Return what may be seen of a channel; of its URL neither path nor query: they may be secrets."""
    seen = one.config.model_dump(by_alias=True, exclude={"type", *HIDDEN})
    return seen | {"url": urls.redacted(one.config.url), "disabled": one.disabled_by is not None}


def _secrets(field: str, before: Mapping[str, Secret], after: Mapping[str, Secret]) -> Iterator[FieldChange]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield FieldChange(f"{field}.{name}", "none", "***")
        elif name not in after:
            yield FieldChange(f"{field}.{name}", "***", "none")
        elif before[name] != after[name]:
            yield FieldChange(f"{field}.{name}")


def _rule(one: StoredRule, channels: Mapping[str, str]) -> dict[str, Any]:
    spec = one.spec.model_dump(by_alias=True)
    return {
        "key": one.key,
        "name": one.name,
        "channels": [channels.get(channel, channel) for channel in one.channels],
        "disabled": one.disabled,
        **{name: value for name, value in spec.items() if name != "type"},
        "type": spec["type"],
        "metadata": dict(one.metadata),
    }
