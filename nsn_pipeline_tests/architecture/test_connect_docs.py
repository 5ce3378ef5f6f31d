"""The connection pages name every table and column the seed profile uses, and nothing else.

They are renewed by `python -m nsn_pipeline.profiles.schema`.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.profiles.schema import (
    PAGE,
    PAGE_MARKS,
    SCRIPT,
    SCRIPT_MARKS,
    page_tables,
    required_schema,
    script_data,
    with_block,
)
from nsn_pipeline.records.registry import LOOKUPS, REGISTRY
from nsn_pipeline.settings import VARIABLES

DOCS = PAGE.parent
SEED_YAML = Path(__file__).resolve().parents[2] / "nsn_pipeline" / "profiles" / "seed.yaml"
OWN_TABLES = {"u_netsuite_bill", "u_netsuite_bill_line", "u_netsuite_gl_posting"}

# A dictionary and a few rows, enough of the server side for the script to run in.
FAKE_INSTANCE = """
var db = JSON.parse(process.argv[1]);
var printed = [];
function rowsOf(t) { return db[t] || (db[t] = []); }
function GlideRecord(table) { this.table = table; this.filters = []; this.row = {}; this.at = -1; }
GlideRecord.prototype = {
  initialize: function () { this.row = {}; },
  addQuery: function (f, v) { this.filters.push([f, v]); },
  query: function () {
    var filters = this.filters;
    this.found = rowsOf(this.table).filter(function (row) {
      return filters.every(function (f) { return row[f[0]] === f[1]; });
    });
  },
  next: function () { this.at += 1; this.row = this.found[this.at]; return !!this.row; },
  getValue: function (f) { return this.row[f] === undefined ? null : this.row[f]; },
  setValue: function (f, v) { this.row[f] = String(v); },
  insert: function () {
    this.row.sys_id = this.table + rowsOf(this.table).length;
    rowsOf(this.table).push(this.row);
  },
  update: function () {}
};
function GlideAggregate() {}
['addNotNullQuery', 'addAggregate', 'groupBy', 'addHaving', 'query'].forEach(function (name) {
  GlideAggregate.prototype[name] = function () {};
});
GlideAggregate.prototype.getRowCount = function () { return 0; };
var gs = {
  print: function (line) { printed.push(line); },
  getProperty: function (name, otherwise) { return otherwise; },
  getCurrentScopeName: function () { return 'rhino.global'; }
};
var globals = 'gs, GlideRecord, GlideAggregate';
var run = new Function(globals, require('fs').readFileSync(0, 'utf8'));
run(gs, GlideRecord, GlideAggregate);
console.log(JSON.stringify({printed: printed, db: db}));
"""


@pytest.fixture(scope="module")
def seed() -> Profile:
    return load_profile("seed")


@pytest.mark.parametrize("file", ["page", "script"])
def test_generated_blocks_are_up_to_date(file: str, seed: Profile) -> None:
    path, marks, block = {
        "page": (PAGE, PAGE_MARKS, page_tables(seed)),
        "script": (SCRIPT, SCRIPT_MARKS, script_data(seed)),
    }[file]
    text = path.read_text(encoding="utf-8")
    assert with_block(text, marks, block) == text, "run python -m nsn_pipeline.profiles.schema"


def test_every_column_of_the_profile_is_required_once(seed: Profile) -> None:
    wanted: dict[str, set[str]] = {}
    for header in seed.targets.values():
        for target in filter(None, (header, header.lines)):
            names = {column.column for column in target.columns} | {target.external_key}
            wanted.setdefault(target.table, set()).update(names)
    for reference in seed.references.values():
        wanted.setdefault(reference.table, set()).update(set(reference.fields) - {"sys_id"})
    needs = required_schema(seed)
    assert {need.table: {c.column for c in need.columns} for need in needs} == wanted
    for need in needs:
        assert len({c.column for c in need.columns}) == len(need.columns)


def test_tables_come_after_those_they_refer_to(seed: Profile) -> None:
    needs = required_schema(seed)
    order = [need.table for need in needs]
    for need in needs:
        for column in need.columns:
            if column.reference:
                assert column.reference in order
                assert order.index(column.reference) <= order.index(need.table)


def test_needs_say_type_length_target_and_uniqueness(seed: Profile) -> None:
    needs = {need.table: need for need in required_schema(seed)}
    posting = needs["u_netsuite_gl_posting"]
    assert posting.is_custom
    assert posting.is_created
    assert posting.column("u_netsuite_id").unique
    assert posting.column("u_netsuite_id").max_length == 60
    assert posting.column("u_gl_account").reference == "itfm_gl_accounts"
    line = needs["sn_apo_invoice_line"]
    assert line.column("invoice").reference == "sn_apo_invoice"
    assert line.column("purchase_order_line").reference == "proc_po_item"
    assert line.column("unit_price").scale == 8
    accounts = needs["itfm_gl_accounts"]
    assert not accounts.is_created
    assert accounts.column("account_number").unique is False
    assert accounts.column("account_name").is_written
    assert accounts.column("account_name").max_length == 255
    assert accounts.column("active").optional


def test_script_is_es5() -> None:
    prose = r"/\*.*?\*/|//[^\n]*|'[^'\n]*'|\"[^\"\n]*\""
    code = re.sub(prose, "", SCRIPT.read_text(), flags=re.DOTALL)
    assert not re.search(r"\b(let|const|class)\b|=>|`", code)
    assert "var DRY_RUN = true;" in SCRIPT.read_text().splitlines()


def test_pages_name_what_is_read_and_what_is_set() -> None:
    netsuite = (DOCS / "connect-netsuite.md").read_text(encoding="utf-8")
    tables = {source.table for source in LOOKUPS.values()}
    for record in REGISTRY.values():
        for source in filter(None, (record.header, record.lines)):
            tables |= {source.table, *(join.table for join in source.joins)}
    assert not {table for table in tables if f"`{table}`" not in netsuite}
    variables = set(re.findall(r"`(?:\w+=)?((?:NETSUITE|SERVICENOW|NSN)_[A-Z_]+)", netsuite))
    variables |= set(re.findall(r"`((?:NETSUITE|SERVICENOW|NSN)_[A-Z_]+)", PAGE.read_text()))
    assert variables <= {*VARIABLES, "NSN_HOME"}


def test_profile_with_own_invoice_tables_loads_and_needs_no_vendor_table(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(  vendor_bill:.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    text = SEED_YAML.read_text(encoding="utf-8")
    own = re.sub(
        r"  vendor_bill:\n.*?\n(?=  gl_posting:)", lambda _: block[1] + "\n", text, flags=re.DOTALL
    )
    path = tmp_path / "my.yaml"
    path.write_text(own, encoding="utf-8")
    needs = required_schema(load_profile(path))
    assert {need.table for need in needs if need.is_custom} == OWN_TABLES
    for need in needs:
        if need.is_custom:
            assert all(column.is_custom for column in need.columns)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to run JavaScript")
def test_script_creates_once_what_is_ours_and_reports_what_is_not(seed: Profile) -> None:
    program = SCRIPT.read_text(encoding="utf-8")
    present = [need for need in required_schema(seed) if not need.table.startswith(("sn_", "u_"))]
    db: dict[str, list[dict[str, str]]] = {
        "sys_db_object": [{"name": need.table, "sys_id": need.table} for need in present],
        "sys_dictionary": [
            {"name": need.table, "element": c.column, "internal_type": c.internal_type,
             "reference": c.reference, "max_length": str(c.max_length or 40)}
            for need in present for c in need.columns if not c.is_custom
        ],
    }  # fmt: skip

    def run(state: object, text: str) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
        done = subprocess.run(
            ["node", "-e", FAKE_INSTANCE, "--", json.dumps(state)],
            input=text, capture_output=True, text=True, check=True,
        )  # fmt: skip
        answer = json.loads(done.stdout)
        return answer["printed"], answer["db"]

    printed, after = run(db, program)
    assert after["sys_dictionary"] == db["sys_dictionary"], "a dry run changes nothing"
    assert any(line.startswith("CREATE  core_company.u_netsuite_id string(40)") for line in printed)

    real = program.replace("var DRY_RUN = true;", "var DRY_RUN = false;")
    printed, after = run(db, real)
    missing = [line.split()[1].rstrip(":") for line in printed if line.startswith("MISSING")]
    assert missing == ["sn_apo_invoice", "sn_apo_invoice_line"]
    assert not [line for line in printed if line.startswith(("FAILED", "NOTE"))]
    made = {(row["name"], row["element"]) for row in after["sys_dictionary"]}
    for need in required_schema(seed):
        if need.table not in missing:
            assert {(need.table, column.column) for column in need.columns} <= made

    printed, again = run(after, real)
    assert again == after, "a second run changes nothing"
    assert not [line for line in printed if line.startswith(("CREATED", "UNIQUE", "FAILED"))]
