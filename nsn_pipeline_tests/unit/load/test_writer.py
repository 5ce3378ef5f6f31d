import threading
from dataclasses import dataclass, field
from functools import partial

import pytest

from nsn_pipeline.clients.retry import RetryPolicy
from nsn_pipeline.clients.servicenow import Found
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    ThrottledError,
)
from nsn_pipeline.load.lanes import SHORTEST_REST_S, Lanes
from nsn_pipeline.load.pacing import AdaptivePacer, FixedPacer, Outcome
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline_tests.unit.load.fake_servicenow import BATCH_LIMIT_S, FakeServiceNow
from nsn_pipeline_tests.unit.load.make import VENDOR, counts, frame, load, loader, resolver, vendors

TABLE = "core_company"


def test_new_records_are_created_once_with_key_and_deterministic_sys_id() -> None:
    fake = FakeServiceNow()
    result = load(fake, vendors(v1="Acme", v2="Bolt"))
    assert counts(result) == {"created": 2}
    row = fake.tables[TABLE][deterministic_sys_id("dev1", TABLE, "v1")]
    assert row["u_netsuite_id"] == "v1"
    assert row["name"] == "Acme"
    assert result.records["v1"].sys_id == row["sys_id"]


def test_unchanged_rerun_writes_nothing() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme", v2="Bolt"))
    fake.writes.clear()
    fake.batches.clear()
    result = load(fake, vendors(v1="Acme", v2="Bolt"))
    assert counts(result) == {"unchanged": 2}
    assert (fake.writes, fake.batches) == ([], [])


def test_changed_record_is_patched_in_the_changed_column_only() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme"))
    fake.writes.clear()
    result = load(fake, vendors(v1="Acme Ltd"))
    assert counts(result) == {"updated": 1}
    assert fake.writes == [("PATCH", TABLE, {"name": "Acme Ltd"})]
    assert result.plan.changes[0].before == {"name": "Acme"}


def test_record_made_by_a_person_under_our_key_is_updated_where_it_is() -> None:
    fake = FakeServiceNow()
    fake.seed(TABLE, [{"sys_id": "e" * 32, "u_netsuite_id": "v1", "name": "acme"}])
    result = load(fake, vendors(v1="Acme"))
    assert counts(result) == {"updated": 1}
    assert list(fake.tables[TABLE]) == ["e" * 32]


def test_plan_only_writes_nothing_and_shows_the_changes() -> None:
    fake = FakeServiceNow()
    result = load(fake, vendors(v1="Acme"), plan_only=True)
    assert fake.writes == []
    assert counts(result) == {"planned": 1}
    assert [change.kind for change in result.plan.changes] == ["create"]


@pytest.mark.parametrize("mishap", ["lost", "unserviced", "throttled", "timed_out", "accepted"])
def test_answer_that_proves_nothing_ends_in_exactly_one_record(mishap: str) -> None:
    fake = FakeServiceNow(mishaps=[mishap, "ok"])
    result = load(fake, vendors(v1="Acme", v2="Bolt"))
    assert counts(result) == {"created": 2}
    assert {key: len(rows) for key, rows in fake.by_key(TABLE).items()} == {"v1": 1, "v2": 1}
    assert len(fake.writes) == 2


def test_item_that_was_not_run_is_sent_again_without_a_look_up_or_a_wait() -> None:
    slept: list[float] = []
    fake = FakeServiceNow()
    fake.capacity = 2
    result = load(fake, vendors(a="A", b="B", c="C", d="D", e="E"), slept=slept)
    assert counts(result) == {"created": 5}
    assert fake.batches == [5, 3, 1]
    assert len(fake.lookups) == 2  # the plan's, and the proof
    assert slept == []


def test_lost_batch_is_looked_up_before_anything_is_sent_again() -> None:
    slept: list[float] = []
    fake = FakeServiceNow(call_errors=[OutcomeUnknownError("timed out")])
    result = load(fake, vendors(a="A", b="B"), slept=slept)
    assert counts(result) == {"created": 2}
    assert len(fake.writes) == 2
    assert fake.batches == [2]
    assert slept == [0.25]


