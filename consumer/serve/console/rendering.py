"""Templates and static files. Whatever a receiver, a record or a person wrote is text: escaped, always."""

import datetime as dt
import functools
import hashlib
import importlib.resources
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import jinja2
import msgspec
from markupsafe import Markup, escape

from consumer.serve.console import words
from schemas import events

_SUFFIXES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# What moves or hides other text, or is none: shown as an escape. Bidi controls (Trojan Source, CVE-2021-42574), spaces
# without width, tags, controls but tab and the ends of lines. Joiners stay: scripts and emoji need them.
_HIDDEN: Final = {
    code: f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - what four digits hold
    for code in (
        *range(0x09),
        0x0B,
        0x0C,
        *range(0x0E, 0x20),
        *range(0x7F, 0xA0),
        0xAD,
        0x061C,
        0x180E,
        0x200B,
        0x200E,
        0x200F,
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),
    )
}


def visible(value: object) -> object:
    """Return what is printed of *value*: texts with what is hidden in them as escapes; markup of ours as it is."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return ""
    if isinstance(value, Decimal | float):
        return number(value)
    return str(value).translate(_HIDDEN)


def number(value: Decimal | float) -> str:
    """Return a number with all its digits, never as a power of ten."""
    text = format(value if isinstance(value, Decimal) else Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if isinstance(value, float) and "." in text else text


def pretty(raw: msgspec.Raw | bytes) -> str:
    """Return JSON by lines; its numbers and texts stay as they were written."""
    return msgspec.json.format(bytes(raw), indent=2).decode(errors="replace")


def digest(content: bytes) -> str:
    """Return by what a change of *content* is seen."""
    return hashlib.sha256(content).hexdigest()[:12]


@functools.cache
def static_files() -> Mapping[str, tuple[bytes, str]]:
    """Return the static files by the names that pages call them: with a hash, so that they may be kept for ever."""
    found = {}
    for file in (importlib.resources.files(__package__) / "static").iterdir():
        stem, _, suffix = file.name.rpartition(".")
        if suffix in _SUFFIXES:
            content = file.read_bytes()
            found[f"{stem}.{digest(content)}.{suffix}"] = (content, _SUFFIXES[suffix])
    return found


@functools.cache
def _static_names() -> Mapping[str, str]:
    return {f"{name.split('.')[0]}.{name.rpartition('.')[2]}": name for name in static_files()}


class Templates:
    """The console's templates, whose links begin with a prefix."""

    def __init__(self, prefix: str) -> None:
        self._environment = environment = jinja2.Environment(
            loader=jinja2.PackageLoader(__package__, "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=visible,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals |= {
            "root": prefix,
            "static": lambda name: f"{prefix}/static/{_static_names()[name]}",
            "words": words,
        }
        environment.filters |= {"pretty": pretty, "utc": utc, "typed": typed, "tree": tree, "lined": lined}
        environment.globals["ui"] = environment.get_template("ui.html").module  # last: it uses those

    def page(self, name: str, /, **context: object) -> str:
        """Return the page of the template *name*."""
        return self._environment.get_template(f"{name}.html").render(context)

    def has_block(self, name: str, block: str) -> bool:
        """Return whether the template *name* has *block*."""
        return block in self._environment.get_template(f"{name}.html").blocks

    def fragment(self, name: str, block: str, /, **context: object) -> str:
        """Return one block of it alone."""
        template = self._environment.get_template(f"{name}.html")
        return "".join(template.blocks[block](template.new_context(context)))


def utc(at: str | dt.datetime) -> str:
    """Return a time as people read it in tables; the zone is said by the table or the element."""
    text = at if isinstance(at, str) else at.astimezone(dt.UTC).isoformat(timespec="seconds")
    return text[:19].replace("T", " ")


def tree(value: object) -> str:
    """Return what was JSON as such, by lines."""
    return pretty(events.encode(value))


def lined(body: str) -> str:
    """Return a body by lines, where it is JSON; any other as it is."""
    try:
        return pretty(body.encode())
    except msgspec.DecodeError:
        return body


def typed(text: str) -> Markup:
    """Return *text* as the content of a field, where it must stay what a person typed: nothing of it is replaced."""
    return escape(text)
