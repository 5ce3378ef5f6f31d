"""A CSV that no spreadsheet runs, and from which everything can be had back."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsn_pipeline.audit.spreadsheet import cell, csv_text, plain

# What a spreadsheet may run, after https://owasp.org/www-community/attacks/CSV_Injection
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBERS = ["0", "-120.50", "1250", "-5000", "0.00"]
TEXTS = st.one_of(
    st.text(),
    st.builds("{}{}".format, st.sampled_from([*DANGEROUS, "'", "-1", "'="]), st.text()),
)


@pytest.mark.parametrize("text", NUMBERS)
def test_amounts_stay_numbers(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://x","y")', "+44 Couriers", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)",
        "\t=1", "\r=1", "\n=1", "-1e5", "-1.", "--1", "+5", "-١٢",
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_only_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@given(TEXTS)
def test_nothing_dangerous_begins_a_cell_and_nothing_is_lost(text: str) -> None:
    written = cell(text)

    assert plain(written) == text
    if written.startswith(DANGEROUS):
        assert re.fullmatch("-[0-9]+([.][0-9]+)?", written, re.ASCII)


@given(st.lists(st.fixed_dictionaries({"vendor": TEXTS, "amount": st.sampled_from(NUMBERS)})))
def test_a_file_reads_back_as_it_was(rows: list[dict[str, str]]) -> None:
    text = csv_text(("vendor", "amount"), rows)

    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [{name: plain(value) for name, value in row.items()} for row in read] == rows
