"""Which documents a cure concerns and which days run for them, decided without any system."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsn_pipeline.audit import replay
from nsn_pipeline.audit.replay import Cure, Latest, OpenDocument, Seen
from nsn_pipeline.conform.crosswalk import Crosswalk, Override, ReferenceRow

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
TODAY = NOW.date()
RUNS = 40  # the newest run when a cure is seen
REF = "gl_account:7160"
KNOWN = {f"2026-03-{day:02}" for day in range(1, 10)}


def document(number: str = "1", **changes: object) -> OpenDocument:
    made = OpenDocument(
        record_type="vendor_bill",
        document_id=number,
        status="rejected",
        day="2026-03-03",
        reasons=("MISSING_GL_ACCOUNT",),
        references=(REF,),
        run_id="run-1",
        judged_from=NOW - timedelta(hours=2),
    )
    return replace(made, **changes)


def crosswalk(*rows: ReferenceRow, overrides: tuple[Override, ...] = (), **codes: str) -> Crosswalk:
    by_code: dict[str, tuple[ReferenceRow, ...]] = {}
    for row in rows:
        by_code[row.code] = (*by_code.get(row.code, ()), row)
    ids = {name.lstrip("n"): code for name, code in (codes or {"n642": "7160"}).items()}
    return Crosswalk("gl_account", ids, dict.fromkeys(ids, "Name"), by_code, overrides)


def row(code: str = "7160", **changes: object) -> ReferenceRow:
    made = ReferenceRow(code, f"sys-{code}", "Name", True, None, None)
    return replace(made, **changes)


def override(**changes: object) -> Override:
    return replace(Override(None, "7160", None, "8000", None, None), **changes)


def cure(known: Crosswalk, reference: str = REF) -> Cure:
    return replay.code_cure(known, reference, TODAY)


# --- how a reference resolves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "today", "words"),
    [
        (crosswalk(), False, "was changed in ServiceNow"),
        (crosswalk(row()), True, "is now in ServiceNow"),
        (crosswalk(row(active=False)), False, "was changed in ServiceNow"),
        (crosswalk(row("8000"), overrides=(override(),)), True, "mapped in mappings/gl_acc"),
        (crosswalk(overrides=(override(),)), False, "mapped in mappings/gl_acc"),
        (crosswalk(row("07160")), False, "was changed in ServiceNow"),
        (crosswalk(row(), n642="7161"), True, "is no longer a code in NetSuite"),
        (Crosswalk("gl_account", {}, {}, {}, ()), False, "was changed in ServiceNow"),
        (Crosswalk("gl_account", {"642": None}, {}, {}, ()), False, "was changed in ServiceNow"),
    ],
    ids=[
        "absent",
        "added",
        "inactive",
        "mapped",
        "dangling",
        "leading zero",
        "renumbered",
        "dimension not read",
        "dimension without codes",
    ],
)
def test_a_code_resolves_as_documents_will_find_it(
    known: Crosswalk, today: bool, words: str
) -> None:
    found = cure(known)
    assert found.today is today
    assert words in found.words


def test_an_account_without_a_code_is_cured_by_its_internal_id() -> None:
    known = crosswalk(row("8000"), overrides=(override(netsuite_id="642", netsuite_code=None),))
    assert cure(known, "gl_account:#642").today


def test_an_account_reopened_for_a_past_period_only_resolves_for_some_date() -> None:
    closed = row(valid_from=date(2026, 2, 1), valid_to=date(2026, 2, 28))
    found = cure(crosswalk(closed))
    assert (found.today, found.ever) == (False, True)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"name": "Another name"}, False),
        ({"active": False}, True),
        ({"sys_id": "other"}, True),
        ({"valid_to": date(2027, 1, 1)}, True),
    ],
)
def test_a_digest_changes_with_what_the_answer_depends_on(
    change: dict[str, object], differs: bool
) -> None:
    before, after = cure(crosswalk(row())), cure(crosswalk(row(**change)))
    assert (before.digest != after.digest) is differs


def test_only_codes_that_decide_are_looked_up() -> None:
    known = crosswalk(overrides=(override(), override(netsuite_code="1", servicenow_code="9")))
    assert replay.codes_wanted(known, [REF, "cost_center:CC-1"]) == {"7160", "8000"}


@pytest.mark.parametrize(
    ("reference", "record"),
    [
        ("vendor:451", ("vendor", "451")),
        ("purchase_order:9", ("purchase_order", "9")),
        ("purchase_order_line:9-2", ("purchase_order", "9")),
    ],
)
def test_a_record_is_waited_for_as_a_whole(reference: str, record: tuple[str, str]) -> None:
    assert replay.record_of(reference) == record


# --- once per failure -----------------------------------------------------------------------------


def test_what_was_judged_before_the_cure_is_due_and_what_was_judged_with_it_is_not() -> None:
    seen = replay.watched([cure(crosswalk(row()))], {}, NOW, RUNS)
    before, after = document("1"), document("2", judged_from=NOW + timedelta(seconds=1))
    assert replay.due([before, after], seen) == [before]


@pytest.mark.parametrize(
    ("number", "created", "begun", "is_due"),
    [
        (39, -2, -1, True),  # over before the cure was seen
        (39, -1, 1, False),  # waited in a queue meanwhile
        (39, 50, 51, True),  # over, and the clock was nearly an hour ahead
        (41, 1, 2, False),
        (41, -50, -49, False),  # created since, by a clock that is behind
    ],
)
def test_a_run_that_was_there_before_a_cure_did_not_know_it_whatever_its_clock_said(
    number: int, created: int, begun: int, is_due: bool
) -> None:
    seen = replay.watched([cure(crosswalk(row()))], {}, NOW, RUNS)
    judged = document(
        run_number=number,
        run_created=NOW + timedelta(minutes=created),
        judged_from=NOW + timedelta(minutes=begun),
    )
    assert (replay.due([judged], seen) == [judged]) is is_due


def test_numbers_that_are_given_again_after_runs_were_wiped_end_in_one_replay() -> None:
    """Of a sensor's cursor that outlived the runs it counts."""
    found = [cure(crosswalk(row()))]
    seen = replay.watched(found, {}, NOW, RUNS)
    requests, newest = 0, 2
    late = NOW + timedelta(seconds=30)
    judged = document(run_number=newest, run_created=late, judged_from=late)
    for tick in range(1, 6):
        now = NOW + timedelta(minutes=tick)
        seen = replay.watched(found, seen, now, newest)
        if replay.due([judged], seen):
            requests, newest = requests + 1, newest + 1
            judged = document(run_number=newest, run_created=now, judged_from=now)
    assert requests == 1


