"""Templates are tried in a thread, one at a time, and no call waits for ever."""

import asyncio
import threading
from http import HTTPStatus

import pytest

from consumer.formats import template_trial
from consumer.serve.problems import ApiProblem
from consumer.serve.trials import Trials
from schemas.channels import ChannelConfig

HOOK = {"type": "WEBHOOK", "name": "Hook", "url": "https://example.com/"}
PLAIN = ChannelConfig.model_validate(HOOK)
WITH_TEMPLATE = ChannelConfig.model_validate(HOOK | {"format": "template", "template": {"a": "{{ id }}"}})


async def test_templates_are_tried_in_a_thread_and_the_rest_at_once() -> None:
    trials = Trials()

    assert await trials.run(WITH_TEMPLATE, threading.get_ident) != threading.get_ident()
    assert await trials.run(PLAIN, threading.get_ident) == threading.get_ident()


async def test_one_trial_runs_at_a_time_and_a_late_one_is_refused() -> None:
    trials, release, began = Trials(patience=0.05), threading.Event(), threading.Event()

    def held() -> None:
        began.set()
        release.wait(30)

    first = asyncio.create_task(trials.run(WITH_TEMPLATE, held))
    await asyncio.to_thread(began.wait, 30)
    try:
        with pytest.raises(ApiProblem, match="too many templates are tried at once") as refused:
            await trials.run(WITH_TEMPLATE, list)
        assert await trials.run(PLAIN, lambda: 1) == 1
    finally:
        release.set()
        await first

    assert refused.value.status is HTTPStatus.SERVICE_UNAVAILABLE
    assert await trials.run(WITH_TEMPLATE, list) == []


async def test_a_template_is_tried_once_and_then_known() -> None:
    trials, config = Trials(), WITH_TEMPLATE.model_copy(update={"template": {"of_this_test": "{{ id }}"}})

    before = template_trial.is_known(config)
    await trials.of(config)

    assert (before, template_trial.is_known(config), template_trial.is_known(PLAIN)) == (False, True, True)
