"""Ports for servers of ours, and whether one answers there."""

import contextlib
import itertools
import secrets
import socket
import struct
from pathlib import Path

from consumer import errors

LOOPBACK = "127.0.0.1"
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL_FROM = 32_768  # Linux' default; elsewhere ephemeral ports begin at 49,152
ANSWER_LIMIT_SECONDS = 1.0
ATTEMPTS = 200

METADATA = 3  # Kafka's API key; version 1, no topics: the answer begins with the brokers that are in service


def free_ports(count: int) -> list[int]:
    """Return *count* ports that nothing listens on, below the range that outgoing connections take theirs from.

    Inside that range a client that retries while the server is down can be given the server's port as its own: on
    loopback it then connects to itself, and the server cannot come back.

    Raises:
        Unavailable: too few are free.
    """
    end = _ephemeral_from()
    tried = secrets.SystemRandom().sample(range(end // 2, end), ATTEMPTS)
    ports = list(itertools.islice(filter(_is_free, tried), count))
    if len(ports) < count:
        raise errors.Unavailable(f"no free ports between {end // 2} and {end} on this machine")
    return ports


def kafka_answers(host: str, port: int) -> bool:
    """Return whether a Kafka broker answers there and has taken up its service."""
    body = struct.pack(">hhihi", METADATA, 1, 0, -1, 0)
    try:
        with socket.create_connection((host, port), ANSWER_LIMIT_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == struct.calcsize(">iii") and struct.unpack(">iii", answer)[2] > 0


def _ephemeral_from() -> int:
    with contextlib.suppress(OSError, ValueError):
        return max(int(EPHEMERAL_RANGE.read_text().split()[0]), 4096)
    return EPHEMERAL_FROM


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT does not matter
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
