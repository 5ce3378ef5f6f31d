"""The table of faults in docs/doctor.md, made from the cases the tests run.

`python -m nsn_pipeline_tests.faults.documented` writes it anew.
"""

from pathlib import Path

from nsn_pipeline_tests.faults.cases import FAULTS, GROUPS, HEALED, Seeded

PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"
START, END = "<!-- faults: generated -->", "<!-- end of faults -->"
WORDS = {"fail": "stops a run", "warn": "worth a look", "unverified": "cannot verify"}


def table_text() -> str:
    lines = [f"{len(FAULTS)} faults, each seeded alone in the simulators by the test suite.", ""]
    for title, group in GROUPS.items():
        lines += [f"### {title}", "", "| fault | finding | weight | the remedy names |"]
        lines += ["| --- | --- | --- | --- |", *map(_line, group), ""]
    lines += [
        "### Put right without a word",
        "",
        "| what happens | what is done |",
        "| --- | --- |",
    ]
    lines += [*(f"| {healed.name} | {healed.cure} |" for healed in HEALED), ""]
    return "\n".join(lines)


def _line(seeded: Seeded) -> str:
    weight = WORDS[seeded.status]
    if seeded.among:
        weight += f"; one of {seeded.among} causes the server does not tell apart"
    return f"| {seeded.name} | `{seeded.finding}` | {weight} | {_plain(seeded.advice)} |"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def with_table(page: str) -> str:
    """The page with its table as it should be now."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table_text()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
