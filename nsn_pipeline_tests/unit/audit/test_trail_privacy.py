from dataclasses import replace
from pathlib import Path

import pytest

import nsn_pipeline.profiles
from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy, is_private_name, scrubbed
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
    assert privacy.change("core_company", "u_note", "old", "new") == (WITHHELD, WITHHELD)
    assert privacy.change("core_company", "u_note", "", "new") == ("", WITHHELD)
    assert privacy.change("core_company", "name", "old", "new") == ("old", "new")
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
     "gb82west12345698765432 ref 1", f"REF AB12 {IBAN.lower()} X", f"{IBAN} {IBAN}"],
)  # fmt: skip
def test_ibans_are_found_in_free_text(text: str) -> None:
    assert WITHHELD in scrubbed(text)
    assert "3704" not in scrubbed(text)
    assert "98765432" not in scrubbed(text)


@pytest.mark.parametrize(
    "text",
    ["DE89 3704 0044 0532 0130 01", "DE893704004405320130001", "de89370400440532013000ab12cd34ef",
     "PO12345678901234567", "", "INV-2026-0000000000001",
     "Add account 7160 'Agency staff' (office Leeds) to itfm_gl_accounts in ServiceNow."],
)  # fmt: skip
def test_other_text_is_left_alone(text: str) -> None:
    assert scrubbed(text) == text
