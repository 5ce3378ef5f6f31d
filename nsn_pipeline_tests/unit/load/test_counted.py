"""New records are proven by counting them, where the dictionary says that keys are unique."""

from collections import deque

import pytest

from nsn_pipeline.clients.servicenow import BatchItem
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import ThrottledError, UnexpectedResponseError, UnreachableError
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import VENDOR, counts, load, loader, resolver, vendors

TABLE = "core_company"


def unique(kind: type[FakeServiceNow] = FakeServiceNow, **options) -> FakeServiceNow:
    """One whose dictionary says that no two rows share a key."""
    columns = {"u_netsuite_id", "name", "phone", "u_active", "notes"}
    fake = kind(dictionary={TABLE: columns}, **options)
    fake.unique_columns = {"u_netsuite_id"}
    return fake


def sys_id(key: str) -> str:
    return deterministic_sys_id("dev1", TABLE, key)


def read_back(fake: FakeServiceNow) -> list[str]:
    """The keys whose versions were read."""
    narrow = ("sys_id", "u_netsuite_id", "sys_mod_count")
    asked = zip(fake.lookups, fake.fields_read, strict=True)
    return sorted(key for (_, _, keys), fields in asked if fields == narrow for key in keys)


def test_created_records_are_counted_where_keys_are_unique() -> None:
    fake = unique()
    assert counts(load(fake, vendors(v1="Acme", v2="Bolt"))) == {"created": 2}
    assert read_back(fake) == []
    assert fake.counts == [{sys_id("v1"): "0", sys_id("v2"): "0"}]


def test_records_are_read_back_where_the_dictionary_does_not_say_that_keys_are_unique() -> None:
    for dictionary in (None, {TABLE: {"u_netsuite_id"}}):
        fake = FakeServiceNow(dictionary=dictionary)
        assert counts(load(fake, vendors(v1="Acme"))) == {"created": 1}
        assert (read_back(fake), fake.counts) == (["v1"], [])


def changes_later(fake: FakeServiceNow, key: str) -> None:
    """A rule changes a record after its batch was answered."""

    def rule() -> None:
        fake.after_batch = None
        fake.tables[TABLE][sys_id(key)].update(name="Acme (checked)", sys_mod_count="1")

    fake.after_batch = rule


def test_counted_record_that_changed_since_its_echo_is_read_whole_and_put_right() -> None:
    fake = unique()
    changes_later(fake, "v1")
    assert counts(load(fake, vendors(v1="Acme", v2="Bolt"))) == {"created": 2}
    assert [method for method, _, _ in fake.writes] == ["POST", "POST", "PATCH"]
    assert fake.by_key(TABLE)["v1"][0]["name"] == "Acme"


def test_only_the_list_that_counts_short_is_read_back() -> None:
    fake = unique()
    fake.counted_together = 2
    changes_later(fake, "v3")
    some = {f"v{n}": f"name {n}" for n in range(6)}
    assert counts(load(fake, vendors(**some))) == {"created": 6}
    assert read_back(fake) == ["v2", "v3"]
    assert [method for method, _, _ in fake.writes].count("PATCH") == 1


def test_counted_record_that_was_not_kept_is_made_again() -> None:
    fake = unique(mishaps=["ok", "forgotten"])
    assert counts(load(fake, vendors(v1="Acme", v2="Bolt"))) == {"created": 2}
    assert len(fake.counts) == 2
    assert [len(rows) for rows in fake.by_key(TABLE).values()] == [1, 1]


def test_record_that_was_made_anew_by_somebody_else_is_not_taken_for_ours() -> None:
    """Under our key and in the same version: only its sys_id is another."""
    fake = unique()

    def replaced() -> None:
        fake.after_batch = None
        row = fake.tables[TABLE].pop(sys_id("v1"))
        fake.seed(TABLE, [{**row, "sys_id": "e" * 32, "name": "Other"}])

    fake.after_batch = replaced
    result = load(fake, vendors(v1="Acme"))
    assert result.records["v1"].sys_id == "e" * 32
    assert fake.by_key(TABLE)["v1"][0]["name"] == "Acme"


