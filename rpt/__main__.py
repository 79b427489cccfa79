"""The list of commands."""

from __future__ import annotations

import ast
from pathlib import Path

COMMANDS = ("train", "plan", "results", "publish", "predict", "export")


def main() -> None:
    """Each command with the first line of its module's docstring, which is read without importing it."""
    for name in COMMANDS:
        source = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
        first_line, *_ = (ast.get_docstring(ast.parse(source)) or "").split("\n")
        print(f"python -m rpt.{name:<8} {first_line}")
    print("\n--help after any of them says more.")


if __name__ == "__main__":
    main()
