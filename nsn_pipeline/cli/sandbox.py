"""`nsn sandbox`: serve both simulators, or change what a running one holds."""

import json
from typing import Any

import click
from rich.console import Console

from nsn_pipeline.cli.entry import DONE, command
from nsn_pipeline.cli.running import sandbox_options


@click.group(invoke_without_command=True)
@click.option("--netsuite-port", default=0, help="0: the last one used, or any free one.")
@click.option("--servicenow-port", default=0, help="0: the last one used, or any free one.")
@sandbox_options
@click.pass_context
def sandbox(
    context: click.Context, netsuite_port: int, servicenow_port: int, **options: Any
) -> None:
    """Serve simulators of both systems over TLS on loopback until Ctrl-C.

    The subcommands are for a second terminal: they act on the sandbox that is running.
    """
    if context.invoked_subcommand is None:
        _serve(netsuite_port, servicenow_port, options)


@command
def _serve(netsuite_port: int, servicenow_port: int, options: dict[str, Any]) -> int:
    from nsn_pipeline.commands.sandbox import SandboxOptions, serve

    return serve(
        Console(),
        SandboxOptions(**options),
        netsuite_port=netsuite_port,
        servicenow_port=servicenow_port,
    )


@sandbox.command("add-gl-account")
@click.argument("code")
@click.argument("name", default="")
@command
def add_gl_account(code: str, name: str) -> int:
    """Add a GL account to the running sandbox's ServiceNow, as its administrator would."""
    return _add("gl_account", code, name)


@sandbox.command("add-cost-center")
@click.argument("code")
@click.argument("name", default="")
@command
def add_cost_center(code: str, name: str) -> int:
    """Add a cost center to the running sandbox's ServiceNow, as its administrator would."""
    return _add("cost_center", code, name)


@sandbox.command("counts")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@command
def counts(as_json: bool) -> int:
    """How many rows both simulated systems hold."""
    from nsn_pipeline.commands.sandbox_admin import print_counts

    found = print_counts(Console(stderr=as_json))
    if as_json:
        click.echo(json.dumps(found, indent=1))
    return DONE


def _add(kind: str, code: str, name: str) -> int:
    from nsn_pipeline.commands.sandbox_admin import add_reference

    add_reference(Console(), kind, code, name)
    return DONE
