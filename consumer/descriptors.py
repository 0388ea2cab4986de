"""How many files this process may open, and who may have how many of them: each socket is one.

Without bounds one side fills the process and takes all: connections that send half a request, receivers that do not
read. So each side has its bound, and what is left is for Postgres, Kafka, and the files of the process itself.
"""

import resource
from dataclasses import dataclass
from typing import Final

WANTED: Final = 65_536  # a process that is allowed more has no use for it; some systems allow a billion
MOST_SERVED: Final = 512
IDLE_SENT: Final = 1_024  # connections that wait for their channel's next webhook, beside those in use
RESERVED: Final = 128  # pool of Postgres (at most 100, 10 by default), brokers, the log, modules that are loaded late


@dataclass(frozen=True, slots=True)
class Budget:
    """Who may have how many.

    Attributes:
        limit: files that the process may open (`ulimit -n`).
        served: connections to the HTTP server.
        sent: connections to receivers, in use, being made, or waiting for their next request.
    """

    limit: int
    served: int
    sent: int


def raised() -> int:
    """Raise the limit of this process to what the system lets it have, at most `WANTED`; return what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return WANTED if soft == resource.RLIM_INFINITY else soft


def budget(limit: int, concurrency: int) -> Budget:
    """Share out *limit* files in a process that is to have *concurrency* webhooks in flight."""
    served = min(MOST_SERVED, limit // 4)
    sent = min(concurrency + IDLE_SENT, limit - served - min(RESERVED, limit // 4))
    return Budget(limit, served, sent)
