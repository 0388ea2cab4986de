"""Hypothesis without a stopwatch: how long a busy machine takes is no property of ours. And what files share."""

import pytest
from hypothesis import HealthCheck, settings

from consumer import clock
from consumer.errors import Unavailable
from tests.support import prometheus

settings.register_profile("unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic time, which a test moves."""
    at = [1_000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: at[0])
    return at


@pytest.fixture(scope="session")
def promtool() -> str:
    try:
        return prometheus.program("promtool")
    except Unavailable as exc:
        pytest.skip(f"needs promtool: {exc}")
