"""Works off what people asked for, resends and recoveries, until nothing is left of it."""

import asyncio
from collections.abc import Callable

from consumer import log
from consumer.metrics import Metrics
from consumer.set_aside import FAILURES, SetAside
from consumer.store import jobs
from consumer.store.database import Database
from consumer.store.jobs import JobRotation

logger = log.get("deliver")


class JobWorker:
    """Works off jobs.

    Attributes:
        asked: to be set when something was asked for.
    """

    def __init__(self, database: Database, metrics: Metrics, announce: Callable[[], None]) -> None:
        """Prepare; *announce* is called when something is due."""
        self.asked = asyncio.Event()
        self._database = database
        self._announce = announce
        self._rotation = JobRotation()
        self._undone = SetAside[str]("job", metrics, lambda job: {"job_id": job})

    async def once(self) -> None:
        """Work off what was asked for; a job that Postgres fails is set aside, for the others to go on."""
        self.asked.clear()
        while True:
            but = self._undone.keys()
            try:
                job = await jobs.work(self._database, but=but, rotation=self._rotation)
            except FAILURES as exc:
                if (failing := await jobs.oldest(self._database, but=but, rotation=self._rotation)) is None:
                    raise
                self._undone.put(failing, exc)
                continue
            if job is None:
                return
            self._announce()
            logger.info("job.worked", job_id=job.id, kind=job.kind, state=job.state, done=job.done, total=job.total)
