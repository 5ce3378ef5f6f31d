"""What a shown plan withholds."""

from nsn_pipeline.audit.plan_privacy import shown_apart, shown_change, shown_value
from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy
from nsn_pipeline.load.plan import Change

TABLE = "core_company"
PRIVACY = Privacy({TABLE: frozenset({"u_note"})}, frozenset())
IBAN = "DE89 3704 0044 0532 0130 00"


def update(values: dict[str, str], before: dict[str, str]) -> Change:
    return Change("update", "1", "1", "a" * 32, values, before)


def test_values_of_private_columns_and_ibans_are_withheld() -> None:
    change = update(
        {"u_note": "health", "u_tax_id": "12-3456789", "notes": f"pay to {IBAN}", "name": "New"},
        {"u_note": "", "u_tax_id": "98-7654321", "notes": "old", "name": "Old"},
    )
    shown = shown_change(PRIVACY, TABLE, change)
    assert shown.values == {
        "u_note": WITHHELD, "u_tax_id": WITHHELD, "notes": f"pay to {WITHHELD}", "name": "New",
    }  # fmt: skip
    assert shown.before == {"u_note": "", "u_tax_id": WITHHELD, "notes": "old", "name": "Old"}


def test_a_column_is_private_in_its_own_table() -> None:
    assert shown_value(PRIVACY, "u_note", "x", "proc_po") == "x"
    assert shown_value(PRIVACY, "u_note", "x") == WITHHELD


def test_a_change_without_private_values_is_the_same_change() -> None:
    change = update({"name": "New"}, {"name": "Old"})
    assert shown_change(PRIVACY, TABLE, change) is change


def test_withheld_values_that_differ_are_told_apart() -> None:
    planned = update({"u_tax_id": "1", "name": "New"}, {"u_tax_id": "0", "name": "Old"})
    now = update({"u_tax_id": "2", "name": "New"}, {"u_tax_id": "0", "name": "Old"})
    said, says = shown_apart(PRIVACY, TABLE, planned, now)
    assert said is not None
    assert says is not None
    assert says.values == {"u_tax_id": f"{WITHHELD} (another)", "name": "New"}
    assert (says.before, said.values["u_tax_id"]) == (said.before, WITHHELD)
    assert shown_apart(PRIVACY, TABLE, planned, None) == (said, None)
