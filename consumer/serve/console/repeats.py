"""A form that is sent twice makes one thing: the id of what it makes is settled, and sealed in it, as it is shown.

A double click, a page that is loaded again, a proxy that tries again: all send the same form. No table: the row that is
made has the id. Sealed for its namespace: with an id of one's choice, another's channel could be written over.
"""

import base64
import binascii
from typing import Final

from consumer import ids
from consumer.encryption import Cipher
from consumer.errors import Refused
from consumer.serve.problems import bad_request
from schemas.secret import Secret

MAX_LENGTH: Final = 256  # ours has 84 characters
TOO_OLD: Final = "this form cannot be read any more: load its page again"


def sealed_id(cipher: Cipher, namespace: str) -> str:
    """Return a new id for what a form of *namespace* makes, as the form carries it."""
    return base64.urlsafe_b64encode(cipher.encrypt(Secret(ids.new()), row=_row(namespace))).decode()


def opened_id(cipher: Cipher, namespace: str, sealed: str) -> str:
    """Return the id.

    Raises:
        Problem: 400: it is none of ours, or of another namespace, or its key is gone.
    """
    try:
        if len(sealed) > MAX_LENGTH:
            raise bad_request(TOO_OLD)
        return cipher.decrypt(base64.b64decode(sealed, altchars=b"-_", validate=True), row=_row(namespace)).reveal()
    except (binascii.Error, ValueError, Refused):
        raise bad_request(TOO_OLD) from None


def _row(namespace: str) -> str:
    return f"console-form/{namespace}"
