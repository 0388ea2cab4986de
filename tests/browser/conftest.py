"""A real Chromium, of the system, and what it looks at."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from consumer.demo.servers.contracts import Broker, PostgresServer
from tests.browser.story import TOKENS, Story, played
from tests.conftest import producing
from tests.support import places
from tests.support.service import Deployment, Topics, environment

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser of the run."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(PROGRAMS)} is on the path")
    # As root, which containers are, Chromium has no sandbox of its own.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def story(
    kafka: Broker, postgres: PostgresServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Story]:
    """What the console shows."""
    make = places.topic_maker(kafka, "console")
    topics = Topics(usage=await make(), dead_letters=await make())
    async with places.new_database(postgres.url, template=template) as url, producing(kafka) as produce:
        values = environment(database=url, bootstrap=kafka.bootstrap, topics=topics, TOLLBELL_API_TOKENS=TOKENS)
        async with played(Deployment(values, tmp_path_factory.mktemp("console")), topics.usage, produce) as found:
            yield found