def test_confirmed_record_that_was_not_kept_is_written_again() -> None:
    fake = FakeServiceNow(mishaps=["ok", "forgotten"])
    result = load(fake, vendors(v1="Acme", v2="Bolt"))
    assert counts(result) == {"created": 2}
    assert sorted(fake.by_key(TABLE)) == ["v1", "v2"]


def test_record_that_is_never_kept_is_not_called_loaded() -> None:
    fake = FakeServiceNow(mishaps=["forgotten"] * 20)
    result = load(fake, vendors(v1="Acme"))
    assert result.records["v1"].problems[0].reason is Reason.OUTCOME_UNKNOWN


def test_column_that_a_rule_puts_back_is_not_stored() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme"))
    fake.mishaps.extend(["forgotten"] * 20)
    (problem,) = load(fake, vendors(v1="Acme Ltd")).records["v1"].problems
    assert (problem.reason, problem.column) == (Reason.NOT_STORED, "name")
    assert "stored 'Acme'" in problem.remedy


def test_lost_update_that_landed_counts_as_updated() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme"))
    fake.mishaps.append("lost")
    assert counts(load(fake, vendors(v1="Acme Ltd"))) == {"updated": 1}


def test_record_whose_outcome_stays_unknown_fails_alone() -> None:
    fake = FakeServiceNow(mishaps=["ok"] + ["timed_out"] * 20)
    result = load(fake, vendors(v1="Acme", v2="Bolt"), batch_size=1)
    assert counts(result) == {"created": 1, "failed": 1}
    (problem,) = next(r for r in result.records.values() if r.status == "failed").problems
    assert problem.reason is Reason.OUTCOME_UNKNOWN
    assert "maximum execution time exceeded" in problem.remedy


def test_last_lost_answer_is_still_looked_up() -> None:
    fake = FakeServiceNow(mishaps=["timed_out"] * 4 + ["lost"])
    assert counts(load(fake, vendors(v1="Acme"))) == {"created": 1}


def test_waits_grow_while_the_instance_struggles() -> None:
    slept: list[float] = []
    fake = FakeServiceNow(mishaps=["timed_out"] * 20)
    load(fake, vendors(v1="Acme"), slept=slept)
    assert slept == [0.25, 0.5, 1.0, 2.0, 2.0]


def test_instance_that_lets_nothing_through_stops_the_run() -> None:
    fake = FakeServiceNow(call_errors=[ThrottledError("too many requests")] * 9)
    with pytest.raises(ThrottledError):
        load(fake, vendors(v1="Acme"))


def test_refused_credentials_stop_the_run() -> None:
    fake = FakeServiceNow(call_errors=[AuthenticationError("no")])
    with pytest.raises(AuthenticationError):
        load(fake, vendors(**{f"v{n}": "x" for n in range(20)}), batch_size=1)
    assert len(fake.batches) < 20


def test_refused_record_is_a_problem_and_its_neighbours_are_written() -> None:
    rule = "refused:Data Policy Exception: The following fields are mandatory: Phone"
    fake = FakeServiceNow(mishaps=["ok", rule])
    result = load(fake, vendors(v1="Acme", v2="Bolt", v3="Crane"))
    assert counts(result) == {"created": 2, "failed": 1}
    failed = result.records["v2"]
    assert failed.problems[0].reason is Reason.REFUSED_BY_SERVICENOW
    assert not failed.is_present


def test_two_runs_at_once_make_one_record() -> None:
    fake = FakeServiceNow()

    def other_run() -> None:  # between our look-up and our write
        fake.before_batch = None
        sys_id = deterministic_sys_id("dev1", TABLE, "v1")
        row = {"name": "Acme", "u_active": "true", "u_netsuite_id": "v1", "sys_id": sys_id}
        fake.seed(TABLE, [row])

    fake.before_batch = other_run
    result = load(fake, vendors(v1="Acme"))
    assert counts(result) == {"unchanged": 1}
    assert len(fake.tables[TABLE]) == 1
    assert fake.writes == []


