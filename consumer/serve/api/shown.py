"""What is stored → what the API answers. Pure. No secret passes here but the one that was made a moment ago."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from consumer.decide.rules import features_named
from consumer.errors import MadeByNewer
from consumer.store.catalog import NEWER
from consumer.store.configured import StoredChannel, StoredRule
from consumer.store.history import Delivery, Event, StoredAttempt
from consumer.store.jobs import StoredJob
from schemas import answers, refusals, times
from schemas.channels import HIDDEN
from schemas.events import DeliveryState, FeatureRef, ThresholdPart, threshold_part
from schemas.reading import read_all
from schemas.refusals import Place
from schemas.rules import BalanceThresholdSpec, InvoiceUpdatedSpec, RuleType
from schemas.secret import MASK, Secret

TEST: Final = "notification.rule.test"  # the reference product's annotation


def channel(
    stored: StoredChannel, *, made: Secret | None = None, warnings: Sequence[tuple[Place, str]] = ()
) -> answers.NotificationChannel:
    """Return *stored* as the API shows it; *made* is its signing secret, in this answer alone, as *warnings* are."""
    assert stored.life is not None  # noqa: S101 - what is shown has been stored
    config = stored.config.model_dump(exclude=set(HIDDEN))
    return answers.NotificationChannel(
        **config
        | {
            "url": stored.shown_url,
            "metadata": config["metadata"] or None,
            "secret_url": config["secret_url"] or None,
            "content_type": config["content_type"] if stored.config.template is not None else None,
            "content_mode": config["content_mode"] if stored.config.format == "cloudevents" else None,
        },
        id=stored.id,
        disabled=stored.disabled_by is not None,
        created_at=times.text(stored.life.created_at),
        updated_at=times.text(stored.life.updated_at),
        deleted_at=_time(stored.life.deleted_at),
        custom_headers=dict.fromkeys(stored.headers, MASK) if stored.headers else None,
        secrets=dict.fromkeys(stored.secrets, MASK) if stored.secrets else None,
        signing_secret=made.reveal() if made else None,
        disabled_by=stored.disabled_by,
        disabled_reason=stored.disabled_reason,
        paused_until=_time(stored.paused_until),
        allowed_rate=stored.allowed_rate,
        warnings=oddities(warnings),
    )


def oddities(warnings: Sequence[tuple[Place, str]]) -> list[answers.Oddity] | None:
    """Return *warnings* as the API shows them; None where there are none."""
    return [answers.Oddity(field=refusals.written(place), problem=text) for place, text in warnings] or None


def rule(stored: StoredRule, features: Mapping[str, FeatureRef]) -> answers.NotificationRule:
    """Return *stored* as the API shows it; *features* are those that records have shown, by id and by key."""
    assert stored.life is not None  # noqa: S101 - what is shown has been stored
    spec = stored.spec
    levels = spec if isinstance(spec, BalanceThresholdSpec) else None
    names = features_named(spec)
    statuses = spec.statuses if isinstance(spec, InvoiceUpdatedSpec) else None
    return answers.NotificationRule(
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


def sample_rule(stored: Event) -> answers.NotificationRule:
    """Return the rule of a test event of a channel that no rule sends to: the one that its payload names."""
    kind, named = _type(stored), read_all(stored.payload)["data"]["rule"]
    made = times.text(stored.created_at)
    return answers.NotificationRule(
        id=stored.rule_id,
        type=kind,
        name=named["name"],
        disabled=True,
        channels=[answers.ChannelMeta(one.channel_id) for one in stored.deliveries],
        created_at=made,
        updated_at=made,
        thresholds=[ThresholdPart(one["type"], one["value"]) for one in named["thresholds"]],
    )


def _type(stored: Event) -> RuleType:
    try:
        return RuleType(stored.type)
    except ValueError:
        raise MadeByNewer(f"event {stored.id}: {NEWER}") from None


def event(stored: Event, of_rule: answers.NotificationRule) -> answers.NotificationEvent:
    """Return *stored* as the API shows it, with its rule as that is now."""
    return answers.NotificationEvent(
        id=stored.id,
        type=_type(stored),
        created_at=times.text(stored.created_at),
        rule=of_rule,
        delivery_status=[delivery(one) for one in stored.deliveries],
        payload=msgspec.Raw(stored.payload),
        annotations={TEST: True} if stored.is_test else None,
        record=stored.record,
    )


def job(stored: StoredJob) -> answers.Job:
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
        filter=None if stored.filter is None else msgspec.json.decode(stored.filter),
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


def _attempt(stored: StoredAttempt) -> answers.Attempt:
    is_2xx = stored.status is not None and 200 <= stored.status <= 299  # noqa: PLR2004 - the status class itself
    is_taken = is_2xx and not stored.detail  # which says what its format reads of it: Slack's 200 without ok
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
