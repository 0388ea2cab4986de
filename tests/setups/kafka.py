"""The secured Kafka of the set-ups: its topics, and who may do what, changed from case to case."""

import asyncio
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

SUPER = "127.0.0.1:38106"
Right = tuple[str, str, str]  # who, the operation, and on what: `topic:NAME`, `group:NAME`, `transactional_id:PREFIX`
INPUTS = ("tollbell.usage", "tollbell.resets", "tollbell.invoices")
LETTERS = "tollbell.dead-letters"
GROUP = "tollbell"
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
}


def all_rights(who: str) -> list[Right]:
    """Return what docs/operating.md names."""
    reading = [(who, operation, f"topic:{topic}") for topic in INPUTS for operation in ("READ", "DESCRIBE_CONFIGS")]
    letters = [(who, operation, f"topic:{LETTERS}") for operation in ("WRITE", "READ", "DESCRIBE_CONFIGS")]
    return [*reading, *letters, (who, "READ", f"group:{GROUP}"), (who, "WRITE", "transactional_id:tollbell-check")]


async def prepare() -> None:
    """Make the topics that are not there yet."""
    admin = AdminClient({"bootstrap.servers": SUPER})
    wanted = [NewTopic(name, num_partitions=2, replication_factor=1) for name in (*INPUTS, LETTERS)]
    for made in admin.create_topics(wanted).values():
        try:
            await asyncio.to_thread(made.result)
        except KafkaException as exc:
            if "EXISTS" not in str(exc):
                raise


async def allow(rights: Sequence[Right]) -> None:
    """Let users do this, and nothing else."""
    admin = AdminClient({"bootstrap.servers": SUPER})
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    for gone in admin.delete_acls([everything]).values():
        await asyncio.to_thread(gone.result)
    bindings = [_binding(*right) for right in rights]
    for made in (admin.create_acls(bindings) if bindings else {}).values():
        await asyncio.to_thread(made.result)


def _binding(who: str, operation: str, what: str) -> AclBinding:
    kind, _, name = what.partition(":")
    return AclBinding(
        _KINDS[kind],
        name,
        ResourcePatternType.PREFIXED if kind == "transactional_id" else ResourcePatternType.LITERAL,
        f"User:{who}",
        "*",
        AclOperation[operation],
        AclPermissionType.ALLOW,
    )
