"""The secrets that go in are found nowhere again: no row, log line, metric or answer, but creation and rotation."""

import base64
import re
from typing import Any
from urllib.parse import quote

import asyncpg

from schemas import signing_secrets
from tests.conftest import MakeDeployment, Produce
from tests.support.api import Api, channel, rule, talking
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.verification import SECRET

READ, WRITE = "r3ad-token-of-the-api", "wr1te-token-of-the-api"
HEADER, QUERY = "h3ader-value-of-a-channel", "qu3ry-value-of-a-url"
PATH = "p4th-of-a-secret-url"


def spellings(secret: str) -> list[bytes]:
    """How *secret* may stand in a text or in bytes: plain, base64 (of any offset), hex, escaped."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"\0" * n + raw)[4:-4] for n in range(3)]
    return [raw, raw.hex().encode(), quote(secret, safe="").encode(), repr(secret)[1:-1].encode(), *shifted]


def found(secrets: list[str], said: bytes) -> list[str]:
    return [secret for secret in secrets if any(one in said for one in spellings(secret))]


async def everything(url: str) -> dict[str, bytes]:
    """Every table of the database, all columns, as the text of a dump and with bytes as they are."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    dump = {}
    for (table,) in tables:
        rows = await connection.fetch(f'SELECT t.*, t::text AS "whole row" FROM "{table}" t')  # noqa: S608
        values = [value for row in rows for value in row.values()]
        flat = [part for value in values for part in (value if isinstance(value, list) else [value])]
        dump[table] = b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in flat)
    await connection.close()
    return dump


async def are_in_no_row(url: str, secrets: list[str]) -> None:
    dump = await everything(url)
    assert found([QUERY], dump["channel"]) == [QUERY], "a URL is stored as it is; and the search finds what is there"
    for table, rows in dump.items():
        assert found(secrets, rows) == [], table
        assert table == "channel" or found([QUERY], rows) == [], table


async def with_secret_url(api: Api, url: str, **write: Any) -> list[Any]:
    """Make a channel whose URL is a secret, keep that by its mask, and change it: to another path, `/2` behind it."""
    hidden = channel(url, secretUrl=True)
    _, made = await api("POST", "/channels", hidden, **write)
    kept = await api("PUT", f"/channels/{made['id']}", hidden | {"url": made["url"], "name": "Other"}, **write)
    moved = await api("PUT", f"/channels/{made['id']}", hidden | {"url": f"{url}/2"}, **write)
    return [made, kept, moved]


async def test_secrets_are_in_answers_to_creation_and_rotation_alone(
    deploy: MakeDeployment, produce: Produce, receiver: Receiver
) -> None:
    tokens = f"default:read:{READ},default:write:{WRITE}"
    deployment = await deploy(TOLLBELL_API_TOKENS=tokens, TOLLBELL_RETRY_SCHEDULE="0s,100ms")
    given = signing_secrets.generate().reveal()
    applied = await deployment.apply(rules_yaml(f"{receiver.url('/a')}?token={QUERY}", 80), HOOK_SECRET=SECRET)
    assert applied.status == 0, applied.err
    receiver.answer(500, path="/a")
    receiver.answer(500, path="/b")
    answers: list[object] = []
    async with await deployment.replica() as replica, talking(replica) as api:
        await replica.ready()
        write = {"headers": {"Authorization": f"Bearer {WRITE}"}}
        hook = channel(f"{receiver.url('/b')}?token={QUERY}", customHeaders={"X-Own": HEADER}, signingSecret=given)
        _, made = await api("POST", "/channels", hook, **write)
        gone = channel(f"http://127.0.0.1:59999/c?token={QUERY}", customHeaders={"X-Own": HEADER})
        _, unreachable = await api("POST", "/channels", gone, **write)
        secret, *changed = await with_secret_url(api, f"{receiver.url('/b')}/{PATH}", **write)
        answers += changed
        _, rotated = await api("POST", f"/channels/{made['id']}/secret/rotate", {}, **write)
        answers.append(await api("POST", "/rules", rule(made["id"], unreachable["id"], secret["id"]), **write))
        answers.append(await api("PUT", f"/channels/{made['id']}", hook | {"name": "Other"}, **write))
        _, rotated_again = await api("POST", f"/channels/{made['id']}/secret/rotate", {}, **write)
        answers.append(await api("POST", "/channels", hook | {"signingSecret": "n0t-a-secret", "x": HEADER}, **write))
        answers.append(await api("GET", "/channels", headers={"Authorization": f"Bearer {READ}x"}))
        await replica.logged("catalog.loaded", rules=2)
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], native_record(90), b"no json")
        await replica.logged("delivery.attempted", 2, verdict="Delivered")
        await replica.logged("delivery.attempted", channel_id=unreachable["id"])
        await replica.logged("delivery.attempted", channel_id=secret["id"])
        answers.append(await api("POST", f"/channels/{unreachable['id']}/enable", **write))
        of_channels = [f"/channels/{one['id']}" for one in (made, secret)]
        for path in ("/channels?includeDeleted=true", "/rules", "/events", *of_channels):
            answers += [await api("GET", path, headers={"Authorization": f"Bearer {READ}"})]
        _, metrics = await replica.http("/metrics")
        assert await replica.terminate() == 0

    signing = [SECRET, given, *(one["signingSecret"] for one in (secret, unreachable, rotated, rotated_again))]
    signing += [one.removeprefix(signing_secrets.PREFIX) for one in signing]
    assert receiver.at(f"/b/{PATH}/2"), "it was sent to the secret URL, as it was changed"
    secrets = [*signing, HEADER, PATH, "hush-hush", READ, WRITE, deployment.environment["TOLLBELL_ENCRYPTION_KEYS"]]
    assert made["signingSecret"] == given
    assert receiver.at("/b"), "it was sent, so they did go in"
    assert len(set(signing)) == 12
    await are_in_no_row(deployment.environment["TOLLBELL_DATABASE_URL"], secrets)
    said = (str(replica.lines) + metrics + applied.out + applied.err).encode()
    assert found([*secrets, QUERY], said) == []
    assert found(secrets, str(answers).encode()) == []
    assert found([QUERY], re.sub(r"'url': '[^']*'", "", str(answers)).encode()) == []
