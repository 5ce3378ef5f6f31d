"""Lines for a terminal of any width: broken between phrases, never inside an amount or a name."""

import re

from rich.console import Console
from rich.text import Text

HANGING = 4
_PHRASE = re.compile(r"(?<=[,;+]) ")


def broken(text: str, width: int, *, indent: int = HANGING) -> list[str]:
    """`text` in lines of at most `width`, those after the first indented.

    Breaks only after a comma, semicolon or plus sign; a longer phrase keeps its line to itself.
    """
    first, *rest = _PHRASE.split(text)
    lines = [first]
    for phrase in rest:
        longer = f"{lines[-1]} {phrase}"
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(" " * indent + phrase)
    return lines


def print_phrases(console: Console, title: str, rest: str, style: str) -> None:
    """A title in its style and what follows it, broken to the console's width."""
    text = Text("\n".join(broken(title + rest, console.width)))
    text.stylize(style, 0, len(title))
    console.print(text, soft_wrap=True, highlight=False)
