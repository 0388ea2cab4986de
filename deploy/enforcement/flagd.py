"""flagd as the backend: a flag for each feature, false for those who are cut off. The file is replaced as a whole.

flagd watches the file (`flagd start --uri file:/etc/flagd/access.json`) and applications ask through OpenFeature, with
the customer as the targeting key.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from .access import Place
from .handler import BackendFailed

SCHEMA: Final = "https://flagd.dev/schema/v0/flags.json"
HAS_ACCESS, CUT_OFF = "access", "cut-off"


class FlagdFile:
    """A file of flags, of no other use than this.

    Args:
        path: its directory must be writable: a new file is written beside it and renamed.
        flags: by feature key, the name of its flag. Features that are not there are not enforced.
    """

    def __init__(self, path: Path, flags: Mapping[str, str]) -> None:
        self._path = path
        self._flags = dict(flags)

    async def cut_off(self, place: Place, until: datetime | None) -> None:  # noqa: ARG002 - a flag has no end
        """See `Backend`; as the two that follow."""
        self._change(place, is_cut_off=True)

    async def give_back(self, place: Place) -> None:
        """Let the customer in."""
        self._change(place, is_cut_off=False)

    async def converge(self, cut_off: Mapping[Place, datetime | None]) -> None:
        """Refuse these and no others, whatever the file was."""
        self._write({flag: {one.customer for one in cut_off if one.feature == at} for at, flag in self._flags.items()})

    def _change(self, place: Place, *, is_cut_off: bool) -> None:
        flag = self._flags.get(place.feature)
        if flag is None:
            return
        there = self._read()
        customers = there.setdefault(flag, set())
        if is_cut_off != (place.customer in customers):
            customers.symmetric_difference_update({place.customer})
            self._write(there)
        elif not self._path.exists():
            self._write(there)

    def _read(self) -> dict[str, set[str]]:
        """Return who is cut off by flag: what an earlier life left is so until Tollbell's state is known."""
        try:
            flags = json.loads(self._path.read_bytes())["flags"]
            return {name: set(_cut_off(flag)) for name, flag in flags.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
            raise BackendFailed(f"{self._path}: cannot be read: {type(exc).__name__}") from exc

    def _write(self, cut_off: Mapping[str, set[str]]) -> None:
        flags = {name: _flag(sorted(cut_off.get(name, ()))) for name in self._flags.values()}
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump({"$schema": SCHEMA, "flags": flags}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as exc:
            raise BackendFailed(f"{self._path}: cannot be written: {exc.strerror}") from exc


def _flag(customers: list[str]) -> dict[str, Any]:
    return {
        "state": "ENABLED",
        "variants": {HAS_ACCESS: True, CUT_OFF: False},
        "defaultVariant": HAS_ACCESS,
        "targeting": {"if": [{"in": [{"var": "targetingKey"}, customers]}, CUT_OFF, HAS_ACCESS]},
    }


def _cut_off(flag: Mapping[str, Any]) -> list[str]:
    """Return the customers of a flag that `_flag` made."""
    condition: dict[str, list[Any]] = flag["targeting"]["if"][0]
    return [str(customer) for customer in condition["in"][1]]
