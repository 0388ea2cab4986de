"""A row that is at fault is found and set aside; where none is, nothing is."""

from collections.abc import Collection, Sequence

import pytest

from consumer import pauses, set_aside
from consumer.errors import DataRefused, StoreFailed, StoreUnavailable
from consumer.metrics import Metrics
from consumer.set_aside import SetAside


class Rows:
    """Rows of which some are *bad*; counts the statements."""

    def __init__(self, bad: Collection[int], kind: type[StoreUnavailable | DataRefused] = StoreFailed) -> None:
        self.bad = frozenset(bad)
        self.done: list[int] = []
        self.statements = 0
        self.kind = kind
        self.metrics = Metrics()
        self.aside = SetAside[int]("job", self.metrics, lambda row: {"job_id": row})

    async def step(self, rows: Sequence[int]) -> int:
        self.statements += 1
        if self.bad & set(rows):
            raise self.kind("made to fail")
        self.done += rows
        return len(rows)

    async def narrow(self, count: int) -> int:
        return await self.aside.narrow(range(count), self.step, StoreFailed("made to fail"))

    @property
    def counted(self) -> float | None:
        return self.metrics.registry.get_sample_value("tollbell_rows_failed_total", {"what": "job"})


@pytest.mark.parametrize("kind", [StoreFailed, DataRefused])
@pytest.mark.parametrize("bad", [[0], [499], [7, 8, 250]])
async def test_bad_rows_are_set_aside_and_all_others_done(
    bad: list[int], kind: type[StoreFailed | DataRefused], caplog: pytest.LogCaptureFixture
) -> None:
    rows = Rows(bad, kind)

    done = await rows.narrow(500)

    assert (done, sorted(rows.done)) == (500 - len(bad), sorted(set(range(500)) - set(bad)))
    assert sorted(rows.aside.keys()) == bad
    assert rows.statements <= 20 * len(bad)
    lines = [record for record in caplog.records if record.getMessage() == "row.set_aside"]
    assert [record.levelname for record in lines] == ["ERROR"] * len(bad)
    assert rows.counted == len(bad)


async def test_where_everything_fails_the_search_ends_after_a_few() -> None:
    rows = Rows(range(500))

    with pytest.raises(StoreFailed):
        await rows.narrow(500)

    assert len(rows.aside.keys()) == set_aside.MOST_IN_A_ROW
    assert rows.statements < 40


async def test_an_outage_ends_the_search_and_nothing_is_set_aside() -> None:
    rows = Rows([3], StoreUnavailable)

    with pytest.raises(StoreUnavailable):
        await rows.narrow(500)

    assert rows.aside.keys() == []


async def test_a_row_comes_again_after_a_pause_that_grows(now: list[float]) -> None:
    rows = Rows([1])
    seen = []
    for _ in range(9):
        await rows.narrow(2)
        begun = now[0]
        while rows.aside.keys():
            now[0] += 1
        seen.append(now[0] - begun)

    assert seen == [5, 10, 20, 40, 80, 160, pauses.ROW.longest, pauses.ROW.longest, pauses.ROW.longest]


async def test_a_row_that_worked_for_long_gets_a_short_pause(now: list[float]) -> None:
    rows = Rows([1])
    for _ in range(4):
        await rows.narrow(2)
    now[0] += 40 + pauses.ROW.longest

    assert rows.aside.keys() == []
    await rows.narrow(2)
    now[0] += 5

    assert rows.aside.keys() == []


def test_more_than_a_thousand_are_no_rows_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_aside, "MOST", 3)
    rows = Rows([])
    failed = StoreFailed("made to fail")
    for row in (1, 2, 3, 3):
        rows.aside.put(row, failed)

    with pytest.raises(StoreFailed):
        rows.aside.put(4, failed)

    assert rows.aside.keys() == [1, 2, 3]
