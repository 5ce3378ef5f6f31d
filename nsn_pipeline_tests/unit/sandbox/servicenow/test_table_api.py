import pytest

from nsn_pipeline.sandbox.servicenow.options import User

HOST = "https://acme.service-now.com"
VENDOR = "a" * 32


@pytest.fixture
def order(desk):
    desk.create("core_company", sys_id=VENDOR, name="Globex GmbH", vendor="true")
    return desk.create("proc_po", vendor=VENDOR, status="ordered", short_description="Paper")


@pytest.mark.parametrize(
    ("params", "vendor", "status", "empty"),
    [
        (
            {},
            {"link": f"{HOST}/api/now/table/core_company/{VENDOR}", "value": VENDOR},
            "ordered",
            "",
        ),
        ({"sysparm_exclude_reference_link": "true"}, VENDOR, "ordered", ""),
        (
            {"sysparm_display_value": "true"},
            {
                "display_value": "Globex GmbH",
                "link": f"{HOST}/api/now/table/core_company/{VENDOR}",
            },
            "Ordered",
            "",
        ),
        (
            {"sysparm_display_value": "true", "sysparm_exclude_reference_link": "true"},
            "Globex GmbH",
            "Ordered",
            "",
        ),
        (
            {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"},
            {"display_value": "Globex GmbH", "value": VENDOR},
            {"display_value": "Ordered", "value": "ordered"},
            {"display_value": "", "value": ""},
        ),
        (
            {"sysparm_display_value": "all"},
            {
                "display_value": "Globex GmbH",
                "link": f"{HOST}/api/now/table/core_company/{VENDOR}",
                "value": VENDOR,
            },
            {"display_value": "Ordered", "value": "ordered"},
            {"display_value": "", "value": ""},
        ),
    ],
    ids=["raw", "raw no link", "display", "display no link", "all no link", "all"],
)
def test_field_shapes(desk, order, params, vendor, status, empty):  # noqa: PLR0917
    row = desk.get(f"proc_po/{order['sys_id']}", **params).result
    assert (row["vendor"], row["status"], row["ship_to"]) == (vendor, status, empty)


def test_dangling_reference_is_stored_and_shows_nothing(desk):
    made = desk.create("proc_po", vendor="no such company")
    row = desk.get(f"proc_po/{made['sys_id']}", sysparm_display_value="all").result
    assert row["vendor"]["value"] == "no such company"
    assert row["vendor"]["display_value"] == ""


def test_every_value_is_text_and_a_created_record_is_echoed_whole(desk):
    answer = desk.post("core_company", {"name": "A", "vendor": True, "num_employees": 3})
    row = answer.result
    assert answer.status == 201
    assert answer.headers["location"] == f"{HOST}/api/now/table/core_company/{row['sys_id']}"
    assert (row["vendor"], row["num_employees"], row["city"]) == ("true", "3", "")
    assert row["sys_mod_count"] == "0"
    assert row["sys_created_on"] == "2026-05-28 20:26:40"
    assert row["sys_created_by"] == "nsn.integration"


def test_fields_are_limited_and_unknown_names_left_out(desk, order):
    fields = "number,nope,vendor.name,vendor.nope,*"
    row = desk.rows("proc_po", sysparm_fields=fields)[0]
    assert row == {"number": order["number"], "vendor.name": "Globex GmbH"}


def test_counts_and_links_of_a_page(desk):
    desk.store.insert("core_company", [{"name": f"c{n}"} for n in range(10)])
    answer = desk.get("core_company", sysparm_limit=4, sysparm_offset=4)
    assert answer.headers["x-total-count"] == "10"
    links = answer.headers["link"].split(",")
    assert [link.partition(";")[2] for link in links] == [
        'rel="first"',
        'rel="prev"',
        'rel="next"',
        'rel="last"',
    ]
    assert "sysparm_offset=8>" in links[2]


def test_headers_can_be_switched_off(desk):
    params = {"sysparm_no_count": "true", "sysparm_suppress_pagination_header": "true"}
    answer = desk.get("core_company", **params)
    assert "x-total-count" not in answer.headers
    assert "link" not in answer.headers


def test_rows_hidden_by_access_rules_shorten_pages_but_not_the_count(make_desk):
    desk = make_desk(hidden_rows={"core_company": "vendor=true"})
    rows = [{"name": str(n), "vendor": "false" if n < 2 else "true"} for n in range(4)]
    desk.store.insert("core_company", rows)
    answer = desk.get("core_company", sysparm_limit=3)
    assert [row["name"] for row in answer.result] == ["0", "1"]
    assert answer.headers["x-total-count"] == "4"


def test_hidden_columns_are_left_out(make_desk):
    desk = make_desk(hidden_columns={"core_company": frozenset({"phone"})})
    row = desk.create("core_company", name="A", phone="1")
    assert "phone" not in row
    assert "phone" not in desk.rows("core_company", sysparm_fields="phone,name")[0]


@pytest.mark.parametrize(
    ("path", "params", "status", "message"),
    [
        ("/api/now/table/nope", {}, 400, "Invalid table nope"),
        ("/api/now/tables/proc_po", {}, 400, "Requested URI does not represent any resource"),
        ("/api/now/table/proc_po/" + "0" * 32, {}, 404, "No Record found"),
        (
            "/api/now/table/proc_po",
            {"sysparm_limit": "0"},
            400,
            "Invalid value given for sysparm_limit",
        ),
        ("/api/now/table/proc_po", {"sysparm_offset": "-1"}, 400, "Invalid value given"),
        ("/api/now/v1/table/proc_po", {}, 404, "No Record found"),
        ("/api/now/v2/table/proc_po", {}, 200, ""),
    ],
)
def test_refused_reads(desk, path, params, status, message):
    answer = desk.call("GET", path, **params)
    assert answer.status == status
    if message:
        assert answer.json["error"]["message"].startswith(message)
        assert answer.json["status"] == "failure"
    else:
        assert answer.json == {"result": []}


def test_plain_parameters_accept_display_values(desk, order):
    assert desk.get("proc_po", vendor="Globex GmbH", status="Ordered").result
    assert not desk.get("proc_po", vendor="Globex GmbH", status="Received").result


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("DELETE", "/api/now/table/proc_po", {}, 405),
        ("GET", "/api/now/table/proc_po", {"accept": "application/xml"}, 406),
        ("POST", "/api/now/table/proc_po", {"content-type": "text/xml"}, 415),
        ("POST", "/api/now/table/proc_po", {}, 400),
    ],
)
def test_wrong_method_accept_type_and_body(desk, method, path, headers, status):
    assert desk.call(method, path, headers=headers).status == status


