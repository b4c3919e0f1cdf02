#!/usr/bin/env python3
"""Write the generated pages of `docs/`, or with `--check` say which are out of date.

One function per page, listed in `PAGES`. Exit status: 0 written or current, 1 out of date.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from b2bua.call.cause import CAUSES, Cause  # noqa: E402
from b2bua.config import configuration_schema, destinations_schema  # noqa: E402
from b2bua.config.durations import PATTERN as DURATION  # noqa: E402
from b2bua.http_api.app import api_document  # noqa: E402
from b2bua.http_api.documented import ERRORS  # noqa: E402
from b2bua.metrics import FAMILIES  # noqa: E402
from sip_stack.dialog.session_timer import SESSION_TIMER  # noqa: E402
from sip_stack.dialog.session_timer import State as TimerState  # noqa: E402
from sip_stack.transaction.tables import (  # noqa: E402
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    State,
)

NOTICE = "<!-- Written by scripts/generate_docs.py: change the program, not this page. -->"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A Markdown table, one line per row."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


OUTCOMES = """\
Every call, attempt and handoff ends with one of these rows. *Name*, *code* and *status* stand in the call
record. *To the caller* is the final response to a caller who was not answered yet; BYE means that the caller
was connected and is hung up. *Q.850* is the cause in our Reason header. Where the *event* is a number it is
the SIP status the far end gave; the record keeps it as `sip_status`, with its phrase in `sip_reason`. An attempt
has a `detail` beside its outcome, in the record and the API, where there is more to tell: `rejected` or
`no_credentials` (4240), which name was not found or which address not reached (5000), or the far end's Warning and
Reason headers. It is for people, at most 200 characters, and its words may change.

Codes below 11000 have published meanings; codes from 11000 are this program's own. 503 is only ever our own
overload or drain, and a 401 or 407 is never handed on.
"""


def outcomes() -> str:
    """docs/outcomes.md: how calls, attempts and handoffs end."""
    rows = sorted(CAUSES.values(), key=lambda row: row.code)
    head = ("code", "name", "event", "status", "to the caller", "Q.850", "source unless known better")
    lines = table(head, (_outcome_cells(row) for row in rows))
    return "\n".join(["# Outcomes", "", NOTICE, "", OUTCOMES, *lines, ""])


def _outcome_cells(row: Cause) -> list[str]:
    q850 = "–" if row.q850 is None else str(row.q850)
    return [str(row.code), f"`{row.name}`", row.when, str(row.status), str(row.caller), q850, row.source]


STATE_MACHINES = """\
The four transaction machines of RFC 3261 section 17 with the corrections of RFC 6026, drawn from
`sip_stack/transaction/tables.py`, and the machines of a session, from `sip_stack/dialog`. An arrow reads *what
happens / what is done, in order*. What has no arrow in a state is absorbed there. Not here: the ACK to a 2xx and
repeating our own 2xx, which belong to the dialog and have no states of their own.
"""

Machine = Mapping[tuple[StrEnum, StrEnum], tuple[StrEnum, tuple[StrEnum, ...]]]

MACHINES: dict[str, tuple[StrEnum, StrEnum, str, Machine]] = {
    "INVITE client transaction": (
        State.CALLING,
        State.TERMINATED,
        "RFC 3261 figure 5, RFC 6026 section 7.2",
        cast(Machine, INVITE_CLIENT),
    ),
    "Non-INVITE client transaction": (
        State.TRYING,
        State.TERMINATED,
        "RFC 3261 figure 6",
        cast(Machine, NON_INVITE_CLIENT),
    ),
    "INVITE server transaction": (
        State.PROCEEDING,
        State.TERMINATED,
        "RFC 3261 figure 7, RFC 6026 section 7.1",
        cast(Machine, INVITE_SERVER),
    ),
    "Non-INVITE server transaction": (
        State.TRYING,
        State.TERMINATED,
        "RFC 3261 figure 8",
        cast(Machine, NON_INVITE_SERVER),
    ),
    "Session timer": (
        TimerState.OFF,
        TimerState.OVER,
        "RFC 4028; each session has its own, and *ours* and *theirs* say who refreshes",
        cast(Machine, SESSION_TIMER),
    ),
}


def state_machines() -> str:
    """docs/state-machines.md: the tables as diagrams."""
    lines = ["# State machines", "", NOTICE, "", STATE_MACHINES]
    for title, (start, end, source, machine) in MACHINES.items():
        lines += [
            f"## {title}",
            "",
            f"{source}.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            f"    [*] --> {start}",
        ]
        lines += [
            f"    {state} --> {'[*]' if following is end else following} : {what}"
            + (f" / {', '.join(verbs)}" if verbs else "")
            for (state, what), (following, verbs) in machine.items()
        ]
        lines += ["```", ""]
    return "\n".join(lines)


METRICS = """\
`GET /metrics` of the HTTP API, in the format of Prometheus (or OpenMetrics, when a scraper asks for it). It needs an
API key like everything that tells of calls:

```yaml
scrape_configs:
  - job_name: b2bua
    authorization: {credentials_file: /etc/prometheus/b2bua.key}
    static_configs: [{targets: ["127.0.0.1:8080"]}]
```

`docker/grafana-dashboard.json` shows them. Counting costs a call some additions, whether anybody scrapes or not; a
scrape takes a few milliseconds of the event loop, in the order of the number of series and never of calls. Labels come
from the configuration, the cause table and SIP's own codes. What calls count has at most 500 series of each metric;
what is beyond counts under `other`. The metrics that prometheus-client has of every Python process (`process_*`,
`python_*`) are there too.
"""


def metrics() -> str:
    """docs/metrics.md: every metric."""
    rows = (
        (f"`{each.name}`", each.kind, ", ".join(f"`{label}`" for label in each.labels) or "–", each.help)
        for each in FAMILIES
    )
    lines = table(("metric", "kind", "labels", "what it is"), rows)
    return "\n".join(["# Metrics", "", NOTICE, "", METRICS, *lines, ""])


API_PAGE = ROOT / "docs/api.md"


def api() -> str:
    """docs/api.md: written by hand, but for its tables of operations and errors."""
    page = API_PAGE.read_text(encoding="utf-8")
    paths = cast(dict[str, dict[str, Any]], api_document()["paths"])
    operations = [
        (f"`{method.upper()} {path}{_query(operation)}`", operation["description"].replace("\n", " "))
        for path, of_path in paths.items()
        for method, operation in of_path.items()
    ]
    operations.append(
        ("`GET /openapi.json`", "All of this for programs: every field, bound, answer and error.")
    )
    errors = [(str(error.status), f"`{error.code}`", error.when) for error in ERRORS]
    page = _with_region(page, "operations", table(("call", "does"), operations))
    return _with_region(page, "errors", table(("status", "code", "when"), errors))


def _query(operation: dict[str, Any]) -> str:
    names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    return f"?{'&'.join(f'{name}=' for name in names)}" if names else ""


def _with_region(page: str, name: str, lines: list[str]) -> str:
    """The page with what stands between `<!-- begin NAME … -->` and `<!-- end NAME -->` replaced."""
    begin = f"<!-- begin {name}: written by scripts/generate_docs.py -->\n"
    before, _, rest = page.partition(begin)
    _, end, after = rest.partition(f"<!-- end {name} -->")
    if not end:
        raise ValueError(f"no region {name} in the page")
    return "".join([before, begin, *(f"{line}\n" for line in lines), end, after])


CONFIGURATION_KEYS = """\
Every key of the two files, from the models that read them: what it takes, what it is when it is missing, what it means.
[configuration.md](configuration.md) explains them in their places; `b2bua schema` prints the same for editors.
"""

Schema = dict[str, Any]


def configuration_keys() -> str:
    """docs/configuration-keys.md: every key of the configuration."""
    lines = ["# Configuration keys", "", NOTICE, "", CONFIGURATION_KEYS]
    for title, schema in (
        ("b2bua.yaml", configuration_schema()),
        ("destinations.yaml", destinations_schema()),
    ):
        lines += [f"## {title}", ""]
        whole = cast(Schema, schema)
        models = whole["$defs"]
        for path, section in _sections("", whole, models, set()):
            if path:
                lines += [f"### `{path}`", ""]
            needed = section.get("required", ())
            rows = (
                _key_cells(name, value, models, required=name in needed)
                for name, value in section["properties"].items()
            )
            lines += [*table(("key", "takes", "default", ""), rows), ""]
    return "\n".join(lines)


def _sections(path: str, schema: Schema, models: Schema, seen: set[str]) -> Iterator[tuple[str, Schema]]:
    """A section and those below it, each model once, where it is met first."""
    if "properties" in schema:
        yield path, schema
    for name, below in (*schema.get("properties", {}).items(), *schema.get("patternProperties", {}).items()):
        step = "NAME" if name.startswith("^") else name
        for model, in_list in _models_of(below):
            if model not in seen:
                seen.add(model)
                dots = ".".join(part for part in (path, step) if part)
                yield from _sections(f"{dots}[]" if in_list else dots, models[model], models, seen)
        if "patternProperties" in below:
            yield from _sections(f"{path}.{step}".strip("."), below, models, seen)


def _models_of(schema: Schema, *, in_list: bool = False) -> Iterator[tuple[str, bool]]:
    """The models that a value may be, and whether it is a list of them."""
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2], in_list
    for alternative in schema.get("anyOf", ()):
        yield from _models_of(alternative, in_list=in_list)
    if "items" in schema:
        yield from _models_of(schema["items"], in_list=True)


def _key_cells(name: str, schema: Schema, models: Schema, *, required: bool) -> list[str]:
    default = schema.get("default")
    if default in (None, ""):
        written = "required" if required else ""
    else:
        written = f"`{default if isinstance(default, str) else json.dumps(default)}`"
    meaning = str(schema.get("description", "")).replace("\n", " ").replace("|", "\\|")
    return [f"`{name}`", _takes(schema, models), written, meaning]


MOST_WORDS = 12
"""Of a key that takes one of many: more are not listed."""


def _takes(schema: Schema, models: Schema) -> str:
    """What may be written, in words."""
    if "$ref" in schema:
        return _takes(models[schema["$ref"].rpartition("/")[2]], models)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_takes(each, models) for each in schema["anyOf"]))
    if "enum" in schema:
        words = [f"`{each}`" for each in schema["enum"]]
        return ", ".join(words if len(words) <= MOST_WORDS else [*words[:3], "…"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "object":
        return "a mapping"
    if schema.get("pattern") == DURATION:
        return "a duration"
    if "items" in schema:
        below = _takes(schema["items"], models)
        return f"a list of {'mappings' if below == 'a mapping' else below}"
    kinds = schema.get("type", "text")
    words = [_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return " or ".join(words) + _bounds(schema)


_KINDS = {
    "string": "text",
    "integer": "a number",
    "number": "a number",
    "boolean": "true or false",
    "text": "text",
}


def _bounds(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f" from {schema['minimum']}"
    return ""


INTEROP_PAGE = ROOT / "docs/interop.md"
TESTS = ROOT / "tests"
_ENTRY = re.compile(r"^- \*\*(\d+)\*\* .*?(?=^- \*\*|^## |\Z)", re.MULTILINE | re.DOTALL)
_CITED = re.compile(r"pitfalls?[ _]((?:\d+(?:, | and )?)+)", re.IGNORECASE)


def interop() -> str:
    """docs/interop.md: written by hand, but for tests that cite the number of an entry and are not named in it yet."""
    cited = _tests_by_number()

    def with_tests(match: re.Match[str]) -> str:
        entry = match[0].rstrip("\n")
        missing = [each for each in cited.get(int(match[1]), ()) if f"`{each}`" not in entry]
        end = match[0][len(entry) :]
        return "\n".join([entry, *(f"  - `{each}`" for each in missing)]) + end

    return _ENTRY.sub(with_tests, INTEROP_PAGE.read_text(encoding="utf-8"))


def _tests_by_number() -> dict[int, list[str]]:
    """The tests that cite a pitfall in their name, docstring or a comment, as `file::test`."""
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if _CITED.search(text) is None:
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name[:5] != "test_":
                continue
            for numbers in _CITED.findall(ast.get_source_segment(text, node) or ""):
                for number in re.findall(r"\d+", numbers):
                    test = f"{path.relative_to(TESTS).as_posix()}::{node.name}"
                    found.setdefault(int(number), []).append(test)
    return found


PAGES: dict[str, Callable[[], str]] = {
    "docs/api.md": api,
    "docs/configuration-keys.md": configuration_keys,
    "docs/interop.md": interop,
    "docs/metrics.md": metrics,
    "docs/outcomes.md": outcomes,
    "docs/state-machines.md": state_machines,
}
"""Page, relative to the repository, and the function that makes its text."""


def stale_pages() -> list[str]:
    """Pages whose committed text is not what the program would write."""
    return [page for page, make in PAGES.items() if not _is_current(ROOT / page, make())]


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a page is out of date"
    )
    check = parser.parse_args().check
    stale = stale_pages()
    for page in stale:
        if not check:
            (ROOT / page).parent.mkdir(exist_ok=True)
            (ROOT / page).write_text(PAGES[page](), encoding="utf-8")
        sys.stdout.write(f"{page} {'is out of date: run scripts/generate_docs.py' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