def test_record_that_appeared_with_other_values_is_updated() -> None:
    fake = FakeServiceNow()
    sys_id = deterministic_sys_id("dev1", TABLE, "v1")
    rows = [{"name": "Old", "u_active": "true", "u_netsuite_id": "v1", "sys_id": sys_id}]
    fake.before_batch = lambda: fake.seed(TABLE, [rows.pop()] if rows else [])
    assert counts(load(fake, vendors(v1="Acme"))) == {"updated": 1}
    assert fake.tables[TABLE][sys_id]["name"] == "Acme"


def test_clash_with_nothing_behind_it_is_a_refusal() -> None:
    fake = FakeServiceNow(mishaps=[f"refused:Error during insert of {TABLE} (Acme)"])
    result = load(fake, vendors(v1="Acme"))
    (problem,) = result.records["v1"].problems
    assert problem.reason is Reason.REFUSED_BY_SERVICENOW
    assert "Error during insert" in problem.remedy
    assert len(fake.batches) == 1


def test_our_record_under_another_key_is_a_conflict_and_stays_as_it_is() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme"))
    sys_id = deterministic_sys_id("dev1", TABLE, "v1")
    fake.tables[TABLE][sys_id]["u_netsuite_id"] = "v9"
    result = load(fake, vendors(v1="Acme Ltd"))
    assert result.records["v1"].problems[0].reason is Reason.KEY_CONFLICT
    assert fake.tables[TABLE][sys_id]["name"] == "Acme"


def test_our_record_whose_key_was_cleared_is_adopted_again() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme"))
    sys_id = deterministic_sys_id("dev1", TABLE, "v1")
    fake.tables[TABLE][sys_id]["u_netsuite_id"] = ""
    assert counts(load(fake, vendors(v1="Acme"))) == {"updated": 1}
    assert fake.tables[TABLE][sys_id]["u_netsuite_id"] == "v1"
    assert len(fake.tables[TABLE]) == 1


def test_value_for_servicenow_that_is_not_taken_is_counted_and_fails_nothing() -> None:
    fake = FakeServiceNow()
    fake.read_only = {"notes"}
    rows = frame(VENDOR, {"v1": {"name": "Acme", "notes": "first"}, "v2": {"name": "Bolt"}})
    result = load(fake, rows)
    assert counts(result) == {"created": 2}
    assert result.untaken() == {"notes": {"v1"}}
    again = load(fake, rows)
    assert (counts(again), again.untaken()) == ({"unchanged": 2}, {})


def test_value_that_is_not_taken_is_told_as_well_if_a_read_back_must_complete_the_record() -> None:
    fake = FakeServiceNow()
    fake.read_only, fake.defaults = {"notes"}, {"phone": "000"}
    result = load(fake, frame(VENDOR, {"v1": {"name": "Acme", "notes": "first"}}))
    assert counts(result) == {"created": 1}
    assert result.untaken() == {"notes": {"v1"}}


def test_unknown_column_is_not_stored_and_says_which() -> None:
    fake = FakeServiceNow(unknown_columns=["phone"])
    rows = frame(VENDOR, {"v1": {"name": "Acme", "phone": "555", "u_active": "true"}})
    result = load(fake, rows)
    (problem,) = result.records["v1"].problems
    assert (problem.reason, problem.column) == (Reason.NOT_STORED, "phone")
    assert result.records["v1"].is_present


def test_default_in_a_column_that_must_be_empty_is_cleared() -> None:
    fake = FakeServiceNow()
    fake.defaults = {"phone": "000"}
    assert counts(load(fake, vendors(v1="Acme"))) == {"created": 1}
    assert fake.by_key(TABLE)["v1"][0]["phone"] == ""
    assert fake.writes[1:] == [("PATCH", TABLE, {"phone": ""})]


def test_missing_key_column_is_found_before_anything_is_created() -> None:
    fake = FakeServiceNow(dictionary={TABLE: {"name", "phone"}})
    with pytest.raises(ConfigurationError, match="u_netsuite_id"):
        load(fake, vendors(v1="Acme"))
    assert fake.writes == []


def test_key_column_that_keeps_nothing_stops_the_run() -> None:
    fake = FakeServiceNow(unknown_columns=["u_netsuite_id"])
    with pytest.raises(ConfigurationError, match="u_netsuite_id"):
        load(fake, vendors(v1="Acme"))


