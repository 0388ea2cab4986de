"""Secrets at rest: each opens in its own row alone, keys may be rotated, and nothing shows them."""

import base64

import pytest

from consumer import encryption
from consumer.errors import ConfigInvalid, Refused
from schemas.secret import Secret

ROW = "channel/01K9/headers"


@pytest.fixture
def cipher() -> encryption.Cipher:
    return encryption.parse_keys(encryption.new_key())


@pytest.mark.parametrize("text", ["", "hush-hush", "ünïcödé ✓", "x" * 100_000, "\x00"])
def test_what_is_sealed_opens_again(cipher: encryption.Cipher, text: str) -> None:
    assert cipher.decrypt(cipher.encrypt(Secret(text), row=ROW), row=ROW) == Secret(text)


def test_a_secret_is_sealed_differently_each_time(cipher: encryption.Cipher) -> None:
    one, other = (cipher.encrypt(Secret("hush-hush"), row=ROW) for _ in range(2))

    assert one != other
    assert b"hush" not in one


def test_a_secret_moved_to_another_row_does_not_open(cipher: encryption.Cipher) -> None:
    sealed = cipher.encrypt(Secret("hush-hush"), row=ROW)

    with pytest.raises(
        Refused, match="channel/other: the stored secret was changed or belongs elsewhere: set it again"
    ):
        cipher.decrypt(sealed, row="channel/other")


def test_a_secret_changed_anywhere_does_not_open(cipher: encryption.Cipher) -> None:
    sealed = cipher.encrypt(Secret("hush-hush"), row=ROW)

    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(Refused):
            cipher.decrypt(changed, row=ROW)


def test_a_secret_cut_anywhere_does_not_open(cipher: encryption.Cipher) -> None:
    sealed = cipher.encrypt(Secret("hush-hush"), row=ROW)

    for length in range(len(sealed)):
        with pytest.raises(Refused):
            cipher.decrypt(sealed[:length], row=ROW)


def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    old, new = encryption.new_key(), encryption.new_key()
    before, rotating, after = (encryption.parse_keys(keys) for keys in (old, f"{new}, {old}", new))
    sealed_before = before.encrypt(Secret("old"), row=ROW)

    sealed_since = rotating.encrypt(Secret("new"), row=ROW)

    assert rotating.decrypt(sealed_before, row=ROW) == Secret("old")
    assert after.decrypt(sealed_since, row=ROW) == Secret("new")


def test_without_the_key_the_message_says_what_to_do() -> None:
    one, other = (encryption.parse_keys(encryption.new_key()) for _ in range(2))

    with pytest.raises(Refused, match="encrypted with a key that TOLLBELL_ENCRYPTION_KEYS does not hold: add the old"):
        other.decrypt(one.encrypt(Secret("hush-hush"), row=ROW), row=ROW)


def test_a_new_key_is_32_bytes_and_new() -> None:
    one, other = encryption.new_key(), encryption.new_key()

    assert len(base64.b64decode(one, validate=True)) == 32
    assert one != other


SHORT, GOOD, LONG = (base64.b64encode(b"k" * size).decode() for size in (31, 32, 33))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("", "is empty: `tollbell keygen` prints a key"),
        (" , ,", "is empty: `tollbell keygen` prints a key"),
        ("hush-hush", "key 1 is not base64: `tollbell keygen` prints one"),
        ("schlüssel", "key 1 is not base64: `tollbell keygen` prints one"),
        ("aHVzaA", "key 1 is not base64: `tollbell keygen` prints one"),
        (SHORT, "key 1 has 31 bytes: must be 32"),
        (LONG, "key 1 has 33 bytes: must be 32"),
        (f"{GOOD},{SHORT}", "key 2 has 31 bytes: must be 32"),
    ],
)
def test_a_key_that_is_none_is_refused_and_not_repeated(keys: str, says: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        encryption.parse_keys(keys)

    assert str(caught.value) == f"TOLLBELL_ENCRYPTION_KEYS: {says}"


def test_the_cipher_shows_no_key() -> None:
    key = encryption.new_key()

    assert repr(encryption.parse_keys(key)) == "Cipher(1 keys)"
