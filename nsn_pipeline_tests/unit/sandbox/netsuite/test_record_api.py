"""The REST record API: CRUD, upsert by external id, validation (facts 7)."""

import json
from typing import Any

import pytest

ROOT = "/services/rest/record/v1"
STRICT = {"X-NetSuite-PropertyNameValidation": "Error"}


def call(account: Any, method: str, path: str, body: Any = None, **headers: str) -> Any:
    content = None if body is None else json.dumps(body)
    return account.http.request(
        method, f"{ROOT}{path}", content=content, headers={**account.login(), **headers}
    )


def detail(response: Any) -> dict[str, Any]:
    return response.json()["o:errorDetails"][0]


def new_id(response: Any) -> str:
    assert response.status_code == 204
    assert response.content == b""
    return response.headers["location"].rsplit("/", 1)[-1]


def test_collection_has_ids_and_links_only(account: Any) -> None:
    page = call(account, "GET", "/department?limit=1").json()
    base = "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/record/v1/department"
    assert page["items"] == [{"links": [{"rel": "self", "href": f"{base}/1"}], "id": "1"}]
    assert (page["count"], page["hasMore"], page["totalResults"]) == (1, True, 2)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('name IS "IT"', ["2"]),
        ("parent EMPTY", ["1"]),
        ("id GREATER 1", ["2"]),
        ("isInactive IS false", ["2"]),
        ('fullName START_WITH "Ops" AND id LESS 2', ["1"]),
        ("id ANY_OF [1, 2, 9]", ["1", "2"]),
    ],
)
def test_collection_can_be_filtered(account: Any, query: str, found: list[str]) -> None:
    response = account.http.get(f"{ROOT}/department", params={"q": query}, headers=account.login())
    assert [item["id"] for item in response.json()["items"]] == found


@pytest.mark.parametrize("query", ["nope IS 1", "name", "name LIKES x", "name IS x OR id IS 1"])
def test_bad_filter_is_refused(account: Any, query: str) -> None:
    response = account.http.get(f"{ROOT}/department", params={"q": query}, headers=account.login())
    assert response.status_code == 400


def test_record_has_json_values_and_references(account: Any) -> None:
    body = call(account, "GET", "/department/2").json()
    assert body["id"] == "2"
    assert body["isInactive"] is False
    assert (body["parent"]["id"], body["parent"]["refName"]) == ("1", "Ops")
    account.store.update_row("department", "2", {"lastmodifieddate": "2026-01-02T03:04:05Z"})
    assert (
        call(account, "GET", "/department/2").json()["lastModifiedDate"] == "2026-01-02T03:04:05Z"
    )


def test_multi_select_is_expanded_on_request(account: Any) -> None:
    plain = call(account, "GET", "/account/58").json()["subsidiary"]
    full = call(account, "GET", "/account/58?expandSubResources=true").json()["subsidiary"]
    assert "items" not in plain
    assert full == {"items": [{"id": "1"}, {"id": "3"}]}


def test_account_is_created_with_the_names_netsuite_computes(account: Any) -> None:
    response = call(
        account, "POST", "/account",
        {"acctName": "Cloud", "acctNumber": "6010", "acctType": {"id": "Expense"},
         "parent": {"id": "58"}, "subsidiary": {"items": [{"id": 1}, {"id": "3"}]}},
        **STRICT,
    )  # fmt: skip
    sql = "SELECT accttype, fullname, accountsearchdisplayname n, parent, subsidiary, isinactive, "
    sql += "TO_CHAR(SYS_EXTRACT_UTC(lastmodifieddate), 'HH24:MI') m FROM account WHERE id = ?"
    assert account.rows(sql, new_id(response)) == [
        {"accttype": "Expense", "fullname": "Hosting : Cloud", "n": "6010 Hosting : Cloud",
         "parent": "58", "subsidiary": "1, 3", "isinactive": "F", "m": "12:00"}
    ]  # fmt: skip


