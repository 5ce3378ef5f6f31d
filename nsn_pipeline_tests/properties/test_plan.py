"""What must hold for any records, any state of ServiceNow and any pattern of lost answers."""

from collections.abc import Mapping
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.errors import OutcomeUnknownError
from nsn_pipeline.load.plan import Wanted, plan
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline.load.table import Table, prepare
from nsn_pipeline.profiles.model import Target
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import column, frame, load

TARGET = Target(
    record_type="thing",
    table="u_thing",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(
        column("name"),
        column("quantity", "quantity"),
        column("active", "flag"),
        column("due", "date"),
        column("first", owner="servicenow"),
        column("currency", source="currency_code"),
        column("price", "money(currency_code)", witness="u_price"),
        column("u_price", "decimal(8)"),
        column("locked", owner="servicenow"),  # read-only in ServiceNow
        column("label", owner="compared"),  # computed there
        column("watched", "quantity", owner="compared"),
    ),
)
LEFT_ALONE = {"first", "locked", "label", "watched"}
TABLE = prepare(TARGET)
AS_DOLLARS = prepare(TARGET, reader_currency="USD")

keys = st.sampled_from([f"{number}-{line}" for number in (7, 70) for line in (1, 2, 11)])
words = st.sampled_from(["", "a", "A", "a ", 'quote " and , comma', "né^e", "\u2028"])
numbers = st.one_of(st.just(""), st.decimals(-99, 99, places=2).map(lambda d: f"{d:f}"))


@st.composite
def things(draw: st.DrawFn) -> dict[str, str]:
    currency, price = draw(st.sampled_from(["USD", "JPY"])), draw(numbers)
    return {
        "name": draw(words),
        "quantity": draw(numbers),
        "active": draw(st.sampled_from(["true", "false"])),
        "due": draw(st.sampled_from(["", "2026-01-31"])),
        "first": draw(words),
        "currency": currency,
        "price": f"{currency};{price}" if price else "",
        "u_price": price,
        "locked": draw(words),
        "label": draw(words),
        "watched": draw(numbers),
    }


sets_of_things = st.dictionaries(keys, things(), max_size=6)


def fake_with(present: dict[str, dict[str, str]], **options) -> FakeServiceNow:
    fake = FakeServiceNow(**options)
    fake.converted = {"price": Decimal("0.0091")}
    fake.read_only = {"locked"}
    fake.computed = {"label": lambda row: row.get("name", "").upper()}
    fake.defaults = {"name": "untitled", "quantity": "1", "watched": "7"}
    rows = [
        {"sys_id": deterministic_sys_id("other", "u_thing", key), "u_netsuite_id": key, **values}
        for key, values in present.items()
    ]
    fake.seed("u_thing", rows)
    return fake


def planned(fake: FakeServiceNow, wanted: dict[str, dict[str, str]], table: Table = TABLE):
    records = [Wanted(key, key, values) for key, values in wanted.items()]
    present = fake.find("u_thing", "u_netsuite_id", list(wanted), table.fields).rows
    return plan(table, records, present, instance="dev1")


def stored(fake: FakeServiceNow) -> dict[str, dict[str, str]]:
    """One row per key, or an error."""
    return {key: row for key, (row,) in fake.by_key("u_thing").items()}


def number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def meaning(values: Mapping[str, str]) -> dict[str, object]:
    """What NetSuite's columns of a record say; the planner is not asked."""
    currency, _, amount = values.get("price", "").rpartition(";")
    return {
        **{name: values.get(name, "") for name in ("name", "due", "currency")},
        **{name: number(values.get(name, "")) for name in ("quantity", "u_price")},
        "active": values.get("active") == "true",
        "price": (currency, number(amount)),
    }


def assert_stored(fake: FakeServiceNow, wanted: dict[str, dict[str, str]]) -> None:
    rows = stored(fake)
    assert {key: meaning(rows[key]) for key in wanted} == {
        key: meaning(values) for key, values in wanted.items()
    }


@settings(deadline=None)  # threads on a busy machine
@given(wanted=sets_of_things, present=sets_of_things)
def test_planning_after_applying_is_all_unchanged(wanted, present) -> None:
    fake = fake_with(present)
    load(fake, frame(TARGET, wanted), target=TARGET)
    assert_stored(fake, wanted)
    assert {change.kind for change in planned(fake, wanted).changes} <= {"unchanged"}
    writes = len(fake.writes)
    load(fake, frame(TARGET, wanted), target=TARGET)
    assert len(fake.writes) == writes


@settings(deadline=None)  # threads on a busy machine
@given(wanted=sets_of_things, edited=st.sets(keys), amount=numbers)
def test_amounts_edited_alone_are_corrected_in_the_readers_currency_only(
    wanted, edited, amount
) -> None:
    fake = fake_with({})
    fake.reader_currency = "USD"
    rows = frame(TARGET, wanted)
    load(fake, rows, target=TARGET, reader_currency="USD")
    assert_stored(fake, wanted)
    kept: dict[str, str] = {}
    for key in edited & wanted.keys():
        currency, price = wanted[key]["currency"], wanted[key]["price"]
        stored(fake)[key]["price"] = f"{currency};{amount}" if amount else ""
        # Of yen, which are shown as dollars, only the presence is told
        if currency == "JPY" and bool(number(amount)) == bool(number(price.rpartition(";")[2])):
            kept[key] = stored(fake)[key]["price"]
    fake.writes.clear()
    load(fake, rows, target=TARGET, reader_currency="USD")
    for key, row in stored(fake).items():
        if key in kept:
            assert row["price"] == kept[key]
        elif number(wanted[key]["u_price"]) not in {None, 0}:
            assert meaning(row) == meaning(wanted[key])
    writes = len(fake.writes)
    load(fake, rows, target=TARGET, reader_currency="USD")
    assert len(fake.writes) == writes
    assert {c.kind for c in planned(fake, wanted, AS_DOLLARS).changes} <= {"unchanged"}


