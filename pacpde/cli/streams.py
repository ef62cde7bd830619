"""Standard output and error of a command, whatever they can encode and wherever they lead.

A sign that a stream cannot encode is spelled out. A reader that went away, such as `head`, ends
no command, and neither does a standard error that cannot be written to.
"""

import io
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from pacpde import errors
from pacpde.errors import OutputError

SPELLED = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "·": "*", "×": "x", "⊙": "*", "∘": "o", "→": "->",
    "←": "<-", "↦": "->", "∂": "d", "∈": " in ", "‖": "||", "√": "sqrt", "½": "1/2", "¼": "1/4",
    "±": "+-", "≈": "~", "≤": "<=", "≥": ">=", "≠": "!=", "∞": "inf", "∇": "grad", "′": "'",
    "″": "''", "…": "...", "‘": "'", "’": "'", "“": '"', "”": '"', "\u0302": "^", "ø": "o",
    "━": "-", "─": "-", "╸": "-", "╺": "-", "│": "|", "┃": "|",
}  # fmt: skip


class StreamError(OutputError):
    """Standard output cannot take what a command has to show."""

    exit_status = 1


def print_note(sentence: str) -> None:
    """A sentence on stderr that begins with the name of the program."""
    print_stderr(f"pacpde: {sentence}")


def print_stderr(sentence: str) -> None:
    """Print one line on stderr; do nothing if stderr is closed."""
    if sys.stderr is not None:  # print would take stdout instead
        print(sentence, file=sys.stderr, flush=True)


def legible(text: str) -> str:
    """`text` as it will stand on stdout, which columns must be measured by."""
    return spell(text, getattr(sys.stdout, "encoding", None) or "utf-8")


def spell(text: str, encoding: str) -> str:
    """`text` with what `encoding` cannot hold in plain letters: ν as nu, ² as ^2, else as ?."""
    if _fits(text, encoding):
        return text
    return "".join(sign if _fits(sign, encoding) else _spelled(sign) for sign in text)


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _spelled(sign: str) -> str:
    if sign in SPELLED:
        return SPELLED[sign]
    name = unicodedata.name(sign, "")
    if name.startswith("GREEK") and " LETTER " in name:
        letter = name.split(" LETTER ")[1].split(" WITH ")[0].split()[-1].lower()
        letter = letter.replace("lamda", "lambda")
        return letter.capitalize() if "CAPITAL" in name else letter
    marks = {"<super>": "^", "<sub>": "_"}
    kind = unicodedata.decomposition(sign).partition(" ")[0]
    return marks.get(kind, "") + _ascii(unicodedata.normalize("NFKD", sign))


def _ascii(text: str) -> str:
    return "".join(sign if sign < "\x80" else SPELLED.get(sign, "") for sign in text) or "?"


class TolerantStream(io.TextIOBase):
    """A text stream in front of another, on which no command fails for a sign."""

    def __init__(self, stream: TextIO, vital: bool) -> None:
        """With `vital`, a write that the system refuses is an error; else it is left out."""
        self.stream, self.vital = stream, vital
        self.useless = False
        self.failure: StreamError | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return getattr(self.stream, "errors", None)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"expected text, got {type(text).__name__}")
        self._attempt(lambda: self.stream.write(spell(text, self.encoding)))
        return len(text)

    def flush(self) -> None:
        self._attempt(self.stream.flush)

    def _attempt(self, act: Callable[[], object]) -> None:
        if self.failure is not None:  # said again, where who wrote did not listen
            raise self.failure
        if self.useless:
            return
        try:
            act()
        except BrokenPipeError:  # a reader such as `head` that has enough
            self.useless = True
        except OSError as error:
            if not self.vital:
                self.useless = True
                return
            reason = error.strerror or str(error)
            self.failure = StreamError(
                f"standard output cannot be written to ({reason}): send it elsewhere; what the "
                "command has put into files stays there."
            )
            raise self.failure from error


@contextmanager
def tolerant_streams() -> Iterator[None]:
    """Standard output and error are tolerant while the block runs."""
    before = sys.stdout, sys.stderr
    if sys.stdout is not None:  # as it is where the caller closed it
        sys.stdout = TolerantStream(sys.stdout, vital=True)
    if sys.stderr is not None:
        sys.stderr = TolerantStream(sys.stderr, vital=False)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings of pacpde's own are one line each, without the place in the code they come from."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def shown(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if category.__module__ == errors.__name__:
                print_note(str(message))
            else:
                show(message, category, *where)

        warnings.showwarning = shown  # type: ignore[assignment]
        yield


def flush_at_exit() -> None:
    """Flush all streams, so that the interpreter's own flush at its end cannot fail."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
