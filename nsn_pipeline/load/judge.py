"""What one answer to one write proves.

Pure. A 201 proves little: unknown and protected columns are dropped without a word, so only the
echoed record counts (docs/facts/servicenow.md 2.4). A creation is proven when the echo holds all
that was sent, and the record is then found once, in the version that was echoed: by a read-back
(docs/decisions/0010-what-proves-a-write.md), or by count where keys are unique (0029). Whatever
proves nothing is looked up again.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import NamedTuple, Protocol

from nsn_pipeline.clients.table_urls import VERSION
from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.errors import (
    ConfigurationError,
    NsnError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
    Where,
)
from nsn_pipeline.load import problems
from nsn_pipeline.load.compare import (
    is_shown_as_stored,
    received,
    same_as_shown,
    tells_of_reader,
)
from nsn_pipeline.load.plan import Change, Row, differences, stored_as_wanted
from nsn_pipeline.load.table import Comparison, Rule, Table

_SUCCESS = {"create": HTTPStatus.CREATED, "update": HTTPStatus.OK, "retire": HTTPStatus.OK}
# Gone, or gone already. A row hidden by access rules is 404 as well: the read-back tells.
_DELETED = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND})
_NO_NEWS = "Operation Failed"  # stands before every refusal
_TIMED_OUT = "maximum execution time exceeded"
_CLASHES = ("error during insert of", "unique key violation", "duplicate entry")
_REFUSALS = ("acl exception", "aborted by business rule", "data policy exception")
_ENDPOINT_REFUSALS = ("failed api level acl validation",)
_RETRIED = frozenset({202, 401, 408, 429, 500, 502, 503, 504})


class Verdict(StrEnum):
    """What follows from an answer."""

    PROVEN = "proven"  # created as wanted, and found so afterwards
    CONFIRMED = "confirmed"  # the echo holds our values; what is found has the last word
    RESEND = "resend"  # it was not run
    UNKNOWN = "unknown"  # look it up by key before anything is sent again
    CLASH = "clash"  # a row with this key or sys_id seems to exist: look it up
    FAILED = "failed"


class Answer(Protocol):
    """A sub-response as the client hands it over; `status` is None when it was not run."""

    @property
    def status(self) -> int | None: ...
    @property
    def body(self) -> object: ...
    @property
    def error(self) -> NsnError | None: ...


class Judgement(NamedTuple):
    """`version` is set where finding it again is enough to prove the record.

    `lost_key` is a creation that came back without the key it was given. `untaken` are columns of
    ServiceNow's own that a new record was given and came back without: no fault of the record.
    """

    verdict: Verdict
    sys_id: str = ""
    problems: tuple[Problem, ...] = ()
    words: str = ""
    retry_after_s: float | None = None
    version: str = ""
    lost_key: bool = False
    untaken: tuple[str, ...] = ()


def prove(confirmed: Judgement, rows: Sequence[Row]) -> Judgement:
    """Judge the read-back of a confirmed creation.

    The record must be there once, be the one that was made, and be unchanged since its echo, which
    held all our values. Otherwise it stays confirmed: all its columns are read before anything is
    said or done.
    """
    if len(rows) != 1 or not confirmed.version:
        return confirmed
    (row,) = rows
    if received(row.get("sys_id")) != confirmed.sys_id:
        return confirmed
    if received(row.get(VERSION)) != confirmed.version:
        return confirmed
    return proven(confirmed)


def proven(confirmed: Judgement) -> Judgement:
    """The record is known to be there once, unchanged since its echo."""
    return Judgement(Verdict.PROVEN, confirmed.sys_id, untaken=confirmed.untaken)


def judge(table: Table, change: Change, answer: Answer) -> Judgement:
    """Judge one answer.

    Raises for answers that no record can cure: a closed endpoint, a table that is not there.
    Credentials are not among them: the call that brought the answer was let in with them.
    """
    if answer.status is None:
        return _not_serviced(answer)
    if done := _success(table, change, answer):
        return done
    said = _error_words(answer)
    text = said.lower()
    words = said or f"HTTP {answer.status} without words"
    _raise_for_everyone(table, answer, text, words)
    if change.kind == "create" and any(clash in text for clash in _CLASHES):
        return Judgement(Verdict.CLASH, words=words)
    if _proves_nothing(change, answer.status, text):
        return _unknown(answer, words)
    if change.kind == "create" and not any(refusal in text for refusal in _REFUSALS):
        # How an existing sys_id is refused is not documented: a refusal that does not say why may
        # be one, and a look-up tells.
        return Judgement(Verdict.CLASH, words=words)
    return Judgement(Verdict.FAILED, problems=(problems.refused(words),), words=words)


class Amount(NamedTuple):
    """An amount that ServiceNow shows, beside ours; `agrees` as far as the same was to be seen."""

    column: str
    ours: str
    shown: str
    agrees: bool


def amounts_shown(table: Table, values: Mapping[str, str], record: object) -> Iterator[Amount]:
    """The amounts that tell whether our user is shown amounts in the currency we take for his."""
    if not isinstance(record, Mapping) or not table.reader_currency:
        return
    for rule in table.witnessed:
        ours = values.get(rule.column, "")
        shown = received(record.get(rule.column))
        agrees = tells_of_reader(ours, shown, table.reader_currency)
        if agrees is not None:
            yield Amount(rule.column, ours, shown, agrees)


def echoed(answer: Answer) -> Mapping[str, object] | None:
    """The record that a success brings back."""
    return _record(answer.body)


def _success(table: Table, change: Change, answer: Answer) -> Judgement | None:
    if change.deletes:
        is_gone = answer.status in _DELETED
        return Judgement(Verdict.CONFIRMED, change.sys_id) if is_gone else None
    record = _record(answer.body)
    if answer.status != _SUCCESS.get(change.kind) or record is None:
        return None
    judgement = _echo(table, change, record)
    if table.given and change.kind == "create":
        return judgement._replace(untaken=_untaken(table, change.values, record))
    return judgement


def _untaken(
    table: Table, values: Mapping[str, str], record: Mapping[str, object]
) -> tuple[str, ...]:
    """Columns that are empty for ever, as nobody compares them again. What a rule of ServiceNow
    put in place of our value is its right.
    """
    return tuple(
        rule.column
        for rule in table.given
        if (sent := values.get(rule.column))
        and not received(record.get(rule.column))
        and not stored_as_wanted(table, rule, sent, "")
    )


def _proves_nothing(change: Change, status: int, text: str) -> bool:
    """A success without our record, a passing failure, or a row that vanished since it was read."""
    return (
        status < HTTPStatus.MULTIPLE_CHOICES
        or status in _RETRIED
        or _TIMED_OUT in text
        or (status == HTTPStatus.NOT_FOUND and change.kind in {"update", "retire"})
    )


def _not_serviced(answer: Answer) -> Judgement:
    if isinstance(answer.error, OutcomeUnknownError):
        return _unknown(answer)
    return Judgement(Verdict.RESEND, words="ServiceNow did not reach it within its time limit")


def _unknown(answer: Answer, words: str = "") -> Judgement:
    error = answer.error
    retry_after_s = error.retry_after_s if isinstance(error, TransientError) else None
    return Judgement(
        Verdict.UNKNOWN, words=words or str(error or "no answer"), retry_after_s=retry_after_s
    )


def _echo(table: Table, change: Change, record: Mapping[str, object]) -> Judgement:
    """Compare the echo with what was sent: unknown and protected columns are dropped in silence."""
    sys_id = received(record.get("sys_id")) or change.sys_id
    stored_key = received(record.get(table.external_key))
    if change.kind == "create" and stored_key != change.key:
        fault = problems.not_stored(table.external_key, change.key, stored_key)
        return Judgement(Verdict.FAILED, sys_id, (fault,), lost_key=True)
    if change.kind == "create" and _as_sent(table, change.values, record):
        return Judgement(Verdict.CONFIRMED, sys_id, version=received(record.get(VERSION)))
    faults: list[Problem] = []
    for rule in table.rules:
        column = rule.column
        sent = change.values.get(column)
        if sent is None or not rule.is_kept:
            continue
        if sent == "" and change.kind == "create":
            continue  # a default may have filled it: the read-back finds and clears it
        if column not in record and sent != "":
            faults.append(problems.not_stored(column, sent, None))
        else:
            stored = record.get(column, "")
            if stored != sent and not stored_as_wanted(table, rule, sent, received(stored)):
                faults.append(_not_stored(table, rule, sent, received(stored)))
    if faults:
        return Judgement(Verdict.FAILED, sys_id, tuple(faults))
    complete = change.kind == "create" and not differences(table, change.values, record)
    version = received(record.get(VERSION)) if complete else ""
    return Judgement(Verdict.CONFIRMED, sys_id, version=version)


def _not_stored(table: Table, rule: Rule, sent: str, stored: str) -> Problem:
    is_amount = rule.comparison is Comparison.MONEY and stored != ""
    if is_amount and is_shown_as_stored(sent, table.reader_currency):
        return problems.other_amount(rule.column, sent, stored, table.reader_currency)
    return problems.not_stored(rule.column, sent, stored)


def _as_sent(table: Table, values: Mapping[str, str], record: Mapping[str, object]) -> bool:
    """Whether the echo is spelled as what was sent: nearly always, and decided at one go."""
    try:
        same = table.spelled(record) == table.spelled(values)
    except KeyError:
        return False
    return same and not any(
        not same_as_shown(
            values[rule.column], received(record.get(rule.column)), table.reader_currency
        )
        for rule in table.witnessed
    )


def _raise_for_everyone(table: Table, answer: Answer, text: str, words: str) -> None:
    where = Where("ServiceNow", f"write {table.name}", answer.status)
    if any(refusal in text for refusal in _ENDPOINT_REFUSALS):
        raise PermissionDeniedError(words, where=where)
    if "invalid table" in text:
        raise ConfigurationError(
            f"{words}: the table is absent, or not open to web services", where=where
        )


def _record(body: object) -> Mapping[str, object] | None:
    if not isinstance(body, dict) or "error" in body:
        return None
    result = body.get("result")
    return result if isinstance(result, dict) else None


def _error_words(answer: Answer) -> str:
    """ServiceNow's own words, from the body or, when that is unreadable, from the client."""
    body = answer.body
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        message, detail = str(error.get("message") or ""), str(error.get("detail") or "")
        if message == _NO_NEWS and detail:
            return detail
        return ": ".join(part for part in (message, detail) if part)
    if error:
        return str(error)
    return answer.error.detail if isinstance(answer.error, RequestRefusedError) else ""
