"""Edits on both sides, removals and syncs in any order end in the state NetSuite has.

What is gone is found, judged and retired by `load.retire` and its brake, as in a load step.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.load.brake import Limits
from nsn_pipeline.load.documents import load_documents
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.retire import Retirer
from nsn_pipeline.profiles.model import Retirement, Target
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import brake, column, frame, loader

LINES = Target(
    record_type="order_line",
    table="u_line",
    external_key="u_netsuite_id",
    key_from="{document_id}-{line_id}",
    parent_column="parent",
    columns=(
        column("parent", "reference(parent)", required=True),
        column("amount", "decimal(2)"),
        column("number", "integer"),  # where it stands in the document; it names no line
        column("note", owner="servicenow"),
    ),
    retire=Retirement("delete"),
)
TARGET = Target(
    record_type="order",
    table="u_order",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(column("memo"), column("note", owner="servicenow")),
    lines=LINES,
    retire=Retirement("delete"),
)
NO_LIMIT, BRAKED = Limits(1.0, 10_000), Limits(1.0, 1)
OWNED = {"u_order": ("memo",), "u_line": ("amount",)}

documents = st.sampled_from(["7", "70"])
line_ids = st.sampled_from(["1", "2", "11"])
words = st.sampled_from(["", "a", "b", "c"])
amounts = st.sampled_from(["0.00", "1.5", "17.50"])
mishaps = st.sampled_from(["lost", "timed_out", "unserviced", "forgotten"])
steps = st.one_of(
    st.tuples(st.just("edit"), documents, words),
    st.tuples(st.just("line"), documents, line_ids, amounts),
    st.tuples(st.just("remove line"), documents, line_ids),
    st.tuples(st.just("delete"), documents),
    st.tuples(st.just("user"), st.sampled_from(["memo", "amount", "note"]), words | amounts),
    st.tuples(st.just("user deletes"), st.sampled_from(["u_order", "u_line"])),
    st.tuples(st.just("sync")),
    st.tuples(st.just("braked sync")),
    st.tuples(st.just("interrupted sync"), mishaps),
)


class World:
    """NetSuite as dictionaries, ServiceNow as a fake that behaves."""

    def __init__(self, *, unique_keys: bool = False) -> None:
        self.memos: dict[str, str] = {}
        self.lines: dict[str, dict[str, str]] = {}
        self.deleted: set[str] = set()  # as NetSuite records it
        self.fake = FakeServiceNow()
        # Then new records are counted, and lines read below their document need no look-up by key.
        if unique_keys:
            keys = {"u_netsuite_id"}
            self.fake.dictionary = {"u_order": keys, "u_line": keys}
            self.fake.unique_columns = keys

    def do(self, step: tuple[str, ...]) -> None:
        match step:
            case ("user", name, value):
                self._edit(name, value)
            case ("user deletes", table):
                for sys_id in sorted(self.fake.tables[table])[:1]:
                    del self.fake.tables[table][sys_id]
            case ("interrupted sync", mishap):
                self.fake.mishaps.extend([mishap, "ok", mishap])
                self.sync()
                self.fake.mishaps.clear()
            case ("braked sync",):
                self.sync(BRAKED)
            case ("sync",):
                self.sync()
            case _:
                self._do_in_netsuite(step)

    def _do_in_netsuite(self, step: tuple[str, ...]) -> None:
        match step:
            case ("edit", document, memo):
                if document not in self.memos:  # no transaction is without a line
                    self._set_line(document, "1", "0.00")
                self.memos[document] = memo
            case ("line", document, line_id, amount):
                self._set_line(document, line_id, amount)
            case ("remove line", document, line_id):
                if self._lines_of(document) != [f"{document}-{line_id}"]:
                    self.lines.pop(f"{document}-{line_id}", None)
            case ("delete", document):
                if self.memos.pop(document, None) is not None:
                    self.deleted.add(document)
                for key in self._lines_of(document):
                    del self.lines[key]
            case _:
                raise AssertionError(step)

    def _set_line(self, document: str, line_id: str, amount: str) -> None:
        self.memos.setdefault(document, "")
        self.deleted.discard(document)
        self.lines[f"{document}-{line_id}"] = {
            "parent": f"ref:parent:{document}",
            "amount": amount,
            "number": line_id,
            "note": "first",
        }

    def _lines_of(self, document: str) -> list[str]:
        return [key for key in self.lines if key.partition("-")[0] == document]

    def _edit(self, name: str, value: str) -> None:
        for table in self.fake.tables.values():
            for row in table.values():
                if name in row:
                    row[name] = value

    def sync(self, limits: Limits = NO_LIMIT) -> None:
        """As a load step does it."""
        headers = {key: {"memo": memo, "note": "first"} for key, memo in self.memos.items()}
        with loader(self.fake) as writer:
            resolver = Resolver(self.fake, {"order": TARGET})
            result = load_documents(
                writer, TARGET, frame(TARGET, headers), frame(LINES, self.lines), resolver=resolver
            )
            assert {row.status for row in result.documents} <= {"loaded"}
            retirer = Retirer(writer, TARGET, brake(limits))
            retirer.removed(LINES, result.gone)
            retirer.deleted(sorted(self.deleted))
            retired = retirer.run()
        for held in retired.held:
            assert len(held.rows) > limits.max_count
        for table in retired.tables:
            assert table.counts()["retired"] <= limits.max_count
        assert {row.status for row in retired.documents.values()} <= {"retired", "held"}

    def stored(self, table: str) -> dict[str, dict[str, str]]:
        """One row per key, or an error."""
        return {key: row for key, (row,) in self.fake.by_key(table).items()}


@settings(max_examples=150, deadline=None)  # threads on a busy machine
@given(history=st.lists(steps, max_size=14), unique_keys=st.booleans())
def test_any_interleaving_ends_in_the_state_netsuite_has(history, unique_keys) -> None:
    world = World(unique_keys=unique_keys)
    for step in history:
        world.do(step)
    notes = {
        (table, row["sys_id"]): row.get("note", "")
        for table in OWNED
        for row in world.fake.tables[table].values()
    }
    world.sync()
    orders, lines = world.stored("u_order"), world.stored("u_line")
    assert {key: row.get("memo", "") for key, row in orders.items()} == world.memos
    assert {k: float(r["amount"]) for k, r in lines.items()} == {
        k: float(line["amount"]) for k, line in world.lines.items()
    }
    for key, row in lines.items():
        assert row["parent"] == orders[key.partition("-")[0]]["sys_id"]
    for table in OWNED:  # whatever a user wrote in a column of ServiceNow's is still there
        for row in world.fake.tables[table].values():
            kept = notes.get((table, row["sys_id"]))
            assert kept is None or row.get("note", "") == kept
    writes = len(world.fake.writes)
    world.sync()
    assert len(world.fake.writes) == writes


def test_a_line_added_again_under_its_old_number_is_a_new_line() -> None:
    """NetSuite gives it an id of its own, and here it has nothing of the old one."""
    world = World()
    for step in (("line", "7", "1", "1.5"), ("line", "7", "2", "0.00"), ("sync",)):
        world.do(step)
    old = world.stored("u_line")["7-1"]
    old["note"] = "about the old line"
    for step in (("remove line", "7", "1"), ("line", "7", "11", "17.50")):
        world.do(step)
    world.lines["7-11"]["number"] = "1"
    world.sync()
    rows = world.stored("u_line")
    assert set(rows) == {"7-2", "7-11"}
    assert old["sys_id"] not in {row["sys_id"] for row in rows.values()}
    assert {name: rows["7-11"][name] for name in ("amount", "number", "note")} == {
        "amount": "17.50",
        "number": "1",
        "note": "first",
    }


def test_a_line_that_comes_back_under_its_own_id_is_made_again() -> None:
    world = World()
    for step in (("line", "7", "1", "1.5"), ("line", "7", "2", "0.00"), ("sync",)):
        world.do(step)
    world.stored("u_line")["7-1"]["note"] = "about the old line"
    for step in (("remove line", "7", "1"), ("sync",)):
        world.do(step)
    assert set(world.stored("u_line")) == {"7-2"}
    world.do(("line", "7", "1", "17.50"))
    world.sync()
    row = world.stored("u_line")["7-1"]
    assert (row["amount"], row["note"]) == ("17.50", "first")
