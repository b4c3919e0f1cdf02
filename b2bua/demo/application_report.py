"""What the application's side saw of a handoff: the context on the human's screen, and the callbacks."""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from b2bua.demo.report import plain_table
from b2bua.demo.verdict import JsonObject, PlayedCall

CONTEXT = ("id", "call_id", "state", "destination", "reason", "utterance", "shared_id", "data")
"""What is shown of a handoff; the rest is about how it goes."""
SAYS = ("Destination", "DialBLegDuration", "DialBLegHangupCauseCode", "DialBLegHangupSource", "DialStatus")
"""What is shown of a callback's parameters."""


def show_application(console: Console, call: PlayedCall) -> None:
    """Both, for a call whose application asked for them."""
    if call.context is None:
        return
    path = f"/v1/handoffs/{call.context['id']}"
    console.print(
        f"[bold]what the screen of the human showed:[/] GET {path}, the id from X-Handoff-ID in the INVITE\n"
    )
    console.print_json(json.dumps(shown(call.context)))
    console.print()
    console.print(callback_table(call))


def shown(context: JsonObject) -> JsonObject:
    """The part of the context that says who needs what."""
    return {key: context[key] for key in CONTEXT if context.get(key)}


def callback_table(call: PlayedCall) -> Table:
    """The callbacks of a call, from top to bottom."""
    table = plain_table(f"callbacks that the application got: {call.scenario.title}")
    for heading in ("seconds", "POST", "Event", "says"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "seconds" else "left")
    start = min(entry.at for entry in call.entries)
    for callback in call.callbacks:
        said = (f"{name}={value}" for name in SAYS if (value := callback.parameters.get(name)))
        table.add_row(
            *(f"{callback.at - start:.3f}", callback.path, callback.parameters["Event"]),
            escape(" ".join(said)),
        )
    return table
