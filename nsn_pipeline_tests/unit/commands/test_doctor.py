import io
import json
from pathlib import Path

from rich.console import Console

from nsn_pipeline.commands.doctor import print_findings, run_doctor
from nsn_pipeline.doctor.finding import Finding, Status


def console() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=100), stream


def test_a_blocker_is_shown_with_its_remedy_and_exit_code_2(tmp_path: Path) -> None:
    shown, stream = console()
    environment = {"NSN_HOME": str(tmp_path), "NSN_TIMZONE": "UTC"}
    assert run_doctor(shown, as_json=False, environment=environment) == 2
    text = stream.getvalue()
    assert "Did you mean NSN_TIMEZONE?" in text
    assert "1 in the way of a run" in text


def test_what_is_in_order_and_alike_takes_one_line_and_nothing_else_is_left_out() -> None:
    tables = [
        Finding(f"netsuite.table.t{n}", Status.OK, "NetSuite table", f"t{n}: {n} of {n} columns")
        for n in range(1, 6)
    ]
    short = Finding("netsuite.table.x", Status.OK, "NetSuite table", "x: 4 of 5 columns")
    gone = Finding("netsuite.table.y", Status.FAIL, "NetSuite table", "y is hidden", "Show it.")
    shown, stream = console()
    print_findings(shown, [*tables, short, gone])
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        "ok   NetSuite table: 5 in order: t1, t2, t3, t4, t5",
        "ok   NetSuite table: x: 4 of 5 columns",
        "FAIL NetSuite table: y is hidden",
        "     -> Show it.",
        "",
        "6 in order, 1 in the way of a run: netsuite.table.y.",
    ]


def test_json_is_one_document(tmp_path: Path) -> None:
    shown, stream = console()
    environment = {"NSN_HOME": str(tmp_path)}
    assert run_doctor(shown, as_json=True, environment=environment) == 2
    document = json.loads(stream.getvalue())
    assert document["ok"] is False
    assert {"id", "status", "title", "detail", "remedy", "facts"} == set(document["findings"][0])
