"""Hypothesis without a stopwatch: how long a busy machine takes is no property of ours."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unhurried",
    settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),  # `make fuzz` wants more
)
settings.load_profile("unhurried")