def test_duplicates_in_servicenow_fail_and_are_not_touched() -> None:
    fake = FakeServiceNow()
    fake.seed(TABLE, [{"sys_id": c * 32, "u_netsuite_id": "v1", "name": "x"} for c in "ab"])
    result = load(fake, vendors(v1="Acme"))
    assert result.records["v1"].problems[0].reason is Reason.DUPLICATE_IN_SERVICENOW
    assert fake.writes == []


def test_every_wanted_key_has_a_result() -> None:
    rows = frame(VENDOR, {"v1": {"name": "A"}, "v^2": {"name": "B"}, "v3": {"name": "C"}})
    result = load(FakeServiceNow(), rows)
    assert sorted(result.records) == ["v1", "v3", "v^2"]
    assert counts(result) == {"created": 2, "failed": 1}


def test_a_row_without_a_key_fails_alone() -> None:
    fake = FakeServiceNow()
    rows = vendors(v1="Acme", v2="Bolt")
    rows.loc[0, "_key"] = None
    result = load(fake, rows)
    assert counts(result) == {"created": 1, "failed": 1}
    assert result.records[""].document_id == "v1"


def test_empty_frame_asks_nothing() -> None:
    fake = FakeServiceNow()
    result = load(fake, frame(VENDOR, {}))
    assert (counts(result), fake.lookups, fake.batches) == ({}, [], [])


def test_batches_are_as_large_as_the_pacer_says() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(**{f"v{n}": "x" for n in range(7)}), batch_size=3)
    assert sorted(fake.batches) == [1, 3, 3]


def test_only_mapped_columns_and_the_version_are_asked_back() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme"))
    (url,) = fake.urls
    assert url == (
        "/api/now/table/core_company"
        "?sysparm_fields=sys_id,u_netsuite_id,name,phone,u_active,notes,sys_mod_count"
        "&sysparm_exclude_reference_link=true"
    )


def test_created_record_is_proven_by_its_version_alone() -> None:
    fake = FakeServiceNow()
    assert counts(load(fake, vendors(v1="Acme", v2="Bolt"))) == {"created": 2}
    assert fake.fields_read[1:] == [("sys_id", "u_netsuite_id", "sys_mod_count")]


def test_created_record_that_changed_since_its_echo_is_read_whole_and_put_right() -> None:
    fake = FakeServiceNow()

    def rule_that_runs_later() -> None:
        fake.after_batch = None
        (row,) = fake.tables[TABLE].values()
        row.update(name="Acme (checked)", sys_mod_count="1")

    fake.after_batch = rule_that_runs_later
    result = load(fake, vendors(v1="Acme"))
    assert counts(result) == {"created": 1}
    assert [method for method, _, _ in fake.writes] == ["POST", "PATCH"]
    assert fake.by_key(TABLE)["v1"][0]["name"] == "Acme"


def test_second_record_that_appears_under_the_key_while_we_write_is_found() -> None:
    fake = FakeServiceNow()
    stranger = {"sys_id": "e" * 32, "u_netsuite_id": "v1", "name": "Acme"}
    fake.after_batch = lambda: fake.seed(TABLE, [stranger])
    result = load(fake, vendors(v1="Acme"))
    assert result.records["v1"].problems[0].reason is Reason.DUPLICATE_IN_SERVICENOW


def test_new_keys_are_asked_for_in_longer_lists_where_hardly_any_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nsn_pipeline.load.lookups._LOOKUP_SHARE", 10)
    monkeypatch.setattr("nsn_pipeline.load.lookups._SPARSE_SHARE", 40)
    monkeypatch.setattr("nsn_pipeline.load.lookups._TELLING", 20)
    fake = FakeServiceNow()

    def asked(name: str, count: int) -> list[int]:
        fake.lookups.clear()
        rows = vendors(**{f"{name}{n}": "x" for n in range(count)})
        with_plan = writer.load(VENDOR, rows, resolver=resolver(fake), plan_only=True)
        assert with_plan.records
        return [len(keys) for _, column, keys in fake.lookups if column == "u_netsuite_id"]

    with loader(fake) as writer:
        assert asked("a", 40) == [10] * 4
        assert asked("b", 40) == [40]
        fake.seed(TABLE, [{"sys_id": f"{n:032}", "u_netsuite_id": f"c{n}"} for n in range(40)])
        assert asked("c", 5) == [5]  # so few say nothing of others
        assert asked("c", 40) == [40]
        assert asked("c", 40) == [10] * 4


