"""What a page is: a path, a method, and the work that answers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from consumer.serve.console.visits import Visit

Work = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """A page, or what a form of one is sent to.

    Attributes:
        name: in the log.
        method, path: below the console's root, as aiohttp writes it.
    """

    name: str
    method: str
    path: str
    work: Work
