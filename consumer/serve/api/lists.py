"""Pages: what channels, rules and events have in common when they are listed."""

from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeVar

import msgspec

from consumer.serve import large
from consumer.serve.api.call import Call
from consumer.serve.bodies import MAX_PAGE, MAX_PAGE_SIZE, PAGE_SIZE, QueryParameters
from consumer.serve.described import Parameter, Schema
from consumer.store.configured import ReadPage, Selection
from schemas import answers

T = TypeVar("T")
PART: Final = 10  # channels or rules of an answer that are read and shown at once
ORDER_BY: Final = ("id", "type", "createdAt", "updatedAt")


def parameters(order_by: Collection[str], default: str = "ASC") -> tuple[Parameter, ...]:
    """Return the parameters of a list that may be ordered."""
    return (
        *PAGES,
        Parameter("order", {"type": "string", "enum": ["ASC", "DESC"], "default": default}, "Which way."),
        Parameter("orderBy", {"type": "string", "enum": list(order_by), "default": "id"}, "By what."),
    )


_SIZE: Final = "How many a page has; a page of more than 16 MiB is refused, and says how many fit."


def _number(most: int, default: int) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


PAGES: Final = (
    Parameter("page", _number(MAX_PAGE, 1), "The page's number, from 1 on."),
    Parameter("pageSize", _number(MAX_PAGE_SIZE, PAGE_SIZE), _SIZE),
)
_FLAG: Final[Schema] = {"type": "boolean", "default": False}
OF_CONFIGURATION: Final = (
    *parameters(ORDER_BY),
    Parameter("includeDeleted", _FLAG, "Those that are deleted too."),
    Parameter("includeDisabled", _FLAG, "Those that are disabled too."),
)


def numbers(query: QueryParameters) -> tuple[int, int]:
    """Return the page's number, from 1 on, and its size.

    Raises:
        Problem: they are none.
    """
    page = query.number("page", 1, least=1, most=MAX_PAGE)
    return page, query.number("pageSize", PAGE_SIZE, least=1, most=MAX_PAGE_SIZE)


def is_descending(query: QueryParameters, default: str = "ASC") -> bool:
    """Return whether the newest, or last, come first."""
    return query.choice("order", ("ASC", "DESC"), default) == "DESC"


def selection(
    query: QueryParameters,
    *,
    features: Collection[str] | None = None,
    channels: Collection[str] | None = None,
) -> Selection:
    """Return which channels or rules are asked for.

    Raises:
        Problem: a parameter is wrong or unknown.
    """
    page, size = numbers(query)
    return Selection(
        with_deleted=query.flag("includeDeleted"),
        with_disabled=query.flag("includeDisabled"),
        features=None if features is None else list(features),
        channels=None if channels is None else list(channels),
        order_by=query.choice("orderBy", ORDER_BY, "id"),
        descending=is_descending(query),
        limit=size,
        offset=(page - 1) * size,
        bytes=large.CONFIGURED_BYTES,
    )


async def page(
    call: Call, wanted: Selection, found: ReadPage[T], show: Callable[[list[T]], Awaitable[list[object]]]
) -> answers.Page[msgspec.Raw]:
    """Return the answer with what was *found*, each as *show* shows it.

    Raises:
        Problem: 400: it is too large.
    """
    if found.left_out:
        raise large.too_large(wanted.limit, len(found.rows))
    await call.turn.take(large.OF_BODY * found.size)
    items = large.Items(wanted.limit)
    for part in found.parts(PART):
        for item in await show(part):
            await items.add(item)
    return answers.Page(
        total_count=found.total, page=wanted.offset // wanted.limit + 1, page_size=wanted.limit, items=items.raws
    )
