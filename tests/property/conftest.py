"""Hypothesis without a stopwatch: how long a busy machine takes is no property of ours."""

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
