import pytest


@pytest.fixture
def orders(desk):
    rows = [("ordered", "10.5"), ("ordered", "20"), ("received", "1")]
    desk.store.insert(
        "proc_po",
        [
            {"status": status, "u_total_amount": amount, "total_cost": f"EUR;{amount}"}
            for status, amount in rows
        ],
    )
    return desk


def stats(desk, table="proc_po", **params):
    return desk.call("GET", f"/api/now/stats/{table}", **params).result


def test_ungrouped_is_an_object_of_texts(orders):
    result = stats(orders, sysparm_count="true", sysparm_sum_fields="u_total_amount")
    assert result == {"stats": {"count": "3", "sum": {"u_total_amount": "31.5000"}}}


def test_nothing_asked_nothing_computed(orders):
    assert stats(orders) == {"stats": {}}


def test_grouped_is_a_list(orders):
    result = stats(
        orders, sysparm_count="true", sysparm_group_by="status", sysparm_order_by="COUNT^DESC"
    )
    assert result == [
        {
            "stats": {"count": "2"},
            "groupby_fields": [{"field": "status", "value": "ordered"}],
        },
        {
            "stats": {"count": "1"},
            "groupby_fields": [{"field": "status", "value": "received"}],
        },
    ]


def test_having_finds_duplicates(orders):
    result = stats(
        orders,
        sysparm_count="true",
        sysparm_group_by="status",
        sysparm_having="count^status^>^1",
    )
    assert [group["groupby_fields"][0]["value"] for group in result] == ["ordered"]


def test_currency_sums_use_the_reference_currency(orders):
    result = stats(orders, sysparm_sum_fields="total_cost", sysparm_query="status=ordered")
    assert result["stats"]["sum"] == {"total_cost": "32.9400"}


def test_minimum_maximum_and_average(orders):
    fields = {f"sysparm_{name}_fields": "u_total_amount" for name in ("min", "max", "avg")}
    result = stats(orders, **fields)["stats"]
    assert [result[name]["u_total_amount"] for name in ("min", "max", "avg")] == [
        "1.0000",
        "20.0000",
        "10.5000",
    ]


@pytest.mark.parametrize(("second", "total"), [("EUR;2", "EUR;3"), ("USD;2", ";")])
def test_fx_sums_of_mixed_currencies_are_a_lone_semicolon(desk, second, total):
    for amount in ("EUR;1", second):
        desk.create("sn_shop_purchase_order", total_amount=amount)
    result = stats(desk, "sn_shop_purchase_order", sysparm_sum_fields="total_amount")
    assert result["stats"]["sum"] == {"total_amount": total}


def stage(desk, **values):
    return desk.call("POST", "/api/now/import/u_imp_ns_vendor", values)


def test_import_inserts_then_updates_then_ignores(desk):
    outcomes = [
        stage(desk, u_name=name, u_netsuite_id="1").json["result"][0]["status"]
        for name in ("A", "B", "B")
    ]
    assert outcomes == ["inserted", "updated", "ignored"]
    assert [row["name"] for row in desk.rows("core_company")] == ["B"]


def test_import_answer_names_set_table_and_record(desk):
    answer = stage(desk, u_name="A", u_netsuite_id="1")
    assert answer.status == 201
    assert answer.json["import_set"] == "ISET0010001"
    assert answer.json["staging_table"] == "u_imp_ns_vendor"
    result = answer.json["result"][0]
    made = desk.rows("core_company")[0]["sys_id"]
    assert (result["transform_map"], result["sys_id"]) == ("NS vendor", made)
    assert result["record_link"].endswith(f"/api/now/table/core_company/{made}")


def test_failed_import_row_is_still_201(desk):
    answer = stage(desk, u_netsuite_id="1")
    assert answer.status == 201
    assert answer.json["result"][0]["status"] == "error"
    assert answer.json["result"][0]["error_message"] == "Row transform ignored: name is empty"
    assert desk.store.count("core_company") == 0


def test_many_rows_give_no_row_results_but_leave_them_in_the_staging_table(desk):
    answer = desk.call(
        "POST",
        "/api/now/import/u_imp_ns_vendor/insertMultiple",
        {"records": [{"Name": "A", "Netsuite id": "1"}, {"u_netsuite_id": "2"}]},
    )
    assert set(answer.json) == {"import_set_id", "multi_import_set_id"}
    query = f"sys_import_set={answer.json['import_set_id']}^ORDERBYu_netsuite_id"
    rows = desk.rows("u_imp_ns_vendor", query)
    assert [row["sys_import_state"] for row in rows] == ["inserted", "error"]
    read = desk.call("GET", f"/api/now/import/u_imp_ns_vendor/{rows[1]['sys_id']}").json
    assert read["result"][0]["status"] == "error"


def test_import_into_a_table_that_is_not_staging_is_refused(desk):
    assert desk.call("POST", "/api/now/import/core_company", {}).status == 400
