"""What every command has in common: it runs inside the checkout, and ends with an exit code.

Exit codes: 0 done, 1 done with rejections or differences, 2 could not run.
"""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click
from rich.console import Console
from rich.text import Text

from nsn_pipeline.commands.project import enter_project
from nsn_pipeline.credentials.core_dumps import forbid_core_dumps
from nsn_pipeline.errors import NsnError

DONE, DONE_WITH_FINDINGS, COULD_NOT_RUN = 0, 1, 2
DAY = click.DateTime(formats=["%Y-%m-%d"])
P = ParamSpec("P")
STARTED_IN = Path.cwd()  # paths people type are meant from here, not from the checkout's root


def command(function: Callable[P, int]) -> Callable[P, None]:
    """Run inside the checkout, turn our errors into one readable line, exit with the code."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        forbid_core_dumps()
        try:
            enter_project()
            code = function(*args, **kwargs)
        except NsnError as error:
            text = Text("nsn: ", style="red").append(str(error), style="default")
            Console(stderr=True).print(text, soft_wrap=True)
            code = COULD_NOT_RUN
        except KeyboardInterrupt:
            code = 130
        except Exception:  # noqa: BLE001 - a crash must not look like "done, with rejections"
            Console(stderr=True).print_exception(show_locals=False)  # locals may be secrets
            code = COULD_NOT_RUN
        sys.exit(code)

    return run
