"""Certificates and keys that settings name: which file is wrong, and why, before anything connects."""

import ssl
from pathlib import Path
from typing import Final

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_REVOKED: Final = b"-----BEGIN X509 CRL-----"
_KEY: Final = b"PRIVATE KEY-----"
_DECRYPT: Final = "decrypt it with `openssl pkey`"


class Unusable(ValueError):
    """A file cannot be used: its path, and why; never a part of a key.

    Attributes:
        is_key: whether it was named as the key.
    """

    def __init__(self, path: Path, problem: str, *, is_key: bool = False) -> None:
        super().__init__(f"{path}: {problem}")
        self.is_key = is_key


class _Encrypted(Exception):
    """A key asks for a password."""


def check_revoked(path: Path) -> None:
    """See that the PEM file at *path* has a list of revoked certificates.

    Raises:
        Unusable: it has none, or cannot be read.
    """
    _read(path, _REVOKED, "list of revoked certificates")


def check_authorities(path: Path) -> None:
    """See that the PEM file at *path* has certificates to trust.

    Raises:
        Unusable: it has none, or cannot be read.
    """
    _read(path, _CERTIFICATE, "certificate")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise Unusable(path, "has a certificate that cannot be read") from None


def check_pair(certificate: Path, key: Path | None, *, password: str | None = None) -> None:
    """See that *certificate* and *key* (None: both are in one file) belong together and can be used.

    Raises:
        Unusable: which of them cannot, and why.
    """
    _read(certificate, _CERTIFICATE, "certificate")
    at = key or certificate
    _read(at, _KEY, "private key", is_key=key is not None)

    def given() -> str:
        if password is None:
            raise _Encrypted
        return password

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=given)
    except _Encrypted:
        problem = f"is encrypted with a password: {_DECRYPT}"
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            problem = f"is not the key of the certificate in {certificate}"
        else:
            problem = "its password does not open it" if password else "cannot be read"
    else:
        return
    raise Unusable(at, problem, is_key=key is not None)


def _read(path: Path, mark: bytes, what: str, *, is_key: bool = False) -> None:
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise Unusable(path, f"cannot be read: {exc.strerror}", is_key=is_key) from None
    if mark not in text:
        raise Unusable(path, f"has no {what} in PEM form", is_key=is_key)
