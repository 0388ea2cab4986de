"""What each page of the console costs among a million events: `make bench-console`.

Starts a Postgres and a `tollbell run --only serve`, fills a million events with a delivery and an attempt each, as many
entitlements, 5,000 channels and 10,000 rules, and asks for each page as a browser does. Prints for each: p50 and p99 in
milliseconds, the bytes on the wire, how many statements it ran and how many rows Postgres read for it; where there is
a Chromium, after how many milliseconds that showed something (the median of `PAINTS`, its cache as it is after a first
page); and a JSON line at the end.
"""

import asyncio
import json
import shutil
import sys
from pathlib import Path
from statistics import median

import asyncpg
from playwright.async_api import async_playwright

from consumer import clock, encryption
from consumer.demo.servers import account, choose
from consumer.store import migrate
from consumer.store.database import Database
from tests.browser.conftest import PROGRAMS
from tests.support.api import Api, talking
from tests.support.console import Browser, browsing
from tests.support.many_events import fill
from tests.support.service import Deployment, Replica

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 50
PAINTS = 5
PAINTED = """() => new Promise((found) => new PerformanceObserver((list) => {
  for (const one of list.getEntriesByName("first-contentful-paint")) found(one.startTime);
}).observe({type: "paint", buffered: true}))"""
TOKEN = "token-of-the-bench"
# After ten an idle backend reports what it has read, and some of it earlier: until then a look finds a part. To be
# asked for it (pg_stat_force_next_flush) it would have to run that itself.
FLUSH_SECONDS = 11.0
PAGES = (
    "/", "/events", "/events?state=FAILED", "/events?channel={channel}", "/events?rule={rule}", "/events?customer=c-7",
    "/events/{event}", "/rules", "/rules/{rule}", "/rules/rule-7", "/channels", "/channels/{channel}", "/jobs",
    "/explain?event={event}", "/resend?state=FAILED&channel={channel}", "/resend?state=FAILED", "/yaml?rule={rule}",
    "/rules/new", "/channels/new", "/namespaces", "/replicas",
    "/customers", "/customers?atLeast=80", "/customers?feature=feature-7", "/customers?customer=c-7",
    "/customers?atLeast=100&feature=feature-7", "/customers/one?customer=customer-7",
)  # fmt: skip
CHANNELS = """
    INSERT INTO channel (id, namespace, type, name, url, format, signing_secret)
    SELECT 'd' || n, 'default', 'WEBHOOK', 'Hook ' || n, 'http://127.0.0.1/', 'openmeter', ''
    FROM generate_series(1, 4958) n
"""
RULES = """
    INSERT INTO rule (id, namespace, type, name, spec)
    SELECT 'rule-' || n, namespace, type, name || n, spec FROM rule, generate_series(1, 9999) n WHERE id = $1
"""
SENT_TO = """
    INSERT INTO rule_channel (rule_id, channel_id, position)
    SELECT 'rule-' || n, 'c' || n % 41, 0 FROM generate_series(1, 9999) n
"""
# A customer has a hundred of them; a level is 0 to 120 %, and of one in ten not known.
ENTITLEMENTS = """
    INSERT INTO entitlement (namespace, id, version, period_from, period_to, about, marks, level, level_at)
    SELECT 'default', 'ent-' || n, 1, date_trunc('month', now()), date_trunc('month', now()) + interval '1 month',
           json_build_object('feature', json_build_object('id', 'f-' || n % 47, 'key', 'feature-' || n % 47),
                             'subject', json_build_object('key', 'subject-' || n),
                             'customer', json_build_object('id', 'c-' || n / 100, 'key', 'customer-' || n / 100,
                                                           'name', 'Customer ' || n / 100)),
           '{}', CASE WHEN n % 10 > 0 THEN n::bigint * 7919 % 13 * 10 END, now()
    FROM generate_series(1, $1::int) n
"""
READ = "SELECT tup_returned + tup_fetched FROM pg_stat_database WHERE datname = current_database()"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its result


