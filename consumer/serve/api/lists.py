"""Pages: what channels, rules and events have in common when they are listed."""

from collections.abc import Collection, Sequence
from typing import Final, TypeVar

from consumer.serve.bodies import MAX_PAGE, MAX_PAGE_SIZE, PAGE_SIZE, Query
from consumer.serve.described import Parameter, Schema
from consumer.store.configured import Selection
from schemas import answers

T = TypeVar("T")
ORDER_BY: Final = ("id", "type", "createdAt", "updatedAt")


def parameters(order_by: Collection[str], default: str = "ASC") -> tuple[Parameter, ...]:
    """Return the parameters of every list."""
    return (
        Parameter("page", _number(MAX_PAGE, 1), "The page's number, from 1 on."),
        Parameter("pageSize", _number(MAX_PAGE_SIZE, PAGE_SIZE), "How many a page has."),
        Parameter("order", {"type": "string", "enum": ["ASC", "DESC"], "default": default}, "Which way."),
        Parameter("orderBy", {"type": "string", "enum": list(order_by), "default": "id"}, "By what."),
    )


def _number(most: int, default: int) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


_FLAG: Final[Schema] = {"type": "boolean", "default": False}
OF_CONFIGURATION: Final = (
    *parameters(ORDER_BY),
    Parameter("includeDeleted", _FLAG, "Those that are deleted too."),
    Parameter("includeDisabled", _FLAG, "Those that are disabled too."),
)


def numbers(query: Query) -> tuple[int, int]:
    """Return the page's number, from 1 on, and its size.

    Raises:
        Problem: they are none.
    """
    page = query.number("page", 1, least=1, most=MAX_PAGE)
    return page, query.number("pageSize", PAGE_SIZE, least=1, most=MAX_PAGE_SIZE)


def is_descending(query: Query, default: str = "ASC") -> bool:
    """Return whether the newest, or last, come first."""
    return query.choice("order", ("ASC", "DESC"), default) == "DESC"


def selection(
    query: Query,
    *,
    features: Collection[str] | None = None,
    channels: Collection[str] | None = None,
) -> Selection:
    """Return which channels or rules are asked for.

    Raises:
        Problem: a parameter is wrong, or nobody knows it.
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
    )


def page(wanted: Selection, items: Sequence[T], total: int) -> answers.Page[T]:
    """Return the answer with *items*, of *total*."""
    return answers.Page(
        total_count=total, page=wanted.offset // wanted.limit + 1, page_size=wanted.limit, items=list(items)
    )
