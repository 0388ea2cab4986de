"""The pages, a module for each kind of thing that they show."""

from typing import Final

from consumer.serve.console.page import ConsolePage
from consumer.serve.console.pages import (
    channel_form,
    channels,
    customers,
    events,
    explain,
    jobs,
    namespaces,
    overview,
    replicas,
    resends,
    rule_form,
    rules,
    yamls,
)

PAGES: Final[tuple[ConsolePage, ...]] = (
    *overview.PAGES,
    *channel_form.PAGES,
    *channels.PAGES,
    *rule_form.PAGES,
    *rules.PAGES,
    *events.PAGES,
    *customers.PAGES,
    *resends.PAGES,
    *jobs.PAGES,
    *explain.PAGES,
    *yamls.PAGES,
    *namespaces.PAGES,
    *replicas.PAGES,
)
