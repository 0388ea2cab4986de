"""What is opened of channels: once for the same ciphertexts, of so many channels, and not beyond a change."""

import os

import pytest
from msgspec.structs import replace

from consumer.deliver.opened import MOST_KEPT, OpenedChannels
from consumer.encryption import KEY_BYTES, Cipher
from consumer.errors import Refused
from consumer.store.deliveries import Claimed
from schemas.secret import Secret
from tests.unit.test_taken import claimed

CIPHER = Cipher([os.urandom(KEY_BYTES)])


def sealed(text: str, column: str, channel: str = "a") -> bytes:
    return CIPHER.encrypt(Secret(text), row=f"channel/{channel}/{column}")


def delivery(channel: str = "a") -> Claimed:
    return replace(claimed(channel, 1)[0], signing_secret=sealed("whsec_1", "signing_secret", channel))


def test_the_same_ciphertexts_are_opened_once() -> None:
    channels, one = OpenedChannels(CIPHER), delivery()

    assert channels.of(one).signing == [Secret("whsec_1")]
    assert channels.of(replace(one, id=2, event_id="other")) is channels.of(one)


@pytest.mark.parametrize(
    "change",
    [
        {"signing_secret": sealed("whsec_2", "signing_secret")},
        {"old_secrets": (sealed("whsec_0", "signing_secret"),)},
        {"headers": sealed('{"x-key": "2"}', "headers")},
        {"sealed": sealed('{"url": "https://example.com/2", "secrets": {"key": "2"}}', "sealed")},
        {"url": "https://example.com/2"},
        {"revision": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_channel_is_opened_again(change: dict[str, object]) -> None:
    channels, one = OpenedChannels(CIPHER), delivery()
    before, changed = channels.of(one), replace(one, **change)

    assert channels.of(changed) is not before
    assert channels.of(changed) == OpenedChannels(CIPHER).of(changed)


def test_an_undecryptable_channel_is_refused_and_forgotten() -> None:
    channels, one = OpenedChannels(CIPHER), delivery()
    before = channels.of(one)
    for _ in range(2):
        with pytest.raises(Refused, match="changed or belongs elsewhere"):
            channels.of(replace(one, headers=sealed("{}", "signing_secret")))

    assert channels.of(one) is not before


def test_nothing_stays_beyond_a_change_of_the_configuration() -> None:
    channels, one = OpenedChannels(CIPHER), delivery()
    before = channels.of(one)

    channels.set()

    assert channels.of(one) is not before


def test_no_more_than_so_many_are_kept_and_the_oldest_goes() -> None:
    channels, one, other = OpenedChannels(CIPHER), delivery("first"), delivery("second")
    first, second = channels.of(one), channels.of(other)
    for n in range(MOST_KEPT - 1):
        channels.of(delivery(str(n)))

    assert channels.of(other) is second
    assert channels.of(one) is not first
