import pytest

from nsn_pipeline.doctor.needs import source_needs, target_needs
from nsn_pipeline.profiles.loader import load_profile

SEED = load_profile("seed")


@pytest.mark.parametrize(
    ("table", "required"),
    [("vendor", True), ("transactionline", True), ("item", False), ("subsidiary", False)],
)
def test_a_table_is_needed_unless_the_pipeline_has_a_way_around(table: str, required: bool) -> None:
    assert source_needs(SEED)[table].required is required


def test_a_column_is_needed_as_much_as_its_neediest_use() -> None:
    columns = source_needs(SEED)["transaction"].columns
    assert columns["entity"] is True  # optional for postings, needed for bills
    assert columns["memo"] is False


def test_every_written_column_of_the_profile_is_a_need() -> None:
    needs = target_needs(SEED)
    for target in SEED.targets.values():
        wanted = {column.column for column in target.columns} | {target.external_key}
        assert wanted <= set(needs[target.table].columns)


def test_references_name_the_table_they_must_point_to() -> None:
    uses = {use.column: use for use in target_needs(SEED)["sn_apo_invoice_line"].uses}
    assert uses["invoice"].reference == "sn_apo_invoice"
    assert uses["gl_account"].reference == "itfm_gl_accounts"
    assert uses["purchase_order_line"].reference == "proc_po_item"


def test_only_keys_of_tables_we_create_rows_in_must_be_unique() -> None:
    unique = {
        (table, use.column)
        for table, need in target_needs(SEED).items()
        for use in need.uses
        if use.unique
    }
    assert ("core_company", "u_netsuite_id") in unique
    assert not any(table in {"itfm_gl_accounts", "cmn_cost_center"} for table, _ in unique)


def test_a_compared_column_must_be_readable_and_need_not_be_writable() -> None:
    (use,) = [u for u in target_needs(SEED)["proc_po"].uses if u.column == "total_cost"]
    assert (use.kind, use.length, use.is_written) == ("money", 0, False)
    assert "total_cost" in target_needs(SEED)["proc_po"].columns
