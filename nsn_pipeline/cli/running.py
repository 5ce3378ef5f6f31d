"""Commands that run something: sync, demo, dev, doctor. Options in, one call, a code."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from nsn_pipeline.cli.entry import (
    COULD_NOT_RUN,
    DAY,
    DONE,
    DONE_WITH_FINDINGS,
    STARTED_IN,
    command,
)
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.records.registry import REGISTRY

SIZES = ("tiny", "small", "medium", "large")


@click.command()
@click.option("--from", "first", type=DAY, help="First day of change time.")
@click.option("--to", "last", type=DAY, help="Last day, included.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(tuple(REGISTRY)),
    help="Only this record type and what it needs; may be repeated.",
)
@click.option("--days-per-run", default=31, show_default=True, type=click.IntRange(1, 366))
@click.option(
    "--allow-retire",
    default=0,
    metavar="N",
    type=click.IntRange(0),
    help="Let a run retire up to N records of each table, whatever NSN_RETIRE_MAX_* say.",
)
@click.option(
    "--plan",
    "planned",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Carry out this saved plan, and write nothing else; it names the days itself.",
)
@click.option("--rejections", "shown", default=10, show_default=True, help="How many to print.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@command
def sync(  # noqa: PLR0917 - click passes options by name
    first: datetime | None,
    last: datetime | None,
    only: tuple[str, ...],
    days_per_run: int,
    allow_retire: int,
    planned: Path | None,
    shown: int,
    as_json: bool,
) -> int:
    """Sync the days --from to --to, both included, through Dagster."""
    from nsn_pipeline.commands.summary_text import print_summary
    from nsn_pipeline.commands.sync import SyncRequest, run_sync

    console = Console(stderr=as_json)
    if planned is not None:
        from nsn_pipeline.commands.plan import apply_plan

        if first or last or only or allow_retire:
            raise ConfigurationError("--plan names days and record types itself: give it alone")
        summary = apply_plan(console, STARTED_IN / planned)
    elif first is None or last is None:
        raise ConfigurationError("give --from and --to, or --plan with a saved plan")
    else:
        request = SyncRequest(
            first=first.date(),
            last=last.date(),
            only=only,
            days_per_run=days_per_run,
            allow_retire=allow_retire,
        )
        summary = run_sync(console, request)
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=1))
    else:
        print_summary(Console(), summary, rejections=shown)
    if summary.errors:
        return COULD_NOT_RUN
    return DONE_WITH_FINDINGS if summary.has_findings else DONE


def sandbox_options(function: Callable[..., None]) -> Callable[..., None]:
    """What a sandbox holds, as options of a command."""
    for option in (
        click.option("--size", type=click.Choice(SIZES), default="small", show_default=True),
        click.option("--seed", default=1, show_default=True, help="Same seed, same company."),
        click.option(
            "--shape",
            type=click.Choice(("multi", "single")),
            default="multi",
            show_default=True,
            help="Several subsidiaries, currencies and books, or one of each.",
        ),
        click.option(
            "--data",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Serve these table files instead (netsuite/*.csv, servicenow/*.csv).",
        ),
        click.option("--reset", is_flag=True, help="Throw the sandbox's present data away."),
    ):
        function = option(function)
    return function


@click.command()
@sandbox_options
@command
def demo(**options: Any) -> int:
    """Sync a week of a simulated company into a simulated ServiceNow, and show the result."""
    from nsn_pipeline.commands.demo import run_demo
    from nsn_pipeline.commands.sandbox import SandboxOptions

    return run_demo(Console(), SandboxOptions(**options))


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@sandbox_options
@command
def dev(port: int, **options: Any) -> int:
    """Sandbox, Redis and the Dagster UI together; Ctrl-C stops them all."""
    from nsn_pipeline.commands.dev import run_dev
    from nsn_pipeline.commands.sandbox import SandboxOptions

    return run_dev(Console(), SandboxOptions(**options), port=port)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@command
def doctor(as_json: bool) -> int:
    """Check both systems, Redis and the settings, without writing; say what to do about each."""
    from nsn_pipeline.commands.doctor import run_doctor

    return run_doctor(Console(), as_json=as_json)
