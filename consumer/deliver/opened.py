"""What is secret of channels, opened: made once for each that its ciphertexts stand for, not for each request.

Kept in memory alone, of a bounded number of channels, until a ciphertext or the configuration changes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from consumer.encryption import Cipher
from consumer.store.deliveries import Claimed
from schemas import urls
from schemas.secret import Secret

MOST_KEPT: Final = 4096  # channels; some 2 KiB each


class Opened(Struct, frozen=True, kw_only=True):
    """What a channel's requests share.

    Attributes:
        url: where they go, in the clear.
        headers: the channel's own.
        signing: secrets for signing, the current one first.
        secrets: by name, for bodies.
        hidden: what else is masked in what is kept of an answer.
    """

    url: str
    headers: Mapping[str, Secret]
    signing: Sequence[Secret]
    secrets: Mapping[str, Secret]
    hidden: Sequence[Secret]


class OpenedChannels:
    """Opens, and keeps what it has opened. To be set at each notification of a change: then it keeps nothing."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._kept: dict[str, tuple[tuple[object, ...], Opened]] = {}

    def set(self) -> None:
        """Take note that the configuration has changed: what is gone from it must not stay here."""
        self._kept.clear()

    def of(self, delivery: Claimed) -> Opened:
        """Return what the channel of *delivery* has, as that was claimed.

        Raises:
            Refused: no key of ours opens it.
        """
        sealed = (
            delivery.signing_secret, delivery.headers, delivery.url, delivery.sealed, delivery.revision,
            *delivery.old_secrets,
        )  # fmt: skip
        kept = self._kept.get(delivery.channel_id)
        if kept is not None and kept[0] == sealed:
            return kept[1]
        self._kept.pop(delivery.channel_id, None)
        opened = self._open(delivery)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[delivery.channel_id] = (sealed, opened)
        return opened

    def _open(self, delivery: Claimed) -> Opened:
        row = f"channel/{delivery.channel_id}"
        signing = [
            self._cipher.decrypt(sealed, row=f"{row}/signing_secret")
            for sealed in (delivery.signing_secret, *delivery.old_secrets)
        ]
        headers = self._members(delivery.headers, f"{row}/headers")
        hidden = self._members(delivery.sealed, f"{row}/sealed")
        secrets = {name: Secret(value) for name, value in hidden.get("secrets", {}).items()}
        url = hidden.get("url", delivery.url)
        # Of a URL that is a secret all of the path is, though it be a word.
        target = [Secret(urls.split(url).target)] if "url" in hidden and urls.problem(url) is None else []
        return Opened(
            url=url,
            headers={name: Secret(value) for name, value in headers.items()},
            signing=signing,
            secrets=secrets,
            hidden=(*secrets.values(), *target),
        )

    def _members(self, sealed: bytes | None, row: str) -> dict[str, Any]:
        opened: dict[str, Any] = json.loads(self._cipher.decrypt(sealed, row=row).reveal()) if sealed else {}
        return opened