def test_instance_that_hides_versions_is_read_whole() -> None:
    fake = FakeServiceNow(unknown_columns=["sys_mod_count"])
    assert counts(load(fake, vendors(v1="Acme"))) == {"created": 1}
    assert "name" in fake.fields_read[-1]


def test_call_refused_as_a_whole_is_sent_again_without_a_look_up() -> None:
    slept: list[float] = []
    fake = FakeServiceNow(call_errors=[ThrottledError("slow down", retry_after_s=7)])
    result = load(fake, vendors(a="A", b="B"), slept=slept)
    assert counts(result) == {"created": 2}
    assert len(fake.writes) == 2
    assert len(fake.lookups) == 2  # the plan's, and the proof
    assert slept == [7]


def test_advice_to_wait_no_time_at_all_does_not_close_the_lanes_for_ever() -> None:
    """`Retry-After: 0`, or a date that has passed."""
    slept: list[float] = []
    fake = FakeServiceNow(call_errors=[ThrottledError("slow down", retry_after_s=0.0)] * 2)
    with loader(fake, slept=slept) as writer:
        work = partial(writer.load, VENDOR, vendors(a="A", b="B"), resolver=resolver(fake))
        run = threading.Thread(target=work, daemon=True)
        run.start()
        run.join(20)
        hangs = run.is_alive()
        if hangs:
            writer._lanes.rest(1)  # let it end all the same
    assert not hangs
    assert slept == [SHORTEST_REST_S] * 2
    assert sorted(fake.by_key(TABLE)) == ["a", "b"]


class Refused(AdaptivePacer):
    """Counts the refusals it is told of."""

    refusals = 0

    def learn(self, outcome: Outcome) -> None:
        self.refusals += outcome.throttled
        super().learn(outcome)


