import pytest


@pytest.fixture
def order(desk):
    return desk.create("proc_po", status="ordered", total_cost="USD;999")["sys_id"]


def line(desk, order, **values):
    return desk.create("proc_po_item", purchase_order=order, **values)


def header(desk, order):
    return desk.get(f"proc_po/{order}").result


def test_sent_header_total_is_overwritten_by_the_lines(desk, order):
    assert header(desk, order)["total_cost"] == ""
    line(desk, order, ordered_quantity="3", cost="USD;411.50")
    second = line(desk, order, ordered_quantity="2", cost="USD;10")
    assert header(desk, order)["total_cost"] == "1254.5"
    desk.patch("proc_po", order, {"total_cost": "USD;1"})
    assert header(desk, order)["total_cost"] == "1254.5"
    desk.patch("proc_po_item", second["sys_id"], {"cost": "USD;20"})
    assert header(desk, order)["total_cost"] == "1274.5"
    desk.call("DELETE", f"/api/now/table/proc_po_item/{second['sys_id']}")
    assert header(desk, order)["total_cost"] == "1234.5"


def test_ship_rate_counts(desk, order):
    line(desk, order, ordered_quantity="1", cost="USD;10")
    desk.patch("proc_po", order, {"ship_rate": "USD;2.5"})
    assert header(desk, order)["total_cost"] == "12.5"


def test_mixed_currencies_are_totalled_in_the_reference_currency(desk, order):
    line(desk, order, ordered_quantity="1", cost="USD;10")
    line(desk, order, ordered_quantity="1", cost="EUR;10")
    assert header(desk, order)["total_cost"] == "20.8"


def test_line_moved_to_another_order_moves_its_cost(desk, order):
    other = desk.create("proc_po")["sys_id"]
    moved = line(desk, order, ordered_quantity="1", cost="USD;10")
    line(desk, order, ordered_quantity="1", cost="USD;5")
    desk.patch("proc_po_item", moved["sys_id"], {"purchase_order": other})
    assert header(desk, order)["total_cost"] == "5"
    assert header(desk, other)["total_cost"] == "10"


def test_line_is_completed(desk, order):
    made = line(desk, order, ordered_quantity="3", received_quantity="1", cost="USD;411.50")
    assert made["list_price"] == "411.5"
    assert made["total_cost"] == "1234.5"
    assert made["remaining_quantity"] == "2"
    assert made["status"] == "requested"


def test_header_total_change_by_a_rule_counts_as_a_change_of_the_header(desk, order):
    before = header(desk, order)["sys_mod_count"]
    line(desk, order, ordered_quantity="1", cost="USD;10")
    assert int(header(desk, order)["sys_mod_count"]) == int(before) + 1


def test_header_status_cascades_to_lines(desk, order):
    first = line(desk, order)["sys_id"]
    desk.patch("proc_po", order, {"status": "canceled"})
    assert desk.get(f"proc_po_item/{first}").result["status"] == "canceled"


def test_ordered_is_stamped_once(desk, order):
    stamped = header(desk, order)["ordered"]
    assert stamped == "2026-05-28 20:26:40"
    desk.now += 3600
    desk.patch("proc_po", order, {"short_description": "later"})
    assert header(desk, order)["ordered"] == stamped


def test_last_line_received_sets_the_header_received(desk, order):
    first, second = (line(desk, order)["sys_id"] for _ in range(2))
    desk.patch("proc_po_item", first, {"status": "received"})
    assert header(desk, order)["status"] == "ordered"
    desk.patch("proc_po_item", second, {"status": "received"})
    assert header(desk, order)["status"] == "received"
    assert header(desk, order)["received"]


def test_line_of_an_unknown_order_is_kept(desk):
    assert line(desk, "f" * 32, ordered_quantity="1", cost="USD;1")["total_cost"] == "1"
