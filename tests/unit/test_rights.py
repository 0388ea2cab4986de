"""What a broker does not say of rights: nothing is refused for it, and that it is unknown is said."""

from typing import Any, cast

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from consumer.consume.rights import KafkaOperation, missing


class Old:
    """Answers as aiokafka's client does on a broker before 2.3: it finds no version of the call that both know."""

    async def find_coordinator(self, _group_id: str) -> int:
        return 0

    async def _send_request(self, request: Any, _node: int | None = None) -> Any:
        return request.prepare({3: (0, 4), 15: (0, 2)})


class Wrong(Old):
    """Answers with something unforeseen."""

    async def _send_request(self, _request: Any, _node: int | None = None) -> Any:
        class Answer:
            def to_object(self) -> Any:
                raise NotImplementedError("a mistake")

        return Answer()


async def test_a_broker_that_cannot_say_refuses_nothing_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    client = cast("AIOKafkaAdminClient", Old())

    lacking = await missing(client, topics={"usage": KafkaOperation.READ}, group_id="tollbell")

    assert lacking == []
    said = [(record.levelname, record.getMessage(), vars(record)["fields"]["of"]) for record in caplog.records]
    assert said == [
        ("WARNING", "kafka.rights_unknown", "topics"),
        ("WARNING", "kafka.rights_unknown", "group tollbell"),
    ]


async def test_a_mistake_of_ours_is_not_a_broker_that_cannot_say() -> None:
    with pytest.raises(NotImplementedError, match="a mistake"):
        await missing(cast("AIOKafkaAdminClient", Wrong()), topics={"usage": KafkaOperation.READ})
