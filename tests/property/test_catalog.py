"""Rules taken over change by change are what they are when all are loaded at once."""

from collections.abc import Mapping
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from consumer.store.catalog import EMPTY, Catalog
from schemas.rules import Rule, RuleId, read_spec
from schemas.sources import Invoice
from tests.property.world import NoInvoice
from tests.support.factories import NOW

IDS = [f"rule-{n}" for n in range(6)]
NAMESPACES = ("default", "other")
FEATURES = ("f-1", "f-2", "llm_tokens")
THRESHOLDS = [{"type": "usage_percentage", "value": 80}]
SPECS = st.one_of(
    st.builds(
        lambda features: {"type": "entitlements.balance.threshold", "thresholds": THRESHOLDS, "features": features},
        st.one_of(st.none(), st.lists(st.sampled_from(FEATURES), min_size=1, max_size=3)),
    ),
    st.just({"type": "entitlements.reset"}),
    st.just({"type": "invoice.created"}),
)
# None: disabled or deleted; "newer": of a release that is not ours.
STATES = st.one_of(st.none(), st.just("newer"), st.tuples(st.sampled_from(NAMESPACES), SPECS, st.sampled_from("ab")))
EDITS = st.lists(st.dictionaries(st.sampled_from(IDS), STATES, max_size=4), max_size=8)


def invoice(namespace: str) -> Invoice:
    return Invoice(
        namespace=namespace,
        invoice_id="in-1",
        is_created=True,
        state="paid",
        at=NOW,
        source="s",
        event_id="e",
        origin=NoInvoice(),
    )


def seen(catalog: Catalog) -> dict[tuple[str, ...], tuple[Rule, ...]]:
    """Return what every kind of record finds."""
    names = list(product(NAMESPACES, ("", *FEATURES), FEATURES))
    found = {name: catalog.matching(*name) for name in names}
    return {**found, **{(of,): catalog.about(invoice(of)) for of in NAMESPACES}}


@given(EDITS)
def test_changes_make_what_loading_everything_makes(edits: list[Mapping[str, object]]) -> None:
    rules: dict[str, Rule] = {}
    unreadable: set[str] = set()
    catalog = EMPTY
    for revision, edit in enumerate(edits, 1):
        before, held = catalog, seen(catalog)
        changes: dict[str, Rule | None] = {}
        for rule_id, state in edit.items():
            rules.pop(rule_id, None)
            unreadable.discard(rule_id)
            changes[rule_id] = None
            if isinstance(state, tuple):
                namespace, spec, name = state
                changes[rule_id] = rules[rule_id] = Rule(
                    id=RuleId(rule_id), namespace=namespace, name=name, spec=read_spec(spec), channels=()
                )
            elif state == "newer":
                unreadable.add(rule_id)

        catalog = catalog.changed(revision, changes, unreadable=unreadable & edit.keys())

        whole = Catalog(revision, rules.values())
        assert seen(catalog) == seen(whole)
        assert (catalog.revision, catalog.size) == (revision, len(rules))
        assert catalog.unreadable == tuple(sorted(unreadable))
        # Who began with the catalog before goes on with it; who found no changed rule finds the same object.
        assert seen(before) == held
        for of, found in seen(catalog).items():
            if not {rule.id for rule in (*found, *held[of])} & edit.keys():
                assert found is held[of]
