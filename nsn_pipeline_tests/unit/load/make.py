"""Small targets and frames for load tests."""

from collections import Counter
from collections.abc import Callable, Sequence

import pandas as pd

from nsn_pipeline.load.brake import Brake, Limits
from nsn_pipeline.load.ledger import LoadResult
from nsn_pipeline.load.pacing import FixedPacer, Pacer
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.shares import SHARE
from nsn_pipeline.load.table import Table
from nsn_pipeline.load.writer import Loader
from nsn_pipeline.profiles.model import Converter, Target, TargetColumn
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow


def column(name: str, converter: str = "text", **options: object) -> TargetColumn:
    kind, _, argument = converter.partition("(")
    source = str(options.pop("source", name))
    return TargetColumn(name, source, Converter(kind, argument.rstrip(")")), **options)


VENDOR = Target(
    record_type="vendor",
    table="core_company",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(
        column("name", required=True),
        column("phone"),
        column("u_active", "flag"),
        column("notes", owner="servicenow"),
    ),
)
BILL_LINE = Target(
    record_type="vendor_bill",
    table="sn_apo_invoice_line",
    external_key="u_netsuite_id",
    key_from="{document_id}-{line_id}",
    parent_column="invoice",
    columns=(
        column("invoice", "reference(parent)", required=True),
        column("quantity", "quantity"),
        column("gl_account", "reference(gl_account)", required=True),
    ),
)
BILL = Target(
    record_type="vendor_bill",
    table="sn_apo_invoice",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(
        column("supplier", "reference(vendor)", required=True),
        column("purchase_order", "reference(purchase_order)"),
        column("currency", source="currency_code"),
        column("total_amount", "money(currency_code)", witness="u_total_amount"),
        column("u_total_amount", "decimal(currency_code)"),
    ),
    lines=BILL_LINE,
)
ORDER = Target(
    record_type="purchase_order",
    table="proc_po",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(column("short_description"),),
)
TARGETS = {"vendor": VENDOR, "vendor_bill": BILL, "purchase_order": ORDER}


def frame(target: Target, rows: dict[str, dict[str, str]]) -> pd.DataFrame:
    """Accepted rows by external key; the document is the part before the first dash."""
    return pd.DataFrame(
        [
            {
                "_key": key,
                "_document_id": key.partition("-")[0],
                **{spec.column: row.get(spec.column) for spec in target.columns},
            }
            for key, row in rows.items()
        ],
        columns=["_key", "_document_id", *(spec.column for spec in target.columns)],
        dtype="str",
    )


def vendors(**names: str) -> pd.DataFrame:
    """`vendors(v1="Acme")`."""
    return frame(VENDOR, {key: {"name": name, "u_active": "true"} for key, name in names.items()})


def bill(**changes: str) -> dict[str, str]:
    return {
        "supplier": "ref:vendor:451",
        "purchase_order": "",
        "currency": "USD",
        "total_amount": "USD;30.00",
        "u_total_amount": "30.00",
        **changes,
    }


def line(document_id: str, **changes: str) -> dict[str, str]:
    return {"invoice": f"ref:parent:{document_id}", "quantity": "1", "gl_account": "gl", **changes}


def loader(
    fake: FakeServiceNow,
    *,
    slept: list[float] | None = None,
    batch_size: int = 50,
    pacer: Pacer | None = None,
    share: int = SHARE,
    before_send: Callable[[Table, Sequence[Change]], None] | None = None,
    reader_currency: str = "",
) -> Loader:
    return Loader(
        fake,
        instance="dev1",
        reader_currency=reader_currency,
        pacer=pacer or FixedPacer(2, batch_size),
        share=share,
        before_send=before_send,
        sleep=(slept if slept is not None else []).append,
        jitter=lambda: 0.0,
    )


class FreshDay:
    """A day on which nothing was retired before."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()

    def count(self, deed: str, table: str) -> int:
        return self.counted[deed, table]

    def add(self, deed: str, table: str, records: int) -> int:
        self.counted[deed, table] += records
        return self.counted[deed, table]


def brake(limits: Limits, today: FreshDay | None = None) -> Brake:
    return Brake(limits, today or FreshDay())


def resolver(fake: FakeServiceNow) -> Resolver:
    return Resolver(fake, TARGETS)


def load(
    fake: FakeServiceNow,
    rows: pd.DataFrame,
    *,
    target: Target = VENDOR,
    using: Resolver | None = None,
    slept: list[float] | None = None,
    batch_size: int = 50,
    plan_only: bool = False,
    reader_currency: str = "",
) -> LoadResult:
    with loader(
        fake, slept=slept, batch_size=batch_size, reader_currency=reader_currency
    ) as writer:
        return writer.load(target, rows, resolver=using or resolver(fake), plan_only=plan_only)


def counts(result: LoadResult) -> dict[str, int]:
    """Records per status, of those that there are."""
    return {status: number for status, number in result.counts().items() if number}
