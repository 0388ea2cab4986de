"""What is stored → what the API answers. Pure. No secret passes here but the one that was made a moment ago."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

import msgspec

from consumer.store.configured import StoredChannel, StoredRule
from consumer.store.history import Attempt, Delivery, Event
from consumer.store.jobs import Job
from schemas import answers, durations, times
from schemas.events import DeliveryState, FeatureRef, ThresholdPart, threshold_part
from schemas.reading import read_all
from schemas.rules import BalanceThresholdSpec, InvoiceUpdatedSpec, ResetSpec, RuleType
from schemas.secret import MASK, Secret

TEST: Final = "notification.rule.test"  # the reference product's annotation


def channel(stored: StoredChannel, *, made: Secret | None = None) -> answers.Channel:
    """Return *stored* as the API shows it; *made* is its signing secret, shown in this answer alone."""
    assert stored.life is not None  # noqa: S101 - what is shown has been stored
    return answers.Channel(
        id=stored.id,
        type="WEBHOOK",
        name=stored.name,
        url=stored.url,
        disabled=stored.disabled_by is not None,
        created_at=times.text(stored.life.created_at),
        updated_at=times.text(stored.life.updated_at),
        deleted_at=_time(stored.life.deleted_at),
        format=stored.format,
        key=stored.key,
        metadata=dict(stored.metadata) or None,
        custom_headers=dict.fromkeys(stored.headers, MASK) if stored.headers else None,
        signing_secret=made.reveal() if made else None,
        retry_schedule=[durations.text(delay) for delay in stored.retry_schedule] if stored.retry_schedule else None,
        concurrency=stored.concurrency,
        rate_limit=stored.rate_limit,
        expire_after=durations.text(stored.expire_after) if stored.expire_after else None,
        disabled_by=stored.disabled_by,
        disabled_reason=stored.disabled_reason,
        paused_until=_time(stored.paused_until),
    )


def rule(stored: StoredRule, features: Mapping[str, FeatureRef]) -> answers.Rule:
    """Return *stored* as the API shows it; *features* are those that records have shown, by id and by key."""
    assert stored.life is not None  # noqa: S101 - what is shown has been stored
    spec = stored.spec
    levels = spec if isinstance(spec, BalanceThresholdSpec) else None
    names = spec.features if isinstance(spec, BalanceThresholdSpec | ResetSpec) else None
    statuses = spec.statuses if isinstance(spec, InvoiceUpdatedSpec) else None
    return answers.Rule(
        id=stored.id,
        type=spec.type,
        name=stored.name,
        disabled=stored.disabled,
        channels=[answers.ChannelMeta(one) for one in stored.channels],
        created_at=times.text(stored.life.created_at),
        updated_at=times.text(stored.life.updated_at),
        deleted_at=_time(stored.life.deleted_at),
        key=stored.key,
        metadata=dict(stored.metadata) or None,
        thresholds=[threshold_part(one) for one in levels.thresholds] if levels else None,
        features=None if names is None else [features.get(name, FeatureRef(name, name)) for name in names],
        emit=levels.emit if levels else None,
        rearm=levels.rearm if levels else None,
        notify_on=list(levels.notify_on) if levels else None,
        on_create=levels.on_create if levels else None,
        statuses=None if statuses is None else list(statuses),
    )


def sample_rule(stored: Event) -> answers.Rule:
    """Return the rule of a test event of a channel that no rule sends to: the one that its payload names."""
    named = read_all(stored.payload)["data"]["rule"]
    made = times.text(stored.created_at)
    return answers.Rule(
        id=stored.rule_id,
        type=RuleType(stored.type),
        name=named["name"],
        disabled=True,
        channels=[answers.ChannelMeta(one.channel_id) for one in stored.deliveries],
        created_at=made,
        updated_at=made,
        thresholds=[ThresholdPart(one["type"], one["value"]) for one in named["thresholds"]],
    )


def event(stored: Event, of_rule: answers.Rule) -> answers.Event:
    """Return *stored* as the API shows it, with its rule as that is now."""
    return answers.Event(
        id=stored.id,
        type=RuleType(stored.type),
        created_at=times.text(stored.created_at),
        rule=of_rule,
        delivery_status=[delivery(one) for one in stored.deliveries],
        payload=msgspec.Raw(stored.payload),
        annotations={TEST: True} if stored.is_test else None,
        record=stored.record,
    )


def job(stored: Job) -> answers.Job:
    """Return *stored* as the API shows it."""
    return answers.Job(
        id=stored.id,
        kind=stored.kind,
        state=stored.state.value,
        total=stored.total,
        done=stored.done,
        created_at=times.text(stored.created_at),
        started_at=_time(stored.started_at),
        ended_at=_time(stored.ended_at),
        reason=stored.reason,
        event_id=stored.event_id,
        channel_id=stored.channel_id,
    )


def delivery(stored: Delivery) -> answers.DeliveryStatus:
    """Return *stored* as the API shows it."""
    newest = stored.attempts[0] if stored.attempts else None
    changed = stored.ended_at or (newest.started_at if newest else stored.created_at)
    return answers.DeliveryStatus(
        state=DeliveryState(stored.state),
        reason=stored.reason or (newest.detail if newest and stored.state == DeliveryState.FAILED else ""),
        updated_at=times.text(changed),
        channel=answers.ChannelMeta(stored.channel_id),
        attempts=[_attempt(one) for one in stored.attempts],
        next_attempt=None if stored.is_in_flight else _time(stored.due_at),
    )


def _attempt(stored: Attempt) -> answers.Attempt:
    is_taken = stored.status is not None and 200 <= stored.status <= 299  # noqa: PLR2004 - the status class itself
    return answers.Attempt(
        state="SUCCESS" if is_taken else "FAILED",
        response=answers.AttemptResponse(
            body=stored.body, duration_ms=stored.duration_ms, status_code=stored.status, url=stored.url
        ),
        timestamp=times.text(stored.started_at),
        number=stored.number,
        outcome=stored.outcome,
        detail=stored.detail or None,
        next_attempt=_time(stored.next_at),
    )


def _time(at: dt.datetime | None) -> str | None:
    return None if at is None else times.text(at)
