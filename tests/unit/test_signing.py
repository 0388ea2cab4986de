"""Signatures are the standard's: its own vector, and its own libraries as judges."""

import base64
import datetime as dt

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from consumer import clock
from consumer.deliver import signing
from schemas import signing_secrets
from schemas.secret import Secret

VECTOR_SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER_SECRET = Secret("whsec_" + base64.b64encode(b"o" * 32).decode())


def signed(body: bytes, *secrets: Secret, at: dt.datetime | None = None) -> dict[str, str]:
    timestamp = int((at or clock.now()).timestamp())
    return {
        "webhook-id": VECTOR_ID,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signing.sign(signing.keys(secrets), webhook_id=VECTOR_ID, timestamp=timestamp, body=body),
    }


def verify(secret: Secret, body: bytes, headers: dict[str, str]) -> None:
    standardwebhooks.Webhook(secret.reveal()).verify(body, headers, json_parse=False)
    svix.webhooks.Webhook(secret.reveal()).verify(body, headers)


def test_the_standards_own_vector_comes_out() -> None:
    signature = signing.sign(
        signing.keys([VECTOR_SECRET]), webhook_id=VECTOR_ID, timestamp=1614265330, body=b'{"test": 2432232314}'
    )

    assert signature == VECTOR_SIGNATURE


def test_both_libraries_verify_old_and_new_secret_in_a_rotation() -> None:
    headers = signed(b'{"a": 1}', VECTOR_SECRET, OTHER_SECRET)

    verify(VECTOR_SECRET, b'{"a": 1}', headers)
    verify(OTHER_SECRET, b'{"a": 1}', headers)


def test_the_current_secrets_signature_comes_first() -> None:
    both = signed(b"{}", VECTOR_SECRET, OTHER_SECRET)["webhook-signature"]

    assert both.split(" ") == [
        signed(b"{}", VECTOR_SECRET)["webhook-signature"],
        signed(b"{}", OTHER_SECRET)["webhook-signature"],
    ]


@given(text=st.text(), position=st.integers(min_value=0), bit=st.integers(0, 6))
def test_any_body_verifies_and_a_changed_one_does_not(text: str, position: int, bit: int) -> None:
    body = text.encode()
    headers = signed(body, VECTOR_SECRET)
    standardwebhooks.Webhook(VECTOR_SECRET.reveal()).verify(body, headers, json_parse=False)

    # Bit 7 stays as it is, so that an ASCII body stays one; any other is refused for its encoding as well.
    changed = bytearray(body or b"x")
    changed[position % len(changed)] ^= 1 << bit if body else 0

    with pytest.raises((standardwebhooks.WebhookVerificationError, UnicodeDecodeError)):
        standardwebhooks.Webhook(VECTOR_SECRET.reveal()).verify(bytes(changed), headers, json_parse=False)


def test_another_secret_does_not_verify() -> None:
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verify(OTHER_SECRET, b"{}", signed(b"{}", VECTOR_SECRET))


def test_an_old_timestamp_is_refused_so_attempts_need_their_own() -> None:
    """Ten minutes is too old."""
    headers = signed(b"{}", VECTOR_SECRET, at=clock.now() - dt.timedelta(minutes=10))

    with pytest.raises(standardwebhooks.WebhookVerificationError, match="too old"):
        verify(VECTOR_SECRET, b"{}", headers)


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(ValueError, match="no signing secret"):
        signing.keys([])


def test_an_id_that_makes_the_signed_text_ambiguous_is_refused() -> None:
    with pytest.raises(ValueError, match="full stop"):
        signing.sign(signing.keys([VECTOR_SECRET]), webhook_id="m.1", timestamp=0, body=b"")


def test_a_generated_secret_is_32_bytes_that_receivers_accept() -> None:
    secret = signing_secrets.generate()

    assert len(signing_secrets.decode(secret)) == 32
    assert secret.reveal().startswith("whsec_")
    verify(secret, b"{}", signed(b"{}", secret))


@given(st.binary(min_size=24, max_size=75))
def test_a_secret_is_the_same_key_with_or_without_its_prefix(key: bytes) -> None:
    text = base64.b64encode(key).decode()

    for spelling in (text, text.rstrip("="), f"whsec_{text}", f"whsec_{text.rstrip('=')}"):
        assert signing_secrets.decode(Secret(spelling)) == key


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 bytes"),
        ("whsec_", "has 0 bytes"),
        (base64.b64encode(b"x" * 23).decode(), "has 23 bytes"),
        (base64.b64encode(b"x" * 76).decode(), "has 76 bytes"),
        ("whsec_" + "A" * 33, "length"),  # one character of base64 too many
        ("whsk_" + "A" * 32, "not base64"),  # the asymmetric scheme's
        ("-_" * 20, "not base64"),  # the URL-safe alphabet: another key for most libraries
        ("A" * 16 + "====" + "A" * 16, "not base64"),
        ("A" * 32 + "\n", "not base64"),
        (" " + "A" * 32, "not base64"),
        ("é" * 32, "not base64"),
    ],
)
def test_a_bad_secret_is_refused_without_repeating_it(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        signing_secrets.decode(Secret(text))

    assert text.strip() == "" or text not in str(refused.value) or text == "whsec_"
    assert refused.value.__cause__ is None
