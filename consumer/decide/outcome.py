"""What the wire did with one attempt: a fact, not yet a judgement (that is `verdict`)."""

import datetime as dt
from enum import StrEnum

from msgspec import Struct


class OutcomeClass(StrEnum):
    """How an attempt ended. Finite: it is a metric's label and a column."""

    STATUS = "status"  # the receiver answered; `Outcome.status` says with what
    TIMEOUT = "timeout"  # the one deadline over resolve, connect, send and bounded body passed
    DNS = "dns"  # the name does not resolve
    ADDRESS = "address"  # the name resolves to an address that webhooks may not go to
    CONNECT = "connect"  # nothing accepts connections there
    TLS = "tls"  # no trust: expired, another name, unknown authority, not TLS at all
    RESET = "reset"  # the connection ended before an answer
    PROTOCOL = "protocol"  # what came back is not HTTP
    REQUEST = "request"  # the request itself cannot be made of this URL and these headers
    RENDERING = "rendering"  # the channel's format could not be made of the event
    SHORTAGE = "shortage"  # we lack what a connection takes: a descriptor, a port, a buffer; the receiver was not asked
    INTERRUPTED = "interrupted"  # the sender died, or had to stop: whether the receiver got it is unknown


class Refusal(StrEnum):
    """What an answer means beyond its status, to the channel's format."""

    RETRY = "retry"  # not taken this time, whatever the status says
    PERMANENT = "permanent"  # this body will never be taken
    GONE = "gone"  # there is nothing at this URL any more


class Outcome(Struct, frozen=True, kw_only=True):
    """One attempt's end.

    Attributes:
        kind: how it ended.
        started_at: aware UTC, by the sender's clock.
        duration_ms: from the start until the end of the bounded body.
        status: the HTTP status, 100 to 599, where `kind` is STATUS; else None.
        body: the start of the response's body as text, capped; never holds NUL.
        detail: one line for a person: why it failed. No secret, no query, no userinfo.
        retry_after: the response's Retry-After as it came, capped in length; None where absent. Of a format that is
            asked to wait in the body: that, in seconds.
        refusal: what the channel's format reads of the answer; None: what its status says.
        is_of_destination: where `kind` is SHORTAGE, what we lack is for this destination alone: others are not short.
    """

    kind: OutcomeClass
    started_at: dt.datetime
    duration_ms: int
    status: int | None = None
    body: str = ""
    detail: str = ""
    retry_after: str | None = None
    refusal: Refusal | None = None
    is_of_destination: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the receiver has taken it: 2xx alone (Standard Webhooks 1.0.0), unless its format objects."""
        is_2xx = self.status is not None and 200 <= self.status <= 299  # noqa: PLR2004 - the status class itself
        return is_2xx and self.refusal is None
