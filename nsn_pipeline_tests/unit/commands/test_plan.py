"""What `nsn plan` prints and saves."""

import io
import json
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy
from nsn_pipeline.commands import plan as command
from nsn_pipeline.commands.plan import PlanResult, load_plan, save_plan
from nsn_pipeline.commands.plan_text import print_plan
from nsn_pipeline.commands.summary import Summary
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.plan import Change, Kind
from nsn_pipeline.load.plan_document import Moved, PlanDocument, PlannedChange, Scope

TABLE = "core_company"
PRIVACY = Privacy({TABLE: frozenset({"u_note"})}, frozenset())


def change(kind: Kind, key: str, values: Mapping[str, str] = {}) -> Change:
    before = {} if kind == "create" else dict.fromkeys(values, "old")
    return Change(kind, key, key, key.rjust(32, "a"), dict(values), before)


def result(*changes: Change, superseded: Mapping[str, int] = {}) -> PlanResult:
    plan = PlanDocument(
        Scope("1234567_SB1", "dev1", "seed", "abc", "2026-03-02", "2026-03-08"),
        made_at="2026-03-09T08:00:00+00:00",
        runs=["r1"],
        changes=[PlannedChange("vendor", TABLE, one) for one in changes],
    )
    summary = Summary("2026-03-02", "2026-03-08", ["r1"])
    return PlanResult(plan, summary, PRIVACY, dict(superseded))


def printed(told: PlanResult, fields: int = 20) -> str:
    file = io.StringIO()
    print_plan(Console(file=file, width=80), told, fields=fields, rejections=5)
    return file.getvalue()


PRIVATE = result(change("update", "1", {"u_note": "secret-1", "u_iban": "secret-2", "name": "New"}))


def test_what_is_shown_withholds_private_values_and_what_is_saved_keeps_them(
    tmp_path: Path,
) -> None:
    shown = (printed(PRIVATE), json.dumps(PRIVATE.to_json()))
    for text in shown:
        assert "secret" not in text
        assert WITHHELD in text
        assert "New" in text
    path = tmp_path / "plan.json"
    save_plan(PRIVATE.plan, path)
    assert load_plan(path) == PRIVATE.plan
    assert "secret-1" in path.read_text(encoding="utf-8")


def test_json_has_no_digest_of_what_it_withholds() -> None:
    assert "digest" not in PRIVATE.to_json()


def test_a_plan_that_moved_is_told_without_private_values() -> None:
    (was,) = PRIVATE.plan.changes
    now = change("update", "1", {"u_note": "secret-3", "u_iban": "secret-2", "name": "New"})
    text = command._move(Moved(TABLE, "1", was.change, now), PRIVACY)
    assert "secret" not in text
    assert "u_note: planned" in text
    assert "u_iban" not in text  # it did not move


@pytest.mark.skipif(os.name == "nt", reason="modes say nothing there")
@pytest.mark.parametrize("exists", [False, True])
def test_a_saved_plan_is_its_owners_alone(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "plan.json"
    if exists:
        path.touch(mode=0o644)
    save_plan(PRIVATE.plan, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="no named pipes there")
def test_a_plan_may_be_saved_into_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=save_plan, args=(PRIVATE.plan, pipe))
    writing.start()
    text = pipe.read_bytes()
    writing.join()
    assert text == PRIVATE.plan.text()


def test_what_json_prints_is_refused_as_a_saved_plan(tmp_path: Path) -> None:
    path = tmp_path / "shown.json"
    path.write_text(json.dumps(PRIVATE.to_json(), indent=1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="nsn plan --save FILE"):
        load_plan(path)


def test_many_updates_hide_no_retirement() -> None:
    updates = [change("update", str(n), {"name": f"New {n}"}) for n in range(60)]
    gone = [change("retire", str(n)) for n in range(100, 105)]
    text = printed(result(*updates, *gone, change("create", "200", {"name": "Made"})))
    assert text.count("the record is deleted") == 5
    assert text.index("the record is deleted") < text.index("name: old -> New")
    assert text.count("-> New") == 20 - 5 - 1
    assert "create core_company 200" in text
    assert "and 46 more records" in text


def test_what_moved_while_it_was_planned_is_told() -> None:
    told = result(superseded={"vendor_bill": 2})
    text = " ".join(printed(told).split())
    assert "Changed in NetSuite while it was planned: not in this plan vendor_bill: 2" in text
    assert "A sync would write nothing" not in text
    assert told.to_json()["superseded"] == {"vendor_bill": 2}
    assert "A sync would write nothing" in printed(result())
