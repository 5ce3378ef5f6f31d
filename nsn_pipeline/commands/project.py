"""Where the project is: commands and the Dagster UI must meet on one instance and one NSN_HOME."""

import os
from pathlib import Path

from dotenv import load_dotenv

from nsn_pipeline.errors import ConfigurationError

INSTANCE_FILE = "dagster.yaml"


def enter_project() -> Path:
    """Make the checkout the working directory and its instance the default; returns its path.

    Paths in dagster.yaml and the default NSN_HOME are relative to it. Raises ConfigurationError
    outside a checkout.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / INSTANCE_FILE).is_file() and (folder / "workspace.yaml").is_file():
            os.chdir(folder)
            # Dagster reads the same file: a command must not see another account than the UI.
            load_dotenv(folder / ".env", override=False)
            if not os.environ.get("DAGSTER_HOME"):
                os.environ["DAGSTER_HOME"] = str(folder)
            os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
            return folder
    msg = f"no {INSTANCE_FILE} in {here} or above it: run nsn inside the checkout"
    raise ConfigurationError(msg)
