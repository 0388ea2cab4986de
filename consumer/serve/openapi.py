"""The OpenAPI 3.1 document, made of the operations and of the models that check what they take. Pure."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter

from consumer.serve.api.call import PREFIX, Operation
from consumer.serve.bodies import MAX_VALUES
from consumer.serve.described import NAMESPACE, Described, Parameter, RequestBody, Schema
from consumer.serve.problems import CONTENT_TYPE
from schemas import answers
from schemas.json_schema import NULL, Style, tidied, without

VERSION: Final = "1"  # of the API, not of the release
ID_PATTERN: Final = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"  # a ULID
KEYED: Final = ("channel", "rule")
KEYED_PATTERN: Final = f"{ID_PATTERN}|^key:[^\\x00-\\x1f\\x7f-\\x9f]{{1,256}}$"
_REFERENCE: Final = "#/components/schemas/{}"
_PART: Final = re.compile(r"\{(\w+)\}")
_PAGE: Final = re.compile(r"^Page_(\w+)_$")
_OF_A_LIST: Final = "Repeat it, or separate values by commas; a comma within a value is `%2C`."
_BAD_REQUEST: Final = "What was sent is wrong; every field at fault is named."
_EVERYWHERE: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.UNAUTHORIZED: "The token is missing or wrong.",
    HTTPStatus.FORBIDDEN: "The token may not do that; or, without tokens, the request comes from elsewhere.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Postgres cannot be reached now: try again.",
}
_OF_A_BODY: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: _BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT: "The body did not come within 30 s: the connection is closed.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 1 MiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not `application/json`.",
}


def document(operations: Sequence[Operation]) -> Schema:
    """Return the document of *operations*; one that says nothing of itself is left out."""
    described = [(one, one.about) for one in operations if one.about]
    paths: dict[str, Schema] = {}
    for operation, about in described:
        paths.setdefault(f"{PREFIX}{operation.path}", {})[operation.method.lower()] = _operation(operation, about)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollbell",
            "version": VERSION,
            "description": "Channels, rules and events: webhooks for usage, resets and invoices.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "One of TOLLBELL_API_TOKENS."}
            },
            "schemas": _schemas([about for _, about in described]),
        },
    }


def _operation(operation: Operation, about: Described) -> Schema:
    named = [_named(name) for name in _PART.findall(operation.path)]
    made: Schema = {
        "operationId": operation.name,
        "summary": about.summary,
        "x-scope": "write" if operation.writes else "read",
        "parameters": named + [_parameter(one) for one in (*about.query, NAMESPACE)],
        "responses": {str(int(status)): _answer(status, model) for status, model in about.answers.items()}
        | {str(int(status)): _problem(text) for status, text in sorted(_problems(about, is_named=bool(named)).items())},
    }
    if about.takes:
        schema = _ref(about.takes.name)
        made["requestBody"] = {
            "required": not about.takes.is_optional,
            "content": {"application/json": {"schema": schema}},
        }
    return made


def _problems(about: Described, *, is_named: bool) -> dict[HTTPStatus, str]:
    return {
        **_EVERYWHERE,
        **(_OF_A_BODY if about.takes else {}),
        HTTPStatus.BAD_REQUEST: _BAD_REQUEST,
        **({HTTPStatus.NOT_FOUND: "There is none of this id in the token's namespace."} if is_named else {}),
        **about.problems,
    }


def _named(name: str) -> Schema:
    made: Schema = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": ID_PATTERN}}
    if name not in KEYED:
        return made
    return made | {
        "description": "Its id, or `key:` and its key.",
        "schema": {"type": "string", "pattern": KEYED_PATTERN},
    }


def _parameter(parameter: Parameter) -> Schema:
    made: Schema = {"name": parameter.name, "in": "query", "description": parameter.description}
    if not parameter.is_list:
        return made | {"schema": parameter.schema}
    return made | {
        "description": f"{parameter.description} {_OF_A_LIST}",
        "style": "form",
        "explode": True,
        "schema": {"type": "array", "maxItems": MAX_VALUES, "items": parameter.schema},
    }


def _answer(status: HTTPStatus, model: Any) -> Schema:
    if model is None:
        return {"description": status.phrase}
    (root,), _ = msgspec.json.schema_components([model], ref_template=_REFERENCE.format("{name}"))
    return {"description": status.phrase, "content": {"application/json": {"schema": tidied(root, _ANSWER)}}}


def _problem(text: str) -> Schema:
    content: Schema = {CONTENT_TYPE: {"schema": _ref("Problem")}}
    if text == _BAD_REQUEST:  # a request line or header that is too long: the HTTP server's own words
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": text, "content": content}


def _schemas(described: Sequence[Described]) -> dict[str, Schema]:
    models = [model for about in described for model in about.answers.values() if model is not None]
    _, parts = msgspec.json.schema_components([answers.Problem, *models], ref_template=_REFERENCE.format("{name}"))
    made = {_plain(name): tidied(_undented(part), _ANSWER) for name, part in parts.items()}
    for about in described:
        if about.takes:
            made |= _taken(about.takes)
    return dict(sorted(made.items()))


def _undented(part: Schema) -> Schema:
    # A model's docstring: Python 3.13 takes its indentation away, and so does msgspec from 0.23 on.
    return part | {"description": inspect.cleandoc(part["description"])} if "description" in part else part


def _taken(body: RequestBody) -> dict[str, Schema]:
    """Return the schemas of what *body* holds: the model, with what is accepted besides."""
    own = TypeAdapter(body.model).json_schema(by_alias=True, ref_template=_REFERENCE.format("{model}"))
    parts: dict[str, Schema] = own.pop("$defs", {})
    made = {name: tidied(part, _BODY) for name, part in parts.items()}
    made[body.name] = tidied(own, _BODY)
    roots = [own["discriminator"]["mapping"].values()] if "discriminator" in own else [[body.name]]
    for name in (one.rpartition("/")[2] for names in roots for one in names):
        made[name]["properties"] |= dict(_besides(made[name]["properties"], body))
    return made


def _besides(properties: Mapping[str, Schema], body: RequestBody) -> Iterator[tuple[str, Schema]]:
    for name in sorted(body.ignored):
        yield name, {"readOnly": True, "description": "Accepted, and ignored: as an answer has it."}
    for name, schema in body.parts.items():
        yield name, _ref(schema) | {"description": properties[name]["description"]}
    for name in sorted(body.references & properties.keys()):
        yield name, _with_references(properties[name])
    if "metadata" in properties:
        yield "metadata", properties["metadata"] | {"type": ["object", "null"]}


def _with_references(node: Schema) -> Schema:
    if "anyOf" in node:
        return node | {"anyOf": [_with_references(choice) for choice in node["anyOf"]]}
    if "items" not in node:
        return node
    one = node["items"]
    return node | {"items": {"anyOf": [one, {"type": "object", "required": ["id"], "properties": {"id": one}}]}}


def _ref(name: str) -> Schema:
    return {"$ref": _REFERENCE.format(name)}


def _plain(name: str) -> str:
    return _PAGE.sub(r"\1Page", name)


def _style(null: Callable[[Schema], Schema]) -> Style:
    return Style(amount={"type": "number"}, reference=lambda name: _REFERENCE.format(_plain(name)), null=null)


def _absent(node: Schema) -> Schema:
    """Return a choice that may be null without that: what is not known is absent."""
    only = [choice for choice in node["anyOf"] if choice != NULL]
    return without(node, "anyOf") | (only[0] if len(only) == 1 else {"anyOf": only})


_ANSWER: Final = _style(_absent)
_BODY: Final = _style(dict)  # null is accepted, as it is written