def test_only_the_first_element_of_a_list_is_created(desk):
    desk.post("core_company", [{"name": "A"}, {"name": "B"}])
    assert [row["name"] for row in desk.rows("core_company")] == ["A"]


def test_body_can_be_suppressed(desk):
    answer = desk.post(
        "core_company", {"name": "A"}, headers={"X-No-Response-Body".lower(): "true"}
    )
    assert (answer.status, answer.body) == (201, b"")


def test_delete_answers_204_then_404(desk, order):
    path = f"/api/now/table/proc_po/{order['sys_id']}"
    assert desk.call("DELETE", path).status == 204
    assert desk.call("DELETE", path).status == 404
    assert desk.get(f"proc_po/{order['sys_id']}").status == 404


def test_truncated_list_is_200_with_the_time_out_text(make_desk):
    desk = make_desk(truncate_lists=True)
    answer = desk.get("sys_user")
    assert answer.status == 200
    assert b"Transaction cancelled: maximum execution time exceeded" in answer.body
    with pytest.raises(ValueError, match=r"."):
        _ = answer.json


def test_current_user_and_meta(desk):
    assert (
        desk.call("GET", "/api/now/ui/user/current_user").result["user_name"] == "nsn.integration"
    )
    columns = desk.call("GET", "/api/now/ui/meta/proc_po").result["columns"]
    assert {"value": "ordered", "label": "Ordered"} in columns["status"]["choices"]


def test_dictionary_describes_each_table_of_the_chain(desk):
    query = "nameINsn_shop_invoice,sn_fin_base_invoice^elementISNOTEMPTY"
    fields = "name,element,internal_type.name,reference.name,read_only,unique"
    rows = desk.rows("sys_dictionary", query, sysparm_fields=fields)
    by_name = {(row["name"], row["element"]): row for row in rows}
    own = by_name["sn_shop_invoice", "u_netsuite_id"]
    assert (own["unique"], own["internal_type.name"]) == ("true", "string")
    amount = by_name["sn_fin_base_invoice", "invoice_amount"]
    assert amount["read_only"] == "true"
    assert by_name["sn_fin_base_invoice", "supplier"]["reference.name"] == "sn_fin_supplier"
    assert ("sn_shop_invoice", "invoice_amount") not in by_name
    chain = desk.rows(
        "sys_db_object", "name=sn_shop_invoice", sysparm_fields="super_class.name,sys_scope.scope"
    )
    assert chain == [{"super_class.name": "sn_fin_base_invoice", "sys_scope.scope": "global"}]


def test_roles_are_read_by_dot_walk(make_desk):
    user = User("nsn.integration", "nsn-password", ("itil", "sn_shop.reader"))
    desk = make_desk(users=(user,))
    rows = desk.rows(
        "sys_user_has_role", "user.user_name=nsn.integration", sysparm_fields="role.name"
    )
    assert {row["role.name"] for row in rows} == {"itil", "sn_shop.reader"}


def test_dictionary_may_look_empty_or_be_forbidden(make_desk):
    desk = make_desk(dictionary_access="empty")
    answer = desk.get("sys_choice")
    assert (answer.result, answer.headers["x-total-count"]) == ([], "0")
    desk.options.dictionary_access = "forbid"
    assert desk.get("sys_choice").status == 403


def test_denied_table_is_403_for_reads(make_desk):
    desk = make_desk(denied={"proc_po": frozenset({"read"})})
    assert desk.get("proc_po").status == 403
