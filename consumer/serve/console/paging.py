"""Pages of lists: what a URL asks for, and the links to the pages around."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlencode

from schemas import answers

SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Numbered:
    """Where a page is among the others; a query for each link, None where there is none."""

    page: int
    last: int
    total: int
    before: str | None
    after: str | None

    @classmethod
    def of(cls, found: answers.Page[Any], query: Mapping[str, str]) -> Self:
        """Return it of what was *found* for *query*."""
        last = max(-(-found.total_count // found.page_size), 1)
        kept = {name: value for name, value in query.items() if name not in {"page", "said"}}
        return cls(
            page=found.page,
            last=last,
            total=found.total_count,
            before=urlencode(kept | {"page": min(found.page - 1, last)}) if found.page > 1 else None,
            after=urlencode(kept | {"page": found.page + 1}) if found.page < last else None,
        )


def configured(query: Mapping[str, str], *filters: str) -> str:
    """Return the query of an operation that lists channels or rules by *filters*: newest first, disabled ones too."""
    wanted = {"page": query.get("page", "1"), "pageSize": SIZE, "order": "DESC", "includeDisabled": "true"}
    kept = {name: query[name] for name in ("includeDeleted", *filters) if query.get(name)}
    return urlencode(wanted | kept)
