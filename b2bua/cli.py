"""The `b2bua` command. Exit status: 0 done, 2 configuration error, 1 anything else."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from b2bua import __version__, cli_destinations, runtime
from b2bua.certificates import describe
from b2bua.cli_options import DEFAULT_CONFIG, ConfigOption, SetOption, errors, output
from b2bua.cli_trace import TraceRefused, fetch_trace, write_trace
from b2bua.config import (
    Configuration,
    ConfigurationError,
    capacity,
    configuration_schema,
    destinations_schema,
    load_configuration,
)
from b2bua.config.problems import known_names
from b2bua.telemetry import logs
from b2bua.trace import Format
from b2bua.wording import counted

app = typer.Typer(
    name="b2bua",
    help="SIP back-to-back user agent: takes calls, bridges them, hands them to people, and says how they ended.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_destinations.app)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """What is asked without a command."""


LogLevelOption = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


def load(path: Path, overrides: list[str] | None) -> Configuration:
    """The configuration, or every problem in it on stderr and exit status 2."""
    try:
        configuration = load_configuration(path, os.environ, overrides or [])
    except ConfigurationError as error:
        for problem in error.problems:
            errors.print(f"[bold red]error[/] {escape(str(problem))}")
        raise typer.Exit(2) from None
    for warning in configuration.warnings:
        errors.print(f"[bold yellow]warning[/] {escape(str(warning))}")
    return configuration


@app.command()
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
    log_level: LogLevelOption = "info",
    drain: Annotated[float, typer.Option(help="Seconds that running calls get after SIGTERM.", min=0)] = 30.0,
    warm_up: Annotated[
        float, typer.Option(help="Seconds to play calls with itself before it listens, at most.", min=0)
    ] = 0.0,
) -> None:
    """Run the B2BUA until SIGTERM, then drain.

    SIGHUP, or an edit of the files, reloads the configuration; SIGHUP also reopens the record file.
    """
    from b2bua.app import Application, StartError

    async def serve() -> None:
        await Application(configuration, drain_seconds=drain, warm_up_seconds=warm_up).run()

    runtime.prepare()
    configuration = load(config, set_)
    logs.configure(log_level)
    try:
        asyncio.run(serve())
    except StartError as error:
        errors.print(f"[bold red]error[/] {escape(str(error))}")
        raise typer.Exit(1) from None


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG, set_: SetOption = None) -> None:
    """Check the configuration and say what it allows. Exit status 2 when it has errors."""
    configuration = load(config, set_)
    limit = capacity(configuration)
    output.print(f"[bold green]ok[/] {config}")
    output.print(
        f"   {counted(len(configuration.trunks), 'trunk')}, {counted(len(configuration.routes), 'route')}, "
        f"{counted(len(configuration.destinations), 'destination')}"
    )
    output.print(f"   {limit}")
    for certificate in configuration.certificates:
        now = time.time()
        mark = "[bold yellow]warning[/] " if certificate.warning(now) else ""
        output.print(f"   {mark}{escape(describe(certificate, now))}")


@app.command()
def schema(
    destinations: Annotated[
        bool, typer.Option("--destinations", help="The schema of the destinations file.")
    ] = False,
) -> None:
    """Print the JSON Schema of the configuration, for editors."""
    sys.stdout.write(
        json.dumps(destinations_schema() if destinations else configuration_schema(), indent=2) + "\n"
    )


@app.command()
def demo(
    output_folder: Annotated[
        Path, typer.Option("--output", help="Where the WAV files and records go.")
    ] = Path("demo-output"),
) -> None:
    """Play ten calls on loopback: to a contact centre, and from an assistant to a human by every method."""
    from b2bua.demo import play

    raise typer.Exit(play(output_folder))


@app.command()
def call(
    destination: Annotated[str, typer.Argument(help="The name of a destination of the configuration.")],
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
    seconds: Annotated[float, typer.Option(help="How long to stay on an answered call.", min=0)] = 3.0,
    log_level: LogLevelOption = "warning",
) -> None:
    """Place a test call to a destination and say how it ended. Exit status 0 when it was answered."""
    from b2bua.probe import place_probe_call

    configuration = load(config, set_)
    if destination not in configuration.destinations:
        known = known_names(destination, configuration.destinations)
        errors.print(f"[bold red]error[/] no destination {escape(repr(destination))}; {known}")
        raise typer.Exit(2)
    if not configuration.destinations[destination].dials:
        method = configuration.destinations[destination].method
        errors.print(f"[bold red]error[/] {destination} is reached by {method}: there is nothing to call")
        raise typer.Exit(2)
    logs.configure(log_level)
    raise typer.Exit(asyncio.run(place_probe_call(configuration, destination, seconds)))


@app.command()
def trace(
    call_id: Annotated[
        str, typer.Argument(metavar="CALL", help="`call_id` of the call, as logs and records have it.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    set_: SetOption = None,
    shape: Annotated[Format, typer.Option("--format", help="How it is shown.")] = Format.TEXT,
    to: Annotated[Path | None, typer.Option("--output", help="A file, in place of stdout.")] = None,
) -> None:
    """Show the SIP messages of a call on all its legs, as a running B2BUA keeps them; secrets are masked."""
    try:
        write_trace(fetch_trace(load(config, set_), call_id, shape), to)
    except (TraceRefused, OSError) as error:
        errors.print(f"[bold red]error[/] {escape(str(error))}")
        raise typer.Exit(1) from None


@app.command()
def version() -> None:
    """Print the version."""
    output.print(__version__)


def main() -> None:
    """Entry point of the `b2bua` command."""
    app()
