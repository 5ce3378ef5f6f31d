"""Which accounts and cost centers a day's documents use, for how much: what coverage is made from.

Refused documents are in it as well as accepted ones: what is not mapped is what one asks about.
"""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.rows import Rows
from nsn_pipeline.conform.values import present
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import MONEY_TYPE

USAGE_SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("kind", pa.string()),  # gl_account or cost_center
        ("internal_id", pa.string()),
        ("subsidiary_id", pa.string()),
        ("date", pa.date32()),  # the transaction's, which validity is judged on
        ("currency", pa.string()),
        ("amount", MONEY_TYPE),
        ("lines", pa.int64()),
    ]
)
_KEYS = ["document_id", "kind", "internal_id", "subsidiary_id", "date", "currency"]
_COLUMNS = {"gl_account": "account_id", "cost_center": "department_id"}


def usage_of(rows: Rows, document_ids: pa.Array, amount: pa.Array) -> pd.DataFrame:
    """One row per document, account or department, office, date and currency.

    `document_ids` and `amount` belong to `rows`, one value each.
    """
    parts = [
        pa.table(
            {
                "document_id": document_ids,
                "kind": pa.array([kind] * rows.count, pa.string()),
                "internal_id": rows[column],
                "subsidiary_id": rows["_subsidiary_id"],
                "date": rows["_day"],
                "currency": rows["currency_code"],
                "amount": amount,
            }
        ).filter(present(rows[column]))
        for kind, column in _COLUMNS.items()
        if column in rows.columns
    ]
    summed = (
        pa.concat_tables(parts)
        .group_by(_KEYS)
        .aggregate([("amount", "sum"), ("internal_id", "count")])
    )
    columns: Mapping[str, pa.ChunkedArray] = {
        **{name: summed[name] for name in _KEYS},
        "amount": summed["amount_sum"],
        "lines": summed["internal_id_count"],
    }
    table = pa.table({name: pc.cast(columns[name], f.type, safe=False) for name, f in
                      zip(USAGE_SCHEMA.names, USAGE_SCHEMA, strict=True)})  # fmt: skip
    return table.to_pandas(types_mapper=pd.ArrowDtype)
