"""One delivery: render, send, judge. HTTP never inside a transaction."""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from consumer import clock
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import verdict
from consumer.deliver import bodies
from consumer.deliver.bodies import Bodies, unsent
from consumer.deliver.consents import Consents
from consumer.deliver.opened import OpenedChannels
from consumer.deliver.webhook import Webhook, WebhookRequest
from consumer.errors import Refused
from consumer.formats import checks, reading
from consumer.store.deliveries import Claimed, Ended
from schemas.secret import Secret


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts."""

    bodies: Bodies
    webhook: Webhook
    channels: OpenedChannels
    schedule: Sequence[dt.timedelta]
    consents: Consents

    async def prepared(self, delivery: Claimed) -> Claimed | None:
        """Return *delivery* with its body; None where there is none now: it is to be claimed again, a little later.

        Raises:
            StoreUnavailable: nothing may be sent.
        """
        return await self.bodies.prepared(delivery)

    async def attempt(self, delivery: Claimed) -> Ended | None:
        """Make one attempt at *delivery*, which is `prepared`; return how it ended, which is yet to be recorded.

        What is returned holds no body: it may wait for Postgres for long. None where its receiver has consented to be
        sent to just now: nothing was sent, it is to be claimed again, at the rate that is allowed.

        Raises:
            StoreUnavailable: a consent could not be kept; nothing was sent.
        """
        request = self._request(delivery)
        try:
            if isinstance(request, Outcome):
                outcome = request
            elif delivery.request_origin is None or delivery.has_consent:
                outcome = await self._sent(request, delivery)
            else:
                asked = await self.consents.asked(delivery, request)
                if asked.outcome is None:
                    return None
                outcome = asked.outcome
        except asyncio.CancelledError:
            # The drain's deadline, which cancels once: whether the receiver has it is unknown, and that is recorded.
            outcome = unsent(OutcomeClass.INTERRUPTED, "stopped before an answer came: this replica is shutting down")
        decided = verdict(
            outcome,
            step=delivery.step,
            interrupted=delivery.interrupted,
            schedule=delivery.retry_schedule or self.schedule,
            jitter=clock.jitter(),
        )
        return Ended(replace(delivery, payload=None, rendered=None), outcome, decided)

    async def _sent(self, request: WebhookRequest, delivery: Claimed) -> Outcome:
        """Send *request*; return what came of it as the channel's format reads it."""
        outcome, fmt = await self.webhook.send(request), bodies.known(delivery.format)
        return outcome if fmt is None else reading.read(fmt, outcome, frozenset(delivery.permanent_statuses))

    def _request(self, delivery: Claimed) -> WebhookRequest | Outcome:
        try:
            opened = self.channels.of(delivery)
        except Refused as exc:
            return unsent(OutcomeClass.REQUEST, str(exc))
        body = self.bodies.filled(delivery, opened.secrets)
        if isinstance(body, Outcome):
            return body
        fmt, format_headers = bodies.known(delivery.format), bodies.headers(delivery)
        return WebhookRequest(
            channel_id=delivery.channel_id,
            url=opened.url if fmt is None else checks.target_url(fmt, opened.url),
            webhook_id=delivery.event_id,
            body=body,
            content_type=bodies.content_type(delivery.format),
            format_headers=format_headers,
            traceparent=delivery.record.traceparent if delivery.record is not None else None,
            headers=_beside(format_headers, opened.headers),
            secrets=opened.signing,
            hidden=opened.hidden,
        )


def _beside(format_headers: Sequence[tuple[str, str]], own: Mapping[str, Secret]) -> Mapping[str, Secret]:
    """Return the channel's *own* headers, without those that the format of its round sets: it may be of another now."""
    taken = {name for name, _ in format_headers}
    if taken.isdisjoint(map(str.lower, own)):
        return own
    return {name: value for name, value in own.items() if name.lower() not in taken}
