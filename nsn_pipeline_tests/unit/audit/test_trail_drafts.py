"""What the gate and the load write down, and what made the difference to a cured document."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from nsn_pipeline.audit.trail_cures import Use, cures, ways
from nsn_pipeline.audit.trail_drafts import (
    Step,
    gate_drafts,
    load_drafts,
    private_values,
    sending_drafts,
)
from nsn_pipeline.audit.trail_entry import Draft, Event, data_digest
from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy
from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline.conform.reasons import Problem, Reason
from nsn_pipeline.load.plan import Change
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import Converter, TargetColumn
from nsn_pipeline_tests.unit.conform.world import (
    GL_ROWS,
    bill,
    context,
    judge,
    line,
    main_line,
    overrides,
    references,
)

SEED = load_profile("seed")
PRIVACY = Privacy.of(SEED)
STEP = Step("run-1", "vendor_bill", "2026-03-02")


@dataclass(frozen=True)
class Stood:
    state: str
    digest: str | None = None


def row(reason: str = "MISSING_GL_ACCOUNT", **changed: Any) -> dict[str, Any]:
    values = {"reason": reason, "line_id": "1", "column": "account_id", "value": "7160",
              "remedy": "Add it.", "reference": "gl_account:7160", "tranid": "INV-1",
              "vendor": "Acme", "subsidiary": "Leeds", "amount": Decimal("1250.00"),
              "currency": "GBP", "url": "https://x"}  # fmt: skip
    return values | changed


def gate(
    problems: dict[str, list[dict[str, Any]]],
    stood: dict[str, Stood],
    accepted: Collection[str] = (),
    skipped: Collection[str] = (),
) -> list[Draft]:
    return gate_drafts(
        STEP, accepted=accepted, skipped=skipped, problems=problems, stood=stood,
        cures=lambda document_id, waits, passes: [{"of": document_id, "passes": passes}],
        privacy=PRIVACY,
    )  # fmt: skip


def kinds(drafts: list[Draft]) -> list[tuple[str, str | None, tuple[str, ...]]]:
    return [(draft.event.value, draft.document_id, draft.documents) for draft in drafts]


def digest(draft: Draft) -> str:
    return data_digest({"problems": draft.data["problems"]})


def test_a_first_rejection_tells_every_problem_and_the_document() -> None:
    (told,) = gate({"1": [row(), row("MISSING_COST_CENTER", line_id=None, reference=None)]}, {})
    assert told.event is Event.REJECTED
    assert told.data["document"] == {
        "tranid": "INV-1", "vendor": "Acme", "subsidiary": "Leeds", "amount": "1250",
        "currency": "GBP", "url": "https://x",
    }  # fmt: skip
    assert told.data["problems"][0] == {
        "reason": "MISSING_GL_ACCOUNT", "line": "1", "column": "account_id", "value": "7160",
        "remedy": "Add it.", "reference": "gl_account:7160",
    }  # fmt: skip
    assert "line" not in told.data["problems"][1]


def test_the_same_problems_again_are_only_listed() -> None:
    before = {"1": Stood("rejected", digest(gate({"1": [row()]}, {})[0]))}
    assert kinds(gate({"1": [row()]}, before)) == [("still_rejected", None, ("1",))]


@pytest.mark.parametrize("changed", [{"value": "7170"}, {"line_id": "2"}, {"remedy": "Other."}])
def test_problems_that_changed_are_told_anew_with_what_was_cured(changed: dict[str, str]) -> None:
    before = {"1": Stood("rejected", digest(gate({"1": [row()]}, {})[0]))}
    (told,) = gate({"1": [row(**changed)]}, before)
    assert told.event is Event.REJECTED
    assert told.data["cured"] == [{"of": "1", "passes": False}]


def test_a_document_that_passes_after_a_rejection_is_cured_and_others_only_accepted() -> None:
    stood = {"1": Stood("rejected"), "2": Stood("ok"), "3": Stood("cured")}
    assert kinds(gate({}, stood, accepted=["1", "2", "3", "4"], skipped=["4"])) == [
        ("cured", "1", ()),
        ("accepted", None, ("1", "2", "3")),
        ("nothing_to_write", None, ("4",)),
    ]


def change(kind: str = "update", document_id: str = "1", **values: Any) -> Change:
    defaults = {"values": {"name": "new"}, "before": {"name": "old"}}
    return Change(kind, f"{document_id}-k", document_id, "s" * 32, **(defaults | values))  # pyright: ignore[reportArgumentType]


def test_what_is_sent_is_told_field_by_field() -> None:
    created = change("create", values={"name": "new", "phone": ""}, before={})
    deleted = change("retire", "2", values={}, before={"name": "old", "phone": ""})
    first, second = sending_drafts(
        "r", "vendor", "core_company", [created, change(), deleted], PRIVACY
    )
    assert (first.document_id, second.document_id) == ("1", "2")
    assert [record["fields"] for record in first.data["records"]] == [
        {"name": ("", "new")},
        {"name": ("old", "new")},
    ]
    assert second.data["records"] == [
        {"key": "2-k", "sys_id": "s" * 32, "kind": "retire", "fields": {"name": ("old", "")}}
    ]


def load(failed: dict[str, list[Problem]], stood: dict[str, Stood], **secrets: Any) -> list[Draft]:
    return load_drafts(
        STEP, loaded=["1", "2"], left=["3"], failed=failed, sent={"1", "9"}, stood=stood,
        privacy=PRIVACY, secrets=secrets,
    )  # fmt: skip


def refusal(words: str) -> Problem:
    return Problem(Reason.REFUSED_BY_SERVICENOW, None, "", words, f"Refused: {words}.")


def test_loaded_documents_are_told_apart_by_whether_anything_was_sent() -> None:
    assert kinds(load({}, {})) == [
        ("written", None, ("1",)),
        ("unchanged", None, ("2",)),
        ("left", None, ("3",)),
    ]


def test_a_failure_is_told_once_and_then_listed() -> None:
    first = load({"9": [refusal("no")]}, {})[0]
    assert (first.event, first.document_id) == (Event.FAILED, "9")
    again = load({"9": [refusal("no")]}, {"9": Stood("failed", digest(first))})[0]
    assert (again.event, again.documents) == (Event.STILL_FAILED, ("9",))
    other = load({"9": [refusal("other")]}, {"9": Stood("failed", digest(first))})[0]
    assert other.event is Event.FAILED


# --- canaries: what must never arrive ---------------------------------------------------------

CANARY = "CANARY-40044053"


@pytest.fixture
def secretive() -> Privacy:
    vendor = SEED.targets["vendor"]
    columns = (
        TargetColumn("u_bank_account", "custentity_bank", Converter("text", "40")),
        TargetColumn("u_note", "custentity_note", Converter("text", "40"), private=True),
    )
    changed = replace(vendor, columns=(*vendor.columns, *columns))
    return Privacy.of(replace(SEED, targets={**SEED.targets, "vendor": changed}))


def test_bank_data_and_private_columns_do_not_arrive(secretive: Privacy) -> None:
    sent = change(
        values={"u_bank_account": CANARY, "u_note": f"{CANARY}2", "name": "Acme"},
        before={"u_bank_account": f"{CANARY}3", "u_note": "", "name": "Acme Ltd"},
    )
    drafts = sending_drafts("r", "vendor", "core_company", [sent], secretive)
    problems = {
        "1": [row("TEXT_TOO_LONG", column="custentity_bank", value=CANARY, remedy=f"{CANARY} is")],
        "2": [row("TEXT_TOO_LONG", column="u_note", value=CANARY, remedy=f"{CANARY} is")],
    }
    drafts += gate_drafts(
        STEP, accepted=(), skipped=(), problems=problems, stood={},
        cures=lambda *_: [], privacy=secretive,
    )  # fmt: skip
    failed = {
        "1": [
            refusal(f"the account {CANARY} is not valid, nor is {CANARY}2"),
            Problem(Reason.NOT_STORED, None, "u_bank_account", CANARY, f"stored '{CANARY}9'"),
        ]
    }
    drafts += load_drafts(
        STEP, loaded=(), left=(), failed=failed, sent=(), stood={}, privacy=secretive,
        secrets=private_values("core_company", [sent], secretive),
    )  # fmt: skip
    told = str(drafts)
    assert "CANARY" not in told
    assert told.count(WITHHELD) > 5
    assert "Acme Ltd" in told


# --- cures --------------------------------------------------------------------------------------


def crosswalk(**changed: Any) -> Crosswalk:
    return context(references(**changed), SEED).gl_crosswalk


MISSING = [{"reason": "MISSING_GL_ACCOUNT", "reference": "gl_account:7160", "line": "1"}]
NEW_ROW = {"sys_id": "new7160", "account_number": "7160"}


def of(
    problems: list[dict[str, str]],
    walk: Crosswalk,
    rows: list[dict[str, Any]],
    holds: Collection[str],
    *,
    waits_for: Collection[str] = (),
    accepted: bool = True,
    office: str = "3",
    account: str = "716",
) -> list[dict[str, Any]]:
    use = Use("gl_account", account, office, date(2026, 3, 2))
    numbered = (replace(one, line=number) for number, one in enumerate(walk.overrides, 2))
    walk = replace(walk, overrides=tuple(numbered))  # as read from a file with a header
    file = overrides(rows).set_axis(pd.Index(range(2, len(rows) + 2)), axis=0)
    return cures(
        problems, waits_for, accepted=accepted, holds=holds,
        lead=lambda reference: ways(walk, file, reference, [use]), suppliers={"451"},
    )  # fmt: skip


def test_an_account_that_was_added_is_named_with_its_sys_id() -> None:
    walk = crosswalk(gl_accounts=[*GL_ROWS, NEW_ROW])
    (cure,) = of(MISSING, walk, [], {"new7160"})
    assert cure == {
        "reason": "MISSING_GL_ACCOUNT", "reference": "gl_account:7160", "how": "account",
        "servicenow_code": "7160", "sys_id": "new7160",
    }  # fmt: skip


def test_an_override_is_named_with_file_line_and_owner() -> None:
    rows = [
        {"netsuite_code": "6420", "servicenow_code": "5800"},
        {"netsuite_code": "7160", "servicenow_code": "5800", "owner": "jane", "note": "merged"},
    ]
    walk = crosswalk(gl_overrides=rows)
    (cure,) = of(MISSING, walk, rows, {"gl5800"})
    assert (cure["how"], cure["file"], cure["line"]) == ("override", "mappings/gl_accounts.csv", 3)
    assert (cure["owner"], cure["note"], cure["sys_id"]) == ("jane", "merged", "gl5800")


def test_what_the_document_itself_carries_decides_between_several_ways() -> None:
    rows = [{"netsuite_id": "716", "servicenow_code": "5800", "subsidiary_id": "1"}]
    walk = crosswalk(gl_overrides=rows, gl_accounts=[*GL_ROWS, NEW_ROW])
    assert of(MISSING, walk, rows, {"new7160"})[0]["how"] == "account"
    assert of(MISSING, walk, rows, {"gl5800"}, office="1")[0]["how"] == "override"
    assert of(MISSING, walk, rows, {"gl5800"})[0]["how"] == "changed"


OFFICES = [
    {"netsuite_code": "7160", "subsidiary_id": "2", "servicenow_code": "5800", "owner": "a"},
    {"netsuite_code": "7160", "subsidiary_id": "3", "servicenow_code": "5800", "owner": "b",
     "valid_to": "2026-03-01"},
    {"netsuite_code": "7160", "subsidiary_id": "3", "servicenow_code": "5800", "owner": "c",
     "valid_from": "2026-03-02"},
]  # fmt: skip


@pytest.mark.parametrize("accepted", [True, False])
def test_the_override_of_the_documents_own_office_and_day_is_named(accepted: bool) -> None:
    """All three lines lead to the same account: only one of them cured this bill."""
    walk = crosswalk(gl_overrides=[dict(row) for row in OFFICES])
    held = {"gl5800"} if accepted else set[str]()
    (cure,) = of(MISSING, walk, OFFICES, held, accepted=accepted)
    assert (cure["line"], cure["subsidiary_id"], cure["owner"]) == (4, "3", "c")
    (other,) = of(MISSING, walk, OFFICES, held, accepted=accepted, office="2")
    assert (other["line"], other["owner"]) == (2, "a")


@pytest.mark.parametrize("changed", [{"office": "4"}, {"account": "642"}])
def test_without_a_line_of_its_own_that_is_led_anywhere_nothing_is_called_its_cure(
    changed: dict[str, str],
) -> None:
    walk = crosswalk(gl_overrides=[dict(row) for row in OFFICES])
    (cure,) = of(MISSING, walk, OFFICES, (), accepted=False, **changed)
    assert cure["how"] == "changed"


def test_a_document_that_no_longer_names_the_account_was_changed() -> None:
    walk = crosswalk(gl_accounts=[*GL_ROWS, NEW_ROW])
    assert of(MISSING, walk, [], {"gl6420"})[0]["how"] == "changed"


def test_of_a_document_still_rejected_only_cured_references_are_told() -> None:
    problems = [*MISSING, {"reason": "TOTAL_MISMATCH", "column": "total"},
                {"reason": "MISSING_COST_CENTER", "reference": "cost_center:X"}]  # fmt: skip
    walk = crosswalk(gl_accounts=[*GL_ROWS, NEW_ROW])
    found = of(problems, walk, [], (), waits_for={"cost_center:X"}, accepted=False)
    assert [cure["reference"] for cure in found] == ["gl_account:7160"]


def test_several_lines_of_one_cause_are_one_cure() -> None:
    problems = [*MISSING, {**MISSING[0], "line": "2"}, {"reason": "X", "reference": "vendor:451"}]
    walk = crosswalk(gl_accounts=[*GL_ROWS, NEW_ROW])
    assert [cure["how"] for cure in of(problems, walk, [], {"new7160"})] == ["account", "supplier"]


def test_the_gates_own_rows_carry_what_a_cure_is_proven_by() -> None:
    """The accepted frame really holds the sys_id that the crosswalk leads to."""
    refs = references(gl_accounts=[*GL_ROWS, NEW_ROW])
    outcome = judge(
        "vendor_bill", [bill()], [main_line(), line(posting_account_id="716")], refs=refs
    )
    assert outcome.lines is not None
    held = {value for row in outcome.lines.to_dict("records") for value in row.values()}
    assert of(MISSING, context(refs, SEED).gl_crosswalk, [], held)[0]["how"] == "account"
