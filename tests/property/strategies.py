"""Rules and records that meet each other often: few names, few amounts, few times."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf

from hypothesis import strategies as st

from tests.property.words import About, Billed, Line, Rule, Shown

KINDS = ("usage_percentage", "usage_value", "balance_value", "PERCENT", "NUMBER")
# Exact to the last digit, written in more than one way.
AMOUNTS = st.one_of(
    st.sampled_from(["10", "50", "80", "100"]),
    st.integers(-3, 130).map(str),
    st.sampled_from(["0", "-0", "80.0", "8E+1", "100.00", "99.99999999999999999999999", "1E+2", "1e30", "1E-38"]),
    st.sampled_from(["9" * 38, "1" + "0" * 37, "9" * 37 + "8", "0." + "3" * 37]),
    st.decimals(-10, 200, places=2).map(str),
)
LINES = st.builds(Line, st.sampled_from(KINDS), AMOUNTS).filter(
    lambda line: line.kind == "balance_value" or Fraction(line.value) > 0
)
PLAIN = ("each", "period", False)
ONCE = (PLAIN, ("highest", "period", False))  # whose thresholds fire once for each period
SETTINGS = (*ONCE, ("each", "recovery", False), ("each", "period", True), ("each", "recovery", True))
PERIODS = ((0, 1000), (1000, 2000), (2000, 3000))  # that follow each other
FEATURES = {"f-1": ("f-1", "llm_tokens"), "f-2": ("f-2", "api_calls"), "": ("", "gpu_hours")}
ENTITLEMENTS: dict[About, tuple[str, str]] = {
    ("default", "ent-1"): FEATURES["f-1"],
    ("default", "ent-2"): FEATURES["f-2"],
    ("other", "ent-1"): FEATURES["f-1"],
    ("other", "ent-3"): FEATURES[""],
}
FEATURE = {about: st.just(feature) for about, feature in ENTITLEMENTS.items()}
# What one feature is called: by two ids, two keys, or by its key alone.
RENAMED = dict.fromkeys(
    ENTITLEMENTS, st.sampled_from([*[FEATURES["f-1"]] * 4, FEATURES["f-2"], ("f-1", "api_calls"), ("", "llm_tokens")])
)
ONE: tuple[About, ...] = (("default", "ent-1"),)
TWO: tuple[About, ...] = (("default", "ent-1"), ("default", "ent-2"))
NAMES = ("rule-1", "rule-2", "rule-3")


def thresholds(
    settings: Sequence[tuple[str, str, bool]] = SETTINGS,
    lines: st.SearchStrategy[Line] = LINES,
    **more: st.SearchStrategy[object],
) -> st.SearchStrategy[Rule]:
    """Rules about levels."""
    written = st.lists(lines, min_size=1, max_size=6)
    return st.builds(
        lambda written, setting, more: Rule("balance", written, *setting, **more),
        written,
        st.sampled_from(settings),
        st.fixed_dictionaries(more),
    )


def ruled(rules: st.SearchStrategy[Rule]) -> st.SearchStrategy[dict[str, Rule]]:
    return st.dictionaries(st.sampled_from(NAMES), rules, min_size=1)


def shown(
    entitlements: Sequence[About] = TWO,
    periods: Sequence[tuple[float, float]] = PERIODS,
    kinds: Sequence[str] = ("usage",),
    least: int = 0,
    since: int = 0,
    features: Mapping[About, st.SearchStrategy[tuple[str, str]]] = FEATURE,
    **more: st.SearchStrategy[object],
) -> st.SearchStrategy[list[Shown]]:
    """Records that come mostly in the order of their calculation, some late, some equally old; the first at *since*."""
    known_or_not = st.one_of(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.none())
    one = st.builds(
        lambda about, back, usage, allowance, balance, period, kind, more: Shown(
            about[0], back, usage, allowance, balance, *period, kind=kind, feature=about[1], **more
        ),
        st.sampled_from(entitlements).flatmap(lambda about: st.tuples(st.just(about), features[about])),
        st.sampled_from([0, 0, 0, 1, 2, 5]),
        known_or_not,
        st.one_of(st.just("100"), known_or_not),
        known_or_not,
        st.sampled_from(periods),
        st.sampled_from(kinds),
        st.fixed_dictionaries(more),
    )
    return st.lists(one, min_size=least, max_size=least + 12).map(
        lambda records: [record._replace(at=since + 2 * n - record.at) for n, record in enumerate(records)]
    )


IN_ONE_PERIOD = shown(ONE, PERIODS[:1])
# Calculated when all periods were over: an earlier start is never an anchor that moved back.
OVER = shown(since=5000)

# Of a period's start, several ends, or none; of an end, a start that lies before it: a manual reset, or, where the
# later start was known before, an anchor that moved back.
LIVELY_PERIODS = ((0, 10), (0, 16), (0, 24), (0, inf), (6, 16), (10, 20), (10, 24), (16, 30), (20, 30), (20, inf))
# Late, deleted, not yet or no longer active: whatever an entitlement goes through.
LIFE = ("usage", "usage", "usage", "usage", "reset", "reset", "delete", "unmetered")
ACTIVE: dict[str, st.SearchStrategy[object]] = {
    "active_from": st.sampled_from([-inf] * 6 + [4]),
    "active_to": st.sampled_from([inf] * 6 + [10, 16, 5]),
}
LIVES = shown(TWO, LIVELY_PERIODS, LIFE, **ACTIVE)
RENAMED_LIVES = shown(ONE, LIVELY_PERIODS, LIFE, features=RENAMED, **ACTIVE)


def in_time(records: Sequence[Shown]) -> list[Shown]:
    """*records* as they come where nothing is late: in the order of their calculation, none before its period."""
    found: list[Shown] = []
    for one in records:
        before = found[-1].at if found else 0
        found.append(one._replace(at=max(before, one.at, one.period)))
    return found


TIMELY = LIVES.map(in_time)

STATES = ("gathering", "draft.created", "draft.waiting_auto_approval", "draft", "issued", "paid", "paid.in_full")
STATUSES = st.frozensets(st.sampled_from(STATES), max_size=3)
INVOICES: tuple[About, ...] = (("default", "in-1"), ("default", "in-2"))


def billed(invoices: Sequence[About] = INVOICES, least: int = 0) -> st.SearchStrategy[list[Billed]]:
    """Records of invoices, mostly in the order of their time, some sent twice."""
    one = st.builds(
        Billed,
        st.sampled_from(invoices),
        st.sampled_from([0, 0, 0, 1, 2, 5]),
        st.sampled_from(STATES),
        st.sampled_from([None, None, *STATES]),
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"])),
        st.sampled_from(["created", "updated", "updated"]),
    )
    return st.lists(one, min_size=least, max_size=least + 12).map(
        lambda records: [record._replace(at=2 * n - record.at) for n, record in enumerate(records)]
    )


INVOICE_RULES = st.one_of(
    st.just(Rule("created")), st.builds(lambda statuses: Rule("updated", statuses=statuses), STATUSES)
)
EVERY_TYPE = st.one_of(thresholds(), thresholds(), st.just(Rule("reset")), INVOICE_RULES)
