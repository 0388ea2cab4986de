"""What the demo must have printed, wherever it was played."""

import re


def check_ended_as_expected(printed: str) -> None:
    """See that the story came to its end, and with which counts."""
    assert "All as expected." in printed
    summary = dict(re.findall(r"^   (records|events|deliveries|retries|dead letters) +(\d+)", printed, re.MULTILINE))
    assert summary == {"records": "25", "events": "18", "deliveries": "18", "retries": "1", "dead letters": "1"}
    assert re.search(r"cut off +hooli\n +access back +acme, globex, initech\n", printed)
    assert re.search(r"first webhook +\d+\.\d s after the start", printed)
    assert "\x1b" not in printed  # no colours where no one sees them
