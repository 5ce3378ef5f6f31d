"""The layout of a checkout in a folder of its own, for commands that run as processes."""

import os
import shutil
from pathlib import Path

from nsn_pipeline.settings import VARIABLES

CHECKOUT = Path(__file__).resolve().parents[2]


def project_copy(folder: Path) -> Path:
    """What `nsn` looks for in a checkout; the package itself is the one under test."""
    shutil.copytree(CHECKOUT / "mappings", folder / "mappings")
    for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, folder / name)
    return folder


def own_profile(path: Path, *additions: tuple[str, str]) -> Path:
    """The seed profile with an option more on some of its columns."""
    text = (CHECKOUT / "nsn_pipeline" / "profiles" / "seed.yaml").read_text(encoding="utf-8")
    for column, option in additions:
        assert text.count(column) == 1, column
        text = text.replace(column, f"{column}, {option}")
    path.write_text(text, encoding="utf-8")
    return path


def environment(home: Path) -> dict[str, str]:
    """This process's environment without any setting of the project but where its home is."""
    clean = {k: v for k, v in os.environ.items() if k not in {*VARIABLES, "DAGSTER_HOME"}}
    path = os.pathsep.join(filter(None, (str(CHECKOUT), clean.get("PYTHONPATH"))))
    return clean | {"NSN_HOME": str(home), "PYTHONPATH": path, "COLUMNS": "200"}
