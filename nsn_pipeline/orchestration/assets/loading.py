"""Which documents a load step, or a plan, takes together, and in which order.

Days are loaded in groups, so that a long range fills its batches, and large days in parts: what is
in memory is bounded in rows, lines included. Documents that NetSuite ended (voided, closed, made
inactive) come last, when the brake has seen all of the run's (docs/decisions/0027).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of, rows_with, values_of
from nsn_pipeline.load.brake import FEW_ENDED, Brake, Limits
from nsn_pipeline.load.documents import DocumentResult, left_live, load_documents
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.orchestration.assets import conformed
from nsn_pipeline.orchestration.assets.conformed import Conformed
from nsn_pipeline.orchestration.moved import Moved
from nsn_pipeline.profiles.model import Target

GROUP_ROWS = 16_000  # headers and lines together; far above what all connections have under way

Day = tuple[str | None, pd.DataFrame, pd.DataFrame | None]  # accepted headers and lines


@dataclass(slots=True)
class Loading:
    """One record type of one run; with `plan_only` nothing is written.

    `allowed` is how many records of a table a person said the run may end. `on_whole` is told of
    written documents, with their days, while later ones of their group are still sent.
    """

    connections: Connections
    target: Target
    names: Conformed
    resolver: Resolver
    moved: Moved
    allowed: int = 0
    plan_only: bool = False
    on_whole: Callable[[Sequence[DocumentRow], Mapping[str, str | None]], None] | None = None

    def groups(self, days: Sequence[str | None]) -> Iterator[tuple[list[Day], DocumentResult]]:
        """Load (or plan) days in groups; gives each group with what became of it.

        Documents that changed in NetSuite since they were read are left out: `moved` counts them.
        """
        ending = _Ending(self._limits)
        for read in self._read(days):
            group = _without_moved(read, self.moved)
            # Dimensions are ServiceNow's own records: nothing of theirs is ended by us.
            result = self._load(group, may_end=self.names.unpartitioned)
            if result.ending:
                group = ending.take(group, result)
            yield group, result
        if ending.documents:
            yield self._end(ending)

    def _end(self, ending: "_Ending") -> tuple[list[Day], DocumentResult]:
        """Judge what would end as a whole; then write it, or say of each why it stays."""
        connections, table = self.connections, self.target.table
        brake = Brake(self._limits, connections.retired_today, plan_only=self.plan_only)
        wanted = len(ending.documents)
        why = brake.refusal(table, wanted, lambda: connections.loader.held(self.target))
        if why is not None:
            return ending.days, left_live(self.target, ending.documents.values(), why)
        group = _without_moved(ending.days, self.moved)
        result = self._load(group, may_end=True)
        # Should that raise, nobody knows how many it ended: then all stay counted.
        headers = result.tables[0].records.values()
        done = sum(header.status == "updated" for header in headers)
        brake.not_done(table, wanted, max(wanted - done, 0))
        return group, result

    @property
    def _limits(self) -> Limits:
        project = self.connections.settings.project
        return Limits(project.end_max_share, project.end_max_count, self.allowed, FEW_ENDED, "end")

    def _load(self, group: Sequence[Day], *, may_end: bool) -> DocumentResult:
        headers = pd.concat([headers for _, headers, _ in group])
        # A vendor or a billed order may come with several days of the group: it is one record, as
        # it was read last, and its lines are those of the same read.
        once = headers.drop_duplicates("_key", keep="last")
        lines = None
        if self.names.has_lines:
            lines = pd.concat([part for _, _, part in group if part is not None])
            lines = _of_same_day(lines, once)
        return load_documents(
            self.connections.loader,
            self.target,
            once,
            lines,
            resolver=self.resolver,
            plan_only=self.plan_only,
            may_end=may_end,
            on_whole=partial(self._whole, days_of_documents(headers)),
        )

    def _whole(self, day_of: Mapping[str, str | None], rows: Sequence[DocumentRow]) -> None:
        if self.on_whole is not None:
            self.on_whole(rows, day_of)

    def _read(self, days: Sequence[str | None]) -> Iterator[list[Day]]:
        connections = self.connections
        group: list[Day] = []
        held = 0
        for day in days:
            headers, lines = conformed.read_accepted(
                connections.landing, self.names, day, connections.run_id
            )
            if headers.empty:
                continue
            for part, rows in parts_of(day, headers, lines):
                if group and held + rows > GROUP_ROWS:
                    yield group
                    group, held = [], 0
                group.append(part)
                held += rows
        if group:
            yield group


class _Ending:
    """Documents that a run would end, with their rows, until the brake has seen all of them.

    Of more than can ever pass only keys are kept: they will not be written.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.documents: dict[str, DocumentRow] = {}
        self.days: list[Day] = []

    def take(self, group: Sequence[Day], result: DocumentResult) -> list[Day]:
        """Keep the documents of a group that would end; gives the group without them."""
        ending = {row.document_id: row for row in result.ending}
        self.documents |= ending
        self.days.extend(
            (day, headers, lines)
            for day, headers, lines in _only(group, ending, inside=True)
            if len(headers)
        )
        if self._limits.cannot_pass(len(self.documents)):
            self.days = [
                (day, headers.loc[:, ["_key", "_document_id", "_day"]], None)
                for day, headers, _ in self.days
            ]
        return _only(group, ending, inside=False)


def parts_of(
    day: str | None, headers: pd.DataFrame, lines: pd.DataFrame | None
) -> Iterator[tuple[Day, int]]:
    """A day's whole documents in parts of at most `GROUP_ROWS` rows, each with its rows.

    A document is never divided: one that is larger is a part of its own.
    """
    rows = Counter[str](values_of(headers, "_document_id"))
    if lines is not None:
        rows.update(values_of(lines, "_document_id"))
    if rows.total() <= GROUP_ROWS:
        yield (day, headers, lines), rows.total()
        return
    part: list[str] = []
    held = 0
    for document_id, count in [
        *rows.items(),
        ("", GROUP_ROWS),
    ]:  # the last one closes the last part
        if part and held + count > GROUP_ROWS:
            of_part = rows_with(headers, "_document_id", part)
            of_lines = None if lines is None else rows_with(lines, "_document_id", part)
            yield (day, of_part, of_lines), held
            part, held = [], 0
        part.append(document_id)
        held += count


def days_of_documents(headers: pd.DataFrame) -> dict[str, str | None]:
    """The partition of each document; of several, the last."""
    rows = records_of(headers, ("_document_id", "_day"))
    return {row["_document_id"]: row["_day"] for row in rows}


def _without_moved(group: Sequence[Day], moved: Moved) -> list[Day]:
    left_out = moved.left_out([(day, headers) for day, headers, _ in group])
    return [
        one
        for part in group
        for one in _only([part], left_out.get(part[0] or "", ()), inside=False)
    ]


def _only(group: Sequence[Day], documents: Collection[str], *, inside: bool) -> list[Day]:
    """The group's days with these documents alone, or without them."""
    return [
        (
            day,
            rows_with(headers, "_document_id", documents, inside=inside),
            None if lines is None else rows_with(lines, "_document_id", documents, inside=inside),
        )
        for day, headers, lines in group
    ]


def _of_same_day(lines: pd.DataFrame, headers: pd.DataFrame) -> pd.DataFrame:
    chosen = records_of(headers, ("_document_id", "_day"))
    days = {row["_document_id"]: row["_day"] for row in chosen}
    rows = records_of(lines, ("_document_id", "_day"))
    keep = [n for n, row in enumerate(rows) if days.get(row["_document_id"]) == row["_day"]]
    return lines.iloc[keep]