def test_required_fields_are_named(account: Any) -> None:
    response = call(account, "POST", "/department", {"name": "X"})
    assert response.status_code == 400
    assert detail(response)["o:errorCode"] == "USER_ERROR"
    assert detail(response)["detail"] == "Please enter value(s) for: Subsidiary"


def test_subsidiary_is_not_required_without_oneworld(make_account: Any) -> None:
    account = make_account(disabled_features=frozenset({"oneworld"}))
    assert call(account, "POST", "/department", {"name": "X"}).status_code == 204


def test_misspelt_field_is_ignored_unless_asked(account: Any) -> None:
    body = {"nmae": "X"}
    assert call(account, "PATCH", "/department/1", body).status_code == 204
    response = call(account, "PATCH", "/department/1", body, **STRICT)
    assert (response.status_code, detail(response)["o:errorCode"]) == (400, "INVALID_CONTENT")
    assert detail(response)["o:errorPath"] == "nmae"


@pytest.mark.parametrize(
    ("field", "value"),
    [("isInactive", "T"), ("name", 5), ("parent", True), ("parent", {"id": "x"})],
)
def test_value_that_does_not_fit_is_refused(account: Any, field: str, value: Any) -> None:
    response = call(account, "PATCH", "/department/2", {field: value})
    assert (response.status_code, detail(response)["o:errorPath"]) == (400, field)


def test_unfit_value_is_skipped_where_validation_is_off(account: Any) -> None:
    headers = {"X-NetSuite-PropertyValueValidation": "Ignore"}
    body = {"isInactive": "T", "name": "Y"}
    assert call(account, "PATCH", "/department/2", body, **headers).status_code == 204
    assert account.rows("SELECT name, isinactive i FROM department WHERE id = 2") == [
        {"name": "Y", "i": "F"}
    ]


def test_unknown_validation_level_is_refused(account: Any) -> None:
    headers = {"X-NetSuite-PropertyNameValidation": "Loud"}
    assert call(account, "PATCH", "/department/2", {}, **headers).status_code == 400


def test_reference_must_exist(account: Any) -> None:
    response = call(account, "PATCH", "/department/2", {"parent": {"id": "99"}})
    assert detail(response)["detail"] == "Invalid Field Value 99 for the following field: parent"


def test_patch_keeps_what_is_not_given_and_null_clears(account: Any) -> None:
    response = call(account, "PATCH", "/department/2", {"parent": None, "externalId": "CC-2"})
    assert new_id(response) == "2"
    assert account.rows(
        "SELECT name, fullname, parent, externalid FROM department WHERE id = 2"
    ) == [{"name": "IT", "fullname": "IT", "externalid": "CC-2"}]


def test_upsert_by_external_id_repeats_harmlessly(account: Any) -> None:
    account.store.add_custom_record(
        "customrecord_nsn_map",
        {"custrecord_nsn_map_account": "int>account", "custrecord_nsn_map_sys_id": "text"},
    )
    body = {"name": "6420", "custrecord_nsn_map_account": {"id": "642"},
            "custrecord_nsn_map_sys_id": "5f1c"}  # fmt: skip
    path = "/customrecord_nsn_map/eid:ACCT-642"
    first = new_id(call(account, "PUT", path, body, **STRICT))
    again = new_id(call(account, "PUT", path, {**body, "name": "new"}, **STRICT))
    assert first == again
    sql = "SELECT name, custrecord_nsn_map_account a, BUILTIN.DF(custrecord_nsn_map_account) d, "
    sql += "custrecord_nsn_map_sys_id s, externalid e FROM customrecord_nsn_map"
    assert account.rows(sql) == [
        {"name": "new", "a": "642", "d": "Unnumbered", "s": "5f1c", "e": "ACCT-642"}
    ]
    assert call(account, "GET", path).json()["id"] == first


def test_put_needs_an_external_id(account: Any) -> None:
    assert call(account, "PUT", "/department/1", {"name": "X"}).status_code == 405


