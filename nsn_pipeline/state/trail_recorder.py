"""One run's part of the trail: what is about to be sent, and for which documents anything was."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from nsn_pipeline.audit.trail_drafts import (
    Step,
    gate_drafts,
    load_drafts,
    private_values,
    sending_drafts,
)
from nsn_pipeline.audit.trail_entry import Event
from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.table import Table
from nsn_pipeline.profiles.model import LINE_SUFFIX
from nsn_pipeline.state.trail import Trail
from nsn_pipeline.state.trail_index import Known

Cures = Callable[[str, Collection[str], bool, Sequence[Mapping[str, Any]]], list[dict[str, Any]]]


class TrailRecorder:
    """Remembers between a run's steps only what it sent, until that is accounted for.

    For several threads: while one tells what became of documents, others tell what they send next.
    """

    def __init__(self, trail: Trail, *, run_id: str, privacy: Privacy) -> None:
        self._trail = trail
        self._run_id = run_id
        self._privacy = privacy
        self._lock = threading.Lock()
        self._sent: dict[str, set[str]] = defaultdict(set)
        self._secrets: dict[str, dict[str, set[str]]] = defaultdict(dict)

    def sending(self, table: Table, changes: Sequence[Change]) -> None:
        """Write down what is about to be sent, so that no write goes unrecorded, whatever happens.

        Raises when it cannot be written down: then nothing is sent.
        """
        record_type = table.record_type.removesuffix(LINE_SUFFIX)
        drafts = sending_drafts(self._run_id, record_type, table.name, changes, self._privacy)
        private = private_values(table.name, changes, self._privacy)
        with self._lock:
            self._trail.append(drafts)
            self._sent[record_type].update(change.document_id for change in changes)
            for document_id, found in private.items():
                self._secrets[record_type].setdefault(document_id, set()).update(found)

    def judged(
        self,
        record_type: str,
        day: str | None,
        *,
        accepted: Sequence[str],
        skipped: Collection[str],
        problems: Mapping[str, Sequence[Mapping[str, Any]]],
        cures: Cures,
    ) -> dict[str, Known]:
        """Write down the gate's verdict; returns how the documents stood before."""
        stood = self._trail.known(record_type, [*accepted, *problems])

        def of_earlier(document_id: str, waits_for: Collection[str], passes: bool) -> list[Any]:
            earlier = self._problems(stood[document_id])
            return cures(document_id, waits_for, passes, earlier)

        self._trail.append(
            gate_drafts(
                Step(self._run_id, record_type, day),
                accepted=accepted,
                skipped=skipped,
                problems=problems,
                stood=stood,
                cures=of_earlier,
                privacy=self._privacy,
            )
        )
        return stood

    def loaded(
        self,
        record_type: str,
        day: str | None,
        *,
        loaded: Sequence[str],
        left: Sequence[str],
        failed: Mapping[str, Sequence[Problem]],
    ) -> None:
        """Write down what became of a day's accepted documents."""
        with self._lock:
            secrets = self._secrets[record_type]
            self._trail.append(
                load_drafts(
                    Step(self._run_id, record_type, day),
                    loaded=loaded,
                    left=left,
                    failed=failed,
                    sent=self._sent[record_type],
                    stood=self._trail.known(record_type, list(failed)),
                    privacy=self._privacy,
                    secrets=secrets,
                )
            )
            for document_id in (*loaded, *left, *failed):
                self._sent[record_type].discard(document_id)
                secrets.pop(document_id, None)

    def retired(self, record_type: str, day: str | None, documents: Sequence[str]) -> None:
        """Write down which documents are gone from NetSuite and were retired in ServiceNow."""
        listing = Step(self._run_id, record_type, day).listing(Event.RETIRED, documents)
        with self._lock:
            self._trail.append(listing)

    def _problems(self, stood: Known) -> Sequence[Mapping[str, Any]]:
        entry = None if stood.problems_seq is None else self._trail.entry(stood.problems_seq)
        return [] if entry is None else entry.data.get("problems", [])