def test_records_of_several_versions_are_counted_by_version() -> None:
    fake = unique()

    def rule_that_runs_before_the_echo(row: dict[str, str]) -> str:
        row["sys_mod_count"] = str(len(row["name"]) % 2)
        return ""

    fake.computed = {"u_checked": rule_that_runs_before_the_echo}
    assert counts(load(fake, vendors(v1="Acme", v2="Bolts"))) == {"created": 2}
    assert fake.counts == [{sys_id("v1"): "0", sys_id("v2"): "1"}]
    assert read_back(fake) == []


class Merging(FakeServiceNow):
    """A rule takes a second record for a change of the first."""

    def _write(self, item: BatchItem) -> tuple[int, dict | None]:
        first = self.tables[TABLE].get(sys_id("v1"))
        if item.method == "POST" and item.body["u_netsuite_id"] == "v2" and first:
            first.update(item.body, sys_id=first["sys_id"], sys_mod_count="1")
            self.merged = True
            return 201, {"result": self._shown(first, ["sys_mod_count", *first])}
        return super()._write(item)


def test_two_records_that_are_echoed_as_one_row_are_not_both_proven_by_it() -> None:
    fake = unique(Merging)
    result = load(fake, vendors(v1="Acme", v2="Bolt"))
    assert fake.merged
    assert list(fake.by_key(TABLE)) == ["v2"]
    assert result.records["v1"].status == "failed"


def test_all_new_records_of_a_share_are_counted_together_by_whoever_ends_last() -> None:
    fake = unique()
    rows = vendors(**{f"v{n}": "x" for n in range(30)})
    assert counts(load(fake, rows, batch_size=1)) == {"created": 30}
    assert [len(count) for count in fake.counts] == [30]


def test_record_that_vanishes_before_its_update_is_made_anew_and_counted() -> None:
    fake = unique()
    fake.seed(TABLE, [{"sys_id": "e" * 32, "u_netsuite_id": "v1", "name": "Old"}])
    fake.before_batch = fake.tables[TABLE].clear

    def stays_from_now_on() -> None:
        fake.before_batch = None

    fake.after_batch = stays_from_now_on
    load(fake, vendors(v1="Acme"))
    assert [method for method, _, _ in fake.writes] == ["POST"]
    assert fake.counts == [{sys_id("v1"): "0"}]


def test_refused_count_is_asked_again() -> None:
    fake = unique()
    fake.lookup_errors = deque([None, ThrottledError("too many requests")])
    assert counts(load(fake, vendors(v1="Acme"))) == {"created": 1}
    assert (len(fake.counts), read_back(fake)) == (2, [])


def test_read_back_that_is_refused_after_a_count_is_asked_again() -> None:
    fake = unique()
    fake.counted_together = 1
    fake.lookup_errors = deque([None, None, ThrottledError("too many requests")])
    changes_later(fake, "v1")
    assert counts(load(fake, vendors(v1="Acme", v2="Bolt"))) == {"created": 2}
    assert [len(count) for count in fake.counts] == [2, 1]  # the other was proven meanwhile


@pytest.mark.parametrize(
    "error", [UnreachableError("reset"), UnexpectedResponseError("no list"), None]
)
def test_table_of_which_no_count_tells_is_read_back_and_counted_no_more(
    error, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nsn_pipeline.load.sender._COUNTED_SHARE", 2)
    fake = unique()
    fake.tells_counts = False
    fake.lookup_errors = deque([None, error])
    with loader(fake) as writer:
        for name in ("a", "b"):
            rows = vendors(**{f"{name}{n}": "x" for n in range(6)})
            result = writer.load(VENDOR, rows, resolver=resolver(fake))
            assert counts(result) == {"created": 6}
            fake.tells_counts = True  # too late
    assert len(fake.counts) == 1
    assert len(read_back(fake)) == 12


def test_record_hidden_right_after_its_echo_counts_and_is_told_when_looked_up_again() -> None:
    fake = unique()
    fake.after_batch = lambda: fake.unseen.add(sys_id("v1"))
    assert counts(load(fake, vendors(v1="Acme"))) == {"created": 1}
    again = load(fake, vendors(v1="Acme"))
    assert again.records["v1"].problems[0].reason is Reason.HIDDEN_IN_SERVICENOW
    assert len(fake.tables[TABLE]) == 1
