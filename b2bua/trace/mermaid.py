"""A trace as a Mermaid sequence diagram, which Markdown viewers draw."""

from __future__ import annotations

from b2bua.trace.ladder import US, Ladder, Step

_ENTITIES = {ord(";"): "#59;", ord("#"): "#35;", ord(":"): "#58;", ord("<"): "#60;", ord(">"): "#62;"}
"""What would end a text or begin markup there."""


def mermaid(ladder: Ladder) -> str:
    """The diagram: the caller on the left, us, whom we called on the right."""
    lines = ["sequenceDiagram"]
    order = list(enumerate(ladder.participants))
    for number, participant in order[:1]:
        lines.append(f"    participant p{number} as {participant.name}<br/>{_safe(participant.address)}")
    lines.append(f"    participant {US}")
    for number, participant in order[1:]:
        lines.append(f"    participant p{number} as {participant.name}<br/>{_safe(participant.address)}")
    lines += [f"    {_arrow(step)}" for step in ladder.steps]
    return "\n".join(lines) + "\n"


def _arrow(step: Step) -> str:
    line = "-->>" if step.title[:1].isdigit() else "->>"
    ends = (US, f"p{step.whom}") if step.sent else (f"p{step.whom}", US)
    again = ", again" if step.again else ""
    return f"{ends[0]}{line}{ends[1]}: {_safe(step.title)}{again} +{step.elapsed:.3f}s"


def _safe(text: str) -> str:
    return text.translate(_ENTITIES)
