"""What is kept of an answer has nothing secret of its request: a receiver may repeat that, or escape it too.

Secret are header values and signing secrets, and of the channel's URL all behind the host: Slack's and Discord's tokens
stand in the path, others' in the query, and servers repeat a path that they do not know.
"""

import functools
import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import unquote, unquote_plus

from schemas import urls
from schemas.channels import SHORTEST_SECRET
from schemas.secret import MASK, Secret

# Of a URL: `webhooks`, `callback` and `production` are no secrets, stand in answers by themselves, and have fewer. Keys
# have more. A query has a `=` in it, which no word has.
LONGER_THAN_A_WORD: Final = 12
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.:+=~-]*")  # what is never escaped
_BY_GO: Final = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})  # likewise .NET's and Rails'


def masked(text: str, limit: int, url: str, secrets: Iterable[Secret]) -> str | None:
    """Return what the first *limit* characters of *text* say, without what is secret; None where nothing of it is.

    Masked before it is cut, and then cut by what it was: else half of a secret, at either end, would not be known as
    one.
    """
    if len(text) < SHORTEST_SECRET:
        return None
    parts_of_secrets = (part for secret in secrets for part in _of_secret(secret.reveal()) if len(part) <= len(text))
    needles = [spelt for part in parts_of_secrets for spelt in _spellings(part)]
    places = _places(text, limit, (*needles, *_of_url(url)))
    if not places:
        return None
    parts, at = list[str](), 0
    for begin, end in places:
        if begin >= at:
            parts += [text[at:begin], MASK]
        at = max(at, end)
    parts.append(text[at:limit])
    return "".join(parts)


def _places(text: str, limit: int, needles: Iterable[str]) -> list[tuple[int, int]]:
    """Return where *needles* begin and end that stand in *text* before *limit*, from the first on.

    What follows is not even looked at: a receiver may have chosen it for the time that takes (70 secrets: 0.1 s).
    """
    places = []
    for needle in needles:
        until = limit + len(needle) - 1
        begin = text.find(needle, 0, until)
        while begin >= 0:
            places.append((begin, begin + len(needle)))
            begin = text.find(needle, begin + len(needle), until)
    return sorted(places)


def _of_secret(whole: str) -> list[str]:
    """Return *whole*, and what follows a scheme such as Bearer."""
    return [part for part in dict.fromkeys((whole, whole.rpartition(" ")[2])) if len(part) >= SHORTEST_SECRET]


@functools.lru_cache(maxsize=1024)  # there are fewer channels than attempts
def _of_url(url: str) -> tuple[str, ...]:
    """Return what is secret of *url*, in each spelling: path and query, each alone, their parts, decoded too."""
    try:
        target = urls.split(url).target[1:]  # the slash stays: it shows that a path stood there
    except ValueError:
        return ()
    path, _, query = target.partition("?")
    pieces = [path, *path.split("/"), *(pair.partition("=")[2] for pair in query.split("&"))]
    parts = [part for part in (target, query) if "=" in part and len(part) >= SHORTEST_SECRET]
    parts += [part for part in (target, *pieces) if len(part) >= LONGER_THAN_A_WORD]
    decoded = [decode(part) for part in parts for decode in (str, unquote, unquote_plus)]
    return tuple(dict.fromkeys(spelt for part in decoded for spelt in _spellings(part)))


def _spellings(part: str) -> Sequence[str]:
    """Return *part* as it is, and as JSON, JSON within JSON, and HTML have it.

    A secret of a body was sent as JSON: a receiver that repeats a body repeats that, or puts it into a text of its own.
    """
    if _PLAIN.fullmatch(part):
        return (part,)
    once = _as_json(part)
    written = dict.fromkeys((part, *once, *(twice for one in once for twice in _as_json(one))))
    spelt = (
        (one, one.replace("/", "\\/"), one.translate(_BY_GO), html.escape(one), html.escape(one, quote=False))
        for one in written
    )
    return tuple(dict.fromkeys(one for spellings in spelt for one in spellings))


def _as_json(text: str) -> tuple[str, str]:
    """Return *text* within a JSON text: with letters of other scripts escaped, and as they are."""
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
