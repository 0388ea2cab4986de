"""Files of a process: raised to what is allowed, and shared out so that no side can take them all."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import descriptors


@given(st.integers(64, 2**20), st.integers(1, 10_000))
def test_no_side_takes_what_others_need(limit: int, concurrency: int) -> None:
    budget = descriptors.budget(limit, concurrency)

    assert budget.served >= 16
    assert budget.sent >= 16 or budget.sent == concurrency + descriptors.IDLE_SENT
    assert limit - budget.served - budget.sent >= min(descriptors.RESERVED, limit // 4)


@pytest.mark.parametrize(
    ("limit", "served", "sent"),
    [
        # a container's usual limits: the defaults have room
        (1024, 256, 640),
        (4096, 512, 1524),
        (65_536, 512, 1524),
        # too little for 500 in flight
        (256, 64, 128),
    ],
)
def test_files_are_shared_out(limit: int, served: int, sent: int) -> None:
    budget = descriptors.budget(limit, 500)

    assert (budget.served, budget.sent) == (served, sent)


def test_the_limit_is_raised_to_what_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        raised = descriptors.raised()

        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert raised == (descriptors.WANTED if hard == resource.RLIM_INFINITY else min(hard, descriptors.WANTED))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
