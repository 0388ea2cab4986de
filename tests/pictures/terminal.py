"""What a command printed on a terminal, as lines of styled text."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

COLOURS = {31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "magenta", 36: "cyan"}
BOLD, DIM, RESET = 1, 2, 0
_CODE = re.compile(r"\x1b\[([\d;]*)m")
_WORDS = re.compile(r"\S+(?: \S+)*")  # one blank is kept in a text of SVG; of several, each side has its own place


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line in one style; *column* is where it begins."""

    column: int
    text: str
    colour: str = ""
    is_bold: bool = False
    is_dim: bool = False


Line = list[Span]


def run(command: Sequence[str], directory: str) -> str:
    """Run *command* on a terminal of its own and return what it printed there.

    Raises:
        CalledProcessError: it failed; what it printed is its output.
    """
    ours, its = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(command, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=its, stderr=its) as process:
        os.close(its)
        printed = bytearray()
        while chunk := _read(ours):
            printed += chunk
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
    os.close(ours)
    text = printed.decode(errors="replace").replace("\r\n", "\n")
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, text)
    return text


def lines(printed: str) -> list[Line]:
    """Return the lines of *printed*, each as its pieces, without the blanks at their ends."""
    return [_line(each) for each in printed.splitlines()]


def plain(line: Line) -> str:
    """Return the text of *line*, with blanks where it has none."""
    text = ""
    for span in line:
        text = text.ljust(span.column) + span.text
    return text


def _line(printed: str) -> Line:
    spans, column, style = [], 0, Span(0, "")
    text, *rest = _CODE.split(printed)
    for code, piece in zip(["", *rest[::2]], [text, *rest[1::2]], strict=True):
        style = _styled(style, code)
        spans += [replace(style, column=column + word.start(), text=word[0]) for word in _WORDS.finditer(piece)]
        column += len(piece)
    return spans


def _styled(style: Span, codes: str) -> Span:
    for code in [int(one) for one in codes.split(";") if one]:
        if code == RESET:
            style = Span(0, "")
        elif code == BOLD:
            style = replace(style, is_bold=True)
        elif code == DIM:
            style = replace(style, is_dim=True)
        else:
            style = replace(style, colour=COLOURS[code])
    return style


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux: the other side has been closed
        return b""
