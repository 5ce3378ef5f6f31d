"""What an examination says: findings, each with what was seen and what to do about it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from nsn_pipeline.errors import AuthenticationError, NsnError, TransientError

Fact = str | int | float | bool | None


class Status(StrEnum):
    """`unverified` is not a verdict: this user cannot see. `skipped` waits for another finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNVERIFIED = "unverified"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checklist. `id` is stable; nothing in it is secret."""

    id: str
    status: Status
    title: str
    detail: str = ""
    remedy: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])


class Checklist:
    """Collects findings in the order in which they were made; the latest word on an id counts."""

    def __init__(self, *, raises_outages: bool = False) -> None:
        self._findings: dict[str, Finding] = {}
        self._raises_outages = raises_outages

    def ok(self, id_: str, title: str, detail: str = "", **facts: Fact) -> None:
        self._findings[id_] = Finding(id_, Status.OK, title, detail, "", facts)

    def warn(self, id_: str, title: str, detail: str, remedy: str, **facts: Fact) -> None:
        self._findings[id_] = Finding(id_, Status.WARN, title, detail, remedy, facts)

    def fail(self, id_: str, title: str, detail: str, remedy: str, **facts: Fact) -> None:
        self._findings[id_] = Finding(id_, Status.FAIL, title, detail, remedy, facts)

    def unverified(
        self, id_: str, title: str, detail: str, remedy: str = "", **facts: Fact
    ) -> None:
        self._findings[id_] = Finding(id_, Status.UNVERIFIED, title, detail, remedy, facts)

    def failed_call(self, id_: str, title: str, error: NsnError) -> None:
        """A call that says nothing about the configuration; a run retries it, a person is told."""
        self.raise_outage(error)
        self.fail(
            id_, title, str(error), "Try again in a few minutes; if it stays, ask the vendor."
        )

    def raise_outage(self, error: NsnError, remedy: str = "") -> None:
        """A run raises an outage as what it is; a person is told with everything else."""
        if self._raises_outages and isinstance(error, TransientError):
            raise error.advised(remedy) if remedy else error

    def skip(self, id_: str, title: str, waits_for: str) -> None:
        """Leave a check out because its prerequisite failed: only the root cause is named."""
        self._findings[id_] = Finding(id_, Status.SKIPPED, title, f"needs {waits_for} first")

    def status(self, id_: str) -> Status | None:
        found = self._findings.get(id_)
        return None if found is None else found.status

    def fact(self, id_: str, name: str) -> Fact:
        found = self._findings.get(id_)
        return None if found is None else found.facts.get(name)

    @property
    def findings(self) -> list[Finding]:
        return list(self._findings.values())


def in_its_words(error: AuthenticationError) -> str:
    """What the vendor said of a refused login, to be put behind our own account of it."""
    status = f"HTTP {error.where.status}" if error.where and error.where.status else ""
    told = ", ".join(part for part in (status, error.said and f"{error.said!r}") if part)
    return f" ({told})" if told else ""


def blockers(findings: Iterable[Finding]) -> list[Finding]:
    """What must be put right before a run may write."""
    return [finding for finding in findings if finding.status is Status.FAIL]


def to_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """`{"ok": ..., "findings": [...]}`; ok means that nothing stands in the way of a run."""
    listed = list(findings)
    return {"ok": not blockers(listed), "findings": [asdict(finding) for finding in listed]}


def from_json(document: Mapping[str, Any]) -> list[Finding]:
    return [
        Finding(**{**finding, "status": Status(finding["status"])})
        for finding in document["findings"]
    ]
