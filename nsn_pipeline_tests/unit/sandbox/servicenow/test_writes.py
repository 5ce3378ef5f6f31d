import pytest

from nsn_pipeline.sandbox.servicenow.options import AbortRule, DataPolicy

CHOSEN = "0123456789abcdef0123456789abcdef"


def test_unknown_and_read_only_columns_vanish_without_a_word(desk):
    row = desk.create("core_company", name="A", u_typo="x", sys_created_by="me", sys_mod_count="7")
    assert "u_typo" not in row
    assert (row["sys_created_by"], row["sys_mod_count"]) == ("nsn.integration", "0")


def test_chosen_sys_id_is_honoured_and_a_second_insert_refused(desk):
    assert desk.create("core_company", name="A", sys_id=CHOSEN)["sys_id"] == CHOSEN
    again = desk.post("core_company", {"name": "A", "sys_id": CHOSEN})
    assert again.status == 403
    assert again.json["error"] == {
        "message": "Operation Failed",
        "detail": "Error during insert of core_company (A)",
    }


def test_unique_index_refuses_insert_and_update_but_not_empty_values(desk):
    desk.create("core_company", name="A", u_netsuite_id="1")
    desk.create("core_company", name="B")
    other = desk.create("core_company", name="C")
    assert desk.post("core_company", {"name": "D", "u_netsuite_id": "1"}).status == 403
    answer = desk.patch("core_company", other["sys_id"], {"u_netsuite_id": "1"})
    assert answer.detail == "Error during update of core_company (C)"
    assert desk.store.count("core_company") == 3


def test_freed_key_may_be_used_again(desk):
    row = desk.create("core_company", name="A", u_netsuite_id="1")
    desk.patch("core_company", row["sys_id"], {"u_netsuite_id": "2"})
    desk.create("core_company", name="B", u_netsuite_id="1")


def test_only_a_real_change_moves_the_audit_columns(desk):
    row = desk.create("core_company", name="A", city="Bonn")
    desk.now += 60
    same = desk.patch("core_company", row["sys_id"], {"city": "Bonn", "u_typo": "x"}).result
    assert (same["sys_mod_count"], same["sys_updated_on"]) == ("0", row["sys_updated_on"])
    moved = desk.call("PUT", f"/api/now/table/core_company/{row['sys_id']}", {"city": ""}).result
    assert moved["sys_mod_count"] == "1"
    assert moved["sys_updated_on"] > row["sys_updated_on"]
    assert (moved["name"], moved["city"]) == ("A", "")


def test_long_text_is_cut_in_silence(desk):
    row = desk.create("proc_po", short_description="x" * 200)
    assert row["short_description"] == "x" * 160


def test_long_text_is_kept_when_cutting_is_off(make_desk):
    row = make_desk(cut_to_max_length=False).create("proc_po", short_description="x" * 200)
    assert row["short_description"] == "x" * 200


@pytest.mark.parametrize(
    ("column", "sent", "kept"),
    [
        ("po_date", "2026-05-04", "2026-05-04"),
        ("po_date", "2026-05-04 10:00:00", "2026-05-04"),
        ("po_date", "04.05.2026", ""),
        ("po_date", "2026-02-30", ""),
        ("due_by", "2026-05-04", "2026-05-04 00:00:00"),
        ("due_by", "2026-05-04T10:00:00Z", ""),
        ("u_total_amount", "1234.50", "1234.5"),
        ("u_total_amount", "0.00005", "0.0001"),
        ("u_total_amount", "1,234.50", ""),
        ("u_total_amount", "1e400", ""),
        ("u_total_amount", "NaN", ""),
        ("ship_rate", "USD;411.50", "411.5"),
        ("ship_rate", "12", "12"),
        ("ship_rate", "EUR;100", "108"),
        ("ship_rate", "XXX;100", "0"),
        ("ship_rate", "JPY;100", "0.65"),
        ("status", "no such choice", "no such choice"),
    ],
)
def test_what_a_column_keeps(desk, column, sent, kept):
    assert desk.create("proc_po", **{column: sent})[column] == kept


def test_reads_convert_money_to_the_users_currency(make_desk):
    desk = make_desk(user_currency="EUR")
    row = desk.create("proc_po", ship_rate="USD;100")
    assert row["ship_rate"] == "92.5926"
    shown = desk.get(f"proc_po/{row['sys_id']}", sysparm_display_value="all").result
    assert shown["ship_rate"] == {"display_value": "€92.59", "value": "92.5926"}


def test_display_input_uses_zone_locale_and_names(make_desk):
    desk = make_desk(user_time_zone="Europe/Berlin", decimal_comma=True, user_currency="EUR")
    vendor = desk.create("core_company", name="Acme")
    row = desk.post(
        "proc_po",
        {
            "due_by": "2026-01-15 12:00:00",
            "ship_rate": "EUR;1.234,56",
            "vendor": "Acme",
            "bill_to": "Nowhere",
            "status": "Ordered",
        },
        sysparm_input_display_value="true",
        sysparm_exclude_reference_link="true",
    ).result
    assert row["due_by"] == "2026-01-15 11:00:00"
    assert row["ship_rate"] == "1234.56"
    assert (row["vendor"], row["bill_to"]) == (vendor["sys_id"], "")
    assert row["status"] == "ordered"


