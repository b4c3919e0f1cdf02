"""What people see of the demonstration: progress, then the timeline and the table of outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from b2bua.demo.journal import CallerResult, Entry
from b2bua.demo.story import CALLER_TONE, Scenario

COLUMNS = ("caller", "b2bua", "contact centre")


@dataclass(slots=True)
class PlayedCall:
    """One call as it was seen by everybody: the caller, the contact centre, and our own record."""

    scenario: Scenario
    wav: Path
    entries: list[Entry] = field(default_factory=list)
    result: CallerResult | None = None
    agent_heard: int | None = None
    record: dict[str, object] | None = None

    @property
    def outcome(self) -> dict[str, object]:
        """`outcome` of the record: name, code, status, source."""
        found = self.record.get("outcome") if self.record else None
        return found if isinstance(found, dict) else {}

    def problems(self) -> list[str]:
        """What did not end as it should, in words; empty when all is well."""
        wanted = self.scenario
        if self.result is None:
            return ["the caller process gave no result"]
        found = []
        if self.result.status != wanted.status:
            found.append(f"the caller got {self.result.status} {self.result.reason}, not {wanted.status}")
        if self.record is None:
            found.append("there is no record of it")
        elif (self.outcome.get("name"), self.outcome.get("code")) != (wanted.outcome, wanted.code):
            found.append(f"recorded as {self.outcome.get('name')} {self.outcome.get('code')}")
        if self.result.heard != wanted.tone:
            found.append(f"the caller heard {hertz(self.result.heard)}, not {hertz(wanted.tone)}")
        if wanted.status == 200 and self.agent_heard != CALLER_TONE:
            found.append(f"the agent heard {hertz(self.agent_heard)}, not {hertz(CALLER_TONE)}")
        return found


def hertz(tone: int | None) -> str:
    """A tone in words."""
    return "nothing" if tone is None else f"{tone} Hz"


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
    """Entries by time. Our log is written just after a message is sent: where the contact centre noted its arrival
    before that, the arrival's time counts for both."""
    ordered = sorted(entries, key=lambda entry: entry.at)
    arrivals = [entry.at for entry in ordered if entry.who == "contact centre"]
    invites = [entry for entry in ordered if entry.what.startswith("INVITE") and entry.who == "b2bua"]
    for invite, arrival in zip(invites, arrivals, strict=False):
        if arrival < invite.at:
            ordered[ordered.index(invite)] = replace(invite, at=arrival)
    # Stable, but a cause comes first where the times are the same.
    return sorted(ordered, key=lambda entry: (entry.at, COLUMNS.index(entry.who)))


def timeline(call: PlayedCall) -> Table:
    """A call from top to bottom, everybody in a column of their own."""
    scenario = call.scenario
    table = plain_table(f"{scenario.title}: the contact centre {scenario.far_end}")
    table.add_column("seconds", justify="right", style="dim")
    for who in COLUMNS:
        table.add_column(who, overflow="fold")
    entries = in_order(call.entries)
    for entry in entries:
        cells = [entry.what if entry.who == who else "" for who in COLUMNS]
        table.add_row(f"{entry.at - entries[0].at:.3f}", *cells)
    return table


def outcome_table(calls: Sequence[PlayedCall]) -> Table:
    """The five ends, side by side with what they should be."""
    table = plain_table("outcomes")
    for heading in ("call", "caller got", "outcome", "code", "status", "caller heard", "as it should"):
        table.add_column(heading, overflow="fold")
    for call in calls:
        got = f"{call.result.status} {call.result.reason}" if call.result else "no result"
        heard = call.result.heard if call.result else None
        problems = call.problems()
        table.add_row(
            call.scenario.title,
            escape(got),
            str(call.outcome.get("name", "-")),
            str(call.outcome.get("code", "-")),
            str(call.outcome.get("status", "-")),
            hertz(heard),
            f"[red]{escape('; '.join(problems))}[/]" if problems else "[green]yes[/]",
        )
    return table


def progress_line(call: PlayedCall) -> str:
    """One call in one line, when it is over."""
    if call.result is None:
        return f"[red]✘[/] {call.scenario.title}"
    right = call.result.status == call.scenario.status and call.result.heard == call.scenario.tone
    mark = "[green]✔[/]" if right else "[red]✘[/]"
    heard = f", heard {hertz(call.result.heard)}" if call.result.heard else ""
    return f"{mark} {call.scenario.title}: {call.result.status} {escape(call.result.reason)}{heard}"


def show(console: Console, calls: Sequence[PlayedCall], output: Path) -> None:
    """The whole report."""
    for call in calls:
        console.print(timeline(call))
    console.print(outcome_table(calls))
    console.print(
        f"what the caller heard: {output}/*.wav, records: {output}/cdr.jsonl, logs: {output}/*.log",
        soft_wrap=True,
    )
