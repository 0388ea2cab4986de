"""Migrations of a release are frozen: a database that has applied them refuses them with other contents."""

import hashlib
from pathlib import Path

MIGRATIONS = Path(__file__).parents[2] / "consumer/store/migrations"
# Of 0.2.0. A release adds its own.
FROZEN = {
    "0001_01_configuration.sql": "d0a440aa42e6130bd784529bf691e7a5d71f07c59f92e1ca98d6d0cddb789ee4",
    "0001_02_memory.sql": "6aa4dfef1c111fc8fdfa96fa88cb344ad5cd36f4427252fb15bf53113b080c9f",
    "0001_03_outbox.sql": "47ecb3e0f59fc1f584f26ce46a78b8ac8d7d9918ab689415212778f31f160012",
    "0001_04_jobs.sql": "23bc48625e068ff4ab559e6b0cddd79ec5c92a847a0f1e0df4b85f5d1e4d639f",
    "0001_05_retention.sql": "70ff5a04b630118ad153bb982189dd736fad7850539a620e1234284b8b78b2be",
}


def test_a_frozen_migration_is_as_it_was_released() -> None:
    now = {name: hashlib.sha256((MIGRATIONS / name).read_bytes()).hexdigest() for name in FROZEN}

    assert now == FROZEN


def test_every_migration_comes_after_the_frozen_ones() -> None:
    assert sorted(path.name for path in MIGRATIONS.glob("*.sql"))[: len(FROZEN)] == sorted(FROZEN)
