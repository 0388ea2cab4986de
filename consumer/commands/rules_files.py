"""The files of `tollbell apply`, read as one: what they want of a namespace, and where each of it is written."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consumer.commands import yaml_file
from consumer.commands.yaml_file import Complaint, Loaded, YamlFile
from consumer.errors import ConfigInvalid
from schemas.channels import ChannelConfig
from schemas.refusals import Place
from schemas.rules import RuleFields
from schemas.rules_file import DEFAULT_NAMESPACE, RulesFile, misfits

STDIN: Final = Path("-")
SUFFIXES: Final = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class At:
    """Where something is written."""

    file: int
    place: Place


@dataclass(frozen=True, slots=True)
class WantedConfiguration:
    """What all files together want: every channel and rule once, in the order of the files.

    Attributes:
        files: to name lines of.
    """

    namespace: str
    channels: Sequence[tuple[ChannelConfig, At]]
    rules: Sequence[tuple[RuleFields, At]]
    files: Sequence[YamlFile[RulesFile]]

    @property
    def is_blank(self) -> bool:
        """Whether nothing at all is written in any of them."""
        return not any(file.model.model_fields_set for file in self.files)

    def refusal(self, wrong: Sequence[tuple[At, str]]) -> ConfigInvalid:
        """Return what says that the values at these places are wrong: file by file, in the order of lines."""
        by_file: list[list[Complaint]] = [[] for _ in self.files]
        for at, problem in wrong:
            by_file[at.file].append(self.files[at.file].complaint(at.place, problem))
        return yaml_file.refusal(by_file)

    def line(self, at: At, problem: str) -> str:
        """Return what is to be said of a place that is not wrong."""
        return self.files[at.file].complaint(at.place, problem).text


def read(paths: Sequence[Path], environment: Mapping[str, str]) -> WantedConfiguration:
    """Return what the files at *paths* want; of a folder, all of its files with one of `SUFFIXES`; `-` is stdin.

    Raises:
        ConfigInvalid: one cannot be read, or something in them is wrong: a line for each mistake, in order.
    """
    files = _files(paths)
    loaded = [
        yaml_file.load(name, _contents(path), RulesFile, environment)
        for path, name in zip(files, _names(files), strict=True)
    ]
    complaints = [[*one.complaints, *more] for one, more in zip(loaded, _misfits(loaded), strict=True)]
    if any(complaints):
        raise yaml_file.refusal(complaints)
    return merged([one.file for one in loaded if one.file is not None])


def merged(files: Sequence[YamlFile[RulesFile]]) -> WantedConfiguration:
    """Return *files*, which fit together, as one."""
    return WantedConfiguration(
        namespace=files[0].model.namespace if files else DEFAULT_NAMESPACE,
        channels=[
            (one, At(n, ("channels", m))) for n, file in enumerate(files) for m, one in enumerate(file.model.channels)
        ],
        rules=[(one, At(n, ("rules", m))) for n, file in enumerate(files) for m, one in enumerate(file.model.rules)],
        files=files,
    )


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path != STDIN and path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and one.is_file())
            if not inside:
                raise ConfigInvalid(f"{path}: has no file that ends with {' or '.join(SUFFIXES)}")
            found += inside
        else:
            found.append(path)
    return found


def _names(files: Sequence[Path]) -> list[str]:
    """Return how each is called: by its name alone, where no other has that."""
    short = ["standard input" if path == STDIN else path.name for path in files]
    return [name if short.count(name) == 1 else str(path) for path, name in zip(files, short, strict=True)]


def _contents(path: Path) -> bytes:
    return sys.stdin.buffer.read(yaml_file.MAX_BYTES + 1) if path == STDIN else yaml_file.contents(path)


def _misfits(loaded: Sequence[Loaded[RulesFile]]) -> list[list[Complaint]]:
    found: list[list[Complaint]] = [[] for _ in loaded]
    for one in misfits([each.value for each in loaded]):
        lines = loaded[one.file].lines
        also = ""
        if one.other is not None:
            file, place = one.other
            also = f": it is in {loaded[file].lines.said(place)} as well"
        found[one.file].append(lines.complaint(one.place, f"{one.problem}{also}"))
    return found