@pytest.mark.parametrize("external", ["A%7CB", "A%20B"])
def test_external_id_has_plain_characters(account: Any, external: str) -> None:
    response = call(account, "PUT", f"/department/eid:{external}", {"name": "X"})
    assert response.status_code == 400


def test_external_id_is_unique(account: Any) -> None:
    assert call(account, "PATCH", "/department/1", {"externalId": "CC"}).status_code == 204
    response = call(account, "PATCH", "/department/2", {"externalId": "CC"})
    assert detail(response)["detail"] == "This record already exists"


def test_deleted_record_is_gone_but_logged(account: Any) -> None:
    assert call(account, "DELETE", "/department/2").status_code == 204
    response = call(account, "GET", "/department/2")
    assert (response.status_code, detail(response)["o:errorCode"]) == (404, "NONEXISTENT_ID")
    assert account.rows("SELECT recordid, name FROM deletedrecord") == [
        {"recordid": "2", "name": "IT"}
    ]


def test_vendor_gets_its_subsidiary(account: Any) -> None:
    body = {"companyName": "New Ltd", "subsidiary": {"id": "3"}, "currency": {"id": "1"}}
    vendor = new_id(call(account, "POST", "/vendor", body, **STRICT))
    sql = "SELECT v.entityid e, r.subsidiary s, r.isprimarysub p FROM vendor v JOIN "
    sql += "vendorsubsidiaryrelationship r ON r.entity = v.id WHERE v.id = ?"
    assert account.rows(sql, vendor) == [{"e": "New Ltd", "s": "3", "p": "T"}]


def test_unknown_type_and_hidden_type_differ(make_account: Any) -> None:
    account = make_account(hidden_tables=frozenset({"department"}))
    assert call(account, "GET", "/gadget/1").status_code == 404
    response = call(account, "GET", "/department/1")
    assert (response.status_code, detail(response)["o:errorCode"]) == (
        403, "INSUFFICIENT_PERMISSION")  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"[1]", b"{"])
def test_body_must_be_an_object(account: Any, body: bytes) -> None:
    response = account.http.post(f"{ROOT}/department", content=body, headers=account.login())
    assert (response.status_code, detail(response)["o:errorCode"]) == (400, "INVALID_CONTENT")


def test_asynchronous_requests_are_refused(account: Any) -> None:
    response = call(account, "POST", "/department", {}, Prefer="respond-async")
    assert (response.status_code, detail(response)["o:errorCode"]) == (400, "INVALID_HEADER")


def test_metadata_describes_the_record_as_this_account_has_it(make_account: Any) -> None:
    account = make_account(disabled_features=frozenset({"departments"}))
    account.store.add_custom_column("account", "custrecord_nsn_sys_id")
    schema = call(account, "GET", "/metadata-catalog/account").json()
    properties = schema["properties"]
    assert properties["isInactive"]["type"] == "boolean"
    assert properties["parent"]["type"] == "object"
    assert properties["custrecord_nsn_sys_id"]["x-ns-custom-field"] is True
    assert "department" not in properties
    names = [item["name"] for item in call(account, "GET", "/metadata-catalog").json()["items"]]
    assert "account" in names


def test_a_deleted_transaction_is_known_to_deletedrecord_alone(account: Any) -> None:
    assert call(account, "DELETE", "/vendorBill/9").status_code == 204
    assert call(account, "DELETE", "/vendorBill/9").status_code == 404
    rows = account.store.connection().execute("SELECT recordid, type FROM deletedrecord")
    assert rows.fetchall() == [(9, "vendorbill")]


@pytest.mark.parametrize("path", ["/vendorBill/10", "/purchaseOrder/5", "/vendorBill/x"])
def test_a_transaction_of_another_type_is_not_deleted(account: Any, path: str) -> None:
    assert call(account, "DELETE", path).status_code == 404


def test_a_vendor_with_transactions_cannot_be_deleted(account: Any) -> None:
    refused = call(account, "DELETE", "/vendor/1")
    assert refused.status_code == 400
    assert "dependent records" in detail(refused)["detail"]
