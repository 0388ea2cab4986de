"""What this user may do with topics and the group, asked of Kafka before it is tried: a missing ACL by its name.

Tried without asking, a missing right shows late (no Write on the dead letters shows with the first of them), under
another name, or never.
"""

import asyncio
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    IncompatibleBrokerVersion,
    NotCoordinatorForGroupError,
)
from aiokafka.protocol import admin
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from consumer import clock, log, pauses

COORDINATOR_TIMEOUT: Final = 20.0  # seconds
NOT_AUTHORIZED_FOR_TOPIC: Final = 29
NOT_AUTHORIZED_FOR_GROUP: Final = 30
_NOT_YET: Final = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
_UNSUPPORTED: Final = (IncompatibleBrokerVersion, NotImplementedError)  # a broker before 2.3: what it lacks shows later
_NOT_SAID: Final = -(2**31)  # a broker before 2.3
logger = log.get("kafka")


class KafkaOperation(IntEnum):
    """Kafka's code of an operation, the bit of it in what a broker says that one may do."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8

    def __str__(self) -> str:
        return self.name.capitalize()


class MetadataResponse_v8(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka names its own, which end at version 5
    """Topics with what this user may do with each."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class MetadataRequest_v8(RequestStruct):  # type: ignore[misc]  # noqa: N801 - likewise
    """Asks for topics and what this user may do with them."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = MetadataResponse_v8
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class DescribeGroupsResponse_v3(Response):  # type: ignore[misc]  # noqa: N801 - aiokafka reads its own as version 2
    """Groups with what this user may do with each."""

    API_KEY = 15
    API_VERSION = 3
    SCHEMA = admin.DescribeGroupsResponse_v3.SCHEMA


class DescribeGroupsRequest_v3(RequestStruct):  # type: ignore[misc]  # noqa: N801 - likewise
    """Asks for groups and what this user may do with them."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = admin.DescribeGroupsRequest_v3.SCHEMA


class GroupRequest(Request[DescribeGroupsRequest_v3]):  # type: ignore[misc]
    """The same, as aiokafka's clients take it."""

    API_KEY = 15

    def __init__(self, group_id: str) -> None:
        self._group_id = group_id

    def build(self, request_struct_class: type[DescribeGroupsRequest_v3]) -> DescribeGroupsRequest_v3:
        """Return the request of that version."""
        return request_struct_class([self._group_id], True)  # noqa: FBT003 - fields, in the schema's order


class TopicsRequest(Request[MetadataRequest_v8]):  # type: ignore[misc]
    """The same, as aiokafka's clients take it; it makes no topic, whatever the broker's settings."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[MetadataRequest_v8]) -> MetadataRequest_v8:
        """Return the request of that version."""
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - fields, in the schema's order


async def missing(
    client: AIOKafkaAdminClient, *, topics: Mapping[str, KafkaOperation], group_id: str | None = None
) -> list[str]:
    """Return the rights that this user lacks, such as `Read on topic usage`; none where the broker does not say.

    Args:
        client: started.
        topics: the operation that is needed on each.
        group_id: to be read as, if any.

    Raises:
        KafkaError: of aiokafka, as it comes.
    """
    found: list[str] = []
    try:
        answer = await client._send_request(TopicsRequest(list(topics)))  # noqa: SLF001 - its own calls end at version 5
    except _UNSUPPORTED as exc:
        _say_unknown("topics", exc)
    else:
        said = {one["topic"]: one for one in answer.to_object()["topics"]}
        for name, operation in topics.items():
            one = said[name]
            if one["error_code"] == NOT_AUTHORIZED_FOR_TOPIC or not _has(one["authorized_operations"], operation):
                found.append(f"{operation} on topic {name}")
    if group_id is not None and not await _may_read_as(client, group_id):
        found.append(f"{KafkaOperation.READ} on group {group_id}")
    return found


async def _may_read_as(client: AIOKafkaAdminClient, group_id: str) -> bool:
    try:
        async with asyncio.timeout(COORDINATOR_TIMEOUT):
            answer = await _described(client, group_id)
    except GroupAuthorizationFailedError:
        return False
    except _UNSUPPORTED as exc:
        _say_unknown(f"group {group_id}", exc)
        return True
    (group,) = answer.to_object()["groups"]
    return group["error_code"] != NOT_AUTHORIZED_FOR_GROUP and _has(group["authorized_operations"], KafkaOperation.READ)


async def _described(client: AIOKafkaAdminClient, group_id: str) -> Any:
    """Return what its coordinator says of the group, once there is one: a new cluster makes its topic first."""
    while True:
        try:
            coordinator = await client.find_coordinator(group_id)
            return await client._send_request(GroupRequest(group_id), coordinator)  # noqa: SLF001 - likewise
        except _NOT_YET:
            await clock.sleep(pauses.RIGHTS)


def _say_unknown(what: str, exc: Exception) -> None:
    """Say that no right to *what* is known: one that is missing shows when it is needed, and under another name."""
    logger.warning("kafka.rights_unknown", of=what, error=f"{type(exc).__name__}: {exc}")


def _has(said: int, operation: KafkaOperation) -> bool:
    return said == _NOT_SAID or bool(said & (1 << operation))
