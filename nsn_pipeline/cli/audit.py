"""`nsn audit`: the life of one document, the check of the chain, the export for auditors."""

from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from nsn_pipeline.audit.rejections import NOUNS
from nsn_pipeline.cli.entry import DAY, DONE, DONE_WITH_FINDINGS, STARTED_IN, command
from nsn_pipeline.records.registry import REGISTRY


@click.group()
def audit() -> None:
    """What happened to a document, when, in which run, and why: the audit trail."""


def _life_of(record_type: str) -> click.Command:
    label = NOUNS[record_type][0]

    @click.command(record_type, help=f"The whole life of one {label}, by internal id.")
    @click.argument("document_id")
    @click.option("--every", is_flag=True, help="Also each attempt that only repeated the last.")
    @click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
    @command
    def show(document_id: str, every: bool, as_json: bool) -> int:
        from nsn_pipeline.commands.audit import show_document

        found = show_document(Console(), record_type, document_id, every=every, as_json=as_json)
        return DONE if found else DONE_WITH_FINDINGS

    return show


for _record_type in REGISTRY:
    audit.add_command(_life_of(_record_type))


@audit.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@command
def verify(as_json: bool) -> int:
    """Check the chain of the whole trail; say where a byte was changed or an entry is missing."""
    from nsn_pipeline.commands.audit import verify_trail

    return DONE if verify_trail(Console(), as_json=as_json) else DONE_WITH_FINDINGS


@audit.command("export")
@click.option("--from", "first", type=DAY, required=True, help="First day, in NSN_TIMEZONE.")
@click.option("--to", "last", type=DAY, required=True, help="Last day, included.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "jsonl")),
    default="csv",
    show_default=True,
    help="A table for spreadsheets, or one JSON object per line.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@command
def export(first: datetime, last: datetime, form: str, out: Path | None) -> int:
    """Everything the trail says of a period: when it happened, not the documents' own days."""
    from nsn_pipeline.commands.audit import export_trail

    target = None if out is None else STARTED_IN / out
    export_trail(Console(stderr=True), first.date(), last.date(), form=form, out=target)
    return DONE
