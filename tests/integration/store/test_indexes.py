"""No text that the service takes is too long for an index: each indexed one has a bound, and the widest row fits.

A text that does not fit fails its whole statement (SQLSTATE 54000), with everything else that is written in it.
"""

import random
from typing import Final

import asyncpg

from schemas.model import MAX_KEY
from schemas.sources import MAX_IDENTIFIER

OUR_ID: Final = 26  # a ULID
# Each column of an index that has no fixed length: how many characters its longest value has, and where that is held.
WIDEST: Final = {
    "attempt.event_id": OUR_ID,
    "channel.id": OUR_ID,
    "channel.key": MAX_KEY,  # schemas/channels.py
    "channel.namespace": MAX_KEY,  # schemas/rules_file.py, and of the API the token's: consumer/config.py
    "channel_old_secret.channel_id": OUR_ID,
    "channel_pace.channel_id": OUR_ID,
    "delivery.channel_id": OUR_ID,
    "delivery.event_id": OUR_ID,
    "delivery.namespace": MAX_IDENTIFIER,
    "delivery.state": 9,  # its CHECK
    "delivery.waits_for": OUR_ID,
    "entitlement.id": MAX_IDENTIFIER,  # from here on what records say: schemas/sources.py
    "entitlement.namespace": MAX_IDENTIFIER,
    "event.customer_id": MAX_IDENTIFIER,
    "event.customer_key": MAX_IDENTIFIER,
    "event.feature_key": MAX_IDENTIFIER,
    "event.id": OUR_ID,
    "event.namespace": MAX_IDENTIFIER,
    "event.rule_id": OUR_ID,
    "event.subject_key": MAX_IDENTIFIER,
    "event.type": 30,  # schemas/rules.py, RuleType
    "event_identity.identity": 32 // 4,  # its CHECK: bytes
    "feature.id": MAX_IDENTIFIER,
    "feature.key": MAX_IDENTIFIER,
    "feature.namespace": MAX_IDENTIFIER,
    "job.kind": 11,  # its CHECK
    "job.namespace": MAX_IDENTIFIER,
    "invoice.id": MAX_IDENTIFIER,
    "invoice.namespace": MAX_IDENTIFIER,
    "job.id": OUR_ID,
    "job_delivery.job_id": OUR_ID,
    "rendered.event_id": OUR_ID,
    "rendered.format": 46,  # a template's, with its hash
    "replica.id": OUR_ID,
    "rule.id": OUR_ID,
    "rule.key": MAX_KEY,  # schemas/rules.py
    "rule.namespace": MAX_KEY,
    "rule_channel.channel_id": OUR_ID,
    "rule_channel.rule_id": OUR_ID,
    "schema_migration.name": 64,  # a file of ours
    "start_offset.group_id": 249,  # consumer/config.py
    "start_offset.topic": 249,  # Kafka itself takes no longer one
    "template.format": 46,
    "topic_retention.topic": 249,
}
INDEXES: Final = """
SELECT i.indexrelid::text AS id, array_agg(t.relname || '.' || a.attname ORDER BY k.n) AS columns,
       array_agg(a.attlen < 0 ORDER BY k.n) AS are_long
FROM pg_index i
JOIN pg_class t ON t.oid = i.indrelid AND NOT t.relispartition
JOIN pg_namespace s ON s.oid = t.relnamespace AND s.nspname = 'public'
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
GROUP BY i.indexrelid
"""
FIXED: Final = 4  # characters, 16 bytes: a uuid, the widest type of a fixed length


def widest(characters: int) -> str:
    """Return a text of as many bytes as *characters* may have, which Postgres cannot compress."""
    dice = random.Random(characters)
    return "".join(chr(dice.randrange(0x10000, 0x10FFFF)) for _ in range(characters))


async def test_the_widest_row_of_every_index_fits(migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    tried: set[str] = set()
    try:
        for number, columns, are_long in await connection.fetch(INDEXES):
            long = {column for column, is_long in zip(columns, are_long, strict=True) if is_long}
            values = [widest(WIDEST[column]) if column in long else widest(FIXED) for column in columns]
            names = [f"c{n}" for n in range(len(columns))]
            await connection.execute(f"CREATE TEMP TABLE wide_{number} ({' text, '.join(names)} text)")
            await connection.execute(f"CREATE INDEX ON wide_{number} ({', '.join(names)})")

            await connection.copy_records_to_table(f"wide_{number}", records=[values])

            tried |= long
    finally:
        await connection.close()

    assert tried == WIDEST.keys()
