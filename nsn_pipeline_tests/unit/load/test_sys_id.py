import re

from nsn_pipeline.load.sys_id import deterministic_sys_id


def test_sys_id_is_32_lower_case_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", deterministic_sys_id("dev1", "proc_po", "4711"))


def test_sys_id_never_changes_between_releases() -> None:
    # A new value would make a second copy of every record ever loaded.
    expected = "677c4bcc2324bb95e301301088a8c320"
    assert deterministic_sys_id("dev1", "proc_po", "4711") == expected


def test_sys_id_depends_on_every_part_and_on_where_it_ends() -> None:
    parts = [
        ("dev1", "proc_po", "4711"),
        ("dev2", "proc_po", "4711"),
        ("dev1", "proc_po_item", "4711"),
        ("dev1", "proc_po4", "711"),
        ("dev1p", "roc_po", "4711"),
        ("dev1", "proc_po", "4711-1"),
    ]
    assert len({deterministic_sys_id(*part) for part in parts}) == len(parts)


def test_instance_names_know_no_case() -> None:
    assert deterministic_sys_id("Dev1", "t", "k") == deterministic_sys_id("dev1", "t", "k")
