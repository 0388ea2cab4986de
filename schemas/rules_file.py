"""The files of `tollbell apply`: channels and rules by key. Several files are one."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from schemas.channels import ChannelConfig
from schemas.model import Key, Model
from schemas.refusals import Place
from schemas.rules import RuleConfig

DEFAULT_NAMESPACE: Final = "default"


class RulesFile(Model):
    """Everything of one namespace that has a key, or a part of it."""

    namespace: Key = DEFAULT_NAMESPACE
    channels: Annotated[tuple[ChannelConfig, ...], Field(default=())]
    rules: Annotated[tuple[RuleConfig, ...], Field(default=())]


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong between things that are right by themselves.

    Attributes:
        file: its number in the order given.
        place: in that file.
        problem: what to change.
        other: where the other thing is, file and place, if there is one.
    """

    file: int
    place: Place
    problem: str
    other: tuple[int, Place] | None = None


def misfits(files: Sequence[object]) -> list[Misfit]:
    """Return what does not fit in *files*, each as it was read, be it right or wrong by itself.

    Everything has a key, a key names one thing, rules name channels of these files, and all files are of one namespace.
    """
    channels = {key: None for key, _ in _keys(files, "channels") if key}
    return [
        *_namespaces(files),
        *_named_twice(files, "channels"),
        *_named_twice(files, "rules"),
        *_unknown_channels(files, channels),
    ]


def _things(files: Sequence[object], what: str) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    for n, file in enumerate(files):
        listed = file.get(what) if isinstance(file, Mapping) else None
        for m, thing in enumerate(listed if isinstance(listed, list | tuple) else ()):
            if isinstance(thing, Mapping):
                yield n, m, thing


def _keys(files: Sequence[object], what: str) -> Iterator[tuple[str | None, tuple[int, int]]]:
    for n, m, thing in _things(files, what):
        key = thing.get("key")
        if key is None or isinstance(key, str):
            yield key, (n, m)


def _named_twice(files: Sequence[object], what: str) -> Iterator[Misfit]:
    seen: dict[str, tuple[int, int]] = {}
    for key, (n, m) in _keys(files, what):
        if key is None:
            yield Misfit(n, (what, m), f"key is missing: by it `apply` finds the {what[:-1]} again")
        elif key in seen:
            first, at = seen[key]
            yield Misfit(n, (what, m, "key"), f"duplicate key {key!r}", (first, (what, at, "key")))
        else:
            seen[key] = (n, m)


def _unknown_channels(files: Sequence[object], known: Mapping[str, None]) -> Iterator[Misfit]:
    for n, m, rule in _things(files, "rules"):
        listed = rule.get("channels")
        for key in listed if isinstance(listed, list | tuple) else ():
            if isinstance(key, str) and key not in known:
                close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
                meant = f": did you mean {close[0]!r}?" if close else ""
                of = "this file" if len(files) == 1 else "these files"
                yield Misfit(n, ("rules", m, "channels"), f"no channel of {of} has the key {key!r}{meant}")


def _namespaces(files: Sequence[object]) -> Iterator[Misfit]:
    first: tuple[int, str] | None = None
    for n, file in enumerate(files):
        name = file.get("namespace", DEFAULT_NAMESPACE) if isinstance(file, Mapping) else None
        if not isinstance(name, str):
            continue
        if first is None:
            first = (n, name)
        elif name != first[1]:
            problem = f"is {name!r}, and {first[1]!r} in another file: apply one namespace at a time"
            yield Misfit(n, ("namespace",), problem, (first[0], ("namespace",)))
