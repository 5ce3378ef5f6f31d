import asyncio
from email.utils import parsedate_to_datetime

import pytest

from nsn_pipeline.sandbox.servicenow.options import Fault, RateLimitRule
from nsn_pipeline_tests.unit.sandbox.servicenow.conftest import batch_item

PO = "/api/now/table/proc_po"


def test_hourly_limit_answers_429_with_headers_and_ends_with_the_hour(make_desk):
    desk = make_desk(rate_limit=RateLimitRule(2))
    answers = [desk.get("proc_po") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    refused = answers[2]
    assert refused.detail == "Rate limit of 2 requests per hour for Table API exceeded"
    reset = int(refused.headers["x-ratelimit-reset"])
    assert int(refused.headers["retry-after"]) == reset - desk.now
    assert answers[0].headers["x-ratelimit-limit"] == "2"
    desk.now = reset
    assert desk.get("proc_po").status == 200


def test_without_a_rule_there_are_no_rate_headers(desk):
    assert not [name for name in desk.get("proc_po").headers if name.startswith("x-ratelimit")]


async def together(desk, count, **params):
    return await asyncio.gather(*(desk.send("GET", PO, **params) for _ in range(count)))


def test_calls_in_flight_beyond_the_limit_get_a_bare_429(make_desk):
    desk = make_desk(max_in_flight=3, call_latency_s=0.01)
    answers = asyncio.run(together(desk, 5))
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) == 2
    assert refused[0].body == b""
    assert "retry-after" not in refused[0].headers
    assert desk.get("proc_po").status == 200


@pytest.mark.parametrize("advice", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_busy_instance_may_give_advice_that_is_no_wait_at_all(make_desk, advice):
    desk = make_desk(max_in_flight=1, call_latency_s=0.01, busy_retry_after=advice)
    answers = asyncio.run(together(desk, 2))
    assert [answer.headers.get("retry-after") for answer in answers] == [None, advice]


def test_hourly_limit_may_say_when_instead_of_how_long(make_desk):
    desk = make_desk(rate_limit=RateLimitRule(0), retry_after_as_date=True)
    headers = desk.get("proc_po").headers
    moment = parsedate_to_datetime(headers["retry-after"])
    assert moment.timestamp() == int(headers["x-ratelimit-reset"])


def test_latencies_of_concurrent_calls_overlap(make_desk):
    desk = make_desk(call_latency_s=0.05)

    async def timed():
        start = asyncio.get_running_loop().time()
        await together(desk, 8)
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(timed()) < 0.3


def test_session_cookie_is_set_once_and_returned_calls_are_dropped_in_drop_mode(make_desk):
    desk = make_desk(session_mode="drop")
    cookie = desk.get("proc_po").headers["set-cookie"].partition(";")[0]
    answer = desk.post("proc_po", {"u_netsuite_id": "1"}, headers={"cookie": cookie})
    assert (answer.status, answer.body) == (202, b"")
    assert desk.store.count("proc_po") == 0


def test_shared_session_is_served_one_by_one_and_a_long_queue_is_dropped(make_desk):
    desk = make_desk(session_queue_limit=2, call_latency_s=0.005)
    cookie = {"cookie": "JSESSIONID=ABC"}
    answers = asyncio.run(together(desk, 6, headers=cookie))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 202, 202, 202]
    assert desk.get("proc_po", headers=cookie).status == 200


def test_sessions_can_be_switched_off(make_desk):
    assert "set-cookie" not in make_desk(session_mode="off").get("proc_po").headers


def test_hibernating_instance_answers_html(make_desk):
    answer = make_desk(hibernating=True).get("proc_po")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert b"<title>Instance Hibernating page</title>" in answer.body


def plan(*faults):
    """One fault per numbered request, then none."""
    queue = list(faults)
    return lambda _info: queue.pop(0) if queue else None


def test_fault_replaces_the_answer_and_nothing_is_done(make_desk):
    fault = Fault(status=503, headers={"Retry-After": "7"}, body=b"{}")
    desk = make_desk(fault_hook=plan(fault))
    answer = desk.post("proc_po", {})
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert desk.store.count("proc_po") == 0
    assert desk.post("proc_po", {}).status == 201


def test_work_may_be_done_though_the_answer_says_otherwise(make_desk):
    desk = make_desk(fault_hook=plan(Fault(status=504, work="commit")))
    assert desk.post("proc_po", {}).status == 504
    assert desk.restarted().store.count("proc_po") == 1


def test_lying_success_is_not_kept(make_desk):
    desk = make_desk(fault_hook=plan(Fault(work="undo", answer="real")))
    answer = desk.post("proc_po", {"u_netsuite_id": "1"})
    assert answer.status == 201
    assert desk.rows("proc_po") == []
    assert desk.post("proc_po", {"u_netsuite_id": "1"}).status == 201


def test_lying_success_leaves_totals_right(make_desk):
    desk = make_desk()
    order = desk.create("proc_po")["sys_id"]
    values = {"purchase_order": order, "ordered_quantity": "1", "cost": "USD;1"}
    desk.create("proc_po_item", **values)
    desk.options.fault_hook = plan(Fault(work="undo", answer="real"))
    desk.post("proc_po_item", values)
    desk.create("proc_po_item", **values)
    assert desk.get(f"proc_po/{order}").result["total_cost"] == "2"


def test_faults_reach_single_items_of_a_batch(make_desk):
    faults = {"b": Fault(answer="drop", work="commit"), "c": Fault(work="undo", answer="real")}
    desk = make_desk(fault_hook=lambda info: faults.get(info.batch_item or ""))
    answer = desk.batch(
        *(batch_item(key, "POST", PO, {"u_netsuite_id": key}) for key in ("a", "b", "c", "d"))
    )
    assert answer["unserviced_requests"] == ["b"]
    assert [item["status_code"] for item in answer["serviced_requests"]] == [201, 201, 201]
    assert desk.ids("proc_po", "") == {"a", "b", "d"}


def test_hook_sees_the_request(make_desk):
    seen = []
    desk = make_desk(fault_hook=seen.append)
    desk.post("proc_po", {"a": "b"}, sysparm_limit=1)
    assert (seen[0].number, seen[0].method, seen[0].path) == (1, "POST", PO)
    assert (seen[0].query, seen[0].body) == ("sysparm_limit=1", b'{"a":"b"}')


@pytest.mark.parametrize("answer", ["drop", "truncate"])
def test_cut_answers_do_not_change_what_was_done(make_desk, answer):
    desk = make_desk(fault_hook=plan(Fault(work="commit", answer=answer)))
    desk.post("proc_po", {})
    assert desk.store.count("proc_po") == 1
