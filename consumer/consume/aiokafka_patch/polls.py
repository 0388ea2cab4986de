"""Polls that are bounded in bytes after unpacking: a fetch is bounded before, and may unpack to a thousand times that.

Of a fetch, aiokafka unpacks one batch after the other, as its records are asked for. A poll asks the partitions in
turn, and here it stops where it has enough. So what is unpacked at any time is one poll, and what is left of the one
batch at which it stopped: at most 32 MiB (`records.UNPACKED_LIMIT`), however many partitions there are. All else waits
as it was fetched. That is bounded as well: aiokafka goes on fetching for each partition that has nothing waiting.
"""

from typing import Any, Final

from aiokafka.consumer import fetcher

POLL_BYTES: Final = 16 * 1024 * 1024  # of records, unpacked: 4,000 of the usual 3 KiB; the last one may go beyond it
FETCHED_BYTES: Final = 64 * 1024 * 1024  # as it was fetched, not yet polled; from there on, nothing more is fetched
RECORD_BYTES: Final = 512  # that a record takes beside its key, value and headers


class PollRoom:
    """How many bytes the poll under way may still take."""

    def __init__(self) -> None:
        self.left = 0


class BoundedResult(fetcher.FetchResult):  # type: ignore[misc]  # aiokafka's classes are not typed
    """What was fetched of one partition and is not yet polled; takes the place of aiokafka's class of that duty."""

    room: PollRoom | None = None
    _partition_records: Any

    @property
    def size_in_bytes(self) -> int:
        """How much of it waits: all that was fetched, until its last record is polled."""
        return self._partition_records._records.size_in_bytes() if self.has_more() else 0  # noqa: SLF001 - ours

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return its next records: at most *max_records*, and none where the poll has enough: the next one goes on."""
        room = self.room or PollRoom()
        if not room.left > 0 or not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        taken: list[Any] = []
        for record in self._partition_records:
            taken.append(record)
            room.left -= _size(record)
            if room.left <= 0 or len(taken) == max_records:
                self._update_position()
                break
        else:
            self._update_position()
            self._partition_records = None
        return taken


class Fetcher(fetcher.Fetcher):  # type: ignore[misc]
    """Fetches ahead, and hands out what came, poll by poll."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        self._room = PollRoom()
        super().__init__(*given, **settings)

    async def fetched_records(self, partitions: Any, timeout: float = 0, max_records: int | None = None) -> Any:  # noqa: ASYNC109 - as it is called
        """Return records of *partitions* that came: some, where there are any."""
        self._room.left = POLL_BYTES
        return await super().fetched_records(partitions, timeout, max_records)

    async def _proc_fetch_request(self, *given: Any) -> bool:
        are_new: bool = await super()._proc_fetch_request(*given)
        for result in self._waiting():
            result.room = self._room
        return are_new

    def _get_actions_per_node(self, assignment: Any) -> Any:
        """Return what to ask which broker for: no more records where enough are waiting to be polled."""
        fetches, *others = super()._get_actions_per_node(assignment)
        is_full = sum(result.size_in_bytes for result in self._waiting()) >= FETCHED_BYTES
        return [] if is_full else fetches, *others

    def _waiting(self) -> list[BoundedResult]:
        return [result for result in self._records.values() if isinstance(result, BoundedResult)]


def _size(record: Any) -> int:
    size: int = RECORD_BYTES + len(record.key or b"") + len(record.value or b"")
    if record.headers:
        size += sum([len(name) + len(value or b"") for name, value in record.headers])
    return size
