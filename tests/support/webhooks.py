"""What the tests of the wire share: a request to send, one attempt, certificates and names made up on the spot."""

import asyncio
import datetime as dt
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from consumer import clock
from consumer.decide.outcome import Outcome
from consumer.deliver.webhook import Webhook, WebhookRequest
from schemas.secret import Secret

_MAY_SIGN = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
LOOPBACK = [ip_network("127.0.0.0/8")]
SIGNING_SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
TIGER = "tiger"  # stands in the query of every request, and must not be seen anywhere


def make_request(
    url: str, *, body: bytes = b'{"a": 1}', headers: Mapping[str, str] | None = None, secret: Secret = SIGNING_SECRET
) -> WebhookRequest:
    return WebhookRequest(
        channel_id="01K9CHANNEL",
        url=f"{url}?token={TIGER}",
        webhook_id="01K9ZZZZZZZZZZZZZZZZZZZZZZ",
        body=body,
        headers={name: Secret(value) for name, value in (headers or {}).items()},
        secrets=[secret],
    )


async def send(url: str, *, seconds: float = 5, ca_file: Path | None = None, body: bytes = b"{}") -> Outcome:
    """Make one attempt with a pool of its own, and check what is true of any outcome."""
    async with Webhook(dt.timedelta(seconds=seconds), allowed=LOOPBACK, ca_file=ca_file) as webhook:
        outcome = await webhook.send(make_request(url, body=body))
    assert TIGER not in outcome.detail
    assert "\n" not in outcome.detail
    assert outcome.duration_ms <= seconds * 1000 + 500
    return outcome


class Authority:
    """A certificate authority; `file` holds its certificate."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ca.pem"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tollbell tests")])
        own = (
            self._certificate(self._name, self._key.public_key(), days=1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_MAY_SIGN, critical=True)  # Python 3.13 and newer insist on it
        )
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server(self, *, address: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
        """Return the context of a server at *address*, whose certificate ends in *days*."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
        leaf = self._certificate(subject, key.public_key(), days=days).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False
        )
        file = self._folder / "server.pem"
        file.write_bytes(
            leaf.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int) -> x509.CertificateBuilder:
        now = clock.now()
        issuer = self._key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=10))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        )


class NameServer(asyncio.DatagramProtocol):
    """A DNS server on loopback: gives each name its addresses, NXDOMAIN to others, and silence to `silent`."""

    def __init__(self, names: Mapping[str, list[str]], *, silent: str = "") -> None:
        self._names = names
        self._silent = silent
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _question(data)
        if name == self._silent or self._transport is None:
            return
        kind = struct.unpack_from("!H", data, end)[0]
        found = self._names.get(name, []) if kind == 1 else []  # A alone; AAAA has no answers
        flags = 0x8180 if name in self._names else 0x8183
        header = data[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        answers = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + IPv4Address(address).packed for address in found
        )
        self._transport.sendto(header + data[12 : end + 4] + answers, addr)


def _question(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), at + 1


@asynccontextmanager
async def name_server(names: Mapping[str, list[str]], *, silent: str = "") -> AsyncIterator[int]:
    """Run a `NameServer`; give its port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: NameServer(names, silent=silent), local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
