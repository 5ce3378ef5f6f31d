from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nsn_pipeline.profiles
from nsn_pipeline.audit.trail_drafts import sending_drafts
from nsn_pipeline.audit.trail_entry import NO_HASH, Draft, Event, encode
from nsn_pipeline.audit.trail_privacy import (
    WITHHELD,
    Privacy,
    is_private_name,
    may_hold_iban,
    scrubbed,
    without_ibans,
)
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import Converter, Profile, TargetColumn

SEED = load_profile("seed")
IBAN = "DE89 3704 0044 0532 0130 00"


def with_column(column: TargetColumn) -> Profile:
    vendor = SEED.targets["vendor"]
    changed = replace(vendor, columns=(*vendor.columns, column))
    return replace(SEED, targets={**SEED.targets, "vendor": changed})


@pytest.mark.parametrize(
    "name",
    ["u_iban", "custentity_bank_account", "bankAccountNumber", "u_tax_id", "taxidnum", "u_swift",
     "custentity_vat_number", "vatregnumber", "u_ssn", "u_api_key", "password", "u_access_token",
     "u_sort_code", "custentity_social_security_no", "BIC", "u_client_secret", "u_vat_reg_no"],
)  # fmt: skip
def test_names_that_say_so_are_private(name: str) -> None:
    assert is_private_name(name)


def test_no_column_the_shipped_profile_writes_is_private_by_accident() -> None:
    privacy = Privacy.of(SEED)
    assert not privacy.sources
    assert not any(privacy.by_table.values())


@pytest.mark.parametrize(
    "name",
    ["account_number", "tax_amount", "is_tax", "u_tax_amount", "supplier_invoice_number", "pinned",
     "description", "u_spinoff", "bankers_note", "tokenized", "total_amount", "memo", "gl_account"],
)  # fmt: skip
def test_names_that_only_look_like_it_are_not(name: str) -> None:
    assert not is_private_name(name)


def test_a_column_the_profile_calls_private_is_withheld_by_both_names() -> None:
    column = TargetColumn("u_note", "custentity_note", Converter("text", "40"), private=True)
    privacy = Privacy.of(with_column(column))
    changes = [
        Change("update", "1", "1", "s1", {"u_note": "new", "name": "new"}, {"u_note": "old"}),
        Change("update", "2", "2", "s2", {"u_note": ""}, {"u_note": "old", "name": "old"}),
    ]
    first, second = sending_drafts("run", "vendor", "core_company", changes, privacy)
    assert first.data["records"][0]["fields"] == {
        "u_note": (WITHHELD, WITHHELD),
        "name": ("", "new"),
    }
    assert second.data["records"][0]["fields"] == {"u_note": (WITHHELD, ""), "name": ("old", "")}
    value, remedy = privacy.problem("custentity_note", "4711", "4711 is too long")
    assert value == WITHHELD
    assert "4711" not in remedy


def test_a_private_flag_is_read_from_the_profile(tmp_path) -> None:
    text = (Path(nsn_pipeline.profiles.__file__).parent / "seed.yaml").read_text(encoding="utf-8")
    line = "{column: phone, from: phone, as: text(40)}"
    assert line in text
    path = tmp_path / "own.yaml"
    path.write_text(text.replace(line, line.replace("}", ", private: true}")), encoding="utf-8")
    assert Privacy.of(load_profile(path)).hides("phone", "core_company")


