"""A URL that the deliverer would refuse is refused, with its reason, when the API or `apply` makes a channel."""

import functools
from ipaddress import ip_network

import aiohttp

from consumer.addresses import url_refusal
from tests.conftest import MakeDeployment
from tests.support.api import channel, talking
from tests.support.factories import rules_yaml
from tests.support.verification import SECRET
from tests.support.webhooks import name_server

PRIVATE = "is private, or reserved for a special purpose"
OPENED = "the operator may open its range with TOLLBELL_DELIVERY_ALLOW_CIDRS"
REFUSED = {
    "http://10.0.0.1/": f"its host {PRIVATE}: {OPENED}",
    "http://[::ffff:10.0.0.1]/": f"its host {PRIVATE}: {OPENED}",
    "https://[::1]:8443/": f"its host {PRIVATE}: {OPENED}",
    "http://169.254.169.254/latest/meta-data": f"its host is a cloud's metadata service: {OPENED}",
    "http://localhost:9000/": f"every address of its host {PRIVATE}: {OPENED}",
}


async def test_a_host_is_refused_when_all_its_addresses_are() -> None:
    """A host without addresses may get some later."""
    names = {
        "private.example": ["10.0.0.1", "10.0.0.2"],
        "opened.example": ["127.0.0.1"],
        "public.example": ["93.184.216.34"],
        "mixed.example": ["10.0.0.1", "93.184.216.34"],
    }
    async with name_server(names, silent="silent.example") as port:
        resolver = functools.partial(aiohttp.AsyncResolver, nameservers=["127.0.0.1"], udp_port=port)
        refused = {
            name: await url_refusal(f"https://{name}/", [ip_network("127.0.0.0/8")], resolver=resolver, seconds=0.3)
            for name in (*names, "silent.example", "unknown.example")
        }

    assert refused == dict.fromkeys(refused) | {"private.example": f"every address of its host {PRIVATE}: {OPENED}"}


async def test_the_api_refuses_a_private_url_and_keeps_moved_hosts(deploy: MakeDeployment) -> None:
    """A channel whose host has moved since can still be changed."""
    deployment = await deploy(TOLLBELL_DELIVERY_ALLOW_CIDRS="")
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()
        _, made = await api("POST", "/channels", channel())
        for url, problem in REFUSED.items():
            for method, path in (("POST", "/channels"), ("PUT", f"/channels/{made['id']}")):
                status, answer = await api(method, path, channel(url))
                faults = answer["extensions"]["invalidFields"]
                assert (status, faults) == (400, [{"field": "url", "problem": problem}]), (method, url)
        _, page = await api("GET", "/channels")

        assert [one["url"] for one in page["items"]] == ["https://example.com/hook"]

    async with await deployment.replica("--only", "serve", TOLLBELL_DELIVERY_ALLOW_CIDRS="10.0.0.0/8") as replica:
        await replica.ready()
        async with talking(replica) as api:
            status, opened = await api("POST", "/channels", channel("http://10.0.0.1/"))
            assert status == 201

    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()
        status, changed = await api("PUT", f"/channels/{opened['id']}", opened | {"disabled": True})
        assert (status, changed["disabled"]) == (200, True)


async def test_apply_refuses_it_with_its_line(deploy: MakeDeployment) -> None:
    deployment = await deploy(TOLLBELL_DELIVERY_ALLOW_CIDRS="")
    text = rules_yaml("http://10.0.0.1/", 80)

    refused = await deployment.apply(text, HOOK_SECRET=SECRET)
    opened = await deployment.apply(text, HOOK_SECRET=SECRET, TOLLBELL_DELIVERY_ALLOW_CIDRS="10.0.0.1/32")
    again = await deployment.apply(text.replace("Quota", "Level"), HOOK_SECRET=SECRET)

    said = f"tollbell: rules.yaml, line 6: channels[0].url: its host {PRIVATE}: {OPENED}\n"
    assert (refused.status, refused.out, refused.err) == (2, "", said)
    assert opened.status == 0
    assert again.out == '= channel hook\n~ rule quota\n    name: "Quota reached" -> "Level reached"\n'
