"""What one sees as YAML: `tollbell apply` of it changes nothing, no secret is in it, and nothing of others."""

from tests.conftest import MakeDeployment, Shared, reading
from tests.support.api import channel, rule, talking
from tests.support.console import Seen, browsing

STAYS = ": is stored and not in the file: it stays; --prune deletes it\n"
SECRETS = {"Authorization": "Bearer hush-hush"}


def links(seen: Seen) -> list[str]:
    return [one["href"] for one in seen.all("a") if one.get("href", "").startswith("/yaml?")]


async def test_applying_the_yaml_changes_nothing_and_shows_no_secret(deploy: MakeDeployment) -> None:
    deployment = await deploy()
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.logged("role.ready", role="serve")
        odd = {"name": 'A "name": with ${X}, ümläut\u2028and a line', "customHeaders": SECRETS, "format": "slack"}
        url = "https://hooks.slack.com/services/T/B/hush"
        _, hook = await api("POST", "/channels", channel(url, key="hook", **odd))
        _, other = await api("POST", "/channels", channel(key="other", retrySchedule=["0s", "1h"]))
        levels = [{"type": "usage_value", "value": 10}, {"type": "balance_value", "value": -5}]
        _, quota = await api("POST", "/rules", rule(hook["id"], other["id"], key="quota", thresholds=levels))
        async with browsing(replica) as browser:
            paths = [
                *links(await browser.get(f"/rules/{quota['id']}")),
                *links(await browser.get(f"/channels/{hook['id']}")),
                *links(await browser.get("/rules")),
                *links(await browser.get("/channels")),
            ]
            pages = [await browser.get(path) for path in paths]
            files = [await browser.get(path.replace("/yaml?", "/yaml/tollbell.yaml?")) for path in paths]
        applied = [await deployment.apply(file.html) for file in files]

    both = "= channel hook\n= channel other\n"
    assert [(done.status, done.out) for done in applied] == [
        (0, f"{both}= rule quota\n"),
        (0, f"= channel hook\n! rule quota{STAYS}! channel other{STAYS}"),
        (0, f"{both}= rule quota\n"),
        (0, f"{both}! rule quota{STAYS}"),
    ]
    assert all("hush" not in seen.html for seen in (*pages, *files))
    assert all(seen.all("textarea", id="yaml") for seen in pages)
    assert {file.headers["Content-Disposition"] for file in files} == {'attachment; filename="tollbell.yaml"'}
    assert {file.headers["Content-Type"] for file in files} == {"application/yaml; charset=utf-8"}


async def test_a_reader_gets_the_file_of_its_namespace_alone(shared: Shared) -> None:
    namespace, token = next(shared.namespaces)
    async with talking(shared.replica, token=token, namespace=namespace) as api:
        _, hook = await api("POST", "/channels", channel(name="Only one's"))
        _, quota = await api("POST", "/rules", rule(hook["id"], name="Only one's"))
    query = f"channel={hook['id']}&rule={quota['id']}"
    async with browsing(shared.replica, token=reading(token)) as reader:
        own = await reader.get(f"/yaml?{query}")
    async with browsing(shared.replica, token=next(shared.namespaces)[1]) as foreigner:
        others = [await foreigner.get(f"{path}?{query}") for path in ("/yaml", "/yaml/tollbell.yaml")]

    assert (own.status, "Only one's" in own.html) == (200, False)  # as a field's content it is escaped
    assert "Only one&#39;s" in own.html
    assert {seen.status for seen in others} == {404}
    assert "Only one" not in "".join(seen.html for seen in others)


async def test_what_is_deleted_is_not_made_again_by_it(shared: Shared) -> None:
    namespace, token = next(shared.namespaces)
    async with talking(shared.replica, token=token, namespace=namespace) as api:
        _, hook = await api("POST", "/channels", channel())
        await api("DELETE", f"/channels/{hook['id']}")
    async with browsing(shared.replica, token=token) as browser:
        gone = await browser.get(f"/yaml?channel={hook['id']}")
        many = await browser.get("/yaml?" + "&".join(f"rule={n}" for n in range(101)))
        nul = await browser.get("/yaml?rule=%00")
        nothing = await browser.get("/yaml")

    assert [seen.status for seen in (gone, many, nul, nothing)] == [404, 400, 404, 404]