async def filled(url: str, api: Api) -> dict[str, str]:
    """Fill the tables; return the ids that the pages name."""
    _, channel = await api("POST", "/channels", {"type": "WEBHOOK", "name": "c", "url": "https://example.com/"})
    made = {"type": "entitlements.balance.threshold", "name": "r", "channels": [channel["id"]]}
    thresholds = [{"type": "usage_percentage", "value": value} for value in (50, 80, 100)]
    _, rule = await api("POST", "/rules", made | {"thresholds": thresholds})
    connection = await asyncpg.connect(url)
    events = await fill(connection, EVENTS, clock.now(), rule=rule["id"], channel=channel["id"])
    await connection.execute(CHANNELS)
    await connection.execute(RULES, rule["id"])
    await connection.execute(SENT_TO)
    await connection.execute(ENTITLEMENTS, EVENTS, timeout=1200)
    await connection.execute("VACUUM ANALYZE", timeout=1200)
    await connection.close()
    return {"event": events[EVENTS // 2], "rule": rule["id"], "channel": channel["id"]}


async def statements(browser: Browser) -> float:
    """Return how many statements the replica has run."""
    name = "tollbell_postgres_statement_seconds_count"
    async with browser.session.get(f"{browser.root}/metrics") as answered:
        lines = (await answered.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def measured(browser: Browser, sql: asyncpg.Connection, path: str) -> dict[str, float]:
    """Return what the page costs."""
    await browser.get(path)  # fills caches
    ran, read = await statements(browser), await sql.fetchval(READ)
    taken, size = [], 0
    for _ in range(ROUNDS):
        at = clock.monotonic()
        async with browser.session.get(f"{browser.root}{path}", auto_decompress=False) as answered:
            body = await answered.read()
        assert answered.status == 200, path
        taken.append((clock.monotonic() - at) * 1000)
        size = len(body)
    ran = await statements(browser) - ran
    await clock.sleep(FLUSH_SECONDS)
    read = await sql.fetchval(READ) - read
    taken.sort()
    return {
        "p50_ms": round(taken[len(taken) // 2], 1),
        "p99_ms": round(taken[-1 - len(taken) // 100], 1),
        "bytes": size,
        "statements": round(ran / ROUNDS, 1),
        "rows": round(read / ROUNDS),
    }


async def look(replica: Replica, url: str, names: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return what each page costs; say it as it is known."""
    figures = {}
    sql = await asyncpg.connect(url)
    async with browsing(replica, token=TOKEN) as browser:
        for page in PAGES:
            figures[page] = one = await measured(browser, sql, page.format(**names))
            say(
                f"{page:45} p50 {one['p50_ms']:7.1f} ms  p99 {one['p99_ms']:7.1f} ms  {one['bytes']:6.0f} bytes"
                f"  {one['statements']:5.1f} statements  {one['rows']:9.0f} rows"
            )
    await sql.close()
    return figures


async def painted(replica: Replica, names: dict[str, str]) -> dict[str, float]:
    """Return after how many milliseconds Chromium showed something of each page; nothing where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        say("first paint: not measured, there is no Chromium on the path")
        return {}
    port = (await replica.logged("http.listening"))[0]["port"]
    found = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        shown = await browser.new_page(base_url=f"http://127.0.0.1:{port}")
        await shown.goto("/sign-in")
        await shown.fill("#token", TOKEN)
        await shown.click("button.main")
        await shown.wait_for_url("**/")
        for page in PAGES:
            taken = []
            for _ in range(PAINTS):
                await shown.goto(page.format(**names))
                taken.append(await shown.evaluate(PAINTED))
            found[page] = round(median(taken), 1)
            say(f"{page:45} first paint after {found[page]:7.1f} ms")
        await browser.close()
    return found


async def main() -> None:
    with account.scratch() as directory, choose.postgres_for_tests(Path(directory), lambda _: None) as server:
        database = await Database.connect(server.url, size=2)
        await migrate.migrate(database)
        await database.close()
        settings = {
            "TOLLBELL_DATABASE_URL": server.url,
            "TOLLBELL_ENCRYPTION_KEYS": encryption.new_key(),
            "TOLLBELL_API_TOKENS": f"*:write:{TOKEN}",
            "TOLLBELL_HTTP_LISTEN": "127.0.0.1:0",
            "TOLLBELL_LOG_FORMAT": "json",
            "TOLLBELL_RETENTION": "730d",
        }
        replica = await Deployment(settings, Path(directory)).replica("--only", "serve")
        async with replica, talking(replica, token=TOKEN) as api:
            await replica.logged("role.ready")
            names = await filled(server.url, api)
            figures = await look(replica, server.url, names)
            paints = await painted(replica, names)
    say(json.dumps({"events": EVENTS, **figures, "first_paint_ms": paints}))


if __name__ == "__main__":
    asyncio.run(main())
