"""The trail of a synced company tells every document's life, through crashes and a lost Redis."""

import csv
import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from nsn_pipeline.audit.trail_story import Story, story
from nsn_pipeline.commands.audit import export_trail, show_document, verify_trail
from nsn_pipeline.sandbox.data.gaps import MISSING_GL_ACCOUNTS
from nsn_pipeline.state.job_state import DocumentState, Status
from nsn_pipeline.state.trail_recorder import TrailRecorder
from nsn_pipeline_tests.end_to_end.conftest import FirstSync
from nsn_pipeline_tests.support.company import Company, servicenow_rows

pytestmark = pytest.mark.slow

CODE = MISSING_GL_ACCOUNTS[0]


def told(company: Company, record_type: str, document_id: str) -> Story:
    with company.connected() as connections:
        found = story(record_type, document_id, connections.trail.story(record_type, document_id))
    assert found is not None
    return found


def states(company: Company) -> dict[tuple[str, str], DocumentState]:
    with company.connected() as connections:
        return {
            (state.record_type, state.document_id): state
            for status in Status
            for state in connections.job_state.by_status(status)
        }


def waiting_bill(company: Company, code: str = CODE) -> DocumentState:
    """A bill that waits for this account and for nothing else."""
    with company.connected() as connections:
        waiting = connections.job_state.waiting_for(f"gl_account:{code}")
    return next(
        state for state in waiting
        if state.record_type == "vendor_bill" and len(state.references) == 1
    )  # fmt: skip


def segments(home: Path) -> list[Path]:
    return sorted((home / "audit").glob("*/trail-*.jsonl"))


def test_every_document_of_the_first_sync_is_in_the_trail(
    synced: Company, first_sync: FirstSync
) -> None:
    known = states(synced)
    with synced.connected() as connections:
        trail = connections.trail
        for record_type in {kind for kind, _ in known}:
            ids = [one for kind, one in known if kind == record_type]
            stood = trail.known(record_type, ids)
            assert sorted(stood) == sorted(ids)
            failing = {one for one, found in stood.items() if found.state != "ok"}
            assert failing == {one for one in ids if known[record_type, one].failing_since}
        assert trail.verify().intact
    document = next(one for (kind, one), state in known.items()
                    if kind == "vendor_bill" and state.status is Status.LOADED)  # fmt: skip
    life = told(synced, "vendor_bill", document)
    assert [attempt.outcome for attempt in life.attempts] == ["written"]
    invoice = servicenow_rows(synced.home, "sn_apo_invoice")[
        life.sys_ids["sn_apo_invoice"][document]
    ]
    (sent,) = [e.data for a in life.attempts for e in a.entries if e.data.get("records")
               and e.data["table"] == "sn_apo_invoice"]  # fmt: skip
    fields = sent["records"][0]["fields"]
    for column in ("supplier_invoice_number", "supplier", "u_netsuite_id"):
        assert fields[column] == ["", invoice[column]], column
    assert Decimal(fields["u_total_amount"][1]) == Decimal(invoice["u_total_amount"])
    assert life.attempts[0].run_id == first_sync.outcome.run_id


