"""Where the demo runs: its servers, the names it uses there, and the settings that lead Tollbell to them."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consumer import encryption, errors
from consumer.demo.servers.contracts import Broker, PostgresServer
from consumer.demo.servers.topics import create_topics
from consumer.demo.service import TollbellCommands
from consumer.demo.steps import Topic
from schemas.secret import Secret

SCHEDULE: Final = "0s,500ms,1s,2s,5s"  # of retries: the default's hours are too long to watch
CLOCK_DELAY: Final = "0s"  # after a period's end: no record of the story is late there
PACKAGE: Final = Path(__file__).parent
CHECKOUT: Final = PACKAGE.parents[1]


@dataclass(frozen=True, slots=True)
class DemoPlace:
    """Servers, an empty directory, and a name for this run of the story, which no other has.

    Attributes:
        api_token: opens the demo's namespace, to read and write, and nothing else that the database holds.
    """

    kafka: Broker
    database: PostgresServer
    directory: Path
    run: str
    api_token: Secret = field(default_factory=lambda: Secret(secrets.token_hex(16)))

    @property
    def namespace(self) -> str:
        """Of the rules and the records: what an earlier run left in a database of yours is not counted."""
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

    def tollbell(self, *, url: str, token: Secret, signing_secret: Secret) -> TollbellCommands:
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
            "TOLLBELL_API_TOKENS": f"{self.namespace}:write:{self.api_token.reveal()}",
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
        return TollbellCommands(settings, self.directory)

    @contextlib.asynccontextmanager
    async def rules(self, tollbell: TollbellCommands) -> AsyncIterator[list[str]]:
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
        # On a Kafka of yours: names that are not in use there.
        return stem if self.kafka.is_ours else f"{stem}.demo-{self.run}"


def rules_file() -> Path:
    """Return the path of the rules that the demo applies: in an installed package, or in a checkout."""
    installed = PACKAGE / "rules.yaml"
    return installed if installed.exists() else CHECKOUT / "deploy/demo/rules.yaml"
