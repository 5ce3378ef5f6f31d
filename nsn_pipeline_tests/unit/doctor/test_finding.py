import json

import pytest

from nsn_pipeline.doctor.finding import Checklist, Status, blockers, from_json, to_json
from nsn_pipeline.errors import PermanentError, UnreachableError


def test_findings_survive_json() -> None:
    checklist = Checklist()
    checklist.ok("a", "A", "fine", count=3)
    checklist.fail("b", "B", "broken", "mend it")
    checklist.skip("c", "C", "b")
    document = json.loads(json.dumps(to_json(checklist.findings)))
    assert document["ok"] is False
    assert from_json(document) == checklist.findings
    assert [finding.id for finding in blockers(checklist.findings)] == ["b"]


def test_warnings_and_unverified_findings_do_not_block() -> None:
    checklist = Checklist()
    checklist.warn("a", "A", "odd", "look")
    checklist.unverified("b", "B", "hidden")
    assert to_json(checklist.findings)["ok"] is True


def test_the_latest_word_on_an_id_counts() -> None:
    checklist = Checklist()
    checklist.warn("key", "Key", "short", "make a longer one")
    checklist.fail("key", "Key", "refused", "make a longer one")
    assert [finding.status for finding in checklist.findings] == [Status.FAIL]


def test_a_failed_call_is_a_finding_for_a_person_and_an_outage_for_a_run() -> None:
    error = UnreachableError("no connection")
    for_person = Checklist()
    for_person.failed_call("host", "Host", error)
    assert for_person.status("host") is Status.FAIL
    for_run = Checklist(raises_outages=True)
    with pytest.raises(UnreachableError):
        for_run.failed_call("host", "Host", error)
    for_run.failed_call("host", "Host", PermanentError("refused"))
    assert for_run.status("host") is Status.FAIL
