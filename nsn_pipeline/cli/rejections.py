"""`nsn rejections`: the open list across all days, filtered, grouped, exported."""

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click
from rich.console import Console

from nsn_pipeline.audit.rejections import Wanted
from nsn_pipeline.cli.entry import DONE, DONE_WITH_FINDINGS, STARTED_IN, command
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.records.registry import REGISTRY


class _Amount(click.ParamType):
    name = "amount"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        try:
            amount = Decimal(str(value).replace(",", ""))
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount like 1000 or 1,250.50", param, ctx)
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value!r} is not an amount like 1000 or 1,250.50", param, ctx)
        return amount


@click.command()
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice([reason.value for reason in Reason], case_sensitive=False),
    metavar="REASON",
    help="Only this reason code, such as MISSING_GL_ACCOUNT; may be repeated.",
)
@click.option(
    "--code",
    "codes",
    multiple=True,
    help="Only what waits for this code: 7160, or gl_account:7160; may be repeated.",
)
@click.option("--vendor", default="", help="Only vendors with this in their name.")
@click.option("--subsidiary", default="", help="Only offices with this in their name.")
@click.option(
    "--older-than", type=click.IntRange(0), metavar="DAYS", help="Only failing for longer."
)
@click.option("--min-amount", type=_Amount(), help="Only documents over at least this much.")
@click.option(
    "--type",
    "record_types",
    multiple=True,
    type=click.Choice(tuple(REGISTRY)),
    help="Only this record type; may be repeated.",
)
@click.option("--group", "by_cure", is_flag=True, help="One line per missing code or reason.")
@click.option("--limit", default=50, show_default=True, help="How many to print; 0 for all.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all of them to this file, one row per problem.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of them as JSON.")
@command
def rejections(  # noqa: PLR0917 - click passes options by name
    reasons: tuple[str, ...],
    codes: tuple[str, ...],
    vendor: str,
    subsidiary: str,
    older_than: int | None,
    min_amount: Decimal | None,
    record_types: tuple[str, ...],
    by_cure: bool,
    limit: int,
    csv_file: Path | None,
    as_json: bool,
) -> int:
    """List what may not be written to ServiceNow, of all days: why, since when, and the cure."""
    from nsn_pipeline.commands.rejections import How, run_rejections

    wanted = Wanted(
        reasons=frozenset(reason.upper() for reason in reasons),
        codes=frozenset(codes),
        record_types=frozenset(record_types),
        vendor=vendor,
        subsidiary=subsidiary,
        older_than=None if older_than is None else timedelta(days=older_than),
        min_amount=min_amount,
    )
    how = How(
        by_cure=by_cure,
        limit=limit,
        csv_file=None if csv_file is None else STARTED_IN / csv_file,
        as_json=as_json,
    )
    any_open = run_rejections(Console(), wanted, how)
    return DONE_WITH_FINDINGS if any_open else DONE
