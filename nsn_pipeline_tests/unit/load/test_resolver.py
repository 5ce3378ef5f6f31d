import pytest

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import TARGETS, resolver


def row(sys_id: str, key: str) -> dict[str, str]:
    return {"sys_id": sys_id, "u_netsuite_id": key}


def test_reference_is_looked_up_by_its_external_key() -> None:
    fake = FakeServiceNow()
    fake.seed("core_company", [row("s1", "451")])
    assert resolver(fake).resolve("ref:vendor:451") == "s1"


def test_many_references_take_one_look_up_per_table_and_are_kept() -> None:
    fake = FakeServiceNow()
    fake.seed("core_company", [row("s1", "451"), row("s2", "452")])
    fake.seed("sn_apo_invoice_line", [row("s3", "9-1")])
    known = resolver(fake)
    wanted = [("vendor", "451"), ("vendor", "452"), ("vendor", "x"), ("vendor_bill_line", "9-1")]
    known.fetch(wanted)
    known.fetch(wanted)
    assert [known.find(*reference).sys_id for reference in wanted] == ["s1", "s2", None, "s3"]
    assert len(fake.lookups) == 2


def test_what_was_loaded_needs_no_look_up_and_replaces_an_earlier_absence() -> None:
    fake = FakeServiceNow()
    known = resolver(fake)
    assert known.resolve("ref:vendor:451") is None
    known.learn("vendor", {"451": "s1", "452": ""})
    assert known.resolve("ref:vendor:451") == "s1"
    assert len(fake.lookups) == 1


def test_several_records_under_one_key_are_never_chosen_from() -> None:
    fake = FakeServiceNow()
    fake.seed("core_company", [row("s1", "451"), row("s2", "451")])
    known = resolver(fake)
    assert known.resolve("ref:vendor:451") is None
    assert known.find("vendor", "451").sys_ids == ("s1", "s2")


def test_reference_to_a_row_that_our_role_does_not_see_is_not_taken_for_absent() -> None:
    fake = FakeServiceNow()
    fake.seed("core_company", [row("s1", "451"), row("s2", "452")])
    fake.unseen.add("s1")
    known = resolver(fake)
    assert known.resolve("ref:vendor:451") is None
    assert known.find("vendor", "451").hidden
    assert not known.find("vendor", "452").hidden


def test_parent_is_the_header_of_the_line() -> None:
    fake = FakeServiceNow()
    fake.seed("sn_apo_invoice", [row("s1", "9")])
    assert resolver(fake).resolve("ref:parent:9", parent_type="vendor_bill") == "s1"


def test_key_that_cannot_be_queried_is_absent_and_not_asked_for() -> None:
    fake = FakeServiceNow()
    assert resolver(fake).resolve("ref:vendor:4^51") is None
    assert all(values == () for _, _, values in fake.lookups)


def test_reference_to_something_never_loaded_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="project"):
        Resolver(FakeServiceNow(), TARGETS).resolve("ref:project:1")
