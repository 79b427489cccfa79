"""The map in rpt/README.md, made of the first sentence of every module's docstring, up to a colon.

python scripts/module_map.py    # after a module was added or renamed
"""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "rpt"
README = PACKAGE / "README.md"
BLOCK = re.compile(r"(?<=^## Map\n)(.*?```text\n).*?(?=```)", re.S | re.M)
WIDTH = 26  # of the names


def draw_map() -> str:
    """A line for each folder, and one for each file in it."""
    lines = []
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")}):
        if folder != PACKAGE:
            lines += ["", _line(f"{folder.relative_to(PACKAGE)}/", folder / "__init__.py")]
        indent = "" if folder == PACKAGE else "  "
        lines += [_line(indent + path.name, path) for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    return "\n".join(lines) + "\n"


def _line(name: str, path: Path) -> str:
    if not path.is_file():  # a folder that is no package
        return name
    paragraph, *_ = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")
    sentence, *_ = re.split(r"(?<=[.?])\s|[:;]\s", " ".join(paragraph.split()))
    return f"{name:<{WIDTH}} {sentence.removesuffix('.')}"


def write_map() -> str:
    """What rpt/README.md should be."""
    return BLOCK.sub(lambda match: match[1] + draw_map(), README.read_text("utf-8"))


if __name__ == "__main__":
    README.write_text(write_map(), "utf-8")
