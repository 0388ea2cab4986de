"""/notification/replicas: the processes of the deployment, for tokens for all namespaces."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer.serve import bodies
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import Described
from consumer.store import replicas
from consumer.store.replicas import Seen
from schemas import answers, times


async def list_all(call: Call) -> web.Response:
    """Return the processes, those that were started first before the others."""
    call.access.check_spans()
    call.query().check()
    items = [_shown(one) for one in await replicas.seen(call.served.database)]
    return bodies.answer(answers.Page(total_count=len(items), page=1, page_size=replicas.MOST, items=items))


def _shown(seen: Seen) -> answers.Replica:
    one = seen.replica
    partitions = (
        None
        if one.partitions is None
        else [
            answers.PartitionLag(topic=of.topic, partition=of.partition, lag=of.lag, lag_seconds=of.seconds)
            for of in one.partitions
        ]
    )
    return answers.Replica(
        id=one.id,
        host=one.host,
        pid=one.pid,
        version=one.version,
        roles=list(one.roles),
        started_at=times.text(seen.started_at),
        seen_at=times.text(seen.seen_at),
        silent_seconds=round(seen.silent_seconds, 1),
        ready=not one.failing,
        failing=dict(one.failing),
        records=one.records,
        dead_letters=None if one.dead_letters is None else dict(one.dead_letters),
        partitions=partitions,
    )


OPERATIONS: Final = (
    Operation(
        "list_replicas",
        "GET",
        "/notification/replicas",
        list_all,
        writes=False,
        about=Described(
            summary="List the processes of the deployment, at most 500; with a token for all namespaces alone",
            answers={HTTPStatus.OK: answers.Page[answers.Replica]},
        ),
    ),
)