def test_unmatched_name_may_create_a_record(make_desk):
    desk = make_desk(unmatched_reference="create")
    desk.post("proc_po", {"vendor": "Acme"}, sysparm_input_display_value="true")
    assert [row["name"] for row in desk.rows("core_company")] == ["Acme"]


def test_choice_is_not_cleared_by_an_empty_text(desk):
    row = desk.create("proc_po", status="ordered", terms="net_30")
    assert desk.patch("proc_po", row["sys_id"], {"terms": ""}).result["terms"] == "net_30"
    assert desk.patch("proc_po", row["sys_id"], {"terms": "NULL"}).result["terms"] == ""


def test_numbers_are_given_in_order_and_stay_ahead_of_seeded_ones(desk):
    assert desk.create("proc_po")["number"] == "PO0010001"
    desk.store.insert("proc_po", [{"number": "PO0020000"}])
    assert desk.create("proc_po")["number"] == "PO0020001"
    assert desk.create("proc_po_item")["number"] == "POL0010001"
    assert desk.create("sn_apo_invoice")["number"] == "INV0010001"


def test_strict_read_only_columns_are_dropped_on_update_only(make_desk):
    desk = make_desk(strict_readonly=True)
    row = desk.create("proc_po", status="ordered")
    same = desk.patch("proc_po", row["sys_id"], {"status": "received"}).result
    assert (row["status"], same["status"]) == ("ordered", "ordered")


def test_data_policy_names_labels(make_desk):
    desk = make_desk(data_policies=(DataPolicy("proc_po", ("u_netsuite_id", "po_date")),))
    answer = desk.post("proc_po", {"status": "ordered"})
    assert answer.status == 403
    assert answer.detail == (
        "Data Policy Exception: The following fields are mandatory: NetSuite ID, PO date"
    )


def test_source_to_pay_invoice_cannot_leave_draft(desk):
    row = desk.create("sn_shop_invoice", invoice_amount="USD;5", supplier_invoice_number="7")
    assert (row["invoice_amount"], row["state"]) == ("", "draft")
    answer = desk.patch("sn_shop_invoice", row["sys_id"], {"state": "approved"})
    assert answer.detail.endswith("Amount invoiced (Transaction currency)")


def test_business_rule_aborts_with_its_name(make_desk):
    rule = AbortRule("proc_po", "Closed period", "po_date<2026-01-01")
    desk = make_desk(abort_rules=(rule,))
    desk.create("proc_po", po_date="2026-01-01")
    detail = desk.post("proc_po", {"po_date": "2025-12-31"}).detail
    assert detail.startswith(
        "Operation against file 'proc_po' was aborted by Business Rule 'Closed period^"
    )
    assert detail.endswith("'. Business Rule Stack:Closed period")


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
def test_denied_operations(make_desk, operation):
    desk = make_desk(denied={"proc_po": frozenset({operation})})
    desk.store.insert("proc_po", [{"sys_id": CHOSEN}])
    answer = {
        "insert": lambda: desk.post("proc_po", {}),
        "update": lambda: desk.patch("proc_po", CHOSEN, {"status": "ordered"}),
        "delete": lambda: desk.call("DELETE", f"/api/now/table/proc_po/{CHOSEN}"),
    }[operation]()
    assert answer.detail == (
        f"ACL Exception {operation.capitalize()} Failed due to security constraints"
    )


def test_gl_accounts_of_source_to_pay_are_never_created_over_rest(desk):
    assert desk.post("sn_fin_gl_account", {"gl_account": "1"}).status == 403
    desk.store.insert("sn_fin_gl_account", [{"gl_account": "1"}])
    assert desk.rows("sn_fin_gl_account", "gl_account=1")


def test_fx_currency_keeps_amount_and_currency_in_a_record_of_its_own(desk):
    row = desk.create("sn_shop_purchase_order", total_amount="EUR;100.5")
    path = f"sn_shop_purchase_order/{row['sys_id']}"
    assert row["total_amount"]["link"].endswith(
        f"/fx_currency2_instance/{row['total_amount']['value']}"
    )
    fields = "total_amount.amount,total_amount.currency,total_amount.reference_amount"
    walked = desk.get(path, sysparm_fields=fields).result
    assert list(walked.values()) == ["100.5", "EUR", "108.54"]
    same = desk.patch("sn_shop_purchase_order", row["sys_id"], {"total_amount": "EUR;100.50"})
    assert same.result["sys_mod_count"] == "0"
    more = desk.patch("sn_shop_purchase_order", row["sys_id"], {"total_amount": "USD;1"})
    assert more.result["sys_mod_count"] == "1"
    assert list(desk.get(path, sysparm_fields=fields).result.values()) == ["1", "USD", "1"]


def test_bare_number_in_an_fx_column_stores_zero(desk):
    row = desk.create("sn_shop_purchase_order", total_amount="100")
    path = f"sn_shop_purchase_order/{row['sys_id']}"
    walked = desk.get(path, sysparm_fields="total_amount.amount").result
    assert walked == {"total_amount.amount": "0"}


def test_invalid_currency_code_is_an_exception_in_an_fx_column(desk):
    assert desk.post("sn_shop_purchase_order", {"total_amount": "XXX;1"}).status == 403
    assert desk.store.count("sn_shop_purchase_order") == 0
