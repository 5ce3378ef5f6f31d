"""`nsn sync`: a range of days through Dagster, in as few runs as the window size allows."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from rich.console import Console

from nsn_pipeline.commands.progress import Progress
from nsn_pipeline.commands.summary import Summary, summarize
from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.orchestration.assets.retiring import ALLOW_TAG
from nsn_pipeline.orchestration.assets.servicenow import load_keys
from nsn_pipeline.orchestration.command_runs import end_the_killed
from nsn_pipeline.orchestration.jobs import DAILY_SYNC
from nsn_pipeline.orchestration.runs import DAYS_PER_RUN, RunOutcome, execute_window, windows
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What to sync: both days included; `only` limits it to the assets one record type needs.

    `allow_retire` is how many records of one table a run may retire, whatever the limits say.
    """

    first: date
    last: date
    only: tuple[str, ...] = ()
    days_per_run: int = DAYS_PER_RUN
    allow_retire: int = 0


def run_sync(
    console: Console, request: SyncRequest, *, tags: Mapping[str, str] | None = None
) -> Summary:
    """Run every window, showing progress; a failed window does not stop the ones after it.

    Raises ConfigurationError before anything runs when the range or the settings cannot be.
    """
    settings = load_settings()
    # Imported here: it reads the settings, and a command must be able to set them up first.
    from nsn_pipeline.definitions import defs

    check_range(request, settings.project.start_date, settings.project.timezone)
    job = defs.resolve_job_def(DAILY_SYNC)
    selection = _selection(defs, load_profile(settings.project.profile), request.only)
    started = time.monotonic()
    outcomes = run_windows(console, job, settings, request, selection=selection, tags=tags)
    with Connections(settings, run_id="summary") as connections:
        days = days_of(request)
        summary = summarize(connections.landing, connections.profile, days, outcomes)
    summary.seconds = time.monotonic() - started
    return summary


def run_windows(
    console: Console,
    job: dg.JobDefinition,
    settings: Settings,
    request: SyncRequest,
    *,
    selection: Sequence[dg.AssetKey] | None,
    tags: Mapping[str, str] | None = None,
) -> list[RunOutcome]:
    """Run a job over every window of the range, one after the other."""
    outcomes: list[RunOutcome] = []
    wanted = {ALLOW_TAG: str(request.allow_retire)} if request.allow_retire else {}
    with Connections(settings, run_id="nsn") as held, dg.DagsterInstance.get() as instance:
        _ = held.redis  # the embedded server lives as long as it has a user: keep it between steps
        end_the_killed(instance)
        for first, last in windows(request.first, request.last, request.days_per_run):
            with Progress(console, first, last) as progress:
                outcome = execute_window(
                    job,
                    instance,
                    first,
                    last,
                    selection=selection,
                    on_event=progress.show,
                    tags={**wanted, **(tags or {})},
                )
            outcomes.append(outcome)
    return outcomes


def check_range(request: SyncRequest, start_date: date, timezone: str) -> None:
    """Raise ConfigurationError unless every day of the range is a partition."""
    if request.last < request.first:
        msg = f"--to {request.last} is before --from {request.first}"
        raise ConfigurationError(msg)
    today = datetime.now(ZoneInfo(timezone)).date()
    if request.last > today:
        msg = f"--to {request.last} is after today, {today} in {timezone}"
        raise ConfigurationError(msg)
    if request.first < start_date:
        msg = (
            f"--from {request.first} is before the first partition, {start_date}: "
            "set NSN_START_DATE to an earlier day"
        )
        raise ConfigurationError(msg)


def days_of(request: SyncRequest) -> list[str]:
    """Every day of the range."""
    count = (request.last - request.first).days + 1
    return [(request.first + timedelta(days=n)).isoformat() for n in range(count)]


def _selection(
    defs: dg.Definitions, profile: Profile, only: Sequence[str]
) -> list[dg.AssetKey] | None:
    """The load assets of the named record types and everything they need; None for all."""
    if not only:
        return None
    keys = [key for record_type in only for key in load_keys(profile.targets[record_type])]
    return selected(defs, keys)


def selected(defs: dg.Definitions, keys: Sequence[dg.AssetKey]) -> list[dg.AssetKey]:
    """These assets and everything they need."""
    # A step that writes two assets runs whole, so what its other asset needs comes along.
    needed = dg.AssetSelection.assets(*keys).upstream().required_multi_asset_neighbors()
    selection = needed.upstream().required_multi_asset_neighbors()
    return sorted(selection.resolve(defs.resolve_asset_graph()))
