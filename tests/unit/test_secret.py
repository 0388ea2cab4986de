"""A secret is shown only where it is revealed on purpose."""

import copy
import json
import pickle
from collections.abc import Callable

import msgspec
import pytest

from schemas.secret import MASK, Secret

SECRET = Secret("hush-hush")


@pytest.mark.parametrize(
    "shown",
    [
        repr(SECRET),
        str(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>10}",
        "%s" % SECRET,  # noqa: UP031 - loggers still do
        repr({"password": [SECRET]}),
        json.dumps(SECRET, default=str),
        msgspec.json.encode(SECRET, enc_hook=str).decode(),
    ],
)
def test_what_is_shown_is_a_mask(shown: str) -> None:
    assert MASK in shown
    assert "hush" not in shown


def test_it_is_given_back_on_demand() -> None:
    assert SECRET.reveal() == "hush-hush"


def test_it_equals_another_of_the_same_text_and_nothing_else() -> None:
    assert Secret("hush-hush") == SECRET
    assert hash(Secret("hush-hush")) == hash(SECRET)
    assert Secret("hush") != SECRET
    assert SECRET != "hush-hush"


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_neither_pickled_nor_copied(take: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        take(SECRET)
