"""What the API answers: the reference product's models, with what is ours beside them. Absent members are not known.

Structs rather than pydantic models: amounts are written as JSON numbers with all their digits.
"""

from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from schemas.events import DeliveryState, FeatureRef, ThresholdPart
from schemas.rules import RuleType
from schemas.times import Time
from schemas.tracing import Traced

T = TypeVar("T")
# An object as it was stored, byte for byte: nothing of it is read, and no number of it loses a digit.
Stored = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    pass


class ChannelMeta(msgspec.Struct, frozen=True):
    """A channel, named."""

    id: str
    type: Literal["WEBHOOK"] = "WEBHOOK"


class _Configured(_Answer, frozen=True, kw_only=True):
    id: str
    name: str
    disabled: bool
    created_at: Time
    updated_at: Time
    deleted_at: Time | None = None
    key: str | None = None
    metadata: dict[str, str] | None = None


class Oddity(_Answer, frozen=True, kw_only=True):
    """What is odd about a field, though it was taken."""

    field: str
    problem: str


class NotificationChannel(_Configured, frozen=True, kw_only=True):
    """A channel. Values of headers and secrets are `***`, a secret URL ends so.

    The signing secret is in the answer to its creation alone.
    """

    type: Literal["WEBHOOK"]
    url: str
    format: str
    custom_headers: dict[str, str] | None = None
    signing_secret: str | None = None
    retry_schedule: list[str] | None = None
    concurrency: int | None = None
    rate_limit: float | None = None
    expire_after: str | None = None
    secret_url: bool | None = None
    secrets: dict[str, str] | None = None
    permanent_statuses: list[int] | None = None
    template: Annotated[Any, msgspec.Meta(description="As it was set.")] | None = None
    content_type: str | None = None
    content_mode: str | None = None
    request_origin: str | None = None
    allowed_rate: Annotated[
        float | None,
        msgspec.Meta(description="Attempts a second that the receiver has consented to (`requestOrigin`)."),
    ] = None
    disabled_by: Literal["person", "tollbell"] | None = None
    disabled_reason: str | None = None
    paused_until: Time | None = None
    warnings: Annotated[
        list[Oddity] | None,
        msgspec.Meta(description="In the answer to its creation or change alone: what a person should look at."),
    ] = None


class NotificationRule(_Configured, frozen=True, kw_only=True):
    """A rule. Which of the members after `channels` it has depends on its type."""

    type: RuleType
    channels: list[ChannelMeta]
    thresholds: list[ThresholdPart] | None = None
    features: list[FeatureRef] | None = None
    emit: str | None = None
    rearm: str | None = None
    notify_on: list[str] | None = None
    on_create: str | None = None
    statuses: list[str] | None = None


class AttemptResponse(_Answer, frozen=True, kw_only=True):
    """What came of one request."""

    body: Annotated[str, msgspec.Meta(description="The start of the receiver's answer.")]
    duration_ms: int
    status_code: int | None = None
    url: Annotated[str | None, msgspec.Meta(description="Without path and query, which are often secrets.")] = None


class Attempt(_Answer, frozen=True, kw_only=True):
    """One request of a delivery. `outcome` and `detail` say why it failed."""

    state: Literal["SUCCESS", "FAILED"]
    response: AttemptResponse
    timestamp: Time
    number: int
    outcome: str
    detail: str | None = None
    next_attempt: Time | None = None


class DeliveryStatus(_Answer, frozen=True, kw_only=True):
    """One event for one channel, newest attempt first, a hundred of them at most."""

    state: DeliveryState
    reason: str
    updated_at: Time
    channel: ChannelMeta
    attempts: list[Attempt]
    next_attempt: Time | None = None


class NotificationEvent(_Answer, frozen=True, kw_only=True):
    """A notification event; `payload` is the body of its webhooks, as frozen.

    `record`: what it was made of: where it lies in Kafka, and what its producer calls it. The clock's events have none.
    """

    id: str
    type: RuleType
    created_at: Time
    rule: NotificationRule
    delivery_status: list[DeliveryStatus]
    payload: Stored
    annotations: dict[str, Any] | None = None
    record: Traced | None = None


