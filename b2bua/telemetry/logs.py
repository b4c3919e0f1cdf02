"""Structured logs on stderr: one line per event, for people on a terminal, JSON otherwise.

Every line about a call carries `call_id`; lines about a leg carry `leg`, about an end `cause` and `code`.
Nothing here ever sees a secret: callers pass names and numbers, not messages or SDP.
"""

from __future__ import annotations

import atexit
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from b2bua.background import Background
from b2bua.telemetry.json_text import json_text
from b2bua.telemetry.second_text import text_of_second

Logger = FilteringBoundLogger

MAX_EXCERPT = 200
"""Characters that a line says of a header that anybody can send."""

_LEVELS = {"exception": "error", "warn": "warning"}


def configure(level: str = "info") -> None:
    """Set the process's logging up once. `level` is debug, info, warning or error.

    On a terminal a line is there when the call returns. Elsewhere stderr is a pipe or a file: a thread writes to it.
    """
    for_people = sys.stderr.isatty()
    stream = sys.stderr if for_people else cast("TextIO", BackgroundStream(sys.stderr))
    out = cast("TextIO", MutableStream(stream))
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    )
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    lowest = logging.getLevelNamesMapping()[level.upper()]
    wrapper = structlog.make_filtering_bound_logger(lowest)
    straight = type("LineLogger", (_Straight, wrapper), {"info": _info} if lowest <= logging.INFO else {})
    structlog.configure(
        processors=[*shared, _printable, renderer] if for_people else [_json_line],
        wrapper_class=wrapper if for_people else straight,
        logger_factory=structlog.WriteLoggerFactory(out) if for_people else lambda: _Lines(out),
        cache_logger_on_first_use=True,
    )
    # sip_stack and media know nothing of us and use the standard library's logging: same stream, same form.
    handler = logging.StreamHandler(out)
    foreign: list[Processor] = [structlog.stdlib.ExtraAdder(), *shared, _printable]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=foreign))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # What it tells of a daemon that is back says as much as that it was gone.
    logging.getLogger("media").setLevel(level.upper())


class _Straight(structlog.BoundLoggerBase):
    """Takes a line from its values to where it goes without what structlog does for loggers of other kinds."""

    def _proxy_to_logger(self, method_name: str, event: str | None = None, **event_kw: object) -> None:
        self._say(method_name, event, event_kw)

    def _say(self, level: str, event: str | None, values: Mapping[str, object]) -> None:
        line: Any = {**self._context, **values, "event": event}
        try:
            for process in self._processors:
                line = process(self._logger, level, line)
        except structlog.DropEvent:
            return
        self._logger.msg(line)


def _info(logger: _Straight, event: str, **values: object) -> None:
    """What nearly all lines are written by: structlog's own method passes the values on once more."""
    logger._say("info", event, values)


class _Lines:
    """What the lines go to; it needs no lock and no flush, as their stream is a thread's that takes them whole."""

    def __init__(self, out: TextIO) -> None:
        self._write = out.write

    def msg(self, line: str) -> None:
        """Take a line."""
        self._write(line + "\n")


def _json_line(logger: object, name: str, event: EventDict) -> str:
    """What `shared` and the JSON renderer do, in one step: a call has five lines, each a few percent of its cost."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, name, event)
    event["level"] = _LEVELS.get(name, name)
    event["timestamp"] = _stamp(time.time_ns() // 1000)
    return json_text(event)


def _printable(logger: object, name: str, event: EventDict) -> EventDict:
    """What a peer wrote must not be obeyed by the terminal of whoever reads it; `json_text` sees to it elsewhere."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            kept = "\n" if key == "exception" else ""
            event[key] = "".join(
                [each if each.isprintable() or each in kept else ascii(each)[1:-1] for each in value]
            )
    return event


def _stamp(now: int) -> str:
    """Microseconds since 1970 as ISO 8601."""
    return f"{text_of_second(now // 1_000_000)}.{str(now)[-6:]}Z"


class MutableStream(io.TextIOBase):
    """Where all lines go, as long as nobody has muted them."""

    muted: ClassVar = [False]
    """Of all of them: a line is made all the same. In a list: PyPy throws away what it has compiled for a class when an
    attribute of it changes."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Pass a line on."""
        return len(text) if self.muted[0] else self._stream.write(text)

    def flush(self) -> None:
        """Pass that on."""
        self._stream.flush()


@contextmanager
def muted() -> Iterator[None]:
    """What is logged meanwhile, by whomever, costs what it always does and is not seen."""
    MutableStream.muted[0] = True
    try:
        yield
    finally:
        MutableStream.muted[0] = False


class BackgroundStream(io.TextIOBase):
    """Lines to a stream whose reader may be slow or asleep, written by a thread: no call waits for a log line."""

    def __init__(self, stream: TextIO, capacity: int = 10_000) -> None:
        """Beyond `capacity` lines waiting they are dropped, and how many is said once there is room again."""
        super().__init__()
        self._stream = stream
        self._dropped = 0
        self._background = Background("log", self._write_all, capacity)
        self._background.start()
        atexit.register(self.close)

    def write(self, text: str, /) -> int:
        """Take a line with its end; never blocks."""
        if not self._background.put(text):
            self._dropped += 1
        return len(text)

    def close(self) -> None:
        """Write what waits, for two seconds at most."""
        self._background.close(2.0)
        atexit.unregister(self.close)

    def _write_all(self, lines: list[str]) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(
                json_text({"event": "log_lines_dropped", "lines": dropped, "level": "warning"}) + "\n"
            )
        # Nobody reads our log any more, and there is nowhere left to say so.
        with suppress(OSError, ValueError):
            self._stream.write("".join(lines))
            self._stream.flush()


def get_logger() -> Logger:
    """The logger to bind a call's names to."""
    logger: Logger = structlog.get_logger()
    return logger


def excerpt(header: str | None) -> str | None:
    """What a line says of a header of a stranger: sources are forged at will, and a header has 64 KiB of room."""
    return header if header is None else header[:MAX_EXCERPT]


class OncePerInterval:
    """Lets one line through per key and interval, and tells how many were held back since.

    What a peer can trigger at will is logged through this, so that a flood never becomes a flood of lines.
    """

    CAPACITY = 4096

    def __init__(self, interval: float, clock: Callable[[], float]) -> None:
        self._interval = interval
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}

    def allow(self, key: str) -> int | None:
        """None while the key is quiet; otherwise the number of lines held back since its last one."""
        now = self._clock()
        until, held = self._seen.get(key, (0.0, 0))
        if now < until:
            self._seen[key] = (until, held + 1)
            return None
        if len(self._seen) >= self.CAPACITY:
            # A flood of spoofed sources makes a key per packet: forgetting everybody costs one line each.
            self._seen.clear()
        self._seen[key] = (now + self._interval, 0)
        return held
