"""schemathesis on the running API, with the API's own document; longer behind `make fuzz`."""

import os
from pathlib import Path

import pytest

from tests import fuzz
from tests.api import talking
from tests.conftest import MakeDeployment

SECONDS = int(os.environ.get("FUZZ_SECONDS", "30"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.timeout(SECONDS + 120)
async def test_the_api_does_what_its_document_says(deploy: MakeDeployment, tmp_path: Path) -> None:
    deployment = await deploy(TOLLBELL_API_TOKENS=f"default:write:{fuzz.TOKEN}")
    async with await deployment.replica("--only", "serve") as replica, talking(replica) as api:
        await replica.ready()

        found = await fuzz.fuzz(api.port, tmp_path, examples=20, seed=SEED, seconds=SECONDS)

        assert found.status == 0, found.text
