"""Signing secrets, in Standard Webhooks' form: what may be one, and a new one."""

import base64
import binascii
import re
import secrets as randomness
from typing import Final

from schemas.secret import Secret

PREFIX: Final = "whsec_"
GENERATED_BYTES: Final = 32
# The standard says 24 to 64; the reference product takes 32 to 100 characters of base64, and its users bring them.
MIN_BYTES: Final = 24
MAX_BYTES: Final = 75

# The same for JSON Schema; that four characters of base64 are three bytes is not said there.
PATTERN: Final = r"^(whsec_)?[A-Za-z0-9+/]{32,100}={0,2}$"
PATTERN_OR_MASK: Final = PATTERN.replace("^", r"^\*\*\*$|^")  # what was read may be put back
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def decode(secret: Secret) -> bytes:
    """Return the key: what follows an optional `whsec_` in standard base64, its padding optional.

    Raises:
        ValueError: that is not base64, or has not 24 to 75 bytes. The message says so without the secret.
    """
    text = secret.reveal().removeprefix(PREFIX)
    if not _BASE64.fullmatch(text):
        raise ValueError("the signing secret is not base64: write whsec_ and 32 to 100 of A-Z a-z 0-9 + / =")
    try:
        key = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except binascii.Error:
        # `from None`: a traceback's context must not lead to the text.
        raise ValueError("the signing secret is not base64: its length can't be right") from None
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(f"the signing secret has {len(key)} bytes: {MIN_BYTES} to {MAX_BYTES} are allowed")
    return key


def generate() -> Secret:
    """Return a new secret of 32 random bytes, as receivers' libraries take it."""
    return Secret(PREFIX + base64.b64encode(randomness.token_bytes(GENERATED_BYTES)).decode())
