"""`make pictures`: runs the demo on a terminal, and writes what it showed there to docs/images/demo.svg."""

import re
import sys
from pathlib import Path

from tests.pictures import svg, terminal
from tests.pictures.terminal import Line

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/images/demo.svg"
_HEADING = re.compile(r"\d+\. |All as expected")
DESCRIPTION = "The demo in nine acts: usage records, how each threshold is judged, and the webhooks that arrive."


def scenes(lines: list[Line]) -> list[list[Line]]:
    """Return the lines in scenes: what comes before the first act, each act, the summary."""
    found: list[list[Line]] = [[]]
    for line in lines:
        if _HEADING.match(terminal.plain(line)):
            found.append([])
        if line or found[-1]:  # no blank line above
            found[-1].append(line)
    for scene in found:
        while scene and not scene[-1]:
            scene.pop()
    return found


def main() -> None:
    printed = terminal.run([sys.executable, "-m", "consumer", "demo"], str(ROOT))
    picture = svg.written(scenes(terminal.lines(printed)), title="$ make demo", description=DESCRIPTION, still=1)
    PICTURE.write_text(picture, encoding="utf-8")
    sys.stdout.write(f"\n{PICTURE.relative_to(ROOT)}: {len(picture.encode())} bytes\n")


if __name__ == "__main__":
    main()