def test_the_life_of_a_bill_from_rejection_to_cure_by_a_new_account(
    synced: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = waiting_bill(synced)
    synced.add_to_servicenow("itfm_gl_accounts", {"account_number": CODE, "account_name": "New"})
    (account,) = [sys_id for sys_id, row in servicenow_rows(synced.home, "itfm_gl_accounts").items()
                  if row["account_number"] == CODE]  # fmt: skip
    run = synced.sync_day(waiting.partition)
    assert run.success
    life = told(synced, "vendor_bill", waiting.document_id)
    assert [attempt.outcome for attempt in life.attempts] == ["rejected", "written"]
    (problem,) = life.attempts[0].entries[0].data["problems"]
    assert (problem["reason"], problem["reference"]) == ("MISSING_GL_ACCOUNT", f"gl_account:{CODE}")
    assert problem["line"]
    assert CODE in problem["remedy"]
    (cure,) = [c for e in life.attempts[1].entries for c in e.data.get("cured", ())]
    assert (cure["how"], cure["sys_id"]) == ("account", account)
    assert life.attempts[1].run_id == run.run_id
    assert life.failing_since is None
    show_document(Console(width=80), "vendor_bill", waiting.document_id, every=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["standing"] == "written"


def test_an_override_that_cured_a_bill_is_named_with_its_line(synced: Company) -> None:
    waiting = waiting_bill(synced)
    synced.override("gl_accounts", CODE, "8000")
    assert synced.sync_day(waiting.partition).success
    life = told(synced, "vendor_bill", waiting.document_id)
    (cure,) = [c for a in life.attempts for e in a.entries for c in e.data.get("cured", ())]
    assert (cure["how"], cure["line"], cure["owner"]) == ("override", 2, "finance")
    assert cure["servicenow_code"] == "8000"


def test_redis_lost_entirely_comes_back_the_same_with_its_ages_and_without_a_write(
    synced: Company,
) -> None:
    before = states(synced)
    assert any(state.failing_since for state in before.values())
    writes = len(synced.writes)
    with synced.connected() as connections:
        connections.redis.client.flushall()
    assert not states(synced)
    assert synced.sync().success
    assert len(synced.writes) == writes
    after = states(synced)

    def lasting(found: dict[tuple[str, str], DocumentState]) -> dict[object, object]:
        return {
            key: (s.status, s.partition, s.reasons, s.references, s.content_hash, s.sys_id, s.as_of)
            for key, s in found.items()
        }

    assert lasting(after) == lasting(before)
    for key, state in after.items():
        # The trail is written before job state, within the same step.
        slack = timedelta(minutes=2)
        assert state.first_seen is not None
        assert before[key].first_seen is not None
        assert abs(state.first_seen - before[key].first_seen) < slack
        assert (state.failing_since is None) == (before[key].failing_since is None)
        if state.failing_since and before[key].failing_since:
            assert abs(state.failing_since - before[key].failing_since) < slack
            assert state.failing_since < state.updated_at - timedelta(microseconds=1)
            assert state.failing_since == state.first_seen


def test_a_run_cut_short_after_its_writes_is_told_and_the_next_one_finds_them(
    synced: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kill between ServiceNow's answer and our note of it."""
    waiting = waiting_bill(synced)
    synced.add_to_servicenow("itfm_gl_accounts", {"account_number": CODE, "account_name": "New"})

    def killed(*_arguments: object, **_options: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(TrailRecorder, "loaded", _only_for("vendor_bill", killed))
        assert not synced.sync_day(waiting.partition).success
    life = told(synced, "vendor_bill", waiting.document_id)
    assert life.outcome == "cut short"
    sent = life.unproven_sys_ids
    assert sent["sn_apo_invoice"]
    assert life.sys_ids == {}  # nothing says yet that they are there
    writes = [one for one in synced.writes if "sn_apo_invoice" in one]
    assert synced.sync_day(waiting.partition).success
    assert [one for one in synced.writes if "sn_apo_invoice" in one] == writes
    after = told(synced, "vendor_bill", waiting.document_id)
    assert [attempt.outcome for attempt in after.attempts] == ["rejected", "cut short", "unchanged"]
    assert (after.sys_ids, after.unproven_sys_ids) == (sent, {})
    with synced.connected() as connections:
        assert connections.trail.verify().intact


def _only_for(record_type: str, then: Callable[[], None]) -> Callable[..., None]:
    original: Callable[..., None] = TrailRecorder.loaded

    def loaded(self: TrailRecorder, kind: str, *arguments: object, **options: object) -> None:
        if kind == record_type:
            then()
        original(self, kind, *arguments, **options)

    return loaded


def test_no_secret_of_either_system_is_in_the_trail(synced: Company) -> None:
    content = b"".join(path.read_bytes() for path in (synced.home / "audit").rglob("*")
                       if path.is_file())  # fmt: skip
    secrets = [
        value
        for system in ("netsuite", "servicenow")
        for name, value in synced.info[system].items()
        if isinstance(value, str) and any(w in name for w in ("secret", "password", "key", "token"))
    ]
    assert len(secrets) > 3
    for secret in secrets:
        assert secret.encode() not in content
        assert json.dumps(secret)[1:-1].encode() not in content


def test_verify_and_export_through_the_commands(
    synced: Company,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    waiting = waiting_bill(synced)
    assert synced.sync_day(waiting.partition).success
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: nullcontext(synced.instance))
    assert verify_trail(Console(), as_json=True)
    result = json.loads(capsys.readouterr().out)
    sources = {anchor["source"].split(" ")[0] for anchor in result["anchors"]}
    assert (result["intact"], sources) == (True, {"Redis", "Dagster"})

    out = tmp_path / "out.csv"
    first, last = date(2000, 1, 1), date(2100, 1, 1)
    export_trail(Console(quiet=True), first, last, form="csv", out=out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    of_bill = [row for row in rows if row["document_id"] == waiting.document_id
               and row["record_type"] == "vendor_bill"]  # fmt: skip
    assert [row["event"] for row in of_bill] == ["rejected", "still_rejected"]
    assert not any(cell.startswith(("=", "@", "+")) for row in rows for cell in row.values())
    export_trail(Console(quiet=True), first, date(2000, 1, 2), form="jsonl", out=out)
    assert not out.read_text()

    (path,) = segments(synced.home)
    content = bytearray(path.read_bytes())
    position = len(content) // 2
    content[position] ^= 1
    path.write_bytes(content)
    assert not verify_trail(Console(width=200), as_json=False)
    line = content[:position].count(b"\n") + 1
    text = capsys.readouterr().out
    assert f"{path.name} line {line}" in text
    assert os.linesep in text
