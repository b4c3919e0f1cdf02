"""A trace as one self-contained web page: the ladder as a drawing, the messages below it. No script, no link."""

from __future__ import annotations

from html import escape

from b2bua.trace.ladder import US, Ladder, Step
from b2bua.wording import counted

COLUMN, ROW, TOP, LEFT = 260, 34, 60, 170
"""Pixels."""

_STYLE = """\
body{font:14px/1.4 system-ui,sans-serif;margin:24px;color:#222;background:#fff}
h1{font-size:18px}svg{max-width:100%}text{font:12px system-ui,sans-serif;fill:#222}.t{fill:#888}.n{font-weight:600}
line{stroke:#bbb}.a{stroke:#1a6fb5;stroke-width:1.5}.f{stroke:#c0392b}.r{stroke-dasharray:4 3}a{text-decoration:none}
details{border-top:1px solid #ddd;padding:4px 0}summary{cursor:pointer}:target>summary{background:#fff3c4}
pre{background:#f6f6f6;padding:8px;overflow:auto;margin:4px 0}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}text{fill:#ddd}pre{background:#222}
details{border-color:#333}line{stroke:#555}:target>summary{background:#443c10}}"""


def page(ladder: Ladder) -> str:
    """The page. All that far ends wrote is escaped."""
    left_out = f", {ladder.skipped} left out in the middle" if ladder.skipped else ""
    began = ladder.steps[0].stamp if ladder.steps else ""
    title = escape(f"Call {ladder.call_id}")
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{title}</h1><p>{escape(began)}, {counted(len(ladder.steps), 'message')}{left_out}</p>",
            *_drawing(ladder),
            *(_message(ladder, number, step) for number, step in enumerate(ladder.steps)),
            "</body></html>",
            "",
        ]
    )


def _drawing(ladder: Ladder) -> list[str]:
    # The caller is left of us, whom we called right of us.
    columns = [LEFT, *(LEFT + COLUMN * (number + 1) for number in range(1, len(ladder.participants)))]
    us = LEFT + COLUMN
    width = max([us, *columns]) + COLUMN // 2
    height = TOP + ROW * (len(ladder.steps) + 1)
    lines = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">']
    heads = [(x, each.name, each.address) for x, each in zip(columns, ladder.participants, strict=False)]
    for x, name, address in [*heads, (us, US, "")]:
        lines.append(f'<line x1="{x}" y1="{TOP - 14}" x2="{x}" y2="{height}"/>')
        lines.append(f'<text class="n" x="{x}" y="18" text-anchor="middle">{escape(name)}</text>')
        lines.append(f'<text class="t" x="{x}" y="34" text-anchor="middle">{escape(address)}</text>')
    for number, step in enumerate(ladder.steps):
        lines += _arrow(number, step, us, columns[step.whom])
    return [*lines, "</svg>"]


def _arrow(number: int, step: Step, us: int, them: int) -> list[str]:
    y = TOP + ROW * (number + 1)
    start, end = (us, them) if step.sent else (them, us)
    tip = 7 if end < start else -7
    failed = step.title[:1] in "456" and step.title[:1].isdigit()
    kind = f"a{' f' if failed else ''}{' r' if step.again else ''}"
    return [
        f'<text class="t" x="8" y="{y + 4}">+{step.elapsed:.3f} s</text>',
        f'<a href="#m{number}"><line class="{kind}" x1="{start}" y1="{y}" x2="{end}" y2="{y}"/>'
        f'<path class="{kind}" fill="none" d="M{end + tip} {y - 4}L{end} {y}L{end + tip} {y + 4}"/>'
        f'<text x="{(start + end) // 2}" y="{y - 6}" text-anchor="middle">{escape(step.title)}</text></a>',
    ]


def _message(ladder: Ladder, number: int, step: Step) -> str:
    whom = escape(ladder.participants[step.whom].name)
    way = f"to {whom}" if step.sent else f"from {whom}"
    again = ", again" if step.again else ""
    head = f"+{step.elapsed:.3f} s {way} over {step.transport}{again}: <b>{escape(step.title)}</b>"
    return f'<details id="m{number}"><summary>{head}</summary><pre>{escape(step.text)}</pre></details>'