class Busy(FakeServiceNow):
    """Bears two look-ups at once: those two wait until a third was refused."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.refusals = 0, 0
        self.refused = threading.Event()
        self.gate = threading.Lock()

    def find(self, table, key, values, fields) -> Found:
        with self.gate:
            if self.inside == 2:
                self.refusals += 1
                self.refused.set()
                raise ThrottledError("too many requests")
            self.inside += 1
        self.refused.wait(5)
        try:
            return super().find(table, key, values, fields)
        finally:
            with self.gate:
                self.inside -= 1


def test_look_ups_slow_down_as_writes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nsn_pipeline.load.lookups._LOOKUP_SHARE", 10)
    rows = vendors(**{f"v{n}": "x" for n in range(200)})
    quiet, fake = FakeServiceNow(), Busy()
    load(quiet, rows)
    fake.tables = quiet.tables
    pacer = Refused(16)
    with loader(fake, pacer=pacer) as writer:
        result = writer.load(VENDOR, rows, resolver=resolver(fake))
    assert counts(result) == {"unchanged": 200}
    assert fake.refusals
    assert len(fake.lookups) == 20  # each share was answered once
    assert pacer.refusals == fake.refusals
    assert fake.refusals < 100


def test_wait_advised_to_a_look_up_is_a_wait_for_all() -> None:
    slept: list[float] = []
    fake = FakeServiceNow()
    fake.lookup_errors.extend([ThrottledError("slow down", retry_after_s=7), None])
    fake.lookup_errors.append(ThrottledError("slow down", retry_after_s=9))  # the proof
    assert counts(load(fake, vendors(v1="Acme"), slept=slept)) == {"created": 1}
    assert slept == [7, 9]


def test_only_calls_that_are_with_the_server_count_as_in_flight() -> None:
    """A lane may be waiting for its lease, which another process holds."""
    told: list[Outcome] = []
    pacer = Listening(8, told=told)
    lanes = Lanes(pacer, policy=RetryPolicy(), under_way=lambda: 0)
    with lanes.lane(), lanes.lane(), lanes.lane() as lane:
        lane.give_up()
        lanes.answered(lane, TABLE, 5, 5, 0.1)
        rest_s = lanes.refused(TABLE, 5, ThrottledError("no"))
    assert [outcome.in_flight for outcome in told] == [1, 1]
    assert rest_s is not None  # nobody else is through: fewer connections are no cure
    lanes.close()


def test_lease_that_was_not_had_teaches_nothing() -> None:
    told: list[Outcome] = []
    fake = FakeServiceNow(call_errors=[NotSentError("no free slot")])
    with loader(fake, pacer=Listening(1, 1, told=told)) as writer:
        result = writer.load(VENDOR, vendors(v1="Acme", v2="Bolt"), resolver=resolver(fake))
    assert counts(result) == {"created": 2}
    assert [(one.asked, one.ran) for one in told if one.asked] == [(1, 1)] * 2


@dataclass(frozen=True)
class Listening(FixedPacer):
    ceiling: int = 8
    told: list[Outcome] = field(default_factory=list)

    def learn(self, outcome: Outcome) -> None:
        self.told.append(outcome)


def test_record_that_lost_its_key_fails_alone() -> None:
    fake = FakeServiceNow()
    fake.computed["u_netsuite_id"] = lambda row: "" if row["name"] == "Bolt" else row["name"]
    result = load(fake, vendors(Acme="Acme", v2="Bolt", Crane="Crane"))
    assert counts(result) == {"created": 2, "failed": 1}
    (problem,) = result.records["v2"].problems
    assert (problem.reason, problem.column) == (Reason.NOT_STORED, "u_netsuite_id")


def test_advice_to_one_record_does_not_end_the_run() -> None:
    slept: list[float] = []
    fake = FakeServiceNow(mishaps=["advised:1800", "ok"])
    assert counts(load(fake, vendors(v1="Acme", v2="Bolt"), slept=slept)) == {"created": 2}
    assert slept == [60]


def test_one_record_refused_as_unauthenticated_is_no_end_of_the_run() -> None:
    fake = FakeServiceNow(mishaps=["ok"] + ["unauthenticated"] * 9)
    result = load(fake, vendors(v1="Acme", v2="Bolt"))
    assert counts(result) == {"created": 1, "failed": 1}


def test_record_hidden_from_our_role_is_neither_made_again_nor_called_loaded() -> None:
    fake = FakeServiceNow()
    fake.seed(TABLE, [{"sys_id": "e" * 32, "u_netsuite_id": "v1", "name": "Acme"}])
    fake.unseen.add("e" * 32)
    result = load(fake, vendors(v1="Acme", v2="Bolt"))
    assert counts(result) == {"created": 1, "failed": 1}
    assert result.records["v1"].problems[0].reason is Reason.HIDDEN_IN_SERVICENOW
    assert [sent["u_netsuite_id"] for _, _, sent in fake.writes] == ["v2"]


def test_server_that_asks_for_more_patience_than_a_run_has_stops_it() -> None:
    slept: list[float] = []
    fake = FakeServiceNow(call_errors=[ThrottledError("this hour is used up", retry_after_s=1800)])
    with pytest.raises(ThrottledError):
        load(fake, vendors(a="A"), slept=slept)
    assert (slept, fake.writes) == ([], [])


@pytest.mark.parametrize("record_s", [0.008, 0.4, 2.6, 5.9])
def test_slow_rules_do_not_trip_the_time_limit_of_a_batch(record_s: float) -> None:
    fake = FakeServiceNow()
    fake.record_s = record_s
    rows = vendors(**{f"v{n}": "x" for n in range(400)})
    with loader(fake, pacer=AdaptivePacer(4)) as writer:
        result = writer.load(VENDOR, rows, resolver=resolver(fake))
    assert counts(result) == {"created": 400}
    assert len(fake.writes) == 400
    assert sum(fake.batches) == 400  # nothing was left unserviced
    assert max(fake.batches) * record_s < BATCH_LIMIT_S
