"""What became of documents, and which of them are whole while later ones are still sent."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import pandas as pd

from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load.ledger import LoadResult, RecordResult
from nsn_pipeline.load.wanted import texts

DocumentStatus = Literal["loaded", "retired", "skipped", "failed", "planned"]
_IN_PLACE = frozenset({"created", "updated", "unchanged"})


class DocumentRow(NamedTuple):
    """What became of one document. `content_hash` covers header and lines as they were wanted.

    `waits_for` are the records it would be linked to once they are in ServiceNow: it was written
    without.
    """

    document_id: str
    status: DocumentStatus
    sys_id: str
    content_hash: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()


class Whole:
    """Tells of documents as soon as every record of them is proven, so that a long list does not
    end with telling of all of it.

    Only of those about which nothing can be added later: something of them was written, and there
    is no problem and no note. The others are told of at the end.
    """

    def __init__(
        self,
        tell: Callable[[Sequence[DocumentRow]], None] | None,
        content_hashes: Callable[[], dict[str, str]],
    ) -> None:
        self._tell = tell
        self._content_hashes = content_hashes
        self._open: dict[str, set[str]] = {}  # keys without a result, by document
        self._first: dict[str, str] = {}  # the key that stands for a document
        self._found: dict[str, list[RecordResult]] = defaultdict(list)
        self._expected: Callable[[], None] | None = None
        self.rows: dict[str, DocumentRow] = {}

    def expect(
        self,
        frame: pd.DataFrame,
        headers: Mapping[str, Sequence[RecordResult]] | None = None,
        *,
        but: Collection[str],
    ) -> None:
        """The rows that are loaded last of their documents; `headers` were before."""
        if self._tell is not None:  # looked at when the first are sent, which do not wait for it
            self._expected = partial(self._open_all, frame, headers, but)

    def _open_all(
        self,
        frame: pd.DataFrame,
        headers: Mapping[str, Sequence[RecordResult]] | None,
        but: Collection[str],
    ) -> None:
        if headers is not None:
            self._found.update((document, list(found)) for document, found in headers.items())
        for key, document in zip(texts(frame, "_key"), texts(frame, "_document_id"), strict=True):
            if document in but:
                continue
            if document not in self._open:
                self._open[document] = set()
                found = self._found[document]
                self._first[document] = found[0].key if found else key
            self._open[document].add(key)

    def add(self, part: LoadResult) -> None:
        """Take in what became of some of the rows; tells of the documents that are whole by it."""
        if self._expected is not None:
            self._expected()
            self._expected = None
        whole: list[DocumentRow] = []
        for key, record in part.records.items():
            document = record.document_id
            left = self._open.get(document)
            if left is None:
                continue
            left.discard(key)
            self._found[document].append(record)
            if not left:
                del self._open[document]
                if row := self._row(document, self._found.pop(document)):
                    whole.append(row)
        if whole and self._tell is not None:
            self.rows.update((row.document_id, row) for row in whole)
            self._tell(whole)

    def _row(self, document: str, records: Sequence[RecordResult]) -> DocumentRow | None:
        statuses = {record.status for record in records}
        if not statuses <= _IN_PLACE or statuses == {"unchanged"}:
            return None
        if any(record.problems or record.notes for record in records):
            return None
        first = self._first[document]
        sys_id = next((one.sys_id for one in records if one.key == first), records[0].sys_id)
        return DocumentRow(document, "loaded", sys_id, self._content_hashes()[document])
