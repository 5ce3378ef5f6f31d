from importlib import resources
from pathlib import Path

import pytest

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.profiles.loader import load_profile, parse_converter
from nsn_pipeline.profiles.model import custom_columns
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import Column, Kind

SEED = resources.files("nsn_pipeline.profiles").joinpath("seed.yaml").read_text(encoding="utf-8")
VENDOR_NAME = "- {column: name, from: name, as: text(255), required: true}"


def write(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = SEED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(tmp_path: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_profile(write(tmp_path, *changes))
    return str(caught.value)


def test_seed_profile_has_a_target_for_every_record_type() -> None:
    assert set(load_profile("seed").targets) == set(REGISTRY)


def test_seed_never_sends_what_servicenow_computes() -> None:
    order = load_profile("seed").targets["purchase_order"]
    assert order.lines is not None
    columns = {c.column for c in (*order.columns, *order.lines.columns) if c.is_written}

    assert not columns & {"total_cost", "number", "remaining_quantity", "sys_id"}


def test_seed_compares_every_currency_column_by_a_witness() -> None:
    for target in load_profile("seed").targets.values():
        for column in (*target.columns, *(target.lines.columns if target.lines else ())):
            written_amount = column.converter.name == "money" and column.is_written
            assert written_amount == (column.witness is not None)


def test_seed_retires_headers_by_their_state_and_deletes_lines_and_postings() -> None:
    targets = load_profile("seed").targets
    told = {
        part.table: part.retire.how if part.retire.how != "set" else dict(part.retire.values)
        for target in targets.values()
        for part in (target, target.lines)
        if part is not None
    }
    assert told == {
        "itfm_gl_accounts": "keep",
        "cmn_cost_center": "keep",
        "core_company": {"u_active": "false"},
        "proc_po": {"status": "canceled"},
        "proc_po_item": "delete",
        "sn_apo_invoice": {"state": "canceled"},
        "sn_apo_invoice_line": "delete",
        "u_netsuite_gl_posting": "delete",
    }


WITNESS = """{column: u_total_amount, from: total, as: decimal(currency_code), required: true}
      - {column: u_tax_amount"""
FAULTS = {
    "unknown key": (
        VENDOR_NAME, "- {column: name, from: name, as: text(255), requird: true}", "requird"),
    "unknown converter": (VENDOR_NAME, "- {column: name, from: name, as: txt(3)}",
                          "vendor.name: unknown converter 'txt'"),
    "converter without its argument": (
        VENDOR_NAME, "- {column: name, from: name, as: text}", "text needs the number"),
    "converter that is no converter": (
        VENDOR_NAME, "- {column: name, from: name, as: 'text(255'}", "is not a converter"),
    "column written twice": (
        VENDOR_NAME, f"{VENDOR_NAME}\n      {VENDOR_NAME}", "vendor.name: written twice"),
    "unknown canonical column": (
        VENDOR_NAME, "- {column: name, from: nmae, as: text(255)}",
        "vendor has no canonical column 'nmae'"),
    "converter that does not suit": (
        VENDOR_NAME, "- {column: name, from: name, as: date}", "date does not suit name"),
    "money in no currency": (
        "as: money(currency_code), required: true, witness: u_total_amount",
        "as: money(pounds), required: true, witness: u_total_amount",
        "there is no text column 'pounds'"),
    "witness that is not written": (
        "witness: u_total_amount", "witness: u_totl", "witness 'u_totl' is not written"),
    "reference to nothing": (
        "as: reference(vendor), required: true", "as: reference(supplier), required: true",
        "reference to 'supplier'"),
    "choice given twice": (
        "VendBill: invoice, VendCred: credit_memo", "VendBill: invoice, VendBill: x",
        "choice 'VendBill' is given twice"),
    "choice without a value": (
        "VendBill: invoice, VendCred: credit_memo", "VendBill", "is not `NetSuite value"),
    "cut of a number": (
        "{column: u_line_number, from: line_number, as: integer}",
        "{column: u_line_number, from: line_number, as: integer, cut: true}",
        "only text can be cut"),
    "unknown owner": (
        VENDOR_NAME, "- {column: name, from: name, as: text(255), owner: me}", "owner"),
    "compared column that is required": (
        VENDOR_NAME, "- {column: name, from: name, as: text(255), required: true, owner: compared}",
        "vendor.name: a compared column is never written, so it cannot be required"),
    "compared amount with a witness": (
        "as: money(currency_code), owner: compared",
        "as: money(currency_code), owner: compared, witness: u_total_amount",
        "purchase_order.total_cost: a compared column is never written, so nothing can stand"),
    "witness that is only compared": (
        WITNESS, WITNESS.replace("required: true", "owner: compared"),
        "witness 'u_total_amount' is not kept in step with NetSuite"),
    "parent column that is only compared": (
        "{column: invoice, from: document_id, as: reference(parent), required: true}",
        "{column: invoice, from: document_id, as: reference(parent), owner: compared}",
        "vendor_bill_line.invoice: lines are bound to their document by it"),
    "first value for rows that are never made": (
        "{column: account_name, from: account_name, as: text(255)}",
        "{column: account_name, from: account_name, as: text(255), owner: servicenow}",
        "the target creates nothing"),
    "unknown record type": ("  gl_posting:\n", "  gl_postings:\n", "unknown record type"),
    "key of no column": (
        'key_from: "{document_id}-{line_id}-{book_id}"', 'key_from: "{document}"',
        "key_from names 'document'"),
    "key that others do not refer to": (
        'key_from: "{internal_id}"', 'key_from: "{entity_id}"', "key_from must be"),
    "external key written as a column": (
        VENDOR_NAME,
        f"{VENDOR_NAME}\n      - {{column: u_netsuite_id, from: internal_id, as: text(40)}}",
        "the external key is written from key_from alone"),
    "parent column that is no parent": (
        "parent_column: invoice", "parent_column: gl_account", "parent_column must name"),
    "cost center code of no column": (
        "cost_center_code: external_id", "cost_center_code: code_1", "no text column 'code_1'"),
    "a key given twice": ("name: seed", "name: seed\nname: other", "'name' is given twice"),
    "no YAML": ("name: seed", "name: [seed", "not readable YAML"),
    "reference table missing": (
        "  gl_account: {table: itfm_gl_accounts", "  gl_acount: {table: itfm_gl_accounts",
        "gl_acount"),
    "retiring what is never created": (
        "table: itfm_gl_accounts\n    external_key: account_number\n",
        "table: itfm_gl_accounts\n    external_key: account_number\n    retire: delete\n",
        "never created are not ours to retire"),
    "retiring by a column that is not written": (
        "retire: {set: {status: canceled}}", "retire: {set: {u_active: 'false'}}",
        "'u_active' is not written"),
    "retiring by an unknown choice": (
        "retire: {set: {status: canceled}}", "retire: {set: {status: cancelled}}",
        "'cancelled' is none of canceled, ordered, received, requested"),
    "retiring by a flag that is none": (
        'retire: {set: {u_active: "false"}}', 'retire: {set: {u_active: "no"}}',
        "'no' is neither true nor false"),
    "retiring by a text that is too long": (
        'retire: {set: {u_active: "false"}}', 'retire: {set: {u_currency: "gone"}}',
        "'gone' is empty, or longer than 3"),
    "retiring by a reference": (
        "retire: {set: {status: canceled}}", "retire: {set: {vendor: '1'}}",
        "only text, choice and flag columns"),
    "ended by a column that is not written": (
        "retire: {set: {status: canceled}}", "ended: {u_active: ['false']}",
        "ended: 'u_active' is not kept in step"),
    "ended by an unknown choice": (
        "retire: {set: {status: canceled}}", "ended: {status: [canceled, closed]}",
        "ended: status: 'closed' is none of"),
    "retiring in an unknown way": (
        "retire: {set: {status: canceled}}", "retire: archive", "retire"),
    "retiring by a key that is not the record's id": (
        'table: sn_apo_invoice\n    external_key: u_netsuite_id\n    key_from: "{internal_id}"',
        'table: sn_apo_invoice\n    external_key: u_netsuite_id\n    key_from: "{tranid}"',
        "as deletions are known by it"),
    "retiring lines that do not say whose they are": (
        'key_from: "{document_id}-{line_id}"\n      parent_column: invoice',
        'key_from: "{unique_key}"\n      parent_column: invoice',
        "key_from must begin with '{document_id}-'"),
    "retiring postings that cannot be found": (
        "    set_by: u_netsuite_transaction\n", "", "set_by must name the column"),
    "a set by a column that does not hold the document": (
        "set_by: u_netsuite_transaction", "set_by: u_book",
        "set_by must name a column that is written from document_id"),
    "an end of the rows of a set": (
        "    set_by: u_netsuite_transaction\n",
        "    set_by: u_netsuite_transaction\n    ended: {u_book: ['9']}\n",
        "ended: rows that are found by set_by end with their document"),
    "retiring the rows of a set by a value that a sync could write": (
        "set_by: u_netsuite_transaction\n    retire: delete",
        "set_by: u_netsuite_transaction\n    retire: {set: {u_book: gone}}",
        "'u_book' must be written from a literal"),
    "unsafe column name": (
        VENDOR_NAME, "- {column: 'name^ORx', from: name, as: text(255)}", "column"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(FAULTS))
def test_faulty_profile_is_refused(tmp_path: Path, case: str) -> None:
    old, new, told = FAULTS[case]

    assert told in faults(tmp_path, (old, new))


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        (VENDOR_NAME, "- {column: name, from: nmae, as: text(255)}"),
        ("witness: u_total_amount", "witness: u_totl"),
        ("as: flag}", "as: flug}"),
    )

    assert all(word in told for word in ("nmae", "u_totl", "flug"))


@pytest.mark.parametrize("name", ["nope", "no/such.yaml", "../seed"])
def test_profile_that_is_not_there_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no profile"):
        load_profile(name)


def test_custom_fields_need_no_python(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        (
            "- {column: supplier_invoice_number, from: tranid, as: text(40)}",
            (
                "- {column: supplier_invoice_number, from: tranid, as: text(40)}\n"
                "      - {column: u_project, from: custbody_project, as: text(40)}\n"
                "      - {column: u_due, from: custbody_due, as: date}\n"
                "      - {column: u_fee, from: custbody_fee, as: decimal(custbody_ccy)}"
            ),
        ),
        (
            "- {column: is_tax, from: is_tax, as: flag}",
            (
                "- {column: is_tax, from: is_tax, as: flag}\n"
                "        - {column: u_site, from: custcol_site, as: text(9)}"
            ),
        ),
    )

    profile = load_profile(path)

    assert custom_columns(profile, "vendor_bill") == [
        Column("custbody_project", "t.custbody_project"),
        Column("custbody_due", "TO_CHAR(t.custbody_due,'YYYY-MM-DD')", Kind.DATE),
        Column("custbody_fee", "t.custbody_fee", Kind.MONEY),
        Column("custbody_ccy", "t.custbody_ccy"),
    ]
    assert custom_columns(profile, "vendor_bill_line") == [
        Column("custcol_site", "tl.custcol_site")
    ]
    assert custom_columns(load_profile("seed"), "vendor_bill") == []


@pytest.mark.parametrize(
    "text", ["text(40)", "money(currency_code)", "decimal(8)", "flag", "choice{A: x, B: y z}"]
)
def test_converter_reads_back_as_written(text: str) -> None:
    assert str(parse_converter(text)) == text
