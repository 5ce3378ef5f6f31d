import pytest

from nsn_pipeline.sandbox.servicenow.journal import NAME
from nsn_pipeline.sandbox.servicenow.table_definitions import TableDefinition, parse_column


def journal(desk):
    return desk.data_dir / NAME


def test_records_survive_a_kill(desk):
    row = desk.create("core_company", name="A", u_netsuite_id="1")
    gone = desk.create("core_company", name="B")
    desk.patch("core_company", row["sys_id"], {"name": "C"})
    desk.call("DELETE", f"/api/now/table/core_company/{gone['sys_id']}")
    again = desk.restarted()
    assert [r["name"] for r in again.rows("core_company")] == ["C"]
    assert again.post("core_company", {"name": "D", "u_netsuite_id": "1"}).status == 403


def test_numbers_go_on_after_a_restart(desk):
    desk.create("proc_po")
    assert desk.restarted().create("proc_po")["number"] == "PO0010002"


def test_torn_last_line_is_ignored_and_later_writes_are_kept(desk):
    desk.create("core_company", name="A")
    with journal(desk).open("ab") as out:
        out.write(b'["row","core_company",{"sys_id":"x')
    again = desk.restarted()
    assert again.store.count("core_company") == 1
    again.create("core_company", name="B")
    assert again.restarted().store.count("core_company") == 2


def test_journal_is_compacted_at_start_once_it_is_mostly_history(desk):
    row = desk.create("core_company", name="A")
    desk.store.insert("core_company", [{"name": "B", "u_extra": "x"}])
    for number in range(1100):
        desk.store.put("core_company", {**desk.store.find("core_company", "name", "B")[0]})
        desk.store.put("core_company", {"sys_id": row["sys_id"], "name": f"A{number}"})
        desk.store.commit()
    long = journal(desk).stat().st_size
    again = desk.restarted()
    assert journal(desk).stat().st_size < long / 100
    last = again.restarted()
    assert {r["name"] for r in last.rows("core_company")} == {"A1099", "B"}
    assert last.rows("core_company", "name=B")[0]["u_extra"] == "x"


def test_unknown_seed_columns_extend_the_table_and_its_dictionary(desk):
    desk.store.insert("cmn_cost_center", [{"code": "10", "u_region": "North", "name": None}])
    row = desk.rows("cmn_cost_center", "u_region=North")[0]
    assert row["u_region"] == "North"
    desk.patch("cmn_cost_center", row["sys_id"], {"u_region": "South"})
    again = desk.restarted()
    assert again.rows("cmn_cost_center")[0]["u_region"] == "South"
    assert again.rows("sys_dictionary", "name=cmn_cost_center^element=u_region")


def test_seeding_the_same_rows_twice_changes_nothing(desk):
    rows = [{"name": "A"}, {"name": "A"}, {"name": "B", "sys_id": "b" * 32}]
    for _ in range(2):
        assert desk.store.insert("core_company", rows) == 3
    assert desk.store.count("core_company") == 3


def test_seeded_rows_get_defaults_numbers_and_audit_columns(desk):
    desk.store.insert("proc_po", [{"u_netsuite_id": "1"}])
    row = desk.rows("proc_po")[0]
    assert (row["number"], row["status"]) == ("PO0010001", "requested")
    assert (row["sys_mod_count"], row["sys_created_by"]) == ("0", "admin")


def test_tables_of_a_customer_can_be_added(make_desk):
    table = TableDefinition("u_thing", "Thing", "u_name string(5) display unique | Name")
    desk = make_desk(extra_tables=(table,))
    assert desk.create("u_thing", u_name="longer")["u_name"] == "longe"


@pytest.mark.parametrize("line", ["x", "x nope", "x string(40) shiny"])
def test_bad_column_definitions_are_refused(line):
    with pytest.raises(ValueError, match=r"in|not a column"):
        parse_column(line)


def test_flags_and_instants_of_table_files_are_translated(desk):
    desk.store.insert(
        "cmn_cost_center", [{"code": "10", "u_active": "F", "valid_to": "2026-01-31T00:00:00Z"}]
    )
    row = desk.rows("cmn_cost_center", "u_active=false")[0]
    assert row["valid_to"] == "2026-01-31 00:00:00"


def test_administrator_changes_and_removes_records(desk):
    desk.store.insert("cmn_cost_center", [{"code": "10", "sys_id": "c" * 32, "name": "A"}])
    assert desk.store.update("cmn_cost_center", "c" * 32, {"code": "11", "name": ""})
    assert desk.rows("cmn_cost_center", "code=11^nameISEMPTY")
    assert desk.store.delete("cmn_cost_center", "c" * 32)
    assert not desk.store.delete("cmn_cost_center", "c" * 32)
    assert desk.restarted().store.count("cmn_cost_center") == 0
