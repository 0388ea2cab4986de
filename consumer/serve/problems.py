"""Problems: what the API answers where it can't do what was asked (RFC 9457, as the reference product writes them)."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from pydantic import ValidationError

from schemas.refusals import refusals, written

CONTENT_TYPE: Final = "application/problem+json"
MAX_FAULTS: Final = 50  # fields named in one answer: a body of a megabyte may have more of them wrong


@dataclass(frozen=True, slots=True)
class Fault:
    """A field that is wrong, and what to change."""

    field: str
    problem: str


class ApiProblem(Exception):
    """Why a request can't be fulfilled: a status, one line, the fields at fault. No secret."""

    def __init__(self, status: HTTPStatus, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)


def bad_request(detail: str, faults: Sequence[Fault] = ()) -> ApiProblem:
    """Return 400: what was sent is wrong."""
    return ApiProblem(HTTPStatus.BAD_REQUEST, detail, faults)


def not_found(what: str, which: str) -> ApiProblem:
    """Return 404: there is no such thing in the caller's namespace."""
    return ApiProblem(HTTPStatus.NOT_FOUND, f"{what} {which}: is not there")


def conflict(detail: str) -> ApiProblem:
    """Return 409: it is in a state in which that can't be done."""
    return ApiProblem(HTTPStatus.CONFLICT, detail)


def invalid(exc: ValidationError) -> ApiProblem:
    """Return 400 with every field that a model refused."""
    faults = [Fault(written(one.place), one.problem) for one in refusals(exc)[:MAX_FAULTS]]
    first = faults[0]
    return bad_request(f"{first.field}: {first.problem}" if first.field else first.problem, faults)


def response(problem: ApiProblem, request_id: str) -> web.Response:
    """Return the answer that says *problem*."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "detail": problem.detail,
        "instance": f"urn:request:{request_id}",
    }
    if problem.faults:
        body["extensions"] = {
            "invalidFields": [{"field": fault.field, "problem": fault.problem} for fault in problem.faults]
        }
    headers = {"www-authenticate": "Bearer"} if problem.status is HTTPStatus.UNAUTHORIZED else {}
    body_bytes = msgspec.json.encode(body)
    answer = web.Response(status=problem.status, body=body_bytes, headers=headers, content_type=CONTENT_TYPE)
    if problem.status is HTTPStatus.REQUEST_TIMEOUT:
        answer.force_close()  # what is still to come of the request would be taken for the next one
    return answer
