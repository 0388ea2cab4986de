"""Writes a terminal's scenes as an SVG that shows one after the other, a line at a time, without a script.

Who wants no motion sees the scene that is named for it, and so does what knows no animations. Light and dark follow the
reader's settings. Each piece of a line has its column's place, so that columns stand under each other in any font.
"""

from collections.abc import Sequence
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from tests.pictures.terminal import Line, Span, plain

CELL, ROW, MARGIN, BAR = 7.8, 18, 16, 30  # of 13 pixel letters
COLUMNS = 100
LINE_SECONDS, SCENE_SECONDS = 0.35, 2.5  # time to read: the run itself shows a record's lines within milliseconds
COLOURS = {  # light, dark: at least 4.5 to 1 on their grounds
    "ground": ("#ffffff", "#0d1117"),
    "edge": ("#d1d9e0", "#3d444d"),
    "ink": ("#1f2328", "#e6edf3"),
    "dim": ("#59636e", "#9198a1"),
    "red": ("#cf222e", "#ff7b72"),
    "green": ("#1a7f37", "#3fb950"),
    "yellow": ("#9a6700", "#d29922"),
    "blue": ("#0969da", "#58a6ff"),
    "magenta": ("#8250df", "#bc8cff"),
    "cyan": ("#1b7c83", "#39c5cf"),
}
_SVG = "{http://www.w3.org/2000/svg}"
SHORT = {"red": "r", "green": "g", "yellow": "y", "blue": "b", "magenta": "m", "cyan": "c"}


def written(scenes: Sequence[Sequence[Line]], *, title: str, description: str, still: int) -> str:
    """Return the picture of *scenes*; without motion it is scene number *still*."""
    lengths = [SCENE_SECONDS + LINE_SECONDS * len(scene) for scene in scenes]
    starts = [sum(lengths[:number]) for number in range(len(scenes))]
    width = round(COLUMNS * CELL + 2 * MARGIN)
    height = BAR + MARGIN + ROW * max(map(len, scenes))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title><desc id="d">{escape(description)}</desc>',
        f"<style>{_style(lengths, starts, still)}</style>",
        f'<rect class="w" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="d" x="{MARGIN}" y="20">{escape(title)}</text>',
    ]
    for number, (scene, start) in enumerate(zip(scenes, starts, strict=True)):
        parts.append(f'<g class="f f{number}">')
        parts += [_text(line, row, start + LINE_SECONDS * row) for row, line in enumerate(scene) if plain(line).strip()]
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def read(picture: str) -> list[list[str]]:
    """Return the lines of each scene of *picture*, without room between their pieces."""
    scenes = ET.fromstring(picture).iterfind(f"{_SVG}g")  # noqa: S314 - our own
    return [[" ".join(span.text or "" for span in line) for line in scene] for scene in scenes]


def _style(lengths: Sequence[float], starts: Sequence[float], still: int) -> str:
    whole = sum(lengths)
    light = "".join(f"--{name}:{colours[0]};" for name, colours in COLOURS.items())
    dark = "".join(f"--{name}:{colours[1]};" for name, colours in COLOURS.items())
    inks = "".join(f".{short}{{fill:var(--{name})}}" for name, short in SHORT.items())
    scenes = "".join(
        f"@keyframes f{number}{{0%{{opacity:1}}{100 * length / whole:.2f}%,100%{{opacity:0}}}}"
        f".f{number}{{animation:f{number} {whole:.2f}s step-end {start:.2f}s infinite}}"
        for number, (length, start) in enumerate(zip(lengths, starts, strict=True))
    )
    return (
        f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:var(--ink)}"
        f".w{{fill:var(--ground);stroke:var(--edge)}}.B{{font-weight:700}}.d{{fill:var(--dim)}}{inks}"
        f".f{{opacity:0}}.f{still}{{opacity:1}}"
        "@media(prefers-reduced-motion:no-preference){"
        f".f{still},.l{{opacity:0}}@keyframes l{{0%{{opacity:1}}50%,100%{{opacity:0}}}}"
        f".l{{animation:l {whole:.2f}s step-end infinite}}{scenes}}}"
    )


def _text(line: Line, row: int, seconds: float) -> str:
    spans = "".join(_span(span) for span in line)
    return f'<text class="l" y="{BAR + ROW * (row + 1)}" style="animation-delay:{seconds:.2f}s">{spans}</text>'


def _span(span: Span) -> str:
    classes = [SHORT[span.colour]] if span.colour else []
    classes += ["B"] * span.is_bold + ["d"] * (span.is_dim and not span.colour)
    named = f' class="{" ".join(classes)}"' if classes else ""
    return f'<tspan{named} x="{MARGIN + CELL * span.column:g}">{escape(span.text)}</tspan>'
