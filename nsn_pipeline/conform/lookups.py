"""Meanings of the ids on documents: currencies with their precision, subsidiaries, vendors."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from nsn_pipeline.amounts import DEFAULT_DECIMALS, MINOR_UNITS
from nsn_pipeline.conform.outcome import Context
from nsn_pipeline.conform.rows import Rows
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import Kind

_MOST_PLACES = 8


@dataclass(frozen=True, slots=True)
class Lookups:
    """Mappings by id or code, made once per call."""

    currency_codes: Mapping[str, str]  # internal id -> ISO code
    places: Mapping[str, int]  # ISO code -> decimals
    subsidiary_names: Mapping[str, str]
    subsidiary_currencies: Mapping[str, str]  # internal id -> ISO code
    vendor_names: Mapping[str, str]

    @classmethod
    def of(cls, context: Context) -> "Lookups":
        codes, places = _currencies(context.currencies)
        if context.base_currency:
            places.setdefault(
                context.base_currency, MINOR_UNITS.get(context.base_currency, DEFAULT_DECIMALS)
            )
        names, currencies = _subsidiaries(context.subsidiaries)
        return cls(
            currency_codes=codes,
            places=places,
            subsidiary_names=names,
            subsidiary_currencies={
                key: codes[currency] for key, currency in currencies.items() if currency in codes
            },
            vendor_names=context.vendor_names,
        )


def look_up(keys: pa.Array, mapping: Mapping[str, object], wanted: pa.DataType) -> pa.Array:
    """The mapping's value for each key; null where there is none."""
    known = pa.array(list(mapping), pa.string())
    values = pa.array(list(mapping.values()), wanted)
    return values.take(pc.index_in(keys, value_set=known))


def look_up_text(keys: pa.Array, mapping: Mapping[str, str]) -> pa.Array:
    return look_up(keys, mapping, pa.string())


def _currencies(frame: pd.DataFrame) -> tuple[dict[str, str], dict[str, int]]:
    rows = Rows.of(frame, {"internal_id": Kind.ID, "symbol": Kind.TEXT, "precision": Kind.INTEGER})
    codes: dict[str, str] = {}
    places: dict[str, int] = {}
    for key, symbol, precision in zip(
        rows["internal_id"].to_pylist(),
        rows["symbol"].to_pylist(),
        rows["precision"].to_pylist(),
        strict=True,
    ):
        if not key or not symbol or not _is_iso(symbol):
            continue
        # For accounts that do not show currencyprecision.
        count = MINOR_UNITS.get(symbol, DEFAULT_DECIMALS) if precision is None else precision
        if 0 <= count <= _MOST_PLACES:
            codes[key] = symbol
            places[symbol] = count
    return codes, places


def _is_iso(symbol: str) -> bool:
    return len(symbol) == 3 and symbol.isascii() and symbol.isalpha() and symbol.isupper()  # noqa: PLR2004 - ISO 4217


def _subsidiaries(frame: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    rows = Rows.of(
        frame,
        {
            "internal_id": Kind.ID,
            "name": Kind.TEXT,
            "full_name": Kind.TEXT,
            "currency_id": Kind.ID,
        },
    )
    names: dict[str, str] = {}
    currencies: dict[str, str] = {}
    for key, name, full_name, currency in zip(
        rows["internal_id"].to_pylist(),
        rows["name"].to_pylist(),
        rows["full_name"].to_pylist(),
        rows["currency_id"].to_pylist(),
        strict=True,
    ):
        if key:
            names[key] = name or full_name or key
            currencies[key] = currency or ""
    return names, currencies
