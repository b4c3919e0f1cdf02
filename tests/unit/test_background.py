"""What is handed to a thread arrives whole and in order, and nobody who hands it over ever waits."""

from __future__ import annotations

import io
import json
import threading

from b2bua.background import Background
from b2bua.telemetry.json_text import json_text
from b2bua.telemetry.logs import BackgroundStream, MutableStream, muted


class StuckReader(io.StringIO):
    """A pipe whose reader sleeps until it is woken."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.awake = threading.Event()

    def write(self, text: str, /) -> int:
        self.reached.set()
        self.awake.wait(30)
        return super().write(text)


def test_everything_is_taken_in_order_before_it_stops() -> None:
    taken: list[int] = []
    background = Background("test", taken.extend, capacity=1_000)
    background.put(0)
    background.start()
    for number in range(1, 500):
        assert background.put(number)
    background.close(30)
    assert taken == list(range(500))


def test_beyond_its_capacity_nothing_is_accepted() -> None:
    background = Background[int]("test", lambda items: None, capacity=2)
    assert [background.put(number) for number in range(3)] == [True, True, False]


def test_closing_what_never_began_is_harmless() -> None:
    Background[int]("test", lambda items: None, capacity=2).close(30)


def test_a_log_that_nobody_reads_holds_nobody_up_and_says_what_it_left_out() -> None:
    reader = StuckReader()
    stream = BackgroundStream(reader, capacity=3)
    stream.write("first\n")
    assert reader.reached.wait(30)
    for number in range(5):
        stream.write(f"{number}\n")
    reader.awake.set()
    stream.close()
    lines = reader.getvalue().splitlines()
    assert lines[:4] == ["first", "0", "1", "2"]
    dropped = json.loads(lines[4])
    assert (dropped["event"], dropped["lines"]) == ("log_lines_dropped", 2)


def test_a_muted_log_takes_lines_and_shows_none() -> None:
    shown = io.StringIO()
    stream = MutableStream(shown)
    stream.write("before\n")
    with muted():
        assert stream.write("meanwhile\n") == len("meanwhile\n")
    stream.write("after\n")
    assert shown.getvalue() == "before\nafter\n"


def test_json_is_one_line_of_ascii_whatever_is_in_it() -> None:
    value = {
        "caller": "a\r\n\x1b[2J\x9b31m\u2028é",
        "odd": b"\xff".decode("utf-8", "surrogateescape"),
        "n": [1, None],
    }
    text = json_text(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value


def test_json_of_what_has_no_json_is_its_repr() -> None:
    assert json.loads(json_text({"value": complex(1, 2), "é": object})) == {
        "value": "(1+2j)",
        "é": repr(object),
    }
