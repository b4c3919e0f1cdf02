"""A trace as text: every message with its time, from whom and to whom."""

from __future__ import annotations

from b2bua.trace.ladder import US, Ladder, Step
from b2bua.wording import counted
from sip_stack.message import format_host_port


def text(ladder: Ladder) -> str:
    """One block for each message."""
    blocks = [f"call {ladder.call_id}, {counted(len(ladder.steps), 'message')}"]
    if ladder.skipped:
        blocks[0] += f", and {ladder.skipped} left out in the middle"
    blocks += [f"{_heading(ladder, step)}\n\n{step.text}" for step in ladder.steps]
    return "\n\n".join(blocks) + "\n"


def _heading(ladder: Ladder, step: Step) -> str:
    us = f"{US} {format_host_port(*step.local)}"
    them = f"{ladder.participants[step.whom].name} {format_host_port(*step.remote)}"
    way = f"{us} -> {them}" if step.sent else f"{them} -> {us}"
    again = ", again" if step.again else ""
    return f"--- {step.stamp} +{step.elapsed:.3f} s  {way}  {step.transport}{again}: {step.title}"