def test_a_reference_that_stays_as_it_is_keeps_its_time() -> None:
    found = [cure(crosswalk(row()))]
    first = replay.watched(found, {}, NOW, RUNS)
    later = replay.watched(found, first, NOW + timedelta(hours=1), RUNS)
    assert later == first


def test_what_does_not_resolve_is_never_due() -> None:
    seen = replay.watched([cure(crosswalk(row(active=False)))], {}, NOW, RUNS)
    assert replay.due([document()], seen) == []


def test_a_change_that_helps_a_past_date_only_is_due_once() -> None:
    expired = cure(crosswalk(row(valid_to=date(2026, 1, 31))))
    first = replay.watched([expired], {}, NOW, RUNS)
    assert replay.due([document()], first) == [document()]
    assert replay.due([document(judged_from=NOW + timedelta(seconds=1))], first) == []
    inactive = document(reasons=("INACTIVE_GL_ACCOUNT",))
    assert replay.due([inactive], first) == []  # as it was when the document was judged
    extended = cure(crosswalk(row(valid_to=date(2026, 2, 28))))
    second = replay.watched([extended], first, NOW, RUNS)
    assert replay.due([document(), inactive], second) == [document(), inactive]


def test_a_cure_that_was_undone_and_made_again_counts_again() -> None:
    there, gone = cure(crosswalk(row())), cure(crosswalk())
    seen = replay.watched([there], {}, NOW, RUNS)
    seen = replay.watched([gone], seen, NOW + timedelta(minutes=1), RUNS)
    seen = replay.watched([there], seen, NOW + timedelta(minutes=2), RUNS)
    failed = document(judged_from=NOW + timedelta(minutes=1))
    assert replay.due([failed], seen) == [failed]


def test_a_failure_is_the_same_until_a_document_is_judged_again() -> None:
    days = ["2026-03-03"]
    first = replay.failure_key(days, [document("1"), document("2")])
    assert first == replay.failure_key(days, [document("2"), document("1")])
    assert first != replay.failure_key(days, [document("1"), document("2", run_id="run-2")])
    assert first != replay.failure_key(["2026-03-04"], [document("1"), document("2")])


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.builds(
            Seen,
            st.text("0123456789abcdef", max_size=16),
            st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, UTC)),
            st.booleans(),
            st.booleans(),
            st.integers(0, 2**40),
        ),
    ),
    st.text(max_size=10),
)
def test_a_cursor_holds_what_was_seen(seen: dict[str, Seen], after: str) -> None:
    assert replay.unpacked(replay.packed(seen, after)) == (seen, after)


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        "",
        "[]",
        "12",
        '{"a": 1}',
        "no json",
        '{"a": [1]}',
        '{"seen": {"x": ["d", 1.0, 1, 0]}, "after": ""}',
    ],
)
def test_a_cursor_of_another_layout_remembers_nothing(cursor: str | None) -> None:
    assert replay.unpacked(cursor) == ({}, "")


