"""`nsn demo`: the main job on the sandbox, from nothing to a summary, and what to type next."""

from datetime import date

from rich.console import Console

from nsn_pipeline.commands.sandbox import SandboxOptions, sandbox_for
from nsn_pipeline.commands.summary import Summary
from nsn_pipeline.commands.summary_text import print_summary
from nsn_pipeline.commands.sync import SyncRequest, run_sync
from nsn_pipeline.settings import is_live, load_project_settings

NEXT = """
What to type next
  make dev        the Dagster UI on this data: lineage, checks, backfills
  make demo       again: it writes nothing, as ServiceNow already holds all of it
  nsn sandbox     keep both simulated systems running, for `nsn sync` in another
                  terminal (nsn is .venv/bin/nsn)
To cure a rejection: add the account in ServiceNow, or a line that maps it to one
that exists to mappings/gl_accounts.csv, and `make demo` again: what was refused is
read, judged and written anew.
"""


def run_demo(console: Console, options: SandboxOptions) -> int:
    """Sync a week of the simulated company; returns an exit code."""
    if is_live():
        console.print(
            "The demo runs on the sandbox only, and a live account is configured in the "
            "environment. Unset NETSUITE_ACCOUNT_ID and SERVICENOW_INSTANCE first."
        )
        return 2
    home = load_project_settings().home
    console.print("Starting the sandbox: a NetSuite and a ServiceNow on this machine")
    with sandbox_for(console, home, options) as info:
        first, last = (date.fromisoformat(info["data"][name]) for name in ("first_day", "last_day"))
        summary = run_sync(console, SyncRequest(first, last))
        print_summary(console, summary)
    console.print(NEXT, highlight=False, soft_wrap=True)
    return _exit_code(summary)


def _exit_code(summary: Summary) -> int:
    """Rejections are what the demo is there to show, so they do not fail it."""
    return 2 if summary.errors else 0
