"""Carries a plan out, one table at a time, until every record is proven or explained.

Look up by external key, plan, send, judge, and go round again with what is not proven: the next
look-up finds what is still to do. Nothing is ever sent twice on a guess
(docs/facts/servicenow.md 2.4, docs/decisions/0010-what-proves-a-write.md).
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import pandas as pd

from nsn_pipeline.clients.retry import RetryPolicy, next_delay_s
from nsn_pipeline.errors import TransientError
from nsn_pipeline.load.drift import Drift, compare_only
from nsn_pipeline.load.judge import Judgement, amounts_shown
from nsn_pipeline.load.lanes import Lanes
from nsn_pipeline.load.ledger import Ledger, LoadResult
from nsn_pipeline.load.lookups import LookedUp, LookUps, Reader, Rows
from nsn_pipeline.load.pacing import AdaptivePacer, Pacer
from nsn_pipeline.load.plan import Change, Plan, Row, Wanted, plan, plan_retirement
from nsn_pipeline.load.plan_document import Approved
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.sender import BatchClient, Sender
from nsn_pipeline.load.shares import SHARE, Course, Share, shares, worked
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline.load.table import Table, prepare
from nsn_pipeline.load.wanted import (
    distinct_rows,
    look_up_references,
    read_records,
    resolve_references,
    texts,
)
from nsn_pipeline.profiles.model import Target


class ServiceNow(BatchClient, Reader, Protocol):
    """What loading needs of `clients.servicenow.ServiceNowClient`."""

    @property
    def under_way(self) -> int: ...


class Loader:
    """Writes frames of wanted records; keeps its connections for the run, so close it."""

    def __init__(
        self,
        client: ServiceNow,
        *,
        instance: str,
        reader_currency: str = "",
        pacer: Pacer | None = None,
        before_send: Callable[[Table, Sequence[Change]], None] | None = None,
        policy: RetryPolicy | None = None,
        share: int = SHARE,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._client = client
        self._instance = instance
        self._reader_currency = reader_currency
        self._share = share
        self._before_send = before_send  # told of every change before it is on its way
        # The client has already repeated what is safe to repeat. This counts how often one record
        # is sent while its outcome stays unknown, with a look-up in between.
        self._policy = policy or RetryPolicy(max_attempts=5)
        self._sleep = sleep
        self._jitter = jitter
        self._clock = clock
        self._lanes = Lanes(
            pacer or AdaptivePacer(),
            policy=self._policy,
            sleep=sleep,
            jitter=jitter,
            clock=clock,
            under_way=lambda: client.under_way,
        )
        self._look_ups = LookUps(client, self._lanes)
        self._telling = threading.Lock()
        self._approved: Approved | None = None

    def limit_to(self, approved: Approved | None) -> None:
        """Carry out only these changes from now on; whatever else there is to do is left alone."""
        self._approved = approved

    def close(self) -> None:
        self._lanes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def load(
        self,
        target: Target,
        frame: pd.DataFrame,
        *,
        resolver: Resolver,
        record_type: str | None = None,
        parent_type: str = "",
        plan_only: bool = False,
        defer: Callable[[Change], bool] | None = None,
        known: Mapping[str, Sequence[Row]] | None = None,
        on_part: Callable[[LoadResult], None] | None = None,
    ) -> LoadResult:
        """Make ServiceNow hold the frame's records, or say per record why not.

        `record_type` is the name others refer to these records by, `parent_type` what `ref:parent`
        means. With `plan_only` nothing is written: records that would be are `planned`. Changes
        that `defer` picks are left out of it all. `known` are rows just read: they need no look-up
        where no other row can have their key. `on_part` is told, in this thread, what became of a
        part of the records while later ones are still sent; all of it is in the result as well.
        Raises when ServiceNow as a whole cannot be written to; then any part may have been written,
        and running again finds it.
        """
        started = self._clock()
        table = prepare(target, reader_currency=self._reader_currency)
        result = LoadResult(table.name)
        positions, refused = distinct_rows(table, frame)
        if refused:
            documents = dict(zip(texts(frame, "_key"), texts(frame, "_document_id"), strict=True))
            for key, problem in refused.items():
                result.fail(key, documents[key], (problem,))
        references = look_up_references(table, frame, resolver, parent_type=parent_type)
        rows = known if known and self._look_ups.keys_are_unique(table) else {}

        def work(share: Share[int]) -> LoadResult:
            records = read_records(table, frame.iloc[list(share.items)])
            ready = resolve_references(table, records, references, resolver)
            wanted = {record.key: record for record in ready.records}
            ledger = Ledger(wanted, notes=ready.notes, max_attempts=self._policy.max_attempts)
            read = {key: rows[key] for key in wanted if key in rows}
            if share.is_late:
                read = self._without_changes(table, wanted, read)
            ahead = plan_only or self._approved is not None
            step = partial(self._plan, table, ledger, read, share.course, ahead=ahead)
            part = self._run(table, ledger, step, share, plan_only=plan_only, defer=defer)
            for key, (document_id, problems) in ready.problems.items():
                part.fail(key, document_id, problems)
            part.waits_for = ready.waits_for
            return part

        with closing(worked(shares(positions, self._share), work)) as parts:
            for part in parts:
                result.add(part)
                resolver.learn(
                    record_type or table.record_type,
                    {key: record.sys_id for key, record in part.records.items()},
                )
                if on_part is not None:
                    on_part(part)
        result.duration_s = self._clock() - started
        return result

    def compare(
        self, target: Target, frame: pd.DataFrame, *, resolver: Resolver, parent_type: str = ""
    ) -> dict[str, Drift]:
        """Read again what the compared columns of these records hold, and write nothing.

        For documents whose parts have just been written: ServiceNow computes a header's totals from
        its lines.
        """
        table = prepare(target, reader_currency=self._reader_currency)
        positions, _ = distinct_rows(table, frame)
        records = read_records(table, frame.iloc[positions])
        references = look_up_references(table, frame, resolver, parent_type=parent_type)
        ready = resolve_references(table, records, references, resolver)
        wanted = {record.key: record for record in ready.records}
        rows, _ = self._look_ups.of(table, table.external_key, list(wanted))
        return {
            key: compare_only(table, key, record.document_id, record.fields, rows[key][0])
            for key, record in wanted.items()
            if len(rows.get(key, ())) == 1
        }

    def retire(
        self, target: Target, gone: Mapping[str, str], *, plan_only: bool = False
    ) -> LoadResult:
        """Retire the rows of these keys as the profile says; `gone` is key -> document.

        Whether they may be retired is decided before (`load.retire`). The end of each is proven by
        a look-up, as with any write.
        """
        started = self._clock()
        table = prepare(target)
        result = LoadResult(table.name)
        wanted = {key: Wanted(key, document_id, {}) for key, document_id in gone.items()}
        ledger = Ledger(wanted, notes={}, max_attempts=self._policy.max_attempts)

        def step() -> Plan:
            present, hidden = self._look_ups.of(table, table.external_key, list(ledger.open))
            return plan_retirement(table, ledger.open.values(), present, hidden=hidden)

        (whole,) = shares(list(wanted), size=max(len(wanted), 1))
        result = self._run(table, ledger, step, whole, plan_only=plan_only)
        result.duration_s = self._clock() - started
        return result

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> LookedUp:
        """The rows whose `key` is one of `values`, in parallel look-ups at the run's pace."""
        return self._look_ups.find(table, key, values, fields)

    def sys_id_of(self, target: Target, key: str) -> str:
        """The sys_id under which a record of ours is created."""
        return deterministic_sys_id(self._instance, target.table, key)

    def held(self, target: Target) -> int:
        """How many rows of a table carry a key of ours."""
        return self._look_ups.held(target.table, target.external_key)

    def _run(
        self,
        table: Table,
        ledger: Ledger,
        planned: Callable[[], Plan],
        share: Share[Any],
        *,
        plan_only: bool,
        defer: Callable[[Change], bool] | None = None,
    ) -> LoadResult:
        result = LoadResult(table.name, records=ledger.records)
        first = True
        while ledger.open and not share.course.is_halted:
            step = planned()
            share.course.begin()
            result.drift.update(step.drift)
            outbox = ledger.sort(step)
            if self._approved is not None:
                outbox = ledger.hold_back(outbox, partial(self._approved.permits, table.name))
            # In every round: what was to be created may turn out to be there, and live.
            deferred = [change for change in outbox if defer is not None and defer(change)]
            outbox = _without(outbox, deferred)
            ledger.defer(deferred)
            result.deferred.update({change.key: change for change in deferred})
            if first:
                first = False
                result.plan = replace(step, changes=_without(step.changes, deferred))
            creates = any(change.kind == "create" for change in outbox)
            if creates:
                self._look_ups.check_key_column(table)
            if plan_only:
                ledger.leave_planned(outbox)
                break
            if not outbox or not self._told(table, outbox, share):
                break
            share.to_send.wait()
            # The last share may be one small batch: what others got through counts for it, too.
            answers = share.course.answers if share.course.is_alone else 0
            sent = Sender(
                self._client,
                table,
                self._lanes,
                share=share,
                counter=self._look_ups if creates and self._look_ups.can_count(table) else None,
            ).send(outbox)
            result.calls += sent.calls
            if share.course.is_halted:  # another share failed, and with it the load
                break
            waiting = ledger.note(outbox, sent.judgements)
            if waiting and sent.failure is not None and share.course.answers == answers:
                raise sent.failure  # nothing at all gets through
            self._wait(ledger, waiting)
        return result

    def _told(self, table: Table, outbox: Sequence[Change], share: Share[Any]) -> bool:
        """Whether the outbox may leave. Shares are told of in turn, and later rounds between."""
        share.to_tell.wait()
        with self._telling:
            if share.course.is_halted:  # meanwhile: nothing of it will be sent
                return False
            if self._before_send is not None:
                self._before_send(table, outbox)
        share.to_tell.pass_on()
        return True

    def _plan(
        self, table: Table, ledger: Ledger, known: Rows, course: Course, *, ahead: bool
    ) -> Plan:
        """What is to be done by now. `ahead`: also what a creation would only find out by being
        refused, as one that is planned or agreed to must be the one that is carried out.
        """
        unknown = [key for key in ledger.open if key not in known]
        if ledger.attempts():  # some were sent, and are there
            present, hidden = self._look_ups.of(table, table.external_key, unknown)
        else:
            present, hidden = self._look_ups.first_of(table, unknown)
        present.update(known)
        known.clear()  # of the moment before the first write: looked up from now on
        if not course.shows_amounts and _shows_amounts(table, ledger.open, present):
            course.showed_amount()
        created = ledger.open if ahead and table.create else ledger.clashed
        absent = [key for key in created if key not in hidden and not present.get(key)]
        sys_ids = [deterministic_sys_id(self._instance, table.name, key) for key in absent]
        by_sys_id, unseen = self._look_ups.of(table, "sys_id", sys_ids)
        hidden |= {key for key, sys_id in zip(absent, sys_ids, strict=True) if sys_id in unseen}
        holders = {sys_id: rows[0] for sys_id, rows in by_sys_id.items() if rows}
        return plan(
            table,
            ledger.open.values(),
            present,
            instance=self._instance,
            holders=holders,
            hidden=hidden,
        )

    def _without_changes(
        self, table: Table, wanted: Mapping[str, Wanted], rows: Mapping[str, Sequence[Row]]
    ) -> Rows:
        """Those of the rows that need no change. They were read a while ago, and what a change
        replaces is to be told as it was just before.
        """
        judged = plan(table, [wanted[key] for key in rows], rows, instance=self._instance)
        return {one.key: rows[one.key] for one in judged.changes if one.kind == "unchanged"}

    def _wait(self, ledger: Ledger, doubts: Sequence[Judgement]) -> None:
        """Give a struggling instance time."""
        if not doubts:
            return
        # One record's advice is heard, and never ends the run for all.
        longest = self._policy.max_delay_s
        advised = [
            min(doubt.retry_after_s, longest) for doubt in doubts if doubt.retry_after_s is not None
        ]
        error = TransientError(doubts[0].words, retry_after_s=max(advised, default=None))
        attempt = min(ledger.attempts(), self._policy.max_attempts - 1)  # then a last look-up
        delay_s = next_delay_s(max(attempt, 1), error, self._policy, jitter=self._jitter())
        if delay_s is None:
            raise error
        self._sleep(delay_s)


def _without(changes: list[Change], deferred: Sequence[Change]) -> list[Change]:
    keys = {change.key for change in deferred}
    return [change for change in changes if change.key not in keys] if keys else changes


def _shows_amounts(table: Table, wanted: Mapping[str, Wanted], rows: Rows) -> bool:
    """Whether any row shows an amount of ours as it is."""
    return any(
        amount.agrees
        for key, found in rows.items()
        if key in wanted
        for row in found
        for amount in amounts_shown(table, wanted[key].fields, row)
    )
