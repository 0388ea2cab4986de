"""What takes the place of classes in aiokafka, which has no setting for it: the one seam with its own reading.

It waits for https://github.com/aio-libs/aiokafka/issues/321 (open since 2018): one record that cannot be read stops a
consumer for good. `records` reads a fetch so that it does not, and unpacks no more than a limit; `polls` bounds a poll
in bytes. For header names that are not UTF-8 and for the limits in bytes we know of no issue.

`tests/unit/test_aiokafka_patch.py` fails when a release of aiokafka can do one of these by itself: that part can go
then. What is pinned is `aiokafka<0.15`; `make test-latest` tries what is newest within it.
"""

from aiokafka.consumer import consumer, fetcher

from consumer.consume.aiokafka_patch.polls import BoundedResult, Fetcher
from consumer.consume.aiokafka_patch.records import Records


def install() -> None:
    """Let every consumer of this process read and poll by these classes."""
    fetcher.MemoryRecords = Records
    fetcher.FetchResult = BoundedResult
    consumer.Fetcher = Fetcher
