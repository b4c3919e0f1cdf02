"""`b2bua destinations`: the file of the destinations, edited in place as over the API, on the operator's machine.

It needs neither a running B2BUA nor its secrets: a variable that is not set in this shell is a warning. A running
one picks the edit up by itself.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from b2bua.cli_options import DEFAULT_CONFIG, ConfigOption, SetOption, errors, output
from b2bua.config.editing import (
    DestinationsEditor,
    Edit,
    EditRefused,
    Settings,
    added,
    changed,
    duplicated,
    made_default,
    removed,
    reworded,
    shown,
)
from b2bua.config.editing.yaml_edit import NotEditable, block_of
from b2bua.config.editing.yaml_values import block_lines
from b2bua.config.yaml_tree import Plain, YamlError, parse_yaml

app = typer.Typer(
    name="destinations",
    help="List and edit the destinations. Comments, order and ${NAME} references of the file are kept.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name of the destination.")]
ValuesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings as in the file: method=invite 'route=\\[sip:a@x, sip:b@x]' 'auth.password=${NAME}'.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]

_OF_THE_CONFIGURATION = frozenset({"invalid_destination", "configuration_error"})


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, set_: SetOption = None, as_json: JsonOption = False) -> None:
    """List the destinations, in the order of the file."""
    destinations = _read(_editor(config, set_)).items()
    if as_json:
        _print_json([_in_full(name, settings) for name, settings in destinations])
        return
    table = Table("")
    for column in ("name", "method", "encryption", "route", "fallback"):
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    table.add_column("description")
    for name, settings in destinations:
        whole, _ = shown(settings)
        cells = (
            _text(whole.get(key)) for key in ("method", "encryption", "route", "fallback", "description")
        )
        table.add_row("*" if settings.get("default") is True else "", escape(name), *cells)
    output.print(table)


@app.command()
def show(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one destination; of secrets, only whether they are set."""
    settings = _settings(_editor(config, set_), name)
    if as_json:
        _print_json(_in_full(name, settings))
        return
    whole, secrets = shown(settings)
    for line in block_lines(name, whole, 0):
        sys.stdout.write(f"{line}\n")
    for key, state in secrets.items():
        sys.stdout.write(f"  # {key} is {state}\n")


@app.command()
def add(
    name: NameArgument,
    values: ValuesArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
) -> None:
    """Add a destination at the end of the file."""
    _make(_editor(config, set_), added(name, _with({}, values or [], ())), f"{name} added")


@app.command()
def edit(
    name: NameArgument,
    values: ValuesArgument = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Take a key out. Repeatable.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
) -> None:
    """Change settings of a destination; without any, open its lines in $EDITOR."""
    editor = _editor(config, set_)
    if not values and not unset:
        _edit_lines(editor, name)
        return
    _settings(editor, name)
    _make(editor, changed(name, lambda before: _with(before, values or [], unset or ())), f"{name} changed")


@app.command()
def duplicate(
    name: NameArgument,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="The name of the copy.")],
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
) -> None:
    """Copy a destination, comments and references included."""
    _make(_editor(config, set_), duplicated(name, new_name), f"{new_name} added, a copy of {name}")


