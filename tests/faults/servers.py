"""The servers of fault tests: our own, which are stopped and killed, with proxies' ports before Kafka."""

import contextlib
from collections.abc import AsyncIterator

from consumer.demo.servers import account, kafka, network, postgres
from tests.faults.run import Servers
from tests.support.places import new_template

SLOTS = 3  # for replicas


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Servers]:
    """Give servers of our own: they are stopped and killed."""
    ports = network.free_ports(SLOTS)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(kafka.local(stack.enter_context(account.scratch()), behind=ports))
        database = stack.enter_context(postgres.embedded(stack.enter_context(account.scratch())))
        async with new_template(database.url) as template:
            yield Servers(broker, database, ports, template)