@settings(deadline=None)  # threads on a busy machine
@given(wanted=sets_of_things, present=sets_of_things)
def test_applying_writes_the_plan_and_nothing_else(wanted, present) -> None:
    fake = fake_with(present)
    fake.defaults = {}
    expected = sorted(
        ("POST", tuple(sorted({**change.values, "sys_id": change.sys_id}.items())))
        if change.kind == "create"
        else ("PATCH", tuple(sorted(change.values.items())))
        for change in planned(fake, wanted).changes
        if change.kind in {"create", "update"}
    )
    load(fake, frame(TARGET, wanted), target=TARGET)
    assert_stored(fake, wanted)
    assert sorted((m, tuple(sorted(body.items()))) for m, _, body in fake.writes) == expected
    untouched = present.keys() - wanted.keys()
    rows = stored(fake)
    assert all(present[key].items() <= rows[key].items() for key in untouched)


@settings(deadline=None)  # threads on a busy machine
@given(wanted=sets_of_things, present=sets_of_things)
def test_completing_a_record_that_a_default_filled_writes_planned_values_only(
    wanted, present
) -> None:
    fake = fake_with(present)
    changes = [change for change in planned(fake, wanted).changes if change.values]
    agreed = {change.sys_id: {**change.values, "sys_id": change.sys_id} for change in changes}
    load(fake, frame(TARGET, wanted), target=TARGET)
    allowed = {item for values in agreed.values() for item in values.items()}
    assert all(body.items() <= allowed for _, _, body in fake.writes)
    assert len(fake.writes) <= 2 * len(changes)


@settings(deadline=None)  # threads on a busy machine
@given(wanted=sets_of_things, present=sets_of_things, edited=sets_of_things)
def test_what_is_servicenows_is_never_touched_once_it_is_there(wanted, present, edited) -> None:
    fake = fake_with(present)
    load(fake, frame(TARGET, wanted), target=TARGET)
    for key, row in stored(fake).items():  # users edit whatever they like
        row.update(edited.get(key, {}))
    before = {key: dict(row) for key, row in stored(fake).items()}
    fake.writes.clear()
    load(fake, frame(TARGET, wanted), target=TARGET)
    assert not any(LEFT_ALONE & body.keys() for _, _, body in fake.writes)
    assert_stored(fake, wanted)
    for key, row in stored(fake).items():
        assert all(row.get(name) == before[key].get(name) for name in ("first", "locked"))
    assert {change.kind for change in planned(fake, wanted).changes} <= {"unchanged"}


@settings(deadline=None)  # threads on a busy machine
@given(wanted=sets_of_things, present=sets_of_things)
def test_compared_values_are_judged_for_each_record_that_is_there(wanted, present) -> None:
    fake = fake_with(present)
    result = planned(fake, wanted)
    for key, drift in result.drift.items():
        row, differing = stored(fake)[key], drift.by_column()
        assert ("label" in differing) == (row["label"] != wanted[key]["label"])
        assert drift.judged == {"label": 1, "watched": 1}
    assert result.drift.keys() == wanted.keys() & present.keys()


@settings(deadline=None)  # threads on a busy machine
@given(wanted=sets_of_things, present=sets_of_things)
def test_every_wanted_key_is_planned_exactly_once(wanted, present) -> None:
    result = planned(fake_with(present), wanted)
    assert sorted([*(c.key for c in result.changes), *result.problems]) == sorted(wanted)


mishaps = st.lists(
    st.sampled_from(
        [
            "ok",
            "lost",
            "unserviced",
            "throttled",
            "timed_out",
            "accepted",
            "forgotten",
            "refused:Data Policy Exception: The following fields are mandatory: Name",
        ]
    ),
    max_size=40,
)
call_errors = st.lists(
    st.sampled_from([None, OutcomeUnknownError("the answer was lost")]), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(
    wanted=sets_of_things,
    present=sets_of_things,
    happens=mishaps,
    calls=call_errors,
    batch_size=st.integers(1, 4),
)
def test_any_pattern_of_failed_answers_ends_in_exactly_one_record_per_key(
    wanted, present, happens, calls, batch_size
) -> None:
    fake = fake_with(present, mishaps=happens, call_errors=calls)
    result = load(fake, frame(TARGET, wanted), target=TARGET, batch_size=batch_size)
    done = {key for key, record in result.records.items() if record.status != "failed"}
    assert_stored(fake, {key: wanted[key] for key in done})  # what is called done is there
    fake.mishaps.clear()
    fake.call_errors.clear()
    again = load(fake, frame(TARGET, wanted), target=TARGET, batch_size=batch_size)
    assert all(record.status != "failed" for record in again.records.values())
    assert stored(fake).keys() == wanted.keys() | present.keys()
    assert_stored(fake, wanted)
    assert {change.kind for change in planned(fake, wanted).changes} <= {"unchanged"}
