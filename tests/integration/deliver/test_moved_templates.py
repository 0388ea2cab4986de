"""A channel's template and URL are changed while a round is under way: each receiver gets what was written for it."""

import json
from typing import Any

import pytest

from consumer.store import deliveries, jobs
from consumer.store.outbox import ReservedSlots
from tests.conftest import MakeDeployment
from tests.integration.deliver.test_deliverers import ALL_ARRIVED, deliverer, hook, two, until
from tests.support.fakes import Receiver
from tests.support.jobs import work_off
from tests.support.stores import KEY, URL, Store, ended

OLD = {"for": "old", "token": "{{ secrets.token }}", "text": "{{ id }}"}
NEW = {"for": "new", "text": "{{ id }}"}
Edit = dict[str, Any]


def templated(tree: dict[str, str], **more: Any) -> Edit:
    return {"url": f"{URL}/old", "format": "template", "template": tree, "secrets": {"token": "of-the-old"}, **more}


AT_NEW = templated(OLD, url=f"{URL}/new")
EDITED = templated(NEW)
BOTH = templated(NEW, url=f"{URL}/new")


async def edited(stored: Store, change: Edit | None) -> str:
    """Make *change* of the channel; for None claim its delivery, and fail it: return for which receiver its body is."""
    if change is not None:
        await stored.configure({"hook": change})
        return ""
    (claimed,) = await stored.claim("hook")
    tree = await stored.one("SELECT tree::text FROM template WHERE format = $1", claimed.format)
    await stored.record(ended(claimed, 503))
    return str(json.loads(tree)["for"])


@pytest.mark.parametrize(
    ("edits", "then"),
    [
        ([EDITED], "old"),  # the same receiver: it may have the old bytes
        ([AT_NEW], "old"),  # which are the channel's still
        ([BOTH], "new"),
        ([AT_NEW, BOTH], "new"),
        ([EDITED, BOTH], "new"),
        ([EDITED, None, BOTH], "new"),
        ([AT_NEW, None, BOTH], "old"),  # sent to the new URL already, when that was configured
        ([BOTH, None, templated(OLD, url=f"{URL}/new")], "new"),
        ([templated(NEW, secretUrl=True)], "old"),  # leads where it did
        ([templated(NEW, url=f"{URL}/new", secretUrl=True)], "new"),
        ([templated(OLD, secretUrl=True), templated(NEW, url=f"{URL}/new", secretUrl=True)], "new"),
        ([templated(NEW, contentType="form", url=f"{URL}/new")], "new"),
        ([templated(NEW, url=f"{URL}/new", secrets={})], "new"),  # the old one's secret is gone
        ([templated(NEW, secrets={"token": "another"}, signingSecret="whsec_" + "A" * 32)], "old"),
        ([templated(NEW, customHeaders={"Authorization": "Bearer of-another"})], "old"),
    ],
)
async def test_a_moved_round_sends_what_its_receiver_expects(
    stored: Store, edits: list[Edit | None], then: str
) -> None:
    await stored.configure({"hook": templated(OLD)})
    await stored.events(1)

    first = await edited(stored, None)
    for edit in edits:
        await edited(stored, edit)

    assert (first, await edited(stored, None)) == ("old", then)


async def test_a_round_leased_as_it_was_made_is_moved_too(stored: Store) -> None:
    await stored.configure({"moved": templated(OLD), "edited": templated(OLD)})
    (written,) = await stored.write(1, moved=ReservedSlots(1, 0), edited=ReservedSlots(1, 0))
    await stored.record(*(ended(one, 503) for one in written.leased))
    await stored.configure({"moved": BOTH, "edited": EDITED})

    moved, kept = [*await stored.claim("moved"), *await stored.claim("edited")]

    before = {one.format for one in written.leased}
    assert [one.format in before for one in (moved, kept)] == [False, True]


async def test_a_moved_round_handed_back_stays_with_its_receiver(stored: Store) -> None:
    await stored.configure({"hook": templated(OLD)})
    await stored.events(1)
    await edited(stored, None)
    await stored.configure({"hook": BOTH})
    (claimed,) = await stored.claim("hook")
    await deliveries.hand_back(stored.database, [claimed])

    assert await edited(stored, None) == "new"


async def test_a_resend_that_waits_for_a_moved_round_is_of_now(stored: Store) -> None:
    await stored.configure({"hook": templated(OLD)})
    (event,) = await stored.events(1)
    (claimed,) = await stored.claim("hook")
    await stored.configure({"hook": AT_NEW})
    await jobs.resend(stored.database, "default", event)
    await work_off(stored)
    await stored.configure({"hook": BOTH})
    await stored.record(ended(claimed, 503))

    assert await edited(stored, None) == "new"


async def test_no_secret_goes_to_a_new_url_in_an_old_body(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    """Its name is kept, for a header's sake; its value is the new receiver's, or the old one's."""
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_RETRY_SCHEDULE="0s,100ms,1h,1h")
    old = templated(OLD, url=receiver.url("/old"))
    await stored.configure({key: hook(receiver, **old) for key in ("changed", "kept", "gone")})
    await stored.events(1)
    receiver.otherwise(503, path="/old")
    async with two(deployment):
        await receiver.wait_for(6, path="/old")
        secrets = {"changed": {"token": "of-the-new"}, "kept": {"token": "of-the-old"}, "gone": {}}
        at = {key: receiver.url(f"/{key}") for key in secrets}
        await stored.configure(
            {key: hook(receiver, **templated(NEW, url=at[key], secrets=named)) for key, named in secrets.items()}
        )
        await until(stored, ALL_ARRIVED)

    bodies = {key: [json.loads(one.body)["for"] for one in receiver.at(f"/{key}")] for key in secrets}
    assert bodies == {"changed": ["new"], "kept": ["new"], "gone": ["new"]}
    said = b"".join(one.body for key in secrets for one in receiver.at(f"/{key}"))
    assert [word for word in (b"of-the-old", b"of-the-new") if word in said] == []
    assert len({one.body for one in receiver.at("/old")}) == 1


async def test_a_new_url_alone_gets_the_same_bytes(deploy: MakeDeployment, stored: Store, receiver: Receiver) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY, TOLLBELL_RETRY_SCHEDULE="0s,1h")
    await stored.configure({"hook": hook(receiver, **templated(OLD, url=receiver.url("/old")))})
    await stored.events(1)
    receiver.answer(503, path="/old")
    async with await deliverer(deployment):
        await until(stored, "SELECT count(*) = 1 FROM attempt")
        await stored.configure({"hook": hook(receiver, **templated(OLD, url=receiver.url("/new")))})
        (new,) = await receiver.wait_for(1, path="/new")

    assert [one.body for one in receiver.at("/old")] == [new.body]
