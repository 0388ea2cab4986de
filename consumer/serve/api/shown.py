"""What is stored → what the API answers. Pure. No secret passes here but the one that was made a moment ago."""

from collections.abc import Mapping

from consumer.store.configured import StoredChannel, StoredRule
from schemas import answers, durations, times
from schemas.events import FeatureRef, threshold_part
from schemas.rules import BalanceThresholdSpec, InvoiceUpdatedSpec, ResetSpec
from schemas.secret import Secret


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
        deleted_at=times.text(stored.life.deleted_at) if stored.life.deleted_at else None,
        format=stored.format,
        key=stored.key,
        metadata=dict(stored.metadata) or None,
        custom_headers=dict.fromkeys(stored.headers, answers.MASK) if stored.headers else None,
        signing_secret=made.reveal() if made else None,
        retry_schedule=[durations.text(delay) for delay in stored.retry_schedule] if stored.retry_schedule else None,
        concurrency=stored.concurrency,
        rate_limit=stored.rate_limit,
        expire_after=durations.text(stored.expire_after) if stored.expire_after else None,
        disabled_by=stored.disabled_by,
        disabled_reason=stored.disabled_reason,
        paused_until=times.text(stored.paused_until) if stored.paused_until else None,
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
        deleted_at=times.text(stored.life.deleted_at) if stored.life.deleted_at else None,
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
