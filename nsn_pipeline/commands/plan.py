"""`nsn plan`: what a sync of a range of days would change. Nothing is written to ServiceNow.

And the check before `nsn sync --plan`: plan again, and refuse when anything has moved.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import dagster as dg
import orjson
from rich.console import Console

from nsn_pipeline.audit.plan_privacy import shown_apart, shown_change
from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.commands.plan_outcome import left_out
from nsn_pipeline.commands.summary import Summary, summarize
from nsn_pipeline.commands.sync import (
    SyncRequest,
    check_range,
    days_of,
    run_sync,
    run_windows,
    selected,
)
from nsn_pipeline.connections import Connections
from nsn_pipeline.credentials.private_files import replace_private
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.frames import records_of
from nsn_pipeline.load.plan import Change, Kind
from nsn_pipeline.load.plan_document import (
    WRITING,
    Failing,
    Moved,
    PlanDocument,
    PlannedChange,
    Scope,
    moved,
    read_plan,
)
from nsn_pipeline.orchestration.assets import conformed, deletions, netsuite
from nsn_pipeline.orchestration.assets.conformed import CONFORMED, Conformed
from nsn_pipeline.orchestration.assets.planning import read_planned
from nsn_pipeline.orchestration.assets.servicenow import AFTER
from nsn_pipeline.orchestration.planning import APPROVED_TAG, PLAN_JOB, PLAN_KEY, keep_plan
from nsn_pipeline.orchestration.runs import RunOutcome
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.settings import load_settings

MOVES_SHOWN = 20  # of a plan that no longer holds; more than a person reads before planning again

SHOWN_FORMAT = "nsn-plan-shown/1"  # what --json prints: no plan to carry out


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A plan, and what the gate said of the same documents.

    `superseded` counts per record type documents that changed in NetSuite while it was planned: no
    plan of what was read would be right, and the day they are on now has them.
    """

    plan: PlanDocument
    summary: Summary
    privacy: Privacy
    superseded: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """The plan without private values, with what the gate rejected beside it.

        It has no digest: of a value that is easy to guess a digest tells as much as the value.
        """
        changes = [
            replace(one, change=shown_change(self.privacy, one.table, one.change))
            for one in self.plan.changes
        ]
        body = replace(self.plan, changes=changes).to_json()
        del body["digest"]
        told = self.summary.to_json()
        return body | {
            "format": SHOWN_FORMAT,
            "superseded": self.superseded,
            "seconds": told["seconds"],
            "types": told["types"],
            "rejections": told["rejections"],
            "missing": told["missing"],
            "errors": told["errors"],
        }

    @property
    def has_findings(self) -> bool:
        """Whether a person has something to do before all documents can be written."""
        return self.summary.rejected > 0 or bool(self.plan.failing)


def run_plan(console: Console, request: SyncRequest) -> PlanResult:
    """Plan every window, showing progress.

    Raises ConfigurationError before anything runs when the range or the settings cannot be.
    """
    settings = load_settings()
    # Imported here: it reads the settings, and a command must be able to set them up first.
    from nsn_pipeline.definitions import defs

    check_range(request, settings.project.start_date, settings.project.timezone)
    load_profile(settings.project.profile)
    selection = _selection(defs, request.only)
    started = time.monotonic()
    outcomes = run_windows(
        console, defs.resolve_job_def(PLAN_JOB), settings, request, selection=selection
    )
    with Connections(settings, run_id="summary", is_plan=True) as connections:
        days = days_of(request)
        summary = summarize(connections.landing, connections.profile, days, outcomes)
        plan = _assemble(connections, request, outcomes)
        privacy = Privacy.of(connections.profile)
    summary.seconds = time.monotonic() - started
    return PlanResult(plan, summary, privacy, _superseded(outcomes))


def save_plan(plan: PlanDocument, path: Path) -> None:
    """Write the plan to a file that only its owner may read: it holds every value."""
    if path.exists() and not path.is_file():  # a pipe: there is nothing to replace, nor to keep
        try:
            path.write_bytes(plan.text())
        except OSError as error:
            raise ConfigurationError(f"the plan cannot be saved to {path}: {error}") from error
    else:
        replace_private(path, plan.text())


