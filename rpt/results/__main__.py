"""`python -m rpt.results [FOLDER]`: write FOLDER/OVERVIEW.md, what the run records say. Never trains."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from rpt.files import write_atomically
from rpt.results.record import RecordError, read_result

TASKS = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")
PROMPTS = ("none", "vanilla", "mlp", "lstm", "residual")


def overview(folder: Path) -> str:
    """The finished records under `folder`/runs as Markdown tables: mean score over seeds, and how many.

    Real and miniature rows never share a table; what cannot be read is named at the end and left out.
    """
    groups: dict[tuple, dict[tuple[str, str], list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    problems = []
    for path in sorted((folder / "runs").glob("*/*/*/*/result.json")):
        try:
            result = read_result(path)
            config = yaml.safe_load((path.parent / "config.yaml").read_text(encoding="utf-8"))
            miniature = result["data"]["miniature"]
            group = (miniature, result["backbone"], result["protocol"], config["trainer"]["epochs"])
            setting = (config["prompt"]["length"], config["lr"], config["data"]["shots"])
        except (RecordError, OSError, yaml.YAMLError, KeyError, TypeError) as error:
            problems.append(f"- left out: {path}: {error}")
            continue
        if result["status"] == "failed":
            problems.append(f"- failed: {path.parent}: {result['error']}")
            continue
        groups[group + setting][result["prompt"], result["task"]].append(result)
    if not groups:
        return "\n".join(["no records yet", *problems])
    parts = ["# What the run records say", "Validation scores in per cent: mean over seeds (number of seeds)."]
    parts += [_table(group, cells) for group, cells in sorted(groups.items(), key=lambda item: str(item[0]))]
    return "\n\n".join([*parts, *(["\n".join(problems)] if problems else [])])


def _table(group: tuple, cells: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    miniature, backbone, protocol, epochs, length, lr, shots = group
    rows = "MINIATURE rows, not comparable with SuperGLUE" if miniature else "SuperGLUE"
    title = f"{rows}: {backbone}, protocol {protocol}, "
    title += f"{length} tokens, lr {lr:g}, {epochs} epochs" + (f", {shots} shots" if shots else "")
    tasks = [task for task in TASKS if any(of_task == task for _, of_task in cells)]
    lines = [f"## {title}", f"| prompt | {' | '.join(tasks)} |", "|--" * (len(tasks) + 1) + "|"]
    majority = {task: result["majority"]["score"] for (_, task), results in cells.items() for result in results}
    lines.append(f"| majority answer | {' | '.join(f'{majority[task]:.1f}' for task in tasks)} |")
    for prompt in sorted({prompt for prompt, _ in cells}, key=lambda p: (PROMPTS.index(p) if p in PROMPTS else 99, p)):
        scores = [[result["scores"]["score"] for result in cells.get((prompt, task), [])] for task in tasks]
        shown = [f"{statistics.mean(some):.1f} ({len(some)})" if some else "" for some in scores]
        lines.append(f"| {prompt} | {' | '.join(shown)} |")
    return "\n".join([lines[0], "", *lines[1:]])


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    text = overview(folder)
    print(text)
    if text.startswith("#"):
        write_atomically(folder / "OVERVIEW.md", f"{text}\n".encode())


if __name__ == "__main__":
    main()