class Page(_Answer, Generic[T], frozen=True, kw_only=True):
    """A page of a list; one beyond the last is empty."""

    total_count: int
    page: int
    page_size: int
    items: list[T]


class NotificationEventPage(_Answer, frozen=True, kw_only=True):
    """A page of events; one beyond the last is empty."""

    total_count: Annotated[int, msgspec.Meta(description="Counted up to 10,000.")]
    page: int
    page_size: int
    items: list[NotificationEvent]
    next_cursor: Annotated[
        str | None, msgspec.Meta(description="As `cursor`, it gives what comes next, however far.")
    ] = None


class ChannelDelivery(_Answer, frozen=True, kw_only=True):
    """A delivery of a channel, and whose it is."""

    event_id: str
    type: str
    delivery: DeliveryStatus


class DeliveryPage(_Answer, frozen=True, kw_only=True):
    """A page of a channel's deliveries; one beyond the last is empty."""

    total_count: int
    page: int
    page_size: int
    items: list[ChannelDelivery]
    next_cursor: str | None = None


class Job(_Answer, frozen=True, kw_only=True):
    """A resend or a recovery: how far it is. Its deliveries may still be under way when it is done."""

    id: str
    kind: Literal["resend", "resend_many", "recover"]
    state: Literal["WAITING", "RUNNING", "DONE", "STOPPED"]
    total: int
    done: int
    created_at: Time
    started_at: Time | None = None
    ended_at: Time | None = None
    reason: str | None = None
    event_id: str | None = None
    channel_id: str | None = None
    filter: Annotated[dict[str, Any] | None, msgspec.Meta(description="Of a resend of many, as it was asked.")] = None


class Resending(_Answer, frozen=True, kw_only=True):
    """How many deliveries are sent again, or would be."""

    total: Annotated[int, msgspec.Meta(description="Exact up to 100,000; 100,001: more, which are refused.")]
    job_id: Annotated[str | None, msgspec.Meta(description="That does it; absent of a dry run.")] = None


class PartitionLag(_Answer, frozen=True, kw_only=True):
    """A partition that a process reads; what is not known now is absent."""

    topic: str
    partition: int
    lag: int | None = None
    lag_seconds: float | None = None


class Replica(_Answer, frozen=True, kw_only=True):
    """A process of the deployment, as it said it is when it was last heard of. What does not apply is absent."""

    id: str
    host: str
    pid: int
    version: str
    roles: list[str]
    started_at: Time
    seen_at: Time
    silent_seconds: Annotated[float, msgspec.Meta(description="Since it was heard of. It speaks every 10 s.")]
    ready: bool
    failing: Annotated[dict[str, str], msgspec.Meta(description="Checks that do not pass, each with why.")]
    records: Annotated[int | None, msgspec.Meta(description="Taken since its start.")] = None
    dead_letters: Annotated[dict[str, int] | None, msgspec.Meta(description="Since its start, by reason.")] = None
    partitions: list[PartitionLag] | None = None


class JudgementLine(_Answer, frozen=True, kw_only=True):
    """What a record means to a threshold; to the rule as a whole, where there is none."""

    reason: str
    threshold: ThresholdPart | None = None


class PreviewedWebhook(_Answer, frozen=True, kw_only=True):
    """What a channel would send of a sample. `problem`: why there is no body."""

    type: RuleType
    body: Annotated[str, msgspec.Meta(description="Byte for byte; `***` where a secret goes.")]
    bytes: int
    headers: Annotated[dict[str, str], msgspec.Meta(description="Values of the channel's own are `***`.")]
    problem: str | None = None


class ChannelPreview(_Answer, frozen=True, kw_only=True):
    """What a channel would send of each type of event. Nothing was stored or sent."""

    url: str
    items: list[PreviewedWebhook]
    warnings: list[Oddity] | None = None