def load_plan(path: Path) -> PlanDocument:
    """A saved plan, as it was saved; raises ConfigurationError for any other file."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the plan {path} cannot be read: {error}") from error
    try:
        return read_plan(text, str(path))
    except ConfigurationError as error:
        if SHOWN_FORMAT.encode() in text[:200]:
            raise ConfigurationError(
                f"{path} is what `nsn plan --json` printed. To carry a plan out, keep it with "
                "`nsn plan --save FILE`"
            ) from error
        raise


def request_of(plan: PlanDocument) -> SyncRequest:
    """The sync that a plan was made for."""
    scope = plan.scope
    return SyncRequest(
        first=date.fromisoformat(scope.first_day),
        last=date.fromisoformat(scope.last_day),
        only=scope.only,
        days_per_run=scope.days_per_run,
        allow_retire=scope.allow_retire,
    )


def check_plan(console: Console, plan: PlanDocument) -> None:
    """Plan again; raises ConfigurationError, saying what moved, unless it comes to the same."""
    request = request_of(plan)
    with Connections(load_settings(), run_id="plan") as connections:
        now = _scope(connections, request)
    _check_scope(plan.scope, now)
    result = run_plan(console, request)
    if result.summary.errors:
        listed = "\n  ".join(result.summary.errors)
        raise ConfigurationError(f"nothing was written: planning again failed\n  {listed}")
    moves = moved(plan.changes, result.plan.changes)
    if not moves:
        return
    listed = [_move(one, result.privacy) for one in moves[:MOVES_SHOWN]]
    if len(moves) > MOVES_SHOWN:
        listed.append(f"and {len(moves) - MOVES_SHOWN:,} more")
    text = "\n  ".join(listed)
    raise ConfigurationError(
        f"nothing was written: since {plan.made_at} the plan has moved for {len(moves):,} "
        f"record(s). Plan again, and look at it again.\n  {text}"
    )


def _move(one: Moved, privacy: Privacy) -> str:
    planned, now = shown_apart(privacy, one.table, one.planned, one.now)
    return f"{one.table} {one.key}: {'; '.join(replace(one, planned=planned, now=now).lines())}"


def apply_plan(console: Console, path: Path) -> Summary:
    """Carry out a saved plan, if planning again comes to the same; otherwise write nothing.

    The two systems go on while it is written. A change that is due by then and is not the agreed
    one is left alone and fails its document with NOT_IN_PLAN; the last notes say which changes were
    left out and why. The rest is written (docs/decisions/0013), and never what was not agreed.
    """
    plan = load_plan(path)
    check_plan(console, plan)
    console.print("The plan still holds. Carrying it out.")
    with dg.DagsterInstance.get() as instance:
        digest = keep_plan(load_settings().project.home, plan, instance)
    summary = run_sync(console, request_of(plan), tags={APPROVED_TAG: digest})
    summary.notes.append(f"{summary.written:,} of {plan.writes:,} planned changes carried out")
    if summary.written < plan.writes:
        with Connections(load_settings(), run_id="plan") as connections:
            left = left_out(plan.changes, connections.trail.entries(), summary.runs)
        summary.notes.extend(left.notes())
    return summary


_SCOPE_WORDS = {
    "account": "for NetSuite account",
    "instance": "for ServiceNow instance",
    "profile": "with profile",
}


def _check_scope(planned: Scope, now: Scope) -> None:
    for name, words in _SCOPE_WORDS.items():
        was, is_now = getattr(planned, name), getattr(now, name)
        if was != is_now:
            raise ConfigurationError(f"the plan was made {words} {was}, and this is {is_now}")
    if planned.mapping != now.mapping:
        raise ConfigurationError(
            "the profile or the overrides in mappings/ changed since the plan was made: plan again"
        )


def _scope(connections: Connections, request: SyncRequest) -> Scope:
    return Scope(
        account=connections.account.account_id,
        instance=connections.instance.name,
        profile=connections.profile.name,
        mapping=connections.mapping_digest(),
        first_day=request.first.isoformat(),
        last_day=request.last.isoformat(),
        only=tuple(sorted(request.only)),
        days_per_run=request.days_per_run,
        allow_retire=request.allow_retire,
    )


def _selection(defs: dg.Definitions, only: Sequence[str]) -> list[dg.AssetKey] | None:
    """The gates of the record types and of all they refer to, and the plan; None for all."""
    if not only:
        return None
    wanted = [*only]
    for record_type in wanted:  # grows while it is read
        wanted.extend(one for one in AFTER.get(record_type, ()) if one not in wanted)
    keys = [conformed.key(CONFORMED[record_type].asset) for record_type in wanted]
    keys += [netsuite.key(deletions.DELETED), netsuite.key(deletions.UNPOSTED)]
    return [*selected(defs, keys), PLAN_KEY]


def _assemble(
    connections: Connections, request: SyncRequest, outcomes: Sequence[RunOutcome]
) -> PlanDocument:
    plan = PlanDocument(
        _scope(connections, request),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        runs=[outcome.run_id for outcome in outcomes],
    )
    found: dict[tuple[str, str], PlannedChange] = {}
    for names in CONFORMED.values():
        days: Sequence[str | None] = [None] if names.unpartitioned else days_of(request)
        for day in days:
            frame = read_planned(connections.landing, names.record_type, day, plan.runs)
            if frame is None:
                _refuse_overwritten(outcomes, names, day)
                continue
            for row in records_of(frame):
                one = _planned_change(names.record_type, row)
                found[one.identity] = one  # the newest day judged it as it was last
    plan.changes = list(found.values())
    _count(plan, outcomes)
    return plan


def _refuse_overwritten(outcomes: Sequence[RunOutcome], names: Conformed, day: str | None) -> None:
    """A plan that lacks what its runs planned, because another run wrote over it, is no plan."""
    judged = conformed.key(names.asset).to_user_string()
    for outcome in outcomes:
        of_day = day is None or outcome.first_day <= day <= outcome.last_day
        if outcome.success and of_day and judged in outcome.totals:
            raise ConfigurationError(
                f"another planning run overwrote the plan of {names.record_type} for "
                f"{day or 'the snapshot'}: plan again when it has ended"
            )


def _planned_change(record_type: str, row: dict[str, str]) -> PlannedChange:
    change = Change(
        kind=cast("Kind", row["kind"]),  # landed from a `Change`
        key=row["key"],
        document_id=row["document_id"],
        sys_id=row["sys_id"],
        values=orjson.loads(row["values"]),
        before=orjson.loads(row["before"]),
        converted=tuple(orjson.loads(row["converted"])),
    )
    return PlannedChange(record_type, row["table"], change)


def _superseded(outcomes: Sequence[RunOutcome]) -> dict[str, int]:
    """Documents per record type; one that several runs met counts once."""
    found: dict[str, set[str]] = {}
    for outcome in outcomes:
        totals = outcome.totals.get(PLAN_KEY.to_user_string(), {})
        for record_type, documents in totals.get("superseded", {}).items():
            found.setdefault(record_type, set()).update(documents)
    return {name: len(documents) for name, documents in found.items() if documents}


def _count(plan: PlanDocument, outcomes: Sequence[RunOutcome]) -> None:
    """Changes are counted once each; what stays as it is, once per run that met it."""
    counts: dict[str, Counter[str]] = {}
    failing: dict[tuple[str, str], Failing] = {}
    differs: Counter[str] = Counter()
    for outcome in outcomes:
        totals = outcome.totals.get(PLAN_KEY.to_user_string(), {})
        for table, kinds in totals.get("counts", {}).items():
            still = {kind: count for kind, count in kinds.items() if kind not in WRITING}
            counts.setdefault(table, Counter()).update(still)
        for one in totals.get("failing", []):
            failing[one["record_type"], one["document_id"]] = Failing(
                one["record_type"], one["document_id"], tuple(one["reasons"]), one["remedy"]
            )
        differs.update(totals.get("differs", {}))
    for one in plan.changes:
        counts.setdefault(one.table, Counter())[one.change.kind] += 1
    plan.counts = {table: dict(of) for table, of in counts.items()}
    plan.failing = list(failing.values())
    plan.differs = dict(differs)
