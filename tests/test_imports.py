"""Who may import whom: the rooms of the house, from the ground up; and the map that shows them."""

import ast

import pytest

from tests.conftest import ROOT

ROOMS = {  # each with the rooms that its modules may import
    "errors": (),
    "files": ("errors",),
    "prompt_options": (),
    "prompts": ("prompt_options",),
    "tasks": (),
    "metrics": ("tasks",),
    "config": ("errors", "files", "prompt_options", "tasks"),
    "hub": ("errors",),
    "cli": ("errors",),
    "data": ("config", "errors", "files", "hub", "tasks"),
    "records": ("config", "errors", "files", "tasks"),
    "backbones": ("config", "data", "errors", "hub", "tasks"),
    "training": ("backbones", "config", "data", "errors", "files", "hub", "prompts", "records", "tasks"),
    "inference": ("backbones", "config", "data", "errors", "files", "hub", "prompts", "records", "tasks"),
    "reports": ("config", "errors", "files", "records", "tasks"),
}
NO_TORCH = ("cli", "config", "errors", "files", "hub", "prompt_options", "records", "reports", "tasks")
WITH_TORCH = ("rpt/records/prompt_file.py",)  # all the same, and so no file of those rooms may import it
MODULES_WITH_TORCH = tuple(file.removesuffix(".py").replace("/", ".") for file in WITH_TORCH)


def imports_of(path):
    """Every module that the file imports, wherever in it, but for type checkers alone."""
    tree = ast.parse(path.read_text())
    checked_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in checked_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ([f"rpt.{a.name}" for a in node.names] if node.module == "rpt" else [node.module])


def breaches():
    for room, allowed in ROOMS.items():
        place = ROOT / "rpt" / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
            for name in imports_of(path):
                head, _, rest = name.partition(".")
                ours = rest.partition(".")[0]
                slow = head in ("torch", "transformers") or name in ("safetensors.torch", *MODULES_WITH_TORCH)
                file = str(path.relative_to(ROOT))
                if (head == "rpt" and ours not in (room, *allowed)) or (
                    room in NO_TORCH and slow and file not in WITH_TORCH
                ):
                    yield file, name


def test_imports_point_down():
    assert set(breaches()) == set(), "a file imports from a room above it"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_there(room):
    place = ROOT / "rpt" / room
    assert place.is_dir() or place.with_suffix(".py").is_file()


def test_the_map_names_every_module():
    text = (ROOT / "rpt" / "README.md").read_text()
    modules = [path for path in (ROOT / "rpt").rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    hidden = {"super_glue.py", "rpt_packed_launcher.py"}  # named by their folders
    assert {path.name for path in modules if f"{path.name}`" not in text} <= hidden
