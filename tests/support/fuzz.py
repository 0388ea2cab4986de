"""schemathesis on the API of a running replica, with the API's own document and ids of what is there.

All its checks are on but those named in UNUSED. Where the document cannot say what is refused, REFUSALS says it.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from consumer import ids
from consumer.serve.role import OPERATIONS
from tests.support.service import ROOT, Line

TOKEN = "fuzz-token-of-the-tests"
KNOWN = 0.8  # of ids are of what is there; the others are made up
# Calls that may answer 400 to what their document allows, and why: JSON Schema has no words for it.
REFUSALS = {
    "create_channel": "the host of a URL, its port, headers that are reserved, a schedule's sum, base64's lengths",
    "update_channel": "likewise",
    "preview_channel": "likewise",
    "create_rule": "a channel that is deleted, usage above 0, fields that do not go together",
    "update_rule": "likewise; and a rule's type stays",
    "preview_rule": "likewise",
    "explain_rule": "a record with a NUL in a text",
    "rotate_secret": "at most 7 days, no finer than a millisecond; base64's lengths",
    "recover_channel": "a channel that is disabled or deleted; a day that does not exist",
    "resend_events": "a day that does not exist",
    "resend_event": "channels of the event alone",
    "test_rule": "a rule that is disabled",
    "test_channel": "a channel that is disabled",
    "delete_channel": "a channel that a rule sends to",
    "get_rule_state": "a rule without thresholds",
    "get_rule_flags": "likewise",
    "list_entitlements": "a cursor that is of no page",
}
UNUSED = {
    "use_after_free": "what is deleted is still read, and says when that was, as in the reference product",
}
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "429", "5xx"]  # schemathesis' own for positive_data_acceptance


@dataclass(frozen=True, slots=True)
class There:
    """What is there.

    Attributes:
        ids: by the name that a path has for them.
        channels: more of them, to be named in rules.
        rules: one more of each type, by type, to be changed.
    """

    ids: Mapping[str, Sequence[str]]
    channels: Sequence[str]
    rules: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What schemathesis said."""

    status: int
    text: str


def configuration(known: Mapping[str, Sequence[str]]) -> str:
    """Return schemathesis' settings: *known* are ids, by the name that a path has for them."""
    lines = []
    for name, which in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(which)}"]
    lines += ["[dictionaries.namespace]", 'values = ["default"]']  # where things are; the token is for all
    lines += ["[parameters]", '"query.namespace" = { dictionary = "namespace", probability = 1.0 }']
    lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = {KNOWN} }}' for name in known]
    for operation in REFUSALS:
        lines += [
            "[[operations]]",
            f'include-operation-id = "{operation}"',
            f"checks.positive_data_acceptance.expected-statuses = {json.dumps([*ACCEPTED, '400'])}",
        ]
    return "\n".join(lines) + "\n"


async def fuzz(port: int, directory: Path, there: There, *, examples: int, seed: int, seconds: int | None) -> Found:
    """Run schemathesis on the API at *port*: *examples* for each operation, again and again until *seconds* are over.

    Without *seconds* once, however long that takes: what is tried then does not hang on how busy the machine is.
    """
    settings = directory / "schemathesis.toml"
    settings.write_text(configuration(there.ids))
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={settings}",
        "run",
        f"http://127.0.0.1:{port}/api/v1/openapi.json",
        f"--header=Authorization: Bearer {TOKEN}",
        "--checks=all",
        f"--exclude-checks={','.join(UNUSED)}",
        f"--max-examples={examples}",
        f"--seed={seed}",
        *([] if seconds is None else [f"--max-time={seconds}"]),
        "--no-color",
        f"--report-dir={directory}",
        cwd=directory,
        env=os.environ
        | {
            "HYPOTHESIS_STORAGE_DIRECTORY": str(directory / ids.new()),
            "SCHEMATHESIS_HOOKS": "tests.support.fuzz_hooks",
            "TOLLBELL_TEST_FUZZ_CHANNELS": json.dumps(there.channels),
            "TOLLBELL_TEST_FUZZ_RULES": json.dumps(there.rules),
            "PYTHONPATH": str(ROOT),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return Found(process.returncode or 0, out.decode())


def successes(lines: Iterable[Line]) -> dict[str, tuple[int, int]]:
    """Return for each operation how many of its calls succeeded, and how many there were, as the service logs it."""
    answered = [line for line in lines if line["event"] == "api.answered"]
    calls = Counter(line["operation"] for line in answered)
    good = Counter(line["operation"] for line in answered if line["status"] < 300)
    return {operation.name: (good[operation.name], calls[operation.name]) for operation in OPERATIONS}
