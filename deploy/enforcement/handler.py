"""Receives Tollbell's webhooks and keeps a backend as they say: no framework, one class.

Each webhook is verified, acted upon, and answered 2xx; 503 where the backend failed, so that Tollbell sends it again.
Acting is idempotent and looks at the newest that is known, never at the webhook alone: so a webhook that comes twice,
late, or after a newer one changes nothing.
"""

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, Protocol

from . import access, signatures
from .access import NEVER, AccessState, Key, Place, Policy, Reported

BACKEND_SECONDS: Final = 10.0  # less than the 15 s that Tollbell waits for an answer
REMEMBERED_IDS: Final = 100_000  # a webhook-id that is forgotten costs a needless call of the backend, nothing else
REMEMBERED_SECONDS: Final = 4 * 86_400.0  # longer than a delivery lives (72 h): a late one must still meet a newer one
logger: Final = logging.getLogger("enforcement")


class BackendFailed(Exception):
    """The backend did not take a change: answer 503, and Tollbell sends the webhook again."""


class StateUnknown(Exception):
    """Tollbell's state is not known: nothing is changed. Unknown does not mean that every customer has access."""


class Backend(Protocol):
    """Where access is enforced. Every call may be repeated, and ends with what it says being so.

    Raises:
        BackendFailed: of every call: it may not be so.
    """

    async def cut_off(self, place: Place, until: datetime | None) -> None:
        """Refuse the customer from now on; *until* the end of the usage period, None where it has none."""
        ...

    async def give_back(self, place: Place) -> None:
        """Let the customer in."""
        ...

    async def converge(self, cut_off: Mapping[Place, datetime | None]) -> None:
        """Refuse these and no others."""
        ...


@dataclass(slots=True)
class Known:
    """What is known of an entitlement and feature, and when a webhook last spoke of it: its number, Unix seconds."""

    standing: AccessState
    number: int
    at: float


ReadState = Callable[[Policy], Awaitable[Iterable[Reported]]]


class Enforcer:
    """What a receiver does with each webhook.

    Attributes:
        is_known: whether the state has been read once. Before, the backend is as it was left, changed by webhooks.
    """

    def __init__(
        self,
        backend: Backend,
        secrets: Sequence[str],
        *,
        policy: Policy | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._backend = backend
        self._keys = signatures.keys(secrets)
        self._policy = policy or Policy()
        self._now = now
        self._known: dict[Key, Known] = {}
        self._about: defaultdict[Place, set[Key]] = defaultdict(set)
        self._number = 0  # of webhooks acted upon
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = asyncio.Lock()  # calls of the backend come in the order of the decisions
        self.is_known = False

    @property
    def known(self) -> int:
        """Of how many entitlements something is remembered."""
        return len(self._known)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Act on a webhook, once; return the status to answer."""
        try:
            webhook_id = signatures.verify(headers, body, self._keys, now=self._now())
            if webhook_id in self._ids:
                return HTTPStatus.NO_CONTENT
            reported = access.read(body, self._policy)
        except signatures.Untrusted as exc:
            logger.warning("refused: %s", exc)
            return HTTPStatus.UNAUTHORIZED
        except access.Unreadable as exc:
            logger.error("refused: %s", exc)  # noqa: TRY400 - the body is not ours to show
            return HTTPStatus.BAD_REQUEST
        try:
            if reported is not None:
                async with asyncio.timeout(BACKEND_SECONDS), self._lock:
                    await self._take(reported)
        except (BackendFailed, TimeoutError) as exc:
            logger.warning("%s: not enforced yet, to be sent again: %s", webhook_id, str(exc) or type(exc).__name__)
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._remember(webhook_id)
        return HTTPStatus.NO_CONTENT

    async def converge(self, read: ReadState) -> None:
        """Make the backend as Tollbell's state says: at start, and now and then, should anything have been missed.

        Raises:
            StateUnknown: it could not be read: nothing was changed.
            BackendFailed: it may not be so.
        """
        number, state = self._number, dict[Key, AccessState]()
        for reported in await read(self._policy):
            state[reported.key] = access.joined(state.get(reported.key), reported.standing)
        async with self._lock:
            self._replace(state, number)
            cut_off = self.cut_off()
            await self._backend.converge(cut_off)
            self.is_known = True
        logger.info("as Tollbell's state says: %d cut off", len(cut_off))

    def cut_off(self) -> dict[Place, datetime | None]:
        """Return who is cut off from what, and until when."""
        ends = {place: self._ends(place) for place in self._about}
        return {place: _latest(found) for place, found in ends.items() if found}

    def _ends(self, place: Place) -> list[datetime]:
        """Return the ends of the periods in which the customer of *place* is cut off from it."""
        marks = (mark for key in self._about[place] for mark in self._known[key].standing.reached())
        return [mark.until for mark in marks if mark.customer == place.customer]

    async def _take(self, reported: Reported) -> None:
        """Join what is *reported* to what is known; then apply it to all that it is about, changed or not."""
        self._number += 1
        known = self._known.get(reported.key)
        before = known.standing if known else None
        self._keep(reported.key, Known(access.joined(before, reported.standing), self._number, self._now()))
        marks = [mark for one in (before, reported.standing) if one for mark in one.marks.values()]
        for customer in dict.fromkeys([reported.customer, *(mark.customer for mark in marks)]):
            place = Place(customer, reported.key.feature)
            ends = self._ends(place)
            if ends:
                await self._backend.cut_off(place, _latest(ends))
            else:
                await self._backend.give_back(place)

    def _keep(self, key: Key, known: Known) -> None:
        self._known[key] = known
        for mark in known.standing.marks.values():
            self._about[Place(mark.customer, key.feature)].add(key)

    def _replace(self, state: Mapping[Key, AccessState], number: int) -> None:
        """Take *state* for what is so, but where a webhook after that *number* has spoken meanwhile."""
        all_known, self._known = self._known, {}
        self._about.clear()
        oldest = self._now() - REMEMBERED_SECONDS
        for key, known in all_known.items():
            if known.number > number:
                self._keep(key, known)
            elif known.at >= oldest:  # which period it is stays known: an older webhook may come yet
                bare = AccessState(known.standing.period, is_over=known.standing.is_over)
                self._keep(key, Known(bare, known.number, known.at))
        for key, standing in state.items():
            found = self._known.get(key) or Known(standing, number, self._now())
            self._keep(key, Known(access.joined(found.standing, standing), found.number, found.at))

    def _remember(self, webhook_id: str) -> None:
        self._ids[webhook_id] = None
        if len(self._ids) > REMEMBERED_IDS:
            self._ids.popitem(last=False)


def _latest(ends: Iterable[datetime]) -> datetime | None:
    latest = max(ends)
    return None if latest == NEVER else latest
