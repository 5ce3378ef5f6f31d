import io
import json
from pathlib import Path

from rich.console import Console

from nsn_pipeline.commands.doctor import run_doctor


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


def test_json_is_one_document(tmp_path: Path) -> None:
    shown, stream = console()
    environment = {"NSN_HOME": str(tmp_path)}
    assert run_doctor(shown, as_json=True, environment=environment) == 2
    document = json.loads(stream.getvalue())
    assert document["ok"] is False
    assert {"id", "status", "title", "detail", "remedy", "facts"} == set(document["findings"][0])
