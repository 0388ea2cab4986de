"""Many events sent again: the filter in words and the exact count first, then a job with its progress."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from consumer.serve.api.call import MADE, PERHAPS
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.pages.events import FILTERS
from consumer.serve.console.visits import Texts, Visit
from consumer.serve.problems import ApiProblem
from consumer.store.jobs import MOST_AT_ONCE
from schemas import answers

MOST_DIGITS: Final = 9  # of a count
ENDED: Final = ("FAILED", "SUCCESS")


async def show(visit: Visit) -> web.Response:
    """Return how many there are, and the button."""
    visit.access.check_write()
    return await _page(visit, _given(visit.query))


async def begin(visit: Visit) -> web.Response:
    """Ask for the job, if there are still as many as the page said; lead to it."""
    form = await visit.form()
    given = _given(Texts({name: form.one(name) for name in FILTERS}))
    body = {"filter": filter_of(given), "expected": drawn(form.one("expected"))}
    new_id = visit.id_of(form)
    try:
        asked = await visit.read(answers.Resending, "resend_events", body=body, new_id=new_id)
    except ApiProblem as problem:
        if problem.detail == MADE:
            return visit.go(f"/jobs/{new_id}")
        if problem.detail == PERHAPS:  # without Postgres there is no count to show it beside
            raise
        return await _page(visit, given, problem)
    return visit.go(f"/jobs/{asked.job_id}")


async def _page(visit: Visit, given: Texts, problem: ApiProblem | None = None) -> web.Response:
    counted = await visit.read(answers.Resending, "resend_events", body={"filter": filter_of(given), "dryRun": True})
    names = await visit.channel_names([given["channel"]] if given["channel"] else [])
    rule = await visit.read(answers.NotificationRule, "get_rule", rule=given["rule"]) if given["rule"] else None
    return visit.page(
        "resend",
        *([problem.status] if problem else []),
        given=given,
        total=counted.total,
        most=MOST_AT_ONCE,
        problem=problem,
        query=urlencode(given),
        channels=names,
        rule=rule,
    )


def _given(query: Mapping[str, str]) -> Texts:
    """Return the filters that are set; of states, those that have ended: failed ones where none is named."""
    given = Texts({name: value for name in FILTERS if (value := query[name].strip())})
    states = [state for state in given["state"].split(",") if state in ENDED]
    return Texts(given | {"state": ",".join(states) or "FAILED"})


def filter_of(given: Texts) -> dict[str, Any]:
    """Return the API's filter: its lists have one member each, but states and types."""
    several = {name: given[name].split(",") for name in ("state", "type") if given[name]}
    one = {name: [given[name]] for name in ("rule", "channel", "feature", "subject") if given[name]}
    return several | one | {name: given[name] for name in ("customer", "from", "to") if given[name]}


def drawn(text: str) -> int | str:
    """Return a count as a form has it; what is none goes on to the API, which says so."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else text


PAGES: Final = (
    ConsolePage("resend_many", "GET", "/resend", show),
    ConsolePage("begin_resend_many", "POST", "/resend", begin),
)
