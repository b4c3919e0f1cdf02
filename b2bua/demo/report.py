"""What people see of the demonstration: progress, then the timelines and the tables of outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from b2bua.demo.journal import Entry
from b2bua.demo.verdict import PlayedCall, hertz

COLUMNS = ("caller", "application", "assistant", "b2bua", "contact centre")
"""Who may be in a call, from left to right."""
ARRIVALS = (
    ("INVITE", "assistant", ""),
    ("INVITE", "contact centre", ""),
    ("REFER", "caller", "is referred"),
    ("BYE", "caller", "gets BYE"),
)
"""What we send, to whom, and what they note first when they get it."""


CONFIRMED: dict[object, str] = {None: "-", True: "yes", False: "no"}


def plain_table(title: str) -> Table:
    """A table with a title above it and nothing but a line under its headings."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries by time. Our log is written just after a message is sent: where the far end noted its arrival before
    that, the arrival's time counts for both."""
    ordered = sorted(entries, key=lambda entry: entry.at)
    for request, who, noted in ARRIVALS:
        arrivals = [entry.at for entry in ordered if entry.who == who and entry.what.startswith(noted)]
        sent = [entry for entry in ordered if entry.to == who and entry.what.startswith(request)]
        for entry, arrival in zip(sent, arrivals, strict=False):
            if arrival < entry.at:
                ordered[ordered.index(entry)] = replace(entry, at=arrival)
    # Stable, but a cause comes first where the times are the same.
    return sorted(ordered, key=lambda entry: (entry.at, not entry.to, COLUMNS.index(entry.who)))


def timeline(call: PlayedCall) -> Table:
    """A call from top to bottom, everybody in a column of their own."""
    table = plain_table(f"{call.scenario.title}: {call.scenario.plot}")
    table.add_column("seconds", justify="right", style="dim")
    entries = in_order(call.entries)
    present = [who for who in COLUMNS if any(entry.who == who for entry in entries)]
    for who in present:
        table.add_column(who, overflow="fold")
    for entry in entries:
        cells = [escape(entry.what) if entry.who == who else "" for who in present]
        table.add_row(f"{entry.at - entries[0].at:.3f}", *cells)
    return table


def outcome_table(calls: Sequence[PlayedCall]) -> Table:
    """The ends, side by side with what they should be."""
    table = plain_table("outcomes")
    for heading in ("call", "caller got", "outcome", "code", "status", "caller heard", "as it should"):
        table.add_column(heading, overflow="fold")
    for call in calls:
        got = f"{call.result.status} {call.result.reason}" if call.result else "no result"
        table.add_row(
            call.scenario.title,
            escape(got),
            str(call.outcome.get("name", "-")),
            str(call.outcome.get("code", "-")),
            str(call.outcome.get("status", "-")),
            hertz(call.tones("caller")),
            _verdict(call),
        )
    return table


def handoff_table(calls: Sequence[PlayedCall]) -> Table:
    """The handoffs within those calls."""
    table = plain_table("handoffs")
    headings = (
        "call",
        "asked for by",
        "destination",
        "method",
        "outcome",
        "code",
        "confirmed",
        "agent heard",
    )
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for call in calls:
        transfer, handoff, outcome = call.scenario.transfer, call.handoff, call.handoff_outcome
        if transfer is not None:
            confirmed = handoff.get("confirmed")
            table.add_row(
                call.scenario.title,
                transfer.asked_by,
                str(handoff.get("destination", "-")),
                str(handoff.get("method", "-")),
                str(outcome.get("name", "-")),
                str(outcome.get("code", "-")),
                CONFIRMED.get(confirmed, str(confirmed)),
                hertz(call.tones("agent")),
            )
    return table


def _verdict(call: PlayedCall) -> str:
    problems = call.problems()
    return f"[red]{escape('; '.join(problems))}[/]" if problems else "[green]yes[/]"


def progress_line(call: PlayedCall) -> str:
    """One call in one line, when it is over."""
    if call.result is None:
        return f"[red]✘[/] {call.scenario.title}"
    heard = call.tones("caller")
    right = call.result.status == call.scenario.status and heard == list(call.scenario.hears)
    mark = "[green]✔[/]" if right else "[red]✘[/]"
    what = f", heard {hertz(heard)}" if heard else ""
    return f"{mark} {call.scenario.title}: {call.result.status} {escape(call.result.reason)}{what}"


def show(console: Console, calls: Sequence[PlayedCall]) -> None:
    """The calls and their ends."""
    for call in calls:
        console.print(timeline(call))
    console.print(outcome_table(calls))
    console.print(handoff_table(calls))


def show_files(console: Console, output: Path) -> None:
    """Where to look for more."""
    console.print(
        f"what callers and agents heard: {output}/*.wav, records: {output}/cdr.jsonl, logs: {output}/*.log",
        soft_wrap=True,
    )
