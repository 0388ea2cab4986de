"""Who counts as one where tokens are guessed: an address, or the network of a client with IPv6."""

import pytest

from consumer.serve.console.slowdown import AT_ONCE, Slowdown


@pytest.mark.parametrize(
    ("guesses", "asks", "is_barred"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        (None, None, True),
        (None, "192.0.2.1", False),
    ],
)
async def test_who_guesses_bars_itself_alone(guesses: str | None, asks: str | None, is_barred: bool) -> None:
    slowdown = Slowdown()
    waiting = [slowdown.wrong(guesses) for _ in range(AT_ONCE)]
    for one in waiting:
        one.send(None)

    assert slowdown.is_full(asks) is is_barred

    for one in waiting:
        one.close()
    assert not slowdown.is_full(guesses)
