"""Where entitlements stand, as far as it is known: the filter's cache. Its one owner is the memory (`../memory.py`)."""

from collections.abc import Mapping, MutableMapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from consumer.consume.fast_path.glance import Glance
from consumer.consume.fast_path.standing import Standing, Under, Why, at_level, standing, stands_but_for_level
from consumer.decide.entitlements import leveled
from consumer.decide.levels import coarse
from consumer.decide.model import Document, Reason
from consumer.store.catalog import EMPTY, Catalog
from consumer.store.memory import EntitlementKey, MemoryKey
from schemas.rules import Rule, RuleType
from schemas.sources import Snapshot


class Standings:
    """Where entitlements stand, as far as it is known: none need be. Of what is equal, one object is kept.

    Each is kept with the rules that it was found under, and believed only while the catalog has the very same ones
    (`holds`). So an edit costs the entitlements that it is about, whenever what was judged before it is kept.

    Attributes:
        known: by (namespace, id), which is equal to an `EntitlementKey`; for looking, not for writing. None where that
            is not known, and only the key is kept.
        leveled: documents that got another coarse level here, and nothing else: not written yet. What is forgotten
            stays here, since its record is not judged again.
        turn: counts the catalogs that were asked about.
    """

    def __init__(self, limit: int, documents: MutableMapping[EntitlementKey, Document] | None = None) -> None:
        """Begin with none known; *documents*: those that they are found on, by their owner."""
        self._limit = limit
        self._documents = {} if documents is None else documents
        self.leveled: dict[EntitlementKey, Document] = {}
        self._catalog = EMPTY
        self._unders: dict[tuple[str, str, str], Under] = {}  # the last one about each feature
        self.turn = 0
        self.known: dict[tuple[str, str], Standing | None] = {}
        self._shared: dict[Standing, Standing] = {}
        self._whys: dict[tuple[tuple[RuleType, Reason], ...], Why] = {}

    def under(self, catalog: Catalog) -> Mapping[tuple[str, str], Standing | None]:
        """Return what is known: to be believed where it `holds`, which asks *catalog* from now on."""
        if catalog is not self._catalog:
            self._catalog = catalog
            self.turn += 1
        return self.known

    def holds(self, under: Under) -> bool:
        """Return whether the rules are still those of *under*: the catalog is asked once for each feature."""
        if under.turn != self.turn:
            rules = self._catalog.matching(under.namespace, under.feature_id, under.feature_key)
            if rules is not under.rules:
                under.rules = None  # quiet entitlements may remember *under* for long: not the rules as they were
                return False
            under.turn = self.turn
        return True

    def level(self, found: Standing, seen: Glance) -> bool:
        """Give the document of *seen* its coarse level, where that is all it may change; return whether it is.

        *found* is where its entitlement stands, under rules that hold. Where its document is gone by now, it is judged.
        """
        key = EntitlementKey(*seen.key)
        before = self._documents.get(key)
        if found.beyond is None or before is None or not stands_but_for_level(found, seen):
            return False
        level = coarse(Decimal(seen.usage), found.beyond.allowance)
        after = leveled(before, level, seen.at)
        if after is not before:
            self._documents[key] = self.leveled[key] = after
        now = at_level(found, level, seen.at, after)
        self._keep(seen.key, now)
        return True

    def keep(
        self,
        seen: Glance,
        source: Snapshot,
        rules: Sequence[Rule] = (),
        document: Document | None = None,
        reasons: Sequence[tuple[RuleType, Reason]] = (),
    ) -> None:
        """Keep where the entitlement of *seen* stands, if it does.

        The arguments are those of `standing`; *rules* as any catalog gave them: where another one is in force by then,
        it is not believed.
        """
        if len(self._whys) > self._limit:
            self._whys.clear()
        given = tuple(reasons)
        found = standing(seen, source, self._under(source, rules), document, self._whys.setdefault(given, Why(given)))
        if found is None:
            return
        self._keep(seen.key, found)
        bound(self.known, self._limit)

    def _keep(self, key: tuple[str, str], found: Standing) -> None:
        if len(self._shared) > self._limit:
            self._shared.clear()
        self.known[key] = self._shared.setdefault(found, found)

    def _under(self, source: Snapshot, rules: Sequence[Rule]) -> Under:
        name = (source.namespace, source.feature_id, source.feature_key)
        found = self._unders.get(name)
        if found is None or found.rules is not rules:
            if found is not None:
                found.rules, found.turn = None, -1
            elif len(self._unders) >= self._limit:
                self.clear()
            found = self._unders[name] = Under(*name, rules)
        return found

    def drop(self, key: MemoryKey) -> None:
        """Forget where *key* stands: its next record is judged."""
        if isinstance(key, EntitlementKey):
            self.known.pop(key, None)

    def forget(self, key: EntitlementKey) -> None:
        """Do the same, and keep *key* itself for where it will stand: so a document and a standing share it."""
        self.known.pop(key, None)
        self.known[key] = None
        bound(self.known, self._limit)

    def clear(self) -> None:
        """Forget all, but for levels that are to be written."""
        self.known.clear()
        self._shared.clear()
        self._whys.clear()
        self._unders.clear()


def bound(entries: dict[Any, Any], limit: int) -> None:
    """Drop the oldest of *entries* where there are more than *limit*: an eighth at once.

    One by one, each search for the oldest would begin with all that were dropped before.
    """
    if len(entries) > limit:
        for key in list(islice(entries, len(entries) - limit + limit // 8)):
            del entries[key]
