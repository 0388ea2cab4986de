"""What went wrong before there was an answer, named once. The texts are ours or the system's: no URL, no secret."""

import errno
import os
import ssl
from collections.abc import Sequence
from typing import Final

from consumer import log
from consumer.addresses import AddressRefused
from consumer.decide.outcome import OutcomeClass

# What we lack and no receiver can help: descriptors of the process or the machine, buffers, memory, local ports.
LACKING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
# No network and no receiver brings these about: a socket was used that is closed, or another's.
_OURS: Final = frozenset({errno.EBADF, errno.ENOTSOCK, errno.EFAULT, errno.EISCONN, errno.EALREADY})
_PORTS: Final = errno.EADDRNOTAVAIL  # local ports are counted by destination
logger = log.get("deliver")


class Failed(Exception):
    """An attempt ended without an answer.

    Attributes:
        kind: how, as the outcome says it.
        detail: why, for the channel's owner.
        is_unanswered: the connection died before any byte of an answer; on a used one that says nothing about the
            receiver.
        is_of_destination: what we are short of is for this one alone.
    """

    def __init__(
        self, kind: OutcomeClass, detail: str, *, is_unanswered: bool = False, is_of_destination: bool = False
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.is_unanswered = is_unanswered
        self.is_of_destination = is_of_destination


def lacking(problem: OSError) -> Failed | None:
    """Return that we are short of something, where *problem* says so."""
    if problem.errno not in LACKING:
        return None
    if problem.errno == _PORTS:
        what = "this replica is short of local ports to this address"
        return Failed(OutcomeClass.SHORTAGE, what, is_of_destination=True)
    return Failed(OutcomeClass.SHORTAGE, f"this replica is short of resources: {_text(problem)}")


def of_timeout() -> Failed:
    """Return that the attempt's one deadline has passed."""
    return Failed(OutcomeClass.TIMEOUT, "no answer within the timeout")


def of_resolving(problem: OSError) -> Failed:
    """Return why a name has no address."""
    reason = (problem.strerror or "unknown reason").lower()
    return lacking(problem) or Failed(OutcomeClass.DNS, f"the host name does not resolve: {reason}")


def of_connecting(problems: Sequence[OSError]) -> Failed:
    """Return why none of a host's addresses was connected to: *problems* has a reason for each, at least one."""
    for problem in problems:
        if not_theirs := _ours(problem) or lacking(problem):
            return not_theirs
    tried = [problem for problem in problems if not isinstance(problem, AddressRefused)]
    if not tried:
        return Failed(OutcomeClass.ADDRESS, str(problems[0]))
    if all(isinstance(problem, TimeoutError) for problem in tried):
        return Failed(OutcomeClass.TIMEOUT, "no connection within the system's own timeout")
    reasons = dict.fromkeys(_text(problem) for problem in tried)  # each once, in order
    return Failed(OutcomeClass.CONNECT, f"no connection: {'; '.join(reasons)}")


def of_securing(problem: OSError) -> Failed:
    """Return why there is no TLS on a connection."""
    if isinstance(problem, ssl.SSLError):
        return _untrusted(problem)
    return _ours(problem) or lacking(problem) or Failed(OutcomeClass.RESET, "the connection ended before it was set up")


def of_ending(problem: Exception | None, *, is_unanswered: bool) -> Failed:
    """Return how a connection ended under a request: *problem* is what asyncio says of it."""
    if isinstance(problem, ssl.SSLError):  # after the handshake: our certificate is missed
        failed = _untrusted(problem)
    elif problem is not None and (not_theirs := _ours(problem) or (isinstance(problem, OSError) and lacking(problem))):
        return not_theirs
    else:
        failed = Failed(OutcomeClass.RESET, "the connection ended before an answer")
    failed.is_unanswered = is_unanswered
    return failed


def _ours(problem: Exception) -> Failed | None:
    """Return that *problem* is a mistake of ours, where it is one, and log it as that: no receiver must be blamed."""
    if isinstance(problem, OSError) and problem.errno not in _OURS:
        return None
    logger.failure("webhook.unforeseen", problem)
    return Failed(OutcomeClass.PROTOCOL, f"unforeseen: {type(problem).__name__}")


def _untrusted(problem: ssl.SSLError) -> Failed:
    known = problem.verify_message if isinstance(problem, ssl.SSLCertVerificationError) else problem.reason
    reason = (known or "unknown").replace("_", " ").lower().rstrip(".")
    return Failed(OutcomeClass.TLS, f"no trust: {reason}")


def _text(problem: OSError) -> str:
    return os.strerror(problem.errno).lower() if problem.errno else "unknown reason"
