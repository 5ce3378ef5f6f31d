from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nsn_pipeline.errors import ConfigurationError, UnreachableError
from nsn_pipeline.state import job_state
from nsn_pipeline.state.job_state import DocumentState, JobState, Status

NOON = datetime(2026, 3, 14, 12, 0, 0, 123456, tzinfo=UTC)
OWNER = {"account": "1234567_SB1", "instance": "dev1", "profile": "seed"}


@pytest.fixture
def state(client: redis.Redis) -> JobState:
    return JobState.open(client, **OWNER)


def bill(document_id: str = "1", status: Status = Status.LOADED, **values: object) -> DocumentState:
    defaults: dict[str, object] = {"partition": "2026-03-14", "run_id": "r", "updated_at": NOON}
    return DocumentState("vendor_bill", document_id, status, **(defaults | values))


def rejected(document_id: str = "1", *references: str, **values: object) -> DocumentState:
    return bill(document_id, Status.REJECTED, references=references, **values)


def ids(states: list[DocumentState]) -> list[str]:
    return [state.document_id for state in states]


def test_a_state_is_read_as_it_was_written(state: JobState) -> None:
    written = rejected(
        "4711-1",
        "gl_account:7160",
        "cost_center:100%1F\x1f\x1e é",
        reasons=("MISSING_GL_ACCOUNT", "NO_LINES"),
        content_hash="ab" * 32,
        sys_id="cd" * 16,
    )
    state.record([written])
    assert state.get("vendor_bill", "4711-1") == replace(
        written, attempts=1, first_seen=NOON, failing_since=NOON
    )
    assert state.get("vendor_bill", "4711") is None


def test_a_late_state_of_an_older_version_changes_nothing(state: JobState) -> None:
    newer = bill(partition="2026-03-15", as_of=NOON, run_id="poll")
    state.record([newer])
    late = {"status": Status.PENDING, "run_id": "slow", "updated_at": NOON + timedelta(hours=1)}
    state.record([bill(as_of=NOON - timedelta(seconds=1), **late)])
    found = state.get("vendor_bill", "1")
    assert found is not None
    assert (found.status, found.partition, found.as_of) == (Status.LOADED, "2026-03-15", NOON)
    assert state.in_partition("2026-03-14") == []
    for as_of in (NOON, NOON + timedelta(days=1), None):
        state.record([newer, bill(as_of=as_of, **late)])
        assert ids(list(state.by_status(Status.PENDING))) == ["1"]


def test_attempts_are_runs_and_first_seen_is_kept(state: JobState) -> None:
    later = NOON + timedelta(days=1)
    state.record([bill(status=Status.PENDING), bill(), bill(run_id="s", updated_at=later)])
    found = state.get("vendor_bill", "1")
    assert found is not None
    assert (found.attempts, found.first_seen, found.updated_at) == (2, NOON, later)


def hours(number: int) -> datetime:
    return NOON + timedelta(hours=number)


REJECTED, FAILED, PENDING = Status.REJECTED, Status.FAILED, Status.PENDING
LOADED, RETIRED = Status.LOADED, Status.RETIRED


