"""The paper's own numbers. They stand in results/paper.yaml, under the names of our grids' axes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from rpt.config.yaml_files import read_yaml

Number = Any  # a float; in places a word ("77K"), true, or None where the paper has none

# The paper's names for values of our axes.
NAMES = {
    "t5_large": "t5-large", "t5_base": "t5-base", "bert_base": "bert-base",
    "finetune": "ft", "vanilla": "pt", "mlp": "pt-mlp", "lstm": "pt-lstm", "residual": "rpt",
    "uniform": "random", "vocabulary": "vocab", "True": "shared", "False": "separate",
}  # fmt: skip
# The paper's backbone that is most like one that it does not have.
BESIDE = {"nano": "t5-base", "flan_small": "t5-base", "nano_bert": "bert-base", "minilm": "bert-base"}


class Paper:
    """Tables by name, backbone, row and column, each value as printed."""

    def __init__(self, path: Path | None = None):
        self.everything = read_yaml(path or _packaged())
        self._figures = self.everything["figures"]
        ours: dict[str, Any] = {"rows": {}, "columns": []}  # a table that the paper does not have
        self._tables = defaultdict(lambda: ours, self.everything["tables"])

    def rows(self, table: str) -> dict[str, list[str]]:
        """The rows of each backbone."""
        return {backbone: list(rows) for backbone, rows in self._tables[table]["rows"].items()}

    def place(self, table: str, at: dict[str, str]) -> tuple[str, str]:
        """The table's names for the backbone and row at these values of our axes. Fine-tuning is "ft" or "ft-r",
        depending on the backbone."""
        backbone, name = NAMES.get(at["backbone"], at["backbone"]), row_name(at)
        return backbone, f"{name}-r" if f"{name}-r" in self._tables[table]["rows"].get(backbone, {}) else name

    def rows_without(self, table: str, shown: Container[tuple[str, str]]) -> list[tuple[str, str]]:
        """Backbone and name of the rows that are not among these."""
        places = [(backbone, row) for backbone, rows in self.rows(table).items() for row in rows]
        return [place for place in places if place not in shown]

    def value(self, table: str, backbone: str, row: str, column: str) -> Number:
        """One printed value; None if the paper has none."""
        columns = self._tables[table]["columns"]
        values = self._tables[table]["rows"].get(backbone, {}).get(row)
        return values[columns.index(column)] if values and column in columns else None

    def backbone_beside(self, table: str, backbone: str) -> str:
        """The paper's name of a backbone, or of the most similar one that it has."""
        name, backbones = NAMES.get(backbone, BESIDE.get(backbone, backbone)), list(self.rows(table))
        return name if name in backbones or not backbones else backbones[0]

    def tasks(self, table: str) -> list[str]:
        """The tasks of a table that has them across, or all."""
        columns = self._tables[table]["columns"]
        return columns[:-1] if columns[-1:] == ["average"] else self.tasks("table1")

    def covered_by(self, tasks: Iterable[str], table: str) -> bool:
        """Whether a table's averages are over exactly these tasks, so that they can be compared with ours."""
        return set(self.tasks(table)) == set(tasks)

    def curve(self, figure: str, panel: str, prompt: str) -> tuple[list[float], list[float]]:
        """A digitised, approximate curve: x values and scores; empty if there is none."""
        curves = self._figures[figure]["panels"].get(panel, {}).get(NAMES.get(prompt, prompt))
        return ([float(x) for x in self._figures[figure]["columns"]], curves) if curves else ([], [])

    def notes(self, table: str, backbone: str, row: str, column: str | None = None) -> list[str]:
        """The errata and sources of one printed value, or of the whole row."""
        at = {"table": table, "backbone": backbone, "row": row, "column": column}
        return [
            erratum["text"]
            for erratum in self.everything["errata"]
            if any({"backbone": backbone, "column": None} | where == at for where in erratum["where"])
        ]


def row_name(at: dict[str, str]) -> str:
    """The paper's name of a row, from the values of its axes."""
    return "-".join(NAMES.get(value, value) for key, value in at.items() if key != "backbone")


def _packaged() -> Path:
    """Beside this module when installed, in results/ in a checkout."""
    here = Path(__file__)
    installed = here.with_name("paper.yaml")
    return installed if installed.exists() else here.parents[2] / "results" / "paper.yaml"