# --- days -----------------------------------------------------------------------------------------


def placed(
    one: OpenDocument,
    latest: Latest | None,
    loaded: set[str] = KNOWN,
    deleted: datetime | None = None,
) -> replay.Placement:
    found = {} if latest is None else {one.key: latest}
    gone = {} if deleted is None else {one.key: deleted}
    return replay.place(
        [one], found, gone, lambda stamp: stamp.date().isoformat(), known=KNOWN, loaded=loaded
    )


def stamp(day: int) -> Latest:
    return Latest(datetime(2026, 3, day, 15, tzinfo=UTC))


def test_a_document_is_read_on_the_day_it_last_changed() -> None:
    found = placed(document(), stamp(5))
    assert list(found.by_day) == ["2026-03-05"]
    assert found.moved == {("vendor_bill", "1"): "2026-03-05"}


def test_a_bill_that_moved_to_a_day_nobody_read_yet_is_still_read_there() -> None:
    assert list(placed(document(), stamp(5), loaded=set()).by_day) == ["2026-03-05"]


def test_a_vendor_of_days_nobody_asked_for_is_read_where_a_document_names_it() -> None:
    vendor = document(record_type="vendor")
    assert list(placed(vendor, stamp(1), loaded={"2026-03-03"}).by_day) == ["2026-03-03"]
    assert list(placed(vendor, stamp(4), loaded={"2026-03-03", "2026-03-04"}).by_day) == [
        "2026-03-04"
    ]


def test_a_day_before_the_first_partition_is_not_begun() -> None:
    old = Latest(datetime(2025, 3, 1, tzinfo=UTC))
    assert list(placed(document(), old).by_day) == ["2026-03-03"]


def test_what_netsuite_does_not_show_is_left_open() -> None:
    found = placed(document(), None)
    assert (found.unseen, dict(found.by_day)) == ([document()], {})
    assert "hidden from the role" in replay.unseen_text(found.unseen)
    # Deleted on a day that is no partition: no run can have the evidence.
    assert placed(document(), None, deleted=datetime(2025, 3, 1, tzinfo=UTC)).unseen


@pytest.mark.parametrize("record_type", ["vendor_bill", "vendor", "gl_posting"])
def test_what_was_deleted_runs_on_the_day_of_its_deletion(record_type: str) -> None:
    gone = document(record_type=record_type)
    found = placed(gone, None, loaded=set(), deleted=datetime(2026, 3, 6, 15, tzinfo=UTC))
    assert (dict(found.by_day), found.unseen) == ({"2026-03-06": [gone]}, [])


def test_what_posts_no_more_runs_on_the_day_of_that_change() -> None:
    unposted = Latest(stamp(5).changed_at, unposted_at=stamp(3).changed_at)
    posting = document(record_type="gl_posting", day="2026-03-02")
    assert list(placed(posting, unposted).by_day) == ["2026-03-03"]
    assert list(placed(document(), unposted).by_day) == ["2026-03-05"]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=40),
    st.integers(1, 15),
)
def test_portions_come_to_every_day_round_by_round(days: list[int], most: int) -> None:
    everything = [document(str(n), day=f"2026-03-{day:02}") for n, day in enumerate(days)]
    came, after = set[str](), ""
    for _ in range(len(days) + 1):
        part, after = replay.portion(everything, after, most)
        assert len(part) <= most
        came |= {one.day for one in part}
        if not after:
            break
    assert came == {one.day for one in everything}


@given(
    st.sets(st.integers(1, 60)),
    st.sets(st.integers(1, 60)),
    st.integers(1, 10),
)
def test_spans_hold_each_day_once_without_filling_gaps(
    numbers: set[int], single: set[int], longest: int
) -> None:
    def day(number: int) -> str:
        return (date(2026, 1, 1) + timedelta(days=number)).isoformat()

    spans = replay.spans(map(day, numbers), longest=longest, alone={day(n) for n in single})
    assert [one for span in spans for one in span] == sorted(map(day, numbers))
    for span in spans:
        assert len(span) <= longest
        ends = [date.fromisoformat(one) for one in (span[0], span[-1])]
        assert (ends[1] - ends[0]).days + 1 == len(span)
        assert len(span) == 1 or not {day(n) for n in single} & set(span)


def test_a_tick_says_what_came_for_how_many() -> None:
    by_day = {
        "2026-03-03": [document("1"), document("2", references=("cost_center:CC-1",))],
        "2026-03-04": [document("3")],
    }
    assert replay.announced([cure(crosswalk(row()))], by_day) == [
        "GL account 7160 is now in ServiceNow: 2 documents of 2 days requested"
    ]
