"""The picture of the demo is of the story as it is, and is what a README may show."""

import re

import pytest

from consumer.demo import story
from consumer.demo.ending import expected_counts
from tests.pictures import svg, terminal
from tests.pictures.__main__ import PICTURE, scenes

TEXT = PICTURE.read_text(encoding="utf-8")
ADVICE = "the story has changed: `make pictures` draws it again"


def test_each_act_is_a_scene_with_its_heading_and_what_it_shows() -> None:
    acts = svg.read(TEXT)[1:-1]

    assert [act[0] for act in acts] == [f"{n}. {act.title}" for n, act in enumerate(story.ACTS, 1)], ADVICE
    assert [act[1] for act in acts] == [act.shows for act in story.ACTS], ADVICE


def test_each_record_of_the_story_is_shown_with_its_note() -> None:
    lines = [line for scene in svg.read(TEXT) for line in scene]
    records = [line for line in lines if line.startswith("record ")]
    notes = [record.partition("← ")[2] for record in records]

    expected = [step for step in story.steps() if hasattr(step, "note")]
    assert [record.split()[1] for record in records] == [step.customer for step in expected], ADVICE
    assert notes == [step.note for step in expected], ADVICE


def test_the_last_scene_is_the_summary_of_the_story() -> None:
    ended = svg.read(TEXT)[-1]
    counts = expected_counts(list(story.steps()))

    said = dict(re.fullmatch(r"([a-z ]+) (\d+)(?: .*)?", line).groups() for line in ended[1:6])  # type: ignore[union-attr]
    assert ended[0] == "All as expected."
    assert [int(said[name]) for name in ("records", "events", "deliveries", "retries")] == [
        counts.records,
        counts.events,
        counts.deliveries,
        counts.retries,
    ]


def test_the_picture_is_small_complete_and_respects_no_motion() -> None:
    assert len(TEXT.encode()) < 60_000
    assert re.findall(r"<script|<image|<foreignObject|href|url\(|@import", TEXT) == []
    assert "@media(prefers-color-scheme:dark)" in TEXT
    still, motion = TEXT.split("@media(prefers-reduced-motion:no-preference){")
    assert "animation:" not in still
    assert "animation:" in motion


def test_the_picture_has_nothing_of_the_machine_it_was_made_on() -> None:
    assert re.findall(r"(?:/root|/home|/tmp|/work|/Users)\b", TEXT) == []


@pytest.mark.parametrize(
    ("printed", "columns"),
    [
        ("plain", [(0, "plain", "", False)]),
        ("   \x1b[32mgreen  \x1b[0mnot", [(3, "green", "green", False), (10, "not", "", False)]),
        (
            "\x1b[33m\x1b[1m→ 503\x1b[0m  a   b",
            [(0, "→ 503", "yellow", True), (7, "a", "", False), (11, "b", "", False)],
        ),
    ],
    ids=["one piece", "room goes", "each side of wide room has its place"],
)
def test_a_line_of_a_terminal_is_read_with_its_columns(printed: str, columns: list[tuple[int, str, str, bool]]) -> None:
    [line] = terminal.lines(printed)

    assert [(span.column, span.text, span.colour, span.is_bold) for span in line] == columns
    assert terminal.plain(line).rstrip() == re.sub(r"\x1b\[\d+m", "", printed).rstrip()


def test_scenes_begin_at_headings_and_end_without_blank_lines() -> None:
    lines = terminal.lines("\nstarts\n\n1. One\n\n   text\n\n2. Two\n\nAll as expected.\n   records 1\n")

    plain = [[terminal.plain(line) for line in scene] for scene in scenes(lines)]

    assert plain == [["starts"], ["1. One", "", "   text"], ["2. Two"], ["All as expected.", "   records 1"]]


def test_what_was_printed_is_text_in_the_picture() -> None:
    picture = svg.written([terminal.lines('<b>&"')], title="<t>", description="&", still=0)

    assert svg.read(picture) == [['<b>&"']]
