"""Classes: each name once, and one concept each. One with many fields says why it is still one."""

from tests import shape

SOURCES = shape.sources()
# More fields than `shape.MOST_FIELDS`, and why they stay together.
LARGE = {
    "consumer/app.py: App": "the composition root: holds one of each part, and decides nothing with them",
    "consumer/config.py: Settings": "a field for each environment variable; flat, as the environment is",
    "consumer/consume/fetch.py: Fetch": "one loop; in-flight batches, offsets, lag, blocked partitions are its parts",
    "consumer/decide/model.py: Document": "a row of `entitlement`, written as a whole under one version",
    "consumer/deliver/dispatch.py: Dispatch": "one loop, claim to drain; slots, claims, sender, shortages are parts",
    "consumer/deliver/http/answer.py: Answer": "states of one parser: each callback of httptools sets some of them",
    "consumer/deliver/http/connection.py: Connection": "states of one asyncio protocol, and its timer and transport",
    "consumer/demo/steps.py: Usage": "a step of the story: each line of it names two or three, the others are defaults",
    "consumer/metrics.py: Metrics": "a field for each metric: the table in docs/metrics.md is held to it",
    "consumer/store/deliveries.py: Claimed": "a leased delivery with what sending takes: one row of `deliveries/claim`",
    "consumer/store/history.py: EventFilter": "a field for each parameter of GET /events",
    "consumer/store/outbox.py: NewEvent": "a row of `event` to be written: a field for each column",
    "schemas/answers.py: NotificationChannel": "the API's answer: a field for each of its documented ones",
    "schemas/answers.py: Replica": "likewise, of a process",
    "schemas/channels.py: ChannelConfig": "what people may set of a channel: one JSON object, documented as that",
    "schemas/sources.py: Snapshot": "a parsed record, flat: the judgement reads nearly all of it for each record",
}


def test_no_public_class_has_the_name_of_another() -> None:
    assert shape.double_names(SOURCES) == {}


def test_a_class_with_many_fields_has_its_reason() -> None:
    assert shape.large(SOURCES).keys() == LARGE.keys()
    assert all(LARGE.values())


def test_a_class_name_used_twice_is_found() -> None:
    first, second = (
        shape.Source(name, text, shape.ast.parse(text))
        for name, text in {"a.py": "class Place: ...", "b.py": "class Place: ...\nclass Other: ..."}.items()
    )

    assert shape.double_names([first, second]) == {"Place": ["a.py", "b.py"]}


def test_fields_are_counted_that_are_declared_or_set() -> None:
    text = "class Wide:\n    one: int\n    def __init__(self) -> None:\n" + "".join(
        f"        self.of_{n} = {n}\n" for n in range(shape.MOST_FIELDS)
    )

    assert shape.large([shape.Source("a.py", text, shape.ast.parse(text))]) == {"a.py: Wide": shape.MOST_FIELDS + 1}
