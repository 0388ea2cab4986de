"""Where the demo runs: its servers, the names it uses there, and the settings that lead Tollbell to them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consumer import encryption, errors
from consumer.demo.service import Tollbell
from consumer.demo.steps import Topic
from consumer.servers.contracts import Broker, Database
from consumer.servers.topics import create_topics
from schemas.secret import Secret

SCHEDULE: Final = "0s,500ms,1s,2s,5s"  # of retries: nobody wants to watch the default's hours
CLOCK_DELAY: Final = "0s"  # after a period's end: no record of the story is late there
PACKAGE: Final = Path(__file__).parent
CHECKOUT: Final = PACKAGE.parents[1]


@dataclass(frozen=True, slots=True)
class Place:
    """Servers, an empty directory, and a name for this telling of the story, which no other has."""

    kafka: Broker
    database: Database
    directory: Path
    run: str

    @property
    def namespace(self) -> str:
        """Of the rules and the records: what an earlier telling left in somebody else's database is none of ours."""
        return "demo" if self.database.is_ours else f"demo-{self.run}"

    def topic(self, topic: Topic) -> str:
        """Return the name that *topic* has here."""
        return self._name(f"tollbell.{topic}")

    @property
    def topics(self) -> dict[str, str]:
        """The topics, by the settings that name them."""
        return {
            "TOLLBELL_TOPICS_USAGE": self.topic(Topic.USAGE),
            "TOLLBELL_TOPICS_RESETS": self.topic(Topic.RESETS),
            "TOLLBELL_TOPICS_INVOICES": self.topic(Topic.INVOICES),
            "TOLLBELL_TOPIC_DEAD_LETTERS": self._name("tollbell.dead-letters"),
        }

    async def make_topics(self) -> None:
        """Make the topics.

        Raises:
            Refused: the broker does not make one.
            SourceUnavailable: it cannot be reached.
        """
        await create_topics(self.kafka, dict.fromkeys(self.topics.values(), 1))

    def tollbell(self, *, url: str, token: Secret, signing_secret: Secret) -> Tollbell:
        """Return Tollbell with settings for this place, and with what the rules file takes from its environment."""
        settings = {
            **self.topics,
            "TOLLBELL_DATABASE_URL": self.database.url,
            "TOLLBELL_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "TOLLBELL_KAFKA_GROUP_ID": self._name("tollbell"),
            "TOLLBELL_KAFKA_START": "earliest",
            "TOLLBELL_ENCRYPTION_KEYS": encryption.new_key(),
            "TOLLBELL_DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
            "TOLLBELL_HTTP_LISTEN": "127.0.0.1:0",
            "TOLLBELL_RETRY_SCHEDULE": SCHEDULE,
            "TOLLBELL_CONSUME_PERIOD_END_DELAY": CLOCK_DELAY,
            "TOLLBELL_DRAIN_TIMEOUT": "10s",
            "TOLLBELL_LOG_FORMAT": "json",
            "TOLLBELL_LOG_LEVEL": "debug",  # a line for each record, with how it was judged
            "DEMO_NAMESPACE": self.namespace,
            "HOOK_URL": url,
            "HOOK_TOKEN": token.reveal(),
            "HOOK_SIGNING_SECRET": signing_secret.reveal(),
        }
        return Tollbell(settings, self.directory)

    @contextlib.asynccontextmanager
    async def rules(self, tollbell: Tollbell) -> AsyncIterator[list[str]]:
        """Apply the demo's rules for the body; give what `apply` says. They leave a database that is not ours.

        Raises:
            Refused: they could not be applied.
        """
        said = await tollbell.command("apply", str(rules_file()))
        try:
            yield said
        finally:
            if not self.database.is_ours:
                nothing = self.directory / "nothing.yaml"
                nothing.write_text(f"namespace: {self.namespace}\n", encoding="utf-8")
                with contextlib.suppress(errors.TollbellError):  # the database may be what went away
                    await tollbell.command("apply", "--prune", str(nothing))

    def _name(self, stem: str) -> str:
        # On somebody else's Kafka: names that nobody there has.
        return stem if self.kafka.is_ours else f"{stem}.demo-{self.run}"


def rules_file() -> Path:
    """Return the path of the rules that the demo applies: in an installed package, or in a checkout."""
    installed = PACKAGE / "rules.yaml"
    return installed if installed.exists() else CHECKOUT / "deploy/demo/rules.yaml"
