import pytest

from nsn_pipeline_tests.unit.sandbox.servicenow.conftest import batch_item, inner

PO = "/api/now/table/proc_po"


def by_id(answer):
    return {item["id"]: item for item in answer["serviced_requests"]}


def test_items_have_their_own_outcomes_under_an_outer_200(desk):
    answer = desk.batch(
        batch_item("a", "POST", PO, {"u_netsuite_id": "1"}, exclude_response_headers=True),
        batch_item("b", "POST", PO, {"u_netsuite_id": "1"}),
        batch_item("c", "PATCH", f"{PO}/{'f' * 32}", {"status": "x"}),
        batch_item("d", "GET", f"{PO}?sysparm_query=u_netsuite_id=1&sysparm_fields=u_netsuite_id"),
        {"id": 7, "method": "GET", "url": "/api/now/table/nope"},
    )
    done = by_id(answer)
    assert answer["batch_request_id"] == "b1"
    assert answer["unserviced_requests"] == []
    assert {key: item["status_code"] for key, item in done.items()} == {
        "a": 201,
        "b": 403,
        "c": 404,
        "d": 200,
        "7": 400,
    }
    assert (done["a"]["headers"], done["a"]["status_text"]) == ([], "Created")
    assert inner(done["d"]) == {"result": [{"u_netsuite_id": "1"}]}
    assert {"name": "X-Total-Count", "value": "1"} in done["d"]["headers"]


def test_time_limit_leaves_the_rest_unserviced(make_desk):
    desk = make_desk(record_latency_s=0.8, latency_scale=0)
    items = [batch_item(str(n), "POST", PO, {"u_netsuite_id": str(n)}) for n in range(50)]
    answer = desk.batch(*items)
    assert [item["id"] for item in answer["serviced_requests"]] == [str(n) for n in range(37)]
    assert answer["unserviced_requests"] == [str(n) for n in range(37, 50)]
    assert desk.store.count("proc_po") == 37


def test_too_big_an_item_is_unserviced(make_desk):
    desk = make_desk(batch_input_limit=100)
    answer = desk.batch(
        batch_item("big", "POST", PO, {"short_description": "x" * 200}),
        batch_item("small", "POST", PO, {}),
    )
    assert answer["unserviced_requests"] == ["big"]
    assert list(by_id(answer)) == ["small"]


def test_too_big_an_answer_is_unserviced_though_the_work_is_done(desk):
    item = batch_item("a", "POST", PO, {"u_netsuite_id": "1"})
    answer = desk.batch(item, headers={"x-batchrequest-max-output-size": "10"})
    assert answer["unserviced_requests"] == ["a"]
    assert desk.ids("proc_po", "") == {"1"}


@pytest.mark.parametrize("body", [{}, {"rest_requests": "x"}, {"rest_requests": [1]}])
def test_not_a_batch(desk, body):
    assert desk.call("POST", "/api/now/v1/batch", body).status == 400


def test_unversioned_path_works_and_batches_do_not_nest(desk):
    item = batch_item("a", "POST", "/api/now/v1/batch", {"rest_requests": []})
    answer = desk.call("POST", "/api/now/batch", {"rest_requests": [item]}).json
    assert answer["serviced_requests"][0]["status_code"] == 400


def test_batch_without_credentials_is_refused_as_a_whole(desk):
    assert desk.call("POST", "/api/now/v1/batch", {"rest_requests": []}, auth=False).status == 401
