"""Secrets at rest: AES-256-GCM, the key's id in the ciphertext, the row's identity as associated data.

A ciphertext is `1 | key id (8 bytes) | nonce (12) | sealed`. The key id is the start of the key's SHA-256, so keys
may be listed in any order to decrypt; the first one encrypts.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consumer.errors import ConfigInvalid, Refused
from schemas.secret import Secret

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12  # NIST SP 800-38D section 5.2.1.1


def new_key() -> str:
    """Return a new key as base64, for TOLLBELL_ENCRYPTION_KEYS."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


class Cipher:
    """Encrypts with the first key, decrypts with whichever made the ciphertext."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {hashlib.sha256(key).digest()[:_ID_BYTES]: AESGCM(key) for key in keys}
        self._first = next(iter(self._ciphers))

    def __repr__(self) -> str:
        return f"Cipher({len(self._ciphers)} keys)"

    def encrypt(self, secret: Secret, *, row: str) -> bytes:
        """Return *secret* sealed; it opens only with the same *row*, such as `channel/01K9…/headers`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, secret.reveal().encode(), row.encode())
        return _VERSION + self._first + nonce + sealed

    def decrypt(self, sealed: bytes, *, row: str) -> Secret:
        """Return the secret.

        Raises:
            Refused: no key of ours made it, or it belongs to another row.
        """
        key_id, rest = sealed[1 : 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        cipher = self._ciphers.get(key_id)
        if sealed[:1] != _VERSION or cipher is None:
            raise Refused(
                f"{row}: encrypted with a key that TOLLBELL_ENCRYPTION_KEYS does not hold: add the old key to it"
            )
        try:
            return Secret(cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], row.encode()).decode())
        except (InvalidTag, ValueError):  # ValueError: cut short
            raise Refused(f"{row}: the stored secret was changed or belongs elsewhere: set it again") from None


def parse_keys(text: str) -> Cipher:
    """Return the cipher of comma-separated base64 keys.

    Raises:
        ConfigInvalid: none, not base64, or not 32 bytes; never repeats a key.
    """
    keys: list[bytes] = []
    for n, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        try:
            key = base64.b64decode(part, validate=True)
        except ValueError:
            raise ConfigInvalid(
                f"TOLLBELL_ENCRYPTION_KEYS: key {n} is not base64: `tollbell keygen` prints one"
            ) from None
        if len(key) != KEY_BYTES:
            raise ConfigInvalid(f"TOLLBELL_ENCRYPTION_KEYS: key {n} has {len(key)} bytes: must be {KEY_BYTES}")
        keys.append(key)
    if not keys:
        raise ConfigInvalid("TOLLBELL_ENCRYPTION_KEYS: is empty: `tollbell keygen` prints a key")
    return Cipher(keys)
