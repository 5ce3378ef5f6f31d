"""`nsn replay`: options in, one call, a code."""

import json
from datetime import datetime

import click
from rich.console import Console

from nsn_pipeline.cli.entry import COULD_NOT_RUN, DAY, DONE, DONE_WITH_FINDINGS, command
from nsn_pipeline.records.registry import REGISTRY


def _document(_context: click.Context, _option: object, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        record_type, _, document_id = value.partition(":")
        if record_type not in REGISTRY or not document_id:
            types = ", ".join(REGISTRY)
            raise click.BadParameter(f"{value!r} is not TYPE:ID with a TYPE of {types}")
    return values


@click.command()
@click.option("--reason", "reasons", multiple=True, help="Only this reason code; may be repeated.")
@click.option("--code", "codes", multiple=True, help="Only what waits for this code: 7160.")
@click.option("--partition", "days", type=DAY, multiple=True, help="Only what is open on this day.")
@click.option(
    "--document", "documents", multiple=True, callback=_document, help="Only this one: TYPE:ID."
)
@click.option("--all", "everything", is_flag=True, help="Everything that is open.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@command
def replay(  # noqa: PLR0917 - click passes options by name
    reasons: tuple[str, ...],
    codes: tuple[str, ...],
    days: tuple[datetime, ...],
    documents: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Replay refused and failed documents whose cause is cured; filters choose others.

    Their days are read, mapped and written anew: what NetSuite and the mapping files say now
    counts, and what is already right is not written again.
    """
    from nsn_pipeline.commands.replay import ReplayRequest, run_replay
    from nsn_pipeline.commands.replay_text import print_replay

    request = ReplayRequest(
        reasons=tuple(reason.upper() for reason in reasons),
        codes=codes,
        days=tuple(day.date().isoformat() for day in days),
        documents=documents,
        everything=everything,
        dry_run=dry_run,
    )
    report = run_replay(Console(stderr=as_json), request)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    else:
        print_replay(Console(), report)
    if report.errors:
        return COULD_NOT_RUN
    return DONE_WITH_FINDINGS if report.left or report.busy_days else DONE
