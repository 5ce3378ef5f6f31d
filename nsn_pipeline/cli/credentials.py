"""`nsn credentials`: set, list, rotate, remove."""

import os
from pathlib import Path

import click
from rich.console import Console

from nsn_pipeline.cli.entry import DONE, STARTED_IN, command


@click.group()
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
@command
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
@command
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
@command
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
@command
def credentials_remove(system: str) -> int:
    """Forget a system's stored credentials."""
    from nsn_pipeline.commands.credentials import remove_credentials
    from nsn_pipeline.settings import load_project_settings

    remove_credentials(Console(), load_project_settings().home, os.environ, system)
    return DONE
