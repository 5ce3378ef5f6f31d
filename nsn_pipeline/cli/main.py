"""`nsn`: the command line, assembled. A command's options are in the module named after its group,
what it does is in `commands/`.
"""

import click

from nsn_pipeline.cli.audit import audit
from nsn_pipeline.cli.credentials import credentials
from nsn_pipeline.cli.mapping import mapping
from nsn_pipeline.cli.planning import plan
from nsn_pipeline.cli.rejections import rejections
from nsn_pipeline.cli.replay import replay
from nsn_pipeline.cli.running import demo, dev, doctor, sync
from nsn_pipeline.cli.sandbox import sandbox


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nsn-pipeline")
def main() -> None:
    """Keep ServiceNow's procurement and accounts-payable records in step with NetSuite."""


for one in (
    sync, plan, rejections, mapping, replay, audit, demo, dev, sandbox, doctor, credentials,
):  # fmt: skip
    main.add_command(one)


if __name__ == "__main__":
    main()
