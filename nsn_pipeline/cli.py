"""`nsn`: the command line. Thin: options in, one function called, an exit code out.

Exit codes: 0 done, 1 done with rejections or failures, 2 could not run.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click
from rich.console import Console
from rich.text import Text

from nsn_pipeline.commands.project import enter_project
from nsn_pipeline.errors import NsnError
from nsn_pipeline.records.registry import REGISTRY

DONE, DONE_WITH_FINDINGS, COULD_NOT_RUN = 0, 1, 2
DAY = click.DateTime(formats=["%Y-%m-%d"])
SIZES = ("tiny", "small", "medium", "large")
P = ParamSpec("P")
STARTED_IN = Path.cwd()  # paths people type are meant from here, not from the checkout's root


def _command(function: Callable[P, int]) -> Callable[P, None]:
    """Run inside the checkout, turn our errors into one readable line, exit with the code."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
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
            Console(stderr=True).print_exception()
            code = COULD_NOT_RUN
        sys.exit(code)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nsn-pipeline")
def main() -> None:
    """Keep ServiceNow's procurement and accounts-payable records in step with NetSuite."""


@main.command()
@click.option("--from", "first", type=DAY, required=True, help="First day of change time.")
@click.option("--to", "last", type=DAY, required=True, help="Last day, included.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(tuple(REGISTRY)),
    help="Only this record type and what it needs; may be repeated.",
)
@click.option("--days-per-run", default=31, show_default=True, type=click.IntRange(1, 366))
@click.option("--rejections", "shown", default=10, show_default=True, help="How many to print.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@_command
def sync(  # noqa: PLR0917 - click passes options by name
    first: datetime,
    last: datetime,
    only: tuple[str, ...],
    days_per_run: int,
    shown: int,
    as_json: bool,
) -> int:
    """Sync the days --from to --to, both included, through Dagster."""
    from nsn_pipeline.commands.summary_text import print_summary
    from nsn_pipeline.commands.sync import SyncRequest, run_sync

    request = SyncRequest(
        first=first.date(),
        last=last.date(),
        only=only,
        days_per_run=days_per_run,
    )
    summary = run_sync(Console(stderr=as_json), request)
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=1))
    else:
        print_summary(Console(), summary, rejections=shown)
    if summary.errors:
        return COULD_NOT_RUN
    return DONE_WITH_FINDINGS if summary.has_findings else DONE


def _sandbox_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--size", type=click.Choice(SIZES), default="small", show_default=True),
        click.option("--seed", default=1, show_default=True, help="Same seed, same company."),
        click.option(
            "--shape",
            type=click.Choice(("multi", "single")),
            default="multi",
            show_default=True,
            help="Several subsidiaries, currencies and books, or one of each.",
        ),
        click.option(
            "--data",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Serve these table files instead (netsuite/*.csv, servicenow/*.csv).",
        ),
        click.option("--reset", is_flag=True, help="Throw the sandbox's present data away."),
    ):
        function = option(function)
    return function


@main.command()
@_sandbox_options
@_command
def demo(**options: Any) -> int:
    """Sync a week of a simulated company into a simulated ServiceNow, and show the result."""
    from nsn_pipeline.commands.demo import run_demo
    from nsn_pipeline.commands.sandbox import SandboxOptions

    return run_demo(Console(), SandboxOptions(**options))


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@_sandbox_options
@_command
def dev(port: int, **options: Any) -> int:
    """Sandbox, Redis and the Dagster UI together; Ctrl-C stops them all."""
    from nsn_pipeline.commands.dev import run_dev
    from nsn_pipeline.commands.sandbox import SandboxOptions

    return run_dev(Console(), SandboxOptions(**options), port=port)


@main.command()
@click.option("--netsuite-port", default=0, help="0: the last one used, or any free one.")
@click.option("--servicenow-port", default=0, help="0: the last one used, or any free one.")
@_sandbox_options
@_command
def sandbox(netsuite_port: int, servicenow_port: int, **options: Any) -> int:
    """Serve simulators of both systems over TLS on loopback until Ctrl-C."""
    from nsn_pipeline.commands.sandbox import SandboxOptions, serve

    return serve(
        Console(),
        SandboxOptions(**options),
        netsuite_port=netsuite_port,
        servicenow_port=servicenow_port,
    )


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@_command
def doctor(as_json: bool) -> int:
    """Check both systems, Redis and the settings, without writing; say what to do about each."""
    from nsn_pipeline.commands.doctor import run_doctor

    return run_doctor(Console(), as_json=as_json)


@main.group()
def credentials() -> None:
    """Keep both systems' credentials in one encrypted file under NSN_HOME."""


@credentials.command("set")
@click.argument("system", type=click.Choice(("netsuite", "servicenow")))
@click.argument("source", required=False, type=click.Choice(("-",)))
@click.option(
    "--from-file",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="JSON or KEY=VALUE lines.",
)
@_command
def credentials_set(system: str, source: str | None, from_file: str | None) -> int:
    """Store a system's credentials: asked without echo, or from standard input (-) or a file."""
    from nsn_pipeline.commands.credentials import set_credentials
    from nsn_pipeline.settings import load_project_settings

    set_credentials(
        Console(),
        load_project_settings().home,
        os.environ,
        system,
        source=source or from_file,
        folder=STARTED_IN,
    )
    return DONE


@credentials.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@_command
def credentials_list(as_json: bool) -> int:
    """Show which credentials are stored, and never their secrets."""
    from nsn_pipeline.commands.credentials import list_credentials
    from nsn_pipeline.settings import load_project_settings

    list_credentials(Console(), load_project_settings().home, os.environ, as_json=as_json)
    return DONE


@credentials.command("rotate")
@click.option(
    "--new-key-file",
    type=click.Path(dir_okay=False, resolve_path=True, path_type=Path),
    help="Where to write the new master key (mode 0600).",
)
@_command
def credentials_rotate(new_key_file: Path | None) -> int:
    """Make a new master key and refuse the old one from now on."""
    from nsn_pipeline.commands.credentials import rotate_master_key
    from nsn_pipeline.settings import load_project_settings

    rotate_master_key(
        Console(), load_project_settings().home, os.environ, new_key_file=new_key_file
    )
    return DONE


@credentials.command("remove")
@click.argument("system", type=click.Choice(("netsuite", "servicenow")))
@_command
def credentials_remove(system: str) -> int:
    """Forget a system's stored credentials."""
    from nsn_pipeline.commands.credentials import remove_credentials
    from nsn_pipeline.settings import load_project_settings

    remove_credentials(Console(), load_project_settings().home, os.environ, system)
    return DONE


if __name__ == "__main__":
    main()
