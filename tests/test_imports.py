"""Who may import whom: the rooms of the house, from the ground up; and the map that shows them."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest
from module_map import draw_map, write_map

from tests.conftest import ROOT

ROOMS = {  # each with the rooms that its modules may import
    "errors": (),
    "files": ("errors",),
    "prompt_options": (),
    "prompts": ("errors", "files", "prompt_options"),
    "tasks": (),
    "metrics": ("tasks",),
    "config": ("errors", "files", "prompt_options", "tasks"),
    "hub": ("errors",),
    "streams": (),
    "cli": ("errors", "streams"),
    "data": ("config", "errors", "files", "hub", "tasks"),
    "records": ("config", "errors", "files", "tasks"),
    "backbones": ("config", "data", "errors", "files", "hub", "tasks"),
    "training.run": ("backbones", "config", "data", "errors", "files", "prompts", "records", "tasks"),
    "training.engine": ("backbones", "data", "errors", "prompts", "records", "training.run"),
    "training.sweep": (
        "backbones", "config", "data", "errors", "files", "hub", "prompts", "records", "tasks",
        "training.engine", "training.run",
    ),
    "inference": ("backbones", "config", "data", "errors", "files", "hub", "prompts", "records", "tasks"),
    "reports": ("config", "errors", "files", "records", "tasks"),
}  # fmt: skip
NO_TORCH = ("cli", "config", "errors", "files", "hub", "prompt_options", "records", "reports", "streams", "tasks")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "rpt").rglob("*.py"))
}


def imports_of(path):
    """Every module that the file imports, wherever in it: in functions and for type checkers alone too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)


def room_of(module):
    """The room that a module of the package is in, the innermost; None for a command."""
    inside = module.removeprefix("rpt.")
    return max((room for room in ROOMS if f"{inside}.".startswith(f"{room}.")), key=len, default=None)


def breaches():
    for module, path in MODULES.items():
        if (room := room_of(module)) is None:
            continue
        file = str(path.relative_to(ROOT))
        for name in imports_of(path):
            ours = name in MODULES and room_of(name) not in (room, *ROOMS[room])
            slow = name.partition(".")[0] in ("torch", "transformers")
            slow = slow or name == "safetensors.torch"
            if ours or (room in NO_TORCH and slow):
                yield file, name


def test_imports_point_down():
    assert set(breaches()) == set(), "a file imports from a room above it"


def test_no_module_imports_itself_through_others():
    graph = {module: MODULES.keys() & set(imports_of(path)) for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_there(room):
    place = ROOT / "rpt" / room.replace(".", "/")
    assert place.is_dir() or place.with_suffix(".py").is_file()


def test_the_map_is_what_the_docstrings_say():
    assert (ROOT / "rpt" / "README.md").read_text() == write_map(), "run python scripts/module_map.py"
    names = [line.split()[0] for line in draw_map().splitlines() if line]
    modules = [path for path in MODULES.values() if path.name != "__init__.py"]
    assert sorted(name for name in names if name.endswith(".py")) == sorted(path.name for path in modules)


READMES = ("README.md", "configs/README.md", "results/README.md", "rpt/README.md", "rpt/training/README.md")


def test_the_pages_stay_short():
    lengths = {page: len((ROOT / page).read_text().split()) for page in READMES}
    assert lengths["README.md"] <= 1200 and sum(lengths.values()) <= 5000, lengths
