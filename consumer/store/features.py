"""Features as records have shown them: Tollbell has no catalogue, so a name not seen yet is all there is to know."""

from collections.abc import Collection, Mapping, Sequence

from consumer.decide.rules import features_named
from consumer.store.configured import StoredRule
from consumer.store.database import Database
from schemas.events import FeatureRef


def named_by(rules: Sequence[StoredRule]) -> set[str]:
    """Return the features that *rules* name, by id or key."""
    return {name for rule in rules for name in features_named(rule.spec) or ()}


async def seen(database: Database, namespace: str, names: Collection[str]) -> Mapping[str, FeatureRef]:
    """Return what is known of *names*: by each name, be it id or key, the feature. Without those never seen.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    if not names:
        return {}
    rows = await database.rows("features/named", namespace=namespace, names=list(names))
    found = [FeatureRef(row["id"], row["key"]) for row in rows]
    # A name that is one feature's id and another's key: rules take it for both, the id is shown.
    return {ref.key: ref for ref in found} | {ref.id: ref for ref in found}


async def keys_of(database: Database, namespace: str, names: Sequence[str]) -> list[str]:
    """Return the keys of the features called *names*, by id or key; a name never seen is its own key.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    found = await seen(database, namespace, names)
    return list(dict.fromkeys(found[name].key if name in found else name for name in names))


async def also_called(database: Database, namespace: str, names: Sequence[str]) -> list[str]:
    """Return *names*, and what else the features of these names are called.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    found = await seen(database, namespace, names)
    return list(dict.fromkeys([*names, *(name for ref in found.values() for name in (ref.id, ref.key))]))


async def some_keys(database: Database, namespace: str) -> list[str]:
    """Return keys of features that records have shown, up to a thousand of them; empty where none has shown any.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    return [row["key"] for row in await database.rows("features/some_keys", namespace=namespace)]
