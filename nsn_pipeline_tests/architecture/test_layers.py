"""A layer imports only those before it; nothing but the commands imports the sandbox."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "nsn_pipeline"
CORE, EDGE, WIRING = 1, 2, 3
LAYERS = {
    "errors": CORE,
    "amounts": CORE,
    "frames": CORE,
    "records": CORE,
    "conform": CORE,
    "audit": CORE,
    "profiles.model": CORE,
    "load.plan": CORE,
    "load.brake": CORE,
    "load.plan_document": CORE,
    "load.compare": CORE,
    "load.drift": CORE,
    "load.problems": CORE,
    "load.sys_id": CORE,
    "load.table": CORE,
    "load": EDGE,
    "credentials": EDGE,
    "doctor": EDGE,
    "profiles": EDGE,
    "clients": EDGE,
    "state": EDGE,
    "extract": EDGE,
    "landing": EDGE,
    "settings": EDGE,
    "connections": EDGE,
    "orchestration": WIRING,
    "definitions": WIRING,
    "commands": WIRING,
    "cli": WIRING,
}
MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module: str) -> int | None:
    parts = module.split(".")
    for length in (2, 1):
        layer = LAYERS.get(".".join(parts[:length]))
        if layer is not None:
            return layer
    return None


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` is about the module, where there is one.
            for alias in node.names:
                child = ROOT.parent / node.module.replace(".", "/") / f"{alias.name}.py"
                yield node.lineno, f"{node.module}.{alias.name}" if child.exists() else node.module


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_imports_only_layers_before_its_own(path: Path) -> None:
    module = name_of(path)
    if module.startswith("sandbox") or not module:
        return
    own = layer_of(module)
    assert own is not None, f"{module} is in no layer: add it to LAYERS"
    for line, imported in imports_of(path):
        if not imported.startswith("nsn_pipeline."):
            continue
        target = imported.removeprefix("nsn_pipeline.")
        if target.startswith("sandbox"):
            assert module.startswith(("commands", "cli")), f"{path}:{line} imports the sandbox"
            continue
        other = layer_of(target)
        assert other is not None, f"{path}:{line} imports {imported}, which is in no layer"
        assert other <= own, f"{path}:{line} ({module}) imports {imported} from a later layer"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_wiring_knows_dagster(path: Path) -> None:
    module = name_of(path)
    allowed = module.startswith(("orchestration", "definitions", "commands", "cli"))
    for line, imported in imports_of(path):
        if imported.split(".")[0] == "dagster":
            assert allowed, f"{path}:{line} imports dagster"


@pytest.mark.parametrize("path", sorted((ROOT / "sandbox").rglob("*.py")), ids=name_of)
def test_simulators_know_nothing_of_the_pipeline(path: Path) -> None:
    """A simulator built from our own specs would agree with our mistakes."""
    for line, imported in imports_of(path):
        if imported.startswith("nsn_pipeline"):
            assert imported.startswith("nsn_pipeline.sandbox"), f"{path}:{line} imports {imported}"


def test_pure_core_has_no_input_or_output() -> None:
    forbidden = {"requests", "redis", "socket", "subprocess", "urllib3", "sqlite3"}
    for path in MODULES:
        if layer_of(name_of(path)) == CORE:
            for line, imported in imports_of(path):
                assert imported.split(".")[0] not in forbidden, f"{path}:{line} imports {imported}"
