"""A channel's slots: when one is free, what is claimed ahead of it, and what becomes of that."""

import pytest

from tests.conftest import MakeDeployment
from tests.integration.deliver.test_deliverers import ALL_ARRIVED, deliverer, holding, hook, until
from tests.support.fakes import Receiver
from tests.support.stores import KEY, Store


@pytest.mark.parametrize(("status", "goes_on"), [(200, True), (503, False)])
async def test_the_next_one_is_sent_before_a_success_is_recorded(
    status: int, goes_on: bool, deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    """Before a failure is recorded none is sent."""
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="1")
    await stored.configure({name: hook(receiver, url=receiver.url(f"/{name}")) for name in ("hook", "other")})
    first, second = await stored.events(2)
    release = receiver.hold(path="/hook", reply=status)
    async with await deliverer(deployment):
        await receiver.wait_for(1, path="/hook")
        await receiver.wait_for(2, path="/other")
        async with holding(stored, first):  # nothing is recorded of it
            release.set()
            if goes_on:
                await receiver.wait_for(2, path="/hook")
            await stored.events(3)
            await receiver.wait_for(3, path="/other")  # it has claimed, and what may start has started
            sent = [request.headers["webhook-id"] for request in receiver.at("/hook")]

        assert set(sent[:2]) == ({first, second} if goes_on else {first})
        assert receiver.most_in_flight <= 2  # one of each


@pytest.mark.parametrize("how", ["stop", "failure"])
async def test_prefetched_deliveries_are_released_by_stop_and_failure(
    how: str, deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_DELIVERY_CHANNEL_CONCURRENCY="1")
    await stored.configure({"hook": hook(receiver)})
    await stored.events(5)
    receiver.answer(200)
    release = receiver.hold(reply=200 if how == "stop" else 503)
    async with await deliverer(deployment) as replica:
        await receiver.wait_for(2)
        await until(stored, "SELECT count(*) = 2 FROM delivery WHERE state = 'SENDING'")  # the second, and one ahead
        if how == "stop":
            replica.process.terminate()
            await until(stored, "SELECT count(*) = 1 FROM delivery WHERE state = 'SENDING'")
            release.set()
            assert await replica.process.wait() == 0
        else:
            retry = receiver.hold()  # whichever is next is claimed again, and is the only one
            release.set()
            await receiver.wait_for(3)
            await until(stored, "SELECT count(*) = 2 FROM delivery WHERE token IS NULL AND state = 'PENDING'")
            retry.set()
            await until(stored, ALL_ARRIVED)

    left = ["PENDING"] * 3 + ["SUCCESS"] * 2 if how == "stop" else ["SUCCESS"] * 5
    assert [state for (state,) in await stored.sql("SELECT state FROM delivery ORDER BY state")] == left
    assert await stored.one("SELECT count(*) FROM attempt WHERE outcome = 'interrupted'") == 0
    assert receiver.most_in_flight == 1
