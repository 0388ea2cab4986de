"""What benchmarks configure: a channel to a URL, and a rule about a feature."""

from collections.abc import Sequence

from tests.support.verification import SECRET

Configured = dict[str, object]


def hook(key: str, url: str) -> Configured:
    """Return a channel."""
    return {"key": key, "type": "WEBHOOK", "name": "Hook", "url": url, "signingSecret": SECRET}


def quota(key: str, channel: str, feature: str, lines: Sequence[int], **more: object) -> Configured:
    """Return a rule of percentages."""
    return {
        "key": key,
        "type": "entitlements.balance.threshold",
        "name": "Quota",
        "channels": [channel],
        "features": [feature],
        "thresholds": [{"type": "usage_percentage", "value": line} for line in lines],
        **more,
    }
