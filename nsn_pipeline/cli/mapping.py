"""`nsn mapping`: check the mapping files against both systems, and find candidates for them."""

from pathlib import Path

import click
from rich.console import Console

from nsn_pipeline.cli.entry import DONE, DONE_WITH_FINDINGS, STARTED_IN, command

KINDS = ("gl_account", "cost_center")


@click.group()
def mapping() -> None:
    """Check the mapping files, and find candidates for codes that ServiceNow lacks."""


@mapping.command("check")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this file.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@command
def mapping_check(kinds: tuple[str, ...], as_json: bool) -> int:
    """Hold mappings/*.csv against NetSuite and ServiceNow as they are now; write nothing."""
    from nsn_pipeline.commands.mapping import run_check

    sound = run_check(Console(), kinds or KINDS, as_json=as_json)
    return DONE if sound else DONE_WITH_FINDINGS


@mapping.command("suggest")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="mapping_suggestions.csv",
    show_default=True,
    help="The file to write; one that exists is left alone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON instead.")
@command
def mapping_suggest(kinds: tuple[str, ...], out: Path, as_json: bool) -> int:
    """Write unmapped codes with lookalikes from ServiceNow into a CSV to edit; apply nothing."""
    from nsn_pipeline.commands.mapping import run_suggest

    found = run_suggest(Console(), kinds or KINDS, None if as_json else STARTED_IN / out)
    return DONE_WITH_FINDINGS if found else DONE