class Rejection(msgspec.Struct, frozen=True):
    """Why a record can't be understood: it would be a dead letter."""

    reason: str
    error: str


class Explanation(_Answer, frozen=True, kw_only=True):
    """What a record means to a rule now. Nothing was written or sent.

    `understood`: false where `rejected` says why not, or where it is a record of no type that Tollbell reads.
    `about`: whether the rule is about it at all. `why`: where it is not understood, or the rule is not about it: for
    people. `events`: the bodies that would be made, with ids of zeros.
    """

    understood: bool
    about: bool
    judgements: list[JudgementLine]
    events: list[Stored]
    rejected: Rejection | None = None
    why: str | None = None


class FiredThreshold(_Answer, frozen=True, kw_only=True):
    """A threshold that has fired in its entitlement's current period: of which subject, when, and at what level.

    `isReached`: whether it is reached now, of rules that follow their thresholds down (`rearm`, `recovered`).
    """

    event_id: str
    threshold: ThresholdPart
    entitlement_id: str
    period: Stored
    episode: int
    at: Time
    level: Decimal
    feature: Stored
    subject: Stored | None = None
    customer: Stored | None = None
    is_reached: bool | None = None


class FiredMark(_Answer, frozen=True, kw_only=True):
    """A threshold that has fired in the period. `level`: the usage or balance that it fired at.

    `isReached`: as last judged by a rule that follows its thresholds down (`rearm`, `recovered`), else true.
    """

    rule_id: str
    threshold: ThresholdPart
    at: Time
    level: Decimal
    is_reached: bool


class EntitlementPeriod(_Answer, frozen=True, kw_only=True):
    """A usage period; one without `to` never ends."""

    from_: Time = msgspec.field(name="from")
    to: Time | None = None


class Entitlement(_Answer, frozen=True, kw_only=True):
    """An entitlement that an enabled rule is about, with how much of its allowance is used.

    `percentage`: rounded down to a multiple of ten, at most 1000. `since`: `calculatedAt` of the record that changed
    it. Both are absent where that is not known: no allowance, or no record of the current period yet. `fired`:
    thresholds in the period.
    """

    id: str
    percentage: int | None = None
    since: Time | None = None
    period: EntitlementPeriod
    feature: Stored | None = None
    subject: Stored | None = None
    customer: Stored | None = None
    fired: list[FiredMark]


class EntitlementPage(_Answer, frozen=True, kw_only=True):
    """Entitlements, the highest percentage first. There may be more as long as there is a `nextCursor`."""

    total_count: int
    items: list[Entitlement]
    next_cursor: str | None = None


class Flag(_Answer, frozen=True, kw_only=True):
    """A feature: `access`, or `cut-off` where the targeting key is that of a customer who is cut off from it."""

    state: Literal["ENABLED"]
    variants: dict[str, bool]
    default_variant: str
    targeting: dict[str, Any]


class Flags(_Answer, frozen=True, kw_only=True):
    """Flags by feature key, in flagd's own form (https://flagd.dev/schema/v0/flags.json)."""

    flags: dict[str, Flag]


class RuleState(_Answer, frozen=True, kw_only=True):
    """What has fired, newest first. There may be more as long as there is a `nextCursor`."""

    items: list[FiredThreshold]
    next_cursor: str | None = None


class InvalidField(msgspec.Struct, frozen=True):
    """A field that is wrong, and what to change."""

    field: str
    problem: str


class Problem(_Answer, frozen=True, kw_only=True):
    """Why something was not done (RFC 9457)."""

    type: Annotated[str, msgspec.Meta(extra_json_schema={"format": "uri"})]
    title: str
    status: int
    detail: str
    instance: Annotated[str, msgspec.Meta(extra_json_schema={"format": "uri"})]
    extensions: dict[str, list[InvalidField]] | None = None
