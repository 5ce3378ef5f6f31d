"""`nsn plan`, and what `nsn sync --plan` adds: options in, one call, a code."""

import json
from datetime import datetime
from pathlib import Path

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
from nsn_pipeline.records.registry import REGISTRY


@click.command()
@click.option("--from", "first", type=DAY, required=True, help="First day of change time.")
@click.option("--to", "last", type=DAY, required=True, help="Last day, included.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(tuple(REGISTRY)),
    help="Only this record type and what it refers to; may be repeated.",
)
@click.option("--days-per-run", default=31, show_default=True, type=click.IntRange(1, 366))
@click.option(
    "--allow-retire",
    default=0,
    metavar="N",
    type=click.IntRange(0),
    help="Plan as if a run may retire up to N records of each table.",
)
@click.option(
    "--save",
    "saved_to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the plan in this file, for `nsn sync --plan`.",
)
@click.option(
    "--fields",
    default=20,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many changed columns to print.",
)
@click.option("--rejections", "shown", default=5, show_default=True, help="How many to print.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@command
def plan(  # noqa: PLR0917 - click passes options by name
    first: datetime,
    last: datetime,
    only: tuple[str, ...],
    days_per_run: int,
    allow_retire: int,
    saved_to: Path | None,
    fields: int,
    shown: int,
    as_json: bool,
) -> int:
    """Show what a sync of the days --from to --to would change; write nothing to ServiceNow."""
    from nsn_pipeline.commands.plan import run_plan, save_plan
    from nsn_pipeline.commands.plan_text import print_plan
    from nsn_pipeline.commands.sync import SyncRequest

    request = SyncRequest(
        first=first.date(),
        last=last.date(),
        only=only,
        days_per_run=days_per_run,
        allow_retire=allow_retire,
    )
    result = run_plan(Console(stderr=as_json), request)
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=1))
    else:
        print_plan(Console(), result, fields=fields, rejections=shown)
    if result.summary.errors:
        return COULD_NOT_RUN  # half a plan is not worth keeping
    if saved_to is not None:
        path = STARTED_IN / saved_to
        save_plan(result.plan, path)
        Console(stderr=as_json).print(
            f"Saved to {saved_to}. To do exactly this: nsn sync --plan {saved_to}", soft_wrap=True
        )
    return DONE_WITH_FINDINGS if result.has_findings else DONE