@pytest.mark.parametrize(
    "text",
    [IBAN, IBAN.replace(" ", ""), f"pay to {IBAN}, thanks", "GB82WEST12345698765432.",
     "DE89370400440532013000 THANKS", f"{IBAN} INV 12345", "GB82WEST12345698765432 REF 1",
     "gb82west12345698765432 ref 1", f"REF AB12 {IBAN.lower()} X", f"{IBAN} {IBAN}",
     IBAN.replace(" ", "-"), IBAN.replace(" ", "  "), IBAN.replace(" ", "\u2009"),
     IBAN.replace(" ", "\u202f"), IBAN.replace(" ", " - "), IBAN.replace(" ", "."),
     IBAN.replace(" ", "\r\n"), IBAN.replace(" ", "\u2011").lower(), "IBANDE89370400440532013000",
     "ibande89370400440532013000", "memoDE89370400440532013000", "4711DE89370400440532013000",
     "IBAN:DE89370400440532013000EUR", "kontoGB82WEST12345698765432.ref",
     "FR 76 3000 6000 0112 3456 7890 189", "IBAN: GB 82 WEST 1234 5698 7654 32",
     "iban de 89 3704 0044 0532 0130 00", "DE-89-3704-0044-0532-0130-00",
     "DE8\u20609370400440532013000",
     "DE\n89 3704 0044 0532 0130 00", "DE \r\n89370400440532013000"],
)  # fmt: skip
def test_ibans_are_found_in_free_text(text: str) -> None:
    assert WITHHELD in scrubbed(text)
    assert not any(part in scrubbed(text) for part in ("3704", "6000", "98765432", "7654"))


@pytest.mark.parametrize(
    "text",
    ["DE89 3704 0044 0532 0130 01", "DE893704004405320130001", "de89370400440532013000ab12cd34ef",
     "PO12345678901234567", "", "INV-2026-0000000000001", "4de89370400440532013000ab12cd34ef",
     "DE89 ---- 3704 0044 0532 0130 00", "de 89 3704 0044 0532 0130 00",
     "Add account 7160 'Agency staff' (office Leeds) to itfm_gl_accounts in ServiceNow."],
)  # fmt: skip
def test_other_text_is_left_alone(text: str) -> None:
    assert scrubbed(text) == text


IBANS = (
    *(IBAN, IBAN.replace(" ", ""), IBAN.lower(), IBAN.replace(" ", "\u00a0"), "NO9386011117947"),
    *(IBAN.replace(" ", gap) for gap in ("-", "  ", "\u2009", "\t", "\r\n\x1f", "\u200b\ufeff.")),
    *(f"DE{gap}89 37040044\n0532013000" for gap in (" ", "-", "\n", " \x1f ", "\u2060\t\u3000")),
)
NEIGHBOURS = (
    "",
    " ",
    "\n",
    "\t",
    '"',
    "\\",
    "\\n",
    "\x01",
    "\x1f",
    "é",
    "ß",
    "-",
    ":",
    "n",
    "/",
    "\u2028",
    "IBAN",
    "iban",
    "\niban",
)


@pytest.mark.parametrize("before", NEIGHBOURS)
@pytest.mark.parametrize("iban", IBANS)
def test_no_line_holds_an_iban_whatever_stands_before_it(iban: str, before: str) -> None:
    text = f"memo{before}{iban}"
    draft = Draft(Event.SENDING, "run", data={"fields": {"memo": ("", text)}})
    line, entry = encode(draft, seq=1, at=datetime(2026, 3, 2, tzinfo=UTC), previous=NO_HASH)
    told = orjson.loads(line)["data"]["fields"]["memo"][1]
    assert told == scrubbed(text)
    assert entry.data["fields"]["memo"][1] == told
    # In small letters, and grown together with a word, it is not told from the id of a record.
    assert (iban in told) == (iban.islower() and before in {"", "n", "\\n"})


@given(
    st.lists(
        st.one_of(st.sampled_from(IBANS), st.sampled_from(NEIGHBOURS), st.text(max_size=4)),
        max_size=6,
    )
)
def test_what_needs_no_closer_look_holds_no_iban(parts: list[str]) -> None:
    data = {"value": "".join(parts)}
    assert may_hold_iban(orjson.dumps(data)) or without_ibans(data) == data


def test_ids_of_servicenow_need_no_closer_look() -> None:
    ids = [deterministic_sys_id("dev1", "core_company", str(number)) for number in range(1000)]
    assert sum(may_hold_iban(orjson.dumps({"sys_id": one})) for one in ids) < 30