@app.command()
def remove(
    name: NameArgument,
    confirm: Annotated[str | None, typer.Option(metavar="NAME", help="The name again, in scripts.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
) -> None:
    """Remove a destination that nothing refers to. Asks for its name again."""
    editor = _editor(config, set_)
    _settings(editor, name)
    again = confirm if confirm is not None else typer.prompt(f"Type {name} again to remove it", err=True)
    if again != name:
        _fail(EditRefused("confirmation_needed", f"that is not {name}; nothing was removed"))
    _make(editor, removed(name), f"{name} removed")


@app.command()
def set_default(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG, set_: SetOption = None) -> None:
    """Make a destination the default in place of the one that is."""
    _make(_editor(config, set_), made_default(name), f"{name} is the default")


# -- what they have in common ------------------------------------------------------------------------------------------


def _editor(config: Path, overrides: list[str] | None) -> DestinationsEditor:
    return DestinationsEditor(config, os.environ, tuple(overrides or ()), own_environment=False)


def _read(editor: DestinationsEditor) -> dict[str, Settings]:
    try:
        return dict(editor.read().destinations)
    except EditRefused as refused:
        _fail(refused)


def _settings(editor: DestinationsEditor, name: str) -> Settings:
    try:
        return editor.read().settings(name)
    except EditRefused as refused:
        _fail(refused)


def _make(editor: DestinationsEditor, change: Edit, done: str) -> None:
    try:
        applied = editor.apply(change)
    except EditRefused as refused:
        _fail(refused)
    for problem in applied.unset:
        errors.print(f"[bold yellow]warning[/] {escape(str(problem))}, here")
    if applied.after == applied.before:
        output.print("nothing to change")
        return
    output.print(f"[bold green]ok[/] {escape(done)}: {applied.file}")


def _fail(refused: EditRefused) -> NoReturn:
    _print_refusal(refused)
    raise typer.Exit(2 if refused.code in _OF_THE_CONFIGURATION else 1)


def _print_refusal(refused: EditRefused) -> None:
    where = f"{refused.field}: " if refused.field and not refused.problems else ""
    errors.print(f"[bold red]error[/] {escape(where + refused.message)}")
    for problem in refused.problems:
        errors.print(f"   {escape(str(problem))}")


def _with(before: Settings, values: Iterable[str], unset: Iterable[str]) -> Settings:
    """Settings with those of `key.key=YAML` texts in place of what was there."""
    wanted = before
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            _fail(EditRefused("invalid_request", "not KEY=VALUE", key))
        try:
            wanted = _put(wanted, key.split("."), parse_yaml(value, "").plain())
        except YamlError as error:
            _fail(EditRefused("invalid_request", error.problems[0].message, key))
    for key in unset:
        wanted = _put(wanted, key.split("."), None)
    return wanted


def _put(settings: Settings, path: list[str], value: Plain) -> Settings:
    """A copy with a value at a path; None takes the key out."""
    first, *rest = path
    if rest:
        below = settings.get(first)
        value = _put(below if isinstance(below, dict) else {}, rest, value)
    if value is None:
        return {key: each for key, each in settings.items() if key != first}
    return {**settings, first: value}


def _edit_lines(editor: DestinationsEditor, name: str) -> None:
    """The lines of a destination in $EDITOR, as often as it takes."""
    before = lines = _lines_of(editor, name)
    while True:
        lines = _in_editor(name, lines)
        if lines == before:
            output.print("nothing to change")
            return
        try:
            editor.apply(reworded(name, before, lines))
        except EditRefused as refused:
            _print_refusal(refused)
            if not (sys.stdin.isatty() and typer.confirm("Edit again?", default=True, err=True)):
                raise typer.Exit(2 if refused.code in _OF_THE_CONFIGURATION else 1) from None
        else:
            output.print(f"[bold green]ok[/] {escape(name)} changed")
            return


def _lines_of(editor: DestinationsEditor, name: str) -> str:
    try:
        current = editor.read()
        current.settings(name)
        start, end = block_of(current.text, name)
    except NotEditable as error:
        _fail(EditRefused("not_editable", str(error)))
    except EditRefused as refused:
        _fail(refused)
    return current.text[start:end]


def _in_editor(name: str, lines: str) -> str:
    """What somebody makes of these lines. The file for it is readable to nobody else, and gone afterwards."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="b2bua-") as folder:
        file = Path(folder) / f"{name}.yaml"
        file.write_text(lines, encoding="utf-8", newline="")
        try:
            done = subprocess.run([*command, str(file)], check=False)
        except OSError as error:
            _fail(EditRefused("not_editable", f"{command[0]}: {error.strerror}; set EDITOR"))
        if done.returncode != 0:
            _fail(
                EditRefused("not_editable", f"{command[0]} ended with {done.returncode}; nothing was changed")
            )
        edited = file.read_text(encoding="utf-8")
    return edited if edited.endswith("\n") or not edited else edited + "\n"


def _in_full(name: str, settings: Settings) -> dict[str, object]:
    whole, secrets = shown(settings)
    return {"name": name, **whole, "default": settings.get("default") is True, "secrets": secrets}


def _text(value: Plain) -> str:
    return escape(
        ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    )


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
