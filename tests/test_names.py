"""Names that say nothing to a stranger: no function, class, parameter, variable, attribute or field is called so."""

import ast

from tests.conftest import ROOT

UNCLEAR = frozenset("of own found whose there words hide kept given truth".split())
KEYS_THAT_USERS_KNOW = {  # and so these fields and parameters stay: task.words, prompt.words
    "rpt/config/schema.py": {"words"},
    "rpt/prompt_options.py": {"words"},
    "rpt/records/schema.py": {"kept"},  # parameters.kept of a record
    "rpt/prompts/superposition.py": {"words"},
    "rpt/tasks/custom.py": {"words"},
}
FILES = sorted(
    str(path.relative_to(ROOT)) for folder in ("rpt", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")
)


def defined_names(tree):
    """Every name that the code defines, with its line; what it only uses of others is not looked at."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def test_names_say_what_they_stand_for():
    unclear = [
        f"{file}:{line} {name}"
        for file in FILES
        for name, line in defined_names(ast.parse((ROOT / file).read_text()))
        if name in UNCLEAR - KEYS_THAT_USERS_KNOW.get(file, set())
    ]
    assert unclear == []
