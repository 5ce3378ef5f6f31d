"""A document's life as it is told, and as a table."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from nsn_pipeline.audit.trail_entry import Entry, Event
from nsn_pipeline.audit.trail_facts import COLUMNS, facts
from nsn_pipeline.audit.trail_story import Story, condensed, story
from nsn_pipeline.commands.audit_text import print_story

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROBLEM = {"reason": "MISSING_GL_ACCOUNT", "line": "2", "column": "account_id", "value": "7160",
           "remedy": "Add account 7160 'Agency staff' (office Leeds) to itfm_gl_accounts in "
                     "ServiceNow, or map it in mappings/gl_accounts.csv.",
           "reference": "gl_account:7160"}  # fmt: skip
DOCUMENT = {"tranid": "INV-1", "vendor": "Acme Ltd", "amount": "1250", "currency": "GBP"}
CURE = {"reason": "MISSING_GL_ACCOUNT", "reference": "gl_account:7160", "how": "override",
        "file": "mappings/gl_accounts.csv", "line": 7, "netsuite_code": "7160",
        "servicenow_code": "7161", "owner": "jane", "sys_id": "c" * 32}  # fmt: skip
RECORD = {"key": "1", "sys_id": "a" * 32, "kind": "update",
          "fields": {"status": ["open", "paid"], "memo": ["", "x" * 100]}}  # fmt: skip
SENT = {"table": "sn_apo_invoice", "records": [RECORD]}


def entry(seq: int, event: Event, run: str, **told: Any) -> Entry:
    defaults = {"day": "2026-03-02", "document_id": "1", "documents": (), "same_as": None}
    return Entry(
        seq, NOON + timedelta(hours=seq), event, run, "vendor_bill",
        hash="0" * 64, **({"data": {}} | defaults | told),
    )  # fmt: skip


LIFE = [
    entry(1, Event.REJECTED, "r1", data={"document": DOCUMENT, "problems": [PROBLEM]}),
    entry(2, Event.STILL_REJECTED, "r2"),
    entry(3, Event.STILL_REJECTED, "r3"),
    entry(4, Event.CURED, "r4", data={"cured": [CURE]}),
    entry(5, Event.ACCEPTED, "r4"),
    entry(6, Event.SENDING, "r4", day=None, data=SENT),
    entry(7, Event.WRITTEN, "r4"),
    *(
        one
        for number in range(8, 28, 2)
        for one in (
            entry(number, Event.ACCEPTED, f"r{number}"),
            entry(number + 1, Event.UNCHANGED, f"r{number}"),
        )
    ),
]


def told(entries: list[Entry]) -> Story:
    found = story("vendor_bill", "1", entries)
    assert found is not None
    return found


def printed(entries: list[Entry], *, every: bool = False, width: int = 80) -> list[str]:
    console = Console(width=width, record=True, file=StringIO())
    print_story(console, told(entries), ZoneInfo("Europe/London"), every=every)
    return console.export_text().splitlines()


def test_nothing_told_is_no_story() -> None:
    assert story("vendor_bill", "1", []) is None


def test_a_life_has_an_attempt_per_run_in_order() -> None:
    found = told(LIFE)
    assert [(one.run_id, one.outcome) for one in found.attempts[:5]] == [
        ("r1", "rejected"), ("r2", "rejected"), ("r3", "rejected"), ("r4", "written"),
        ("r8", "unchanged"),
    ]  # fmt: skip
    assert (found.standing, found.failing_since) == ("in ServiceNow", None)
    assert found.sys_ids == {"sn_apo_invoice": {"1": "a" * 32}}


@pytest.mark.parametrize(
    ("events", "outcome", "failing"),
    [
        ([Event.ACCEPTED], "accepted", False),
        ([Event.ACCEPTED, Event.SENDING], "cut short", False),
        ([Event.ACCEPTED, Event.SENDING, Event.WRITTEN], "written", False),
        ([Event.ACCEPTED, Event.SENDING, Event.FAILED], "failed", True),
        ([Event.STILL_REJECTED], "rejected", True),
        ([Event.RETIRED], "retired", False),
        ([Event.LEFT], "left", False),
    ],
)
def test_an_attempt_says_how_it_ended(events: list[Event], outcome: str, failing: bool) -> None:
    found = told([entry(n, event, "r", data=SENT if event is Event.SENDING else {})
                  for n, event in enumerate(events)])  # fmt: skip
    assert (found.outcome, found.failing_since is not None) == (outcome, failing)


@pytest.mark.parametrize(
    ("ends", "proven"),
    [
        ([], False),
        ([Event.FAILED], False),
        ([Event.WRITTEN], True),
        ([Event.RETIRED], True),
        ([None, Event.UNCHANGED], True),  # cut short, and found there by the next run
        ([None, Event.FAILED], False),
    ],
)
def test_only_what_an_end_proves_is_a_record_it_was_written_to(
    ends: list[Event | None], proven: bool
) -> None:
    entries = [entry(1, Event.SENDING, "r1", data=SENT)]
    entries += [entry(2 + n, end, f"r{1 + n}") for n, end in enumerate(ends) if end is not None]
    found = told(entries)
    places = {"sn_apo_invoice": {"1": "a" * 32}}
    assert (found.sys_ids, found.unproven_sys_ids) == ((places, {}) if proven else ({}, places))
    assert any("not proven" in line for line in printed(entries)) is not proven


@pytest.mark.parametrize(
    ("last", "outcome", "failing", "proven"),
    [
        (("r1", Event.WRITTEN), "written", False, True),
        (("r1", Event.FAILED), "failed", True, False),
        (("r2", Event.WRITTEN), "written", False, True),
    ],
)
def test_of_two_runs_at_once_the_one_that_speaks_last_is_believed(
    last: tuple[str, Event], outcome: str, failing: bool, proven: bool
) -> None:
    others = {"r1": Event.REJECTED, "r2": Event.FAILED}
    first = "r2" if last[0] == "r1" else "r1"
    entries = [
        *(entry(1, Event.ACCEPTED, "r1"), entry(2, Event.SENDING, "r1", data=SENT)),
        *(entry(3, Event.ACCEPTED, "r2"), entry(4, others[first], first)),
        entry(5, last[1], last[0]),
    ]
    found = told(entries)
    assert [one.run_id for one in found.attempts] == ["r1", "r2"]
    assert (found.outcome, found.failing_since is not None) == (outcome, failing)
    assert bool(found.sys_ids) is proven


def test_what_a_killed_run_sent_is_not_proven_by_one_that_ran_beside_it() -> None:
    beside = [
        *(entry(1, Event.ACCEPTED, "r1"), entry(2, Event.ACCEPTED, "r2")),
        entry(3, Event.SENDING, "r2", data=SENT),
        entry(4, Event.UNCHANGED, "r1"),
    ]
    places = {"sn_apo_invoice": {"1": "a" * 32}}
    assert (told(beside).sys_ids, told(beside).unproven_sys_ids) == ({}, places)
    after = [*beside, entry(5, Event.ACCEPTED, "r3"), entry(6, Event.UNCHANGED, "r3")]
    assert (told(after).sys_ids, told(after).unproven_sys_ids) == (places, {})


def test_a_failure_keeps_its_age_over_replays_and_ends_when_written() -> None:
    assert told(LIFE[:3]).failing_since == LIFE[0].at
    replayed = [*LIFE[:3], entry(4, Event.CURED, "r4", data={"cured": [CURE]}),
                entry(5, Event.FAILED, "r4", data={"problems": [PROBLEM]})]  # fmt: skip
    assert told(replayed).failing_since == LIFE[0].at


def test_attempts_that_only_repeat_are_put_together() -> None:
    assert [(one.run_id, len(more)) for one, more in condensed(told(LIFE).attempts)] == [
        ("r1", 0), ("r2", 1), ("r4", 0), ("r8", 9),
    ]  # fmt: skip


def test_the_text_tells_all_of_it_within_80_columns() -> None:
    lines = printed(LIFE)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for part in (
        "INV-1, Acme Ltd, 1,250.00 GBP", "first seen 2026-03-02 13:00:00 GMT", "14 attempts",
        "MISSING_GL_ACCOUNT, line 2, account_id 7160", PROBLEM["remedy"], "run r1",
        "the same in 1 more run", "cured MISSING_GL_ACCOUNT",
        "mappings/gl_accounts.csv line 7 maps 7160 to 7161, owner jane",
        "changed sn_apo_invoice 1", "status open -> paid", "proven in ServiceNow",
        "the same in 9 more runs",
    ):  # fmt: skip
        assert part in text, part
    assert text.index("MISSING_GL_ACCOUNT, line 2") < text.index("cured") < text.index("-> paid")


def test_every_attempt_can_be_listed() -> None:
    text = "\n".join(printed(LIFE, every=True))
    assert all(f"run {attempt.run_id}" in text for attempt in told(LIFE).attempts)


def test_json_holds_every_entry() -> None:
    found = told(LIFE).to_json()
    assert sum(len(one["entries"]) for one in found["attempts"]) == len(LIFE)
    assert found["attempts"][3]["entries"][0]["cured"] == [CURE]


def test_facts_are_one_row_per_thing_said() -> None:
    listing = entry(40, Event.UNCHANGED, "r", document_id=None, documents=("1", "2"))
    pointer = entry(41, Event.UNCHANGED, "r", document_id=None, same_as=40)
    started = entry(42, Event.STARTED, "r", document_id=None, data={"trail": "t"})
    rows = list(facts([*LIFE[:1], LIFE[3], LIFE[5], listing, pointer, started],
                      lambda seq: {40: ("1", "2")}[seq]))  # fmt: skip
    assert all(tuple(row) == COLUMNS for row in rows)
    seen = [(row["event"], row["document_id"], row["field"]) for row in rows]
    assert seen == [
        ("rejected", "1", ""), ("cured", "1", ""), ("sending", "1", "status"),
        ("sending", "1", "memo"), ("unchanged", "1", ""), ("unchanged", "2", ""),
        ("unchanged", "1", ""), ("unchanged", "2", ""), ("started", "", ""),
    ]  # fmt: skip
    assert (rows[2]["old"], rows[2]["new"]) == ("open", "paid")
    assert "owner jane" in rows[1]["cured_by"]
    assert rows[-1]["note"] == "trail t"
