"""The generated company, synced once for all tests that only look or that start from there."""

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter

from nsn_pipeline.orchestration.runs import RunOutcome
from nsn_pipeline_tests.support.company import Company, build_once, company, copied

Open = Callable[..., Company]


@dataclass(frozen=True, slots=True)
class CheckResult:
    asset: str
    check: str
    day: str | None
    passed: bool


@dataclass(frozen=True, slots=True)
class FirstSync:
    """What the first sync of the whole week left behind: files to look at, and what it told."""

    home: Path
    outcome: RunOutcome
    checks: tuple[CheckResult, ...]
    materialized: dict[str, frozenset[str]]
    writes: int


def _first_sync(directory: Path) -> None:
    with company(directory) as fresh:
        outcome = fresh.sync()
        told = FirstSync(
            directory,
            outcome,
            tuple(check_results(fresh)),
            {
                spec.key.to_user_string(): frozenset(
                    fresh.instance.get_materialized_partitions(spec.key)
                )
                for spec in fresh.definitions.resolve_all_asset_specs()
                if spec.partitions_def is not None
            },
            len(fresh.writes),
        )
    (directory / "first.pickle").write_bytes(pickle.dumps(told))


def check_results(synced: Company) -> Iterator[CheckResult]:
    """Every check result the instance holds, with the day it is recorded under."""
    storage = synced.instance.event_log_storage
    for key in synced.definitions.resolve_asset_graph().asset_check_keys:
        for record in storage.get_asset_check_execution_history(check_key=key, limit=1000):
            evaluation: Any = record.event.dagster_event.event_specific_data
            if isinstance(evaluation, dg.AssetCheckEvaluation):
                yield CheckResult(
                    key.asset_key.to_user_string(), key.name, record.partition, evaluation.passed
                )


@pytest.fixture(scope="session")
def first_sync(tmp_path_factory: pytest.TempPathFactory) -> FirstSync:
    """The week synced into an empty ServiceNow; for looking only."""
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent  # shared between the workers
    home = build_once(base / "first-sync", _first_sync)
    told = pickle.loads((home / "first.pickle").read_bytes())  # noqa: S301 - written above
    assert told.outcome.success, told.outcome.errors
    return told


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens companies: a fresh one, or a copy of another's home."""
    with ExitStack() as stack:

        def open_company(original: Path | None = None, **options: Any) -> Company:
            home = tmp_path / "home"
            if original is not None:
                copied(original, home)
            context: AbstractContextManager[Company] = company(home, **options)
            return stack.enter_context(context)

        yield open_company


@pytest.fixture
def synced(first_sync: FirstSync, opened: Open) -> Company:
    """The company after its first sync, to do anything with."""
    return opened(first_sync.home)


def evaluation(company: Company, asset: str, name: str, day: date | str) -> Mapping[str, Any]:
    """What the day's last result of a check says."""
    (record,) = company.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset.split("/")), name),
        limit=1,
        partition_filter=PartitionKeyFilter(key=str(day)),
    )
    assert record.event is not None
    assert record.event.dagster_event is not None
    told: Any = record.event.dagster_event.event_specific_data
    assert not told.passed
    return told.metadata
