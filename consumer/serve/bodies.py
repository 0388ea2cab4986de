"""Bodies and parameters of requests: bounded, strict JSON, exact numbers; and the answers' JSON."""

import asyncio
import datetime as dt
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import unquote_plus

from aiohttp import web
from pydantic import BaseModel, ValidationError

from consumer.serve.problems import ApiProblem, Fault, bad_request, invalid
from schemas import events, times
from schemas.reading import Rejected, check_text

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_BYTES: Final = 1_048_576  # of a body: a channel with 50 headers has 200 KiB
BODY_SECONDS: Final = 30.0  # for all of it: a megabyte at 35 kB/s
MAX_PAGE: Final = 1_000_000_000
IN_A_THREAD_BYTES: Final = 65_536  # of a body; a smaller one is parsed in less than it takes to ask a thread
PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 1000
MAX_MEMBERS: Final = 1000  # of a list or an object, but a record's: no field takes more
MAX_VALUES: Final = 100  # of one list


async def received(request: web.Request) -> bytes:
    """Return what *request* brings.

    Raises:
        Problem: 415, 413, 408: it is something else than JSON, or too large, or takes too long.
    """
    if request.content_type != "application/json":
        raise ApiProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON, with `Content-Type: application/json`")
    return await whole(request)


async def whole(request: web.Request) -> bytes:
    """Return the body of *request*, whatever its type.

    Raises:
        Problem: 413, 408: it is too large, or takes too long.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ApiProblem(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {BODY_SECONDS:g} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise ApiProblem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_BYTES} bytes: send less"
        ) from None


async def parsed(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that *raw* is; numbers exact. Others run meanwhile: a megabyte takes 0.2 s.

    Raises:
        Problem: 400: it is not the JSON of an object.
    """
    body = await asyncio.to_thread(_parsed, raw) if len(raw) > IN_A_THREAD_BYTES else _parsed(raw)
    if not isinstance(body, dict):
        raise bad_request("the body must be a JSON object")
    return body


def _parsed(raw: bytes) -> Any:
    try:
        check_text(raw)
        body = json.loads(raw, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_object)
        json.dumps(body, default=str, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except Rejected as exc:
        raise bad_request(f"the body is {exc.error}") from None
    except UnicodeEncodeError:
        raise bad_request("the body has a \\u escape that is no character") from None
    except (ValueError, RecursionError, ArithmeticError) as exc:
        said = exc.msg if isinstance(exc, json.JSONDecodeError) else str(exc)
        raise bad_request(f"the body is not JSON: {said}") from None
    if b"\\u0000" in raw and _has_nul(body):
        raise bad_request("the body has a NUL character (\\u0000) in a text: take it out")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise bad_request(f"the body has {twice!r} twice in one object", [Fault(twice, "duplicate name")])
    return made


def _has_nul(node: Any) -> bool:
    match node:
        case str():
            return "\0" in node
        case dict():
            return any("\0" in name or _has_nul(value) for name, value in node.items())
        case list():
            return any(map(_has_nul, node))
        case _:
            return False


def check_lengths(given: Mapping[str, Any], *, free: Collection[str] = ()) -> None:
    """See that neither *given* nor a list or object in it, but those of *free*, has more members than any may.

    Each wrong one would be a fault of its own: 400,000 of them in a megabyte take seconds and hundreds of megabytes.

    Raises:
        Problem: 400.
    """
    for name, value in {"": given, **given}.items():
        if isinstance(value, list | dict) and len(value) > MAX_MEMBERS and name not in free:
            problem = f"has {len(value)} members: none here has more than {MAX_MEMBERS}"
            raise bad_request(f"{name or 'the body'}: {problem}", [Fault(name, problem)])


def fit(model: type[ModelT], body: dict[str, Any], *, free: Collection[str] = ()) -> ModelT:
    """Return *body* as a *model*; fields of *free* may have as many members as they like.

    Raises:
        Problem: 400, with every field at fault.
    """
    check_lengths(body, free=free)
    try:
        return model.model_validate(body, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise invalid(exc) from None


def answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Return *value* as JSON, numbers with all their digits."""
    return web.Response(status=status, body=events.encode(value), content_type="application/json")


class QueryParameters:
    """A request's parameters, each asked for by name; unknown ones are refused at the end.

    Read from the raw text: a list's values are separated by commas, and a comma within a value is written `%2C`
    (RFC 6570, 3.2.8). Decoded, the two could not be distinguished, and a feature's key may have a comma.

    Args:
        known: parameters that are asked for elsewhere.
    """

    def __init__(self, raw: str, known: Collection[str] = ()) -> None:
        self._given: dict[str, list[str]] = {}
        for pair in raw.split("&"):
            name, _, value = pair.partition("=")
            if pair:
                self._given.setdefault(_decoded(name), []).append(value)
        self._known = set(known)

    def all(self, name: str) -> list[str] | None:
        """Return the values of a list, repeated or separated by commas; None where it is not there."""
        return self._values(name, [part for value in self._given.get(name, []) for part in value.split(",")])

    def _values(self, name: str, raw: list[str]) -> list[str] | None:
        self._known.add(name)
        if len(raw) > MAX_VALUES:
            raise _fault(name, f"has {len(raw)} values: at most {MAX_VALUES}")
        values = [_decoded(value) for value in raw]
        if any("\0" in value for value in values):
            raise _fault(name, "has a NUL character")
        return values or None

    def one(self, name: str) -> str | None:
        """Return a parameter's value; None where it is not there."""
        values = self._values(name, self._given.get(name, []))
        if values is not None and len(values) > 1:
            raise _fault(name, "stands more than once")
        return values[0] if values else None

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """Return a parameter that is one of *choices*."""
        value = self.one(name)
        if value is None:
            return default
        if value not in choices:
            raise _fault(name, f"must be one of {', '.join(choices)}")
        return value

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false; false where it is not there."""
        return self.choice(name, ("true", "false", "True", "False"), "false").lower() == "true"

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a parameter that is a whole number from *least* to *most*."""
        value = self.one(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdecimal() or len(value) > len(str(most)):
            raise _fault(name, f"must be a whole number from {least} to {most}")
        if not least <= int(value) <= most:
            raise _fault(name, f"must be from {least} to {most}")
        return int(value)

    def time(self, name: str) -> dt.datetime | None:
        """Return a parameter that is a time; None where it is not there."""
        value = self.one(name)
        try:
            # A plus that is not escaped is a space in a query.
            return None if value is None else times.parse(value.replace(" ", "+"))
        except ValueError as exc:
            raise _fault(name, str(exc)) from None

    def check(self) -> None:
        """Check that no unknown parameter was given.

        Raises:
            Problem: 400: there is no such parameter.
        """
        if unknown := sorted(set(self._given) - self._known):
            raise bad_request(
                f"there is no parameter {unknown[0]!r} here", [Fault(name, "there is no such") for name in unknown]
            )


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="replace")


def _fault(name: str, problem: str) -> ApiProblem:
    return bad_request(f"{name}: {problem}", [Fault(name, problem)])