@pytest.mark.parametrize(
    ("life", "failing_since"),
    [
        ([LOADED], None),
        ([PENDING], None),
        ([REJECTED], 0),
        ([LOADED, REJECTED], 1),
        ([REJECTED, REJECTED, REJECTED], 0),
        ([REJECTED, PENDING, FAILED], 0),  # a replay passes the gate and fails at the load
        ([FAILED, PENDING], 0),
        ([REJECTED, PENDING, LOADED], None),
        ([REJECTED, RETIRED], None),
        ([REJECTED, LOADED, REJECTED], 2),  # a new failure has an age of its own
        ([REJECTED, LOADED, PENDING, FAILED], 3),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_a_failure_keeps_its_age_until_it_is_over(
    state: JobState, life: list[Status], failing_since: int | None
) -> None:
    for number, status in enumerate(life):
        state.record([bill(status=status, run_id=f"run{number}", updated_at=hours(number))])
    found = state.get("vendor_bill", "1")
    assert found is not None
    assert found.failing_since == (None if failing_since is None else hours(failing_since))
    assert (found.first_seen, found.attempts) == (NOON, len(life))


def test_ages_are_taken_from_the_caller_for_unknown_documents_only(state: JobState) -> None:
    old = {"attempts": 6, "first_seen": hours(-99), "failing_since": hours(-50)}
    state.record([rejected("1", **old), bill("2", **old), rejected("3")])
    state.record([rejected("3", run_id="s", **old)])
    found = state.get_many("vendor_bill", ["1", "2", "3"])
    assert [(s.attempts, s.first_seen, s.failing_since) for s in found.values()] == [
        (7, hours(-99), hours(-50)),
        (7, hours(-99), None),
        (2, NOON, NOON),
    ]


def test_the_same_batch_again_is_not_another_attempt(state: JobState) -> None:
    for _ in range(2):
        state.record([rejected("1", "gl_account:7160"), bill("2")])
    assert [s.attempts for s in state.in_partition("2026-03-14")] == [1, 1]
    assert state.missing_references() == {"gl_account:7160": 1}


def test_a_document_that_changes_leaves_its_old_indexes(state: JobState) -> None:
    state.record([rejected("1", "gl_account:7160", "gl_account:7170", partition="2026-03-13")])
    state.record([rejected("1", "gl_account:7170", "cost_center:9")])
    assert ids(state.waiting_for("gl_account:7160")) == []
    assert state.missing_references() == {"cost_center:9": 1, "gl_account:7170": 1}
    assert state.in_partition("2026-03-13") == []
    state.record([bill("1")])
    assert state.missing_references() == {}
    assert state.ids_by_status("vendor_bill", Status.REJECTED) == []
    assert state.ids_by_status("vendor_bill", Status.LOADED) == ["1"]
    assert state.counts() == {"vendor_bill": {Status.LOADED: 1}}


def test_documents_in_a_status_are_streamed_in_order(
    state: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_state, "READ_BATCH", 2)
    order = replace(rejected("5"), record_type="purchase_order")
    state.record([*(rejected(str(n)) for n in (10, 9, 2, 1)), bill("3"), order])
    found = [(s.record_type, s.document_id) for s in state.by_status(Status.REJECTED)]
    assert found == [
        ("purchase_order", "5"),
        *(("vendor_bill", number) for number in ("1", "2", "9", "10")),
    ]
    assert ids(list(state.by_status(Status.LOADED, "vendor_bill"))) == ["3"]


def test_missing_references_name_the_most_wanted_first(state: JobState) -> None:
    state.record([rejected("1", "a:1"), rejected("2", "b:2", "a:1"), rejected("3", "b:2")])
    state.record([rejected("4", "b:2")])
    assert list(state.missing_references().items()) == [("b:2", 3), ("a:1", 2)]


def test_record_types_are_kept_apart_and_found_together(state: JobState) -> None:
    order = replace(rejected("1", "gl_account:7160"), record_type="purchase_order")
    state.record([order, rejected("1", "gl_account:7160"), bill("10"), bill("9")])
    found = [(s.record_type, s.document_id) for s in state.in_partition("2026-03-14")]
    assert found == [
        ("purchase_order", "1"),
        ("vendor_bill", "1"),
        ("vendor_bill", "9"),
        ("vendor_bill", "10"),
    ]
    assert ids(state.in_partition("2026-03-14", "purchase_order")) == ["1"]
    waiting = state.waiting_for("gl_account:7160")
    assert [s.record_type for s in waiting] == ["purchase_order", "vendor_bill"]


def test_a_forgotten_document_leaves_nothing_behind(state: JobState, client: redis.Redis) -> None:
    empty = set(client.keys("*"))
    state.record([rejected("1", "gl_account:7160")])
    assert state.forget("vendor_bill", "1")
    assert not state.forget("vendor_bill", "1")
    assert set(client.keys("*")) - empty == {f"{state.prefix}types"}


def test_pairs_and_profiles_do_not_see_each_other(client: redis.Redis) -> None:
    first = JobState.open(client, account="a:b", instance="c", profile="seed")
    second = JobState.open(client, account="a", instance="b:c", profile="seed")
    first.record([bill()])
    assert second.get("vendor_bill", "1") is None
    assert second.counts() == {}


def test_a_store_of_another_layout_is_refused(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    JobState.open(client, **OWNER)
    JobState.open(client, **OWNER)
    monkeypatch.setattr(job_state, "SCHEMA", 3)
    with pytest.raises(ConfigurationError, match="has layout 2, this version reads 3"):
        JobState.open(client, **OWNER)


@pytest.mark.parametrize("part", ["account", "instance", "profile"])
def test_a_state_of_another_pair_or_profile_is_refused_and_left_alone(
    client: redis.Redis, part: str
) -> None:
    """As after a dump was copied under another name: the place is ours, what is there is not."""
    theirs = JobState.open(client, **{**OWNER, part: "other"})
    theirs.record([bill()])
    mine = JobState(client, **OWNER)
    for key in client.keys(f"{theirs.prefix}*"):
        client.rename(key, key.replace(theirs.prefix, mine.prefix))
    before = client.dump(f"{mine.prefix}doc:vendor_bill")
    with pytest.raises(ConfigurationError, match=r"belongs to .*other.* never mixed"):
        JobState.open(client, **OWNER)
    assert client.dump(f"{mine.prefix}doc:vendor_bill") == before


@pytest.mark.parametrize("marker", ["nonsense", "[]", '{"schema": 1}'])
def test_an_unknown_owner_marker_is_refused(client: redis.Redis, marker: str) -> None:
    client.set(f"{JobState(client, **OWNER).prefix}owner", marker)
    with pytest.raises(ConfigurationError, match="layout"):
        JobState.open(client, **OWNER)


def test_an_empty_batch_writes_nothing(state: JobState, client: redis.Redis) -> None:
    before = set(client.keys("*"))
    state.record([])
    assert set(client.keys("*")) == before


def test_an_instant_without_time_zone_is_a_mistake_of_the_caller(state: JobState) -> None:
    with pytest.raises(TypeError):
        state.record([bill(updated_at=NOON.replace(tzinfo=None))])


def test_batches_larger_than_a_script_call_are_written_whole(state: JobState) -> None:
    number = 2 * job_state.CALLS_AT_ONCE * job_state.SCRIPT_BATCH + 1
    again = bill("0", status=Status.FAILED)  # the later of two states stays
    state.record([*(bill(str(n)) for n in range(number)), again])
    assert state.counts() == {"vendor_bill": {Status.LOADED: number - 1, Status.FAILED: 1}}


def test_a_server_that_goes_away_during_a_batch_is_unreachable(
    state: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    def send(_self: JobState, _record_type: str, arguments: list[str]) -> None:
        sent.append(len(arguments))
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(JobState, "_send", send)
    number = 3 * job_state.CALLS_AT_ONCE * job_state.SCRIPT_BATCH
    with pytest.raises(UnreachableError):
        state.record(bill(str(n)) for n in range(number))
    assert len(sent) == 1  # what follows is not sent


def test_a_lost_server_is_unreachable() -> None:
    client = redis.Redis(unix_socket_path="/nonexistent/socket", retry=None)
    with pytest.raises(UnreachableError, match="read document states"):
        JobState(client, **OWNER).get("vendor_bill", "1")


def assert_indexes_agree(state: JobState, client: redis.Redis) -> None:
    """Compare every index with what the records say, and look for keys nothing accounts for."""
    documents = []
    for name in client.smembers(f"{state.prefix}types"):
        documents += state.get_many(name, client.hkeys(f"{state.prefix}doc:{name}")).values()
    statuses: dict[str, dict[Status, int]] = {}
    for (name, status), count in Counter((d.record_type, d.status) for d in documents).items():
        statuses.setdefault(name, {})[status] = count
    assert state.counts() == statuses
    wanted = Counter(reference for d in documents for reference in set(d.references))
    assert state.missing_references() == wanted
    for reference in wanted:
        waiting = {(d.record_type, d.document_id) for d in state.waiting_for(reference)}
        assert waiting == {
            (d.record_type, d.document_id) for d in documents if reference in d.references
        }
    for day in {d.partition for d in documents if d.partition}:
        in_partition = state.in_partition(day)
        assert Counter(in_partition) == Counter(d for d in documents if d.partition == day)
    escape = job_state._escaped
    types = {d.record_type for d in documents}
    assert set(client.keys(f"{state.prefix}*")) - {f"{state.prefix}types"} == {
        f"{state.prefix}{key}"
        for key in (
            "owner",
            *(f"doc:{name}" for name in types),
            *(f"status:{d.record_type}:{d.status}" for d in documents),
            *(f"partition:{d.record_type}:{escape(d.partition)}" for d in documents if d.partition),
            *(f"waiting:{escape(reference)}" for reference in wanted),
            *(["missing"] if wanted else []),
        )
    }
    for d in documents:
        index = f"{state.prefix}status:{d.record_type}:{d.status}"
        assert client.sismember(index, d.document_id)


TEXTS = st.sampled_from(["gl_account:1", "gl_account:2", "a%1Fb", "\x1f", "\x1e\x1e", "", "é:%"])
STATES = st.builds(
    DocumentState,
    record_type=st.sampled_from(["vendor_bill", "purchase_order"]),
    document_id=st.sampled_from(["1", "2", "10-3"]),
    status=st.sampled_from(Status),
    partition=st.sampled_from(["", "2026-03-13", "2026-03-14", "%1F"]),
    run_id=st.sampled_from(["a", "b"]),
    updated_at=st.just(NOON),
    references=st.lists(TEXTS, max_size=3).map(tuple),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    batches=st.lists(st.lists(STATES, max_size=5), max_size=4),
    forgotten=st.sampled_from(["1", "2", "10-3"]),
)
def test_indexes_agree_with_the_records_after_any_writes(
    client: redis.Redis, batches: list[list[DocumentState]], forgotten: str
) -> None:
    client.flushdb()
    state = JobState.open(client, **OWNER)
    for batch in batches:
        state.record(batch)
    assert_indexes_agree(state, client)
    state.forget("vendor_bill", forgotten)
    assert_indexes_agree(state, client)


def test_indexes_agree_after_concurrent_writers(embedded_client: redis.Redis) -> None:
    state = JobState.open(embedded_client, **OWNER)

    def write(seed: int) -> None:
        draw = Random(seed)  # noqa: S311
        for turn in range(20):
            state.record(
                bill(
                    str(draw.randrange(30)),
                    draw.choice(list(Status)),
                    partition=f"2026-03-1{draw.randrange(3)}",
                    run_id=f"{seed}-{turn}",
                    references=tuple(draw.sample(["a:1", "a:2", "a:3"], draw.randrange(3))),
                )
                for _ in range(20)
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert_indexes_agree(state, embedded_client)
