"""A run whose event log keeps its connections tells the same as any other, to everybody."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from nsn_pipeline.orchestration.kept_log import kept_log
from nsn_pipeline_tests.support.project import project_copy


@dg.asset(check_specs=[dg.AssetCheckSpec("adds_up", asset="bills")])
def bills(context: dg.AssetExecutionContext) -> Iterator[Any]:
    context.log.info("reading")
    yield dg.MaterializeResult(metadata={"rows": 3})
    yield dg.AssetCheckResult(passed=False, metadata={"missing": 1})


JOB = dg.Definitions(assets=[bills], jobs=[dg.define_asset_job("all")]).resolve_job_def("all")
CHECK = dg.AssetCheckKey(bills.key, "adds_up")


def run(instance: dg.DagsterInstance) -> str:
    return JOB.execute_in_process(instance=instance).run_id


def told(folder: Path, run_id: str) -> tuple[Any, ...]:
    """What another process finds of the run."""
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        events = [event.dagster_event for event in instance.all_logs(run_id)]
        latest = instance.get_latest_materialization_event(bills.key)
        checks = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=9)
        run_ = instance.get_run_by_id(run_id)
        assert run_ is not None
        return (
            run_.status,
            [event.event_type_value for event in events if event is not None],
            latest.asset_materialization.metadata if latest else None,
            [(check.run_id == run_id, check.status) for check in checks],
        )


@contextmanager
def counted(folder: str) -> Iterator[list[str]]:
    """The files of the event log, as often as they are opened."""
    opened: list[str] = []

    def note(connection: Any, _record: Any) -> None:
        ((_, _, file),) = connection.execute("PRAGMA database_list").fetchall()
        if Path(file).parent == Path(folder):
            opened.append(file)

    db.event.listen(db.Engine, "connect", note)
    try:
        yield opened
    finally:
        db.event.remove(db.Engine, "connect", note)


def test_another_process_finds_the_same_and_few_connections_were_opened(tmp_path: Path) -> None:
    found, opened = [], []
    for way, keeping in ("own", lambda _: nullcontext()), ("kept", kept_log):
        (tmp_path / way).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / way)) as instance:
            storage: Any = instance.event_log_storage
            with counted(storage._base_dir) as files, keeping(instance):
                run_id = run(instance)
            opened.append(len(files))
        found.append(told(tmp_path / way, run_id))
    assert found[0] == found[1]
    status, kinds, metadata, checks = found[1]
    assert status == dg.DagsterRunStatus.SUCCESS
    assert {"ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "PIPELINE_SUCCESS"} <= set(kinds)
    assert metadata == {"rows": dg.MetadataValue.int(3)}
    assert len(checks) == 1
    assert opened[1] < 8  # two files, and what making the second one takes
    assert 5 * opened[1] < opened[0]


def test_the_log_is_dagsters_own_again_afterwards(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        storage: Any = instance.event_log_storage
        before = storage._connect.__func__
        with pytest.raises(ZeroDivisionError), kept_log(instance):
            raise ZeroDivisionError
        assert storage._connect.__func__ is before
        with kept_log(instance), kept_log(instance):  # two runs of one process
            run(instance)
        assert "_connect" not in vars(storage)
        assert instance.get_run_by_id(run(instance)) is not None


def test_what_was_told_before_a_crash_stays(tmp_path: Path) -> None:
    """Each event is committed by itself: another connection sees it while the run goes on."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, kept_log(instance):
        run_id = run(instance)
        assert told(tmp_path, run_id)[0] == dg.DagsterRunStatus.SUCCESS


def test_the_live_view_of_another_process_sees_events_while_the_run_goes_on(
    tmp_path: Path,
) -> None:
    """It waits for the run's file to change, as Dagster's webserver does."""
    seen = threading.Event()

    @dg.asset
    def slow(context: dg.AssetExecutionContext) -> None:
        context.log.info("begun")
        assert seen.wait(30)

    run_id = "6f1c2b7e-6d3e-4a57-9d0a-0c5d8a2f9b11"

    def note(event: dg.EventLogEntry, _cursor: str) -> None:
        if event.user_message == "begun":
            seen.set()

    with (
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
        dg.DagsterInstance.local_temp(str(tmp_path)) as webserver,
        kept_log(instance),
    ):
        definitions = dg.Definitions(assets=[slow], jobs=[dg.define_asset_job("all")])
        job = definitions.resolve_job_def("all")
        instance.event_log_storage.get_logs_for_run(run_id)  # its file is there
        webserver.watch_event_logs(run_id, None, note)
        result = job.execute_in_process(instance=instance, run_id=run_id, raise_on_error=False)
        webserver.end_watch_event_logs(run_id, note)
    assert result.success


def test_other_storages_are_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance, kept_log(instance):
        assert "_connect" not in vars(instance.event_log_storage)


def test_the_checkouts_instance_is_one_whose_log_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_copy(tmp_path / "checkout"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "checkout"))
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
