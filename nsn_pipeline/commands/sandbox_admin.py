"""`nsn sandbox add-gl-account`, `add-cost-center`, `counts`: an administrator of the simulated
systems, through the running sandbox's own side door. A live system is never asked.
"""

from typing import Any

import requests
from rich import box
from rich.console import Console
from rich.table import Table

from nsn_pipeline.audit.replay import NOUNS
from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.extract.references import look_up_references
from nsn_pipeline.load.plan import is_safe_key
from nsn_pipeline.sandbox.admin import PREFIX
from nsn_pipeline.sandbox.background import running
from nsn_pipeline.settings import load_project_settings, load_settings

TIMEOUT_S = 30


def add_reference(console: Console, kind: str, code: str, name: str) -> None:
    """Add a GL account or cost center to the simulated ServiceNow, unless it has the code."""
    info = _running()
    if not is_safe_key(code):
        raise ConfigurationError(f"{code!r} cannot be a code: ServiceNow could not look it up")
    settings = load_settings({"NSN_HOME": str(load_project_settings().home)})  # the sandbox's own
    with Connections(settings, run_id="sandbox-admin") as connections:
        table = connections.profile.references[kind]
        present = look_up_references(connections.servicenow, table, [code])
    noun = f"{NOUNS[kind]} {code}"
    if len(present):
        console.print(f"{noun} is in {table.table} already.", highlight=False)
        return
    row = {table.code: code, table.name: name or code}
    _call(info, "servicenow", "POST", f"{PREFIX}servicenow/{table.table}", row)
    console.print(
        f"Added {noun} to {table.table}. Documents that wait for it: `nsn replay`, or the sensor "
        "replay_cured when it is on.",
        highlight=False,
    )


def print_counts(console: Console) -> dict[str, dict[str, int]]:
    """How many rows both simulated systems hold, by table."""
    info = _running()
    found: dict[str, dict[str, int]] = {}
    for system in ("netsuite", "servicenow"):
        found[system] = _call(info, system, "GET", f"{PREFIX}{system}")
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column(system)
        table.add_column("rows", justify="right")
        for name, count in sorted(found[system].items()):
            table.add_row(name, f"{count:,}")
        console.print(table)
    return found


def _running() -> dict[str, Any]:
    home = load_project_settings().home
    info = running(home)
    if info is None:
        msg = f"no sandbox is running for {home}: start one with `nsn sandbox` or `make dev`"
        raise ConfigurationError(msg)
    return info


def _call(
    info: dict[str, Any], system: str, method: str, path: str, body: dict[str, str] | None = None
) -> Any:
    try:
        answer = requests.request(
            method,
            f"{info[system]['base_url']}{path}",
            json=body,
            headers={"Authorization": f"Bearer {info['admin_token']}"},
            verify=info["ca_bundle"],
            timeout=TIMEOUT_S,
        )
        content = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise ConfigurationError("the sandbox does not answer; start it again") from error
    if not answer.ok:
        raise ConfigurationError(f"the sandbox refused: {content.get('error', answer.status_code)}")
    return content
