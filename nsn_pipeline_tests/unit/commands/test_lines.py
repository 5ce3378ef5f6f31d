"""What is printed fits the terminal, and amounts stay whole."""

import io
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nsn_pipeline.commands.lines import broken, print_phrases
from nsn_pipeline.commands.progress import Progress
from nsn_pipeline.orchestration.runs import StepEvent


def test_a_heading_breaks_between_its_amounts() -> None:
    text = "GL account 7160: 6 bills, 827,369 JPY + 136,391.75 EUR + 37,708.60 USD, since 25 Nov"
    first, second = broken(text, 80)
    assert first.endswith("+ 37,708.60 USD,")
    assert second == "    since 25 Nov"


@pytest.mark.parametrize("text", ["", "one", "GL account 7160: 412 bills, 1,904,220.00 GBP"])
def test_what_fits_is_left_as_it_is(text: str) -> None:
    assert broken(text, 80) == [text]


@given(st.lists(st.text("ab1 ", min_size=1, max_size=9), min_size=1), st.integers(5, 60))
def test_nothing_is_lost_and_every_line_is_as_full_as_it_can_be(
    words: list[str], width: int
) -> None:
    text = ", ".join(word.strip() or "x" for word in words)
    lines = broken(text, width, indent=2)
    assert " ".join(line.removeprefix("  ") for line in lines) == text
    assert all(len(line) <= width or ", " not in line.strip() for line in lines)


def test_a_title_keeps_its_style_and_the_rest_follows() -> None:
    file = io.StringIO()
    console = Console(file=file, width=30, force_terminal=True, color_system="standard")
    print_phrases(console, "GL account 7160", ": 412 bills, 1,904,220.00 GBP", "bold")
    assert re.search(r"\x1b\[1mGL account 7160\x1b\[0m: 412 bills,\n {4}1,904", file.getvalue())


def test_progress_of_the_longest_step_fits_eighty_columns() -> None:
    file = io.StringIO()
    figures = {"created": 40_445, "updated": 158, "unchanged": 43_098, "retired": 12, "failed": 3}
    with Progress(Console(file=file, width=80), date(2026, 3, 1), date(2026, 3, 31)) as progress:
        for kind, at in (("started", 0.0), ("totals", 0.0), ("finished", 1234.5)):
            step = "servicenow_reference__cost_centers"
            progress.show(StepEvent(kind, step, at, figures if kind == "totals" else {}))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("  servicenow_reference/cost_centers")
    assert lines[1].rstrip().endswith("created 40,445, updated 158,")
    assert [line[:46].strip() for line in lines[2:]] == [""] * len(lines[2:])
    assert " ".join(line.strip() for line in lines[1:]).endswith("retired 12, failed 3")
