"""The paper's own numbers. They stand in results/paper.yaml, under the names of our grids' axes."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from rpt.config.yaml_files import read_yaml
from rpt.reports.grid_results import At

Place = tuple[str, str]  # the paper's names of a backbone and a row
# The paper's names for values of our axes.
NAMES = {
    "t5_large": "t5-large", "t5_base": "t5-base", "bert_base": "bert-base",
    "finetune": "ft", "vanilla": "pt", "mlp": "pt-mlp", "lstm": "pt-lstm", "residual": "rpt",
    "uniform": "random", "vocabulary": "vocab", "True": "shared", "False": "separate",
}  # fmt: skip
# The paper's backbone that is most like one that it does not have.
BESIDE = {"nano": "t5-base", "flan_small": "t5-base", "nano_bert": "bert-base", "minilm": "bert-base"}


class Paper:
    """Tables by name, backbone, row and column, each value as printed. A table that the paper lacks is empty."""

    def __init__(self, path: Path | None = None):
        self.everything = read_yaml(path or _packaged())

    def place(self, table: str, at: At) -> Place:
        """The table's names for the backbone and row at these values of our axes. Fine-tuning is "ft" or "ft-r",
        depending on the backbone."""
        backbone, name = NAMES.get(at["backbone"], at["backbone"]), row_name(at)
        return backbone, f"{name}-r" if f"{name}-r" in self._rows(table).get(backbone, {}) else name

    def rows_without(self, table: str, shown: Container[Place | None]) -> list[Place]:
        """Backbone and name of the rows that are not among these."""
        places = [(backbone, row) for backbone, rows in self._rows(table).items() for row in rows]
        return [place for place in places if place not in shown]

    def value(self, table: str, backbone: str, row: str, column: str) -> float | str | bool | None:
        """One value as printed: a number, a word (77K), or whether something is so; None if the paper has none."""
        values = self._rows(table).get(backbone, {}).get(row, [])
        return dict(zip(self._columns(table), values, strict=False)).get(column)

    def number(self, table: str, backbone: str, row: str, column: str) -> float | None:
        """One printed value that is a number."""
        value = self.value(table, backbone, row, column)
        return None if value is None else float(value)

    def backbone_beside(self, table: str, backbone: str) -> str:
        """The paper's name of a backbone, or of the most similar one that it has."""
        name, backbones = NAMES.get(backbone, BESIDE.get(backbone, backbone)), list(self._rows(table))
        return name if name in backbones or not backbones else backbones[0]

    def covered_by(self, tasks: Iterable[str], table: str) -> bool:
        """Whether a table's averages are over exactly these tasks, so that they can be compared with ours."""
        columns = self._columns(table)
        across = columns if columns[-1:] == ["average"] else self._columns("table1")
        return {*across} - {"average"} == {*tasks}

    def curve(self, figure: str, panel: str, prompt: str) -> tuple[list[float], list[float]]:
        """A digitised, approximate curve: x values and scores; empty if there is none."""
        drawn = self.everything["figures"][figure]
        scores = drawn["panels"].get(panel, {}).get(NAMES.get(prompt, prompt), [])
        return ([float(x) for x in drawn["columns"]] if scores else []), scores

    def notes(self, table: str, backbone: str, row: str, column: str | None = None) -> list[str]:
        """The errata and sources of one printed value, or of the whole row."""
        at = {"table": table, "backbone": backbone, "row": row, "column": column}
        return [
            erratum["text"]
            for erratum in self.everything["errata"]
            if any({"backbone": backbone, "column": None} | where == at for where in erratum["where"])
        ]

    def _rows(self, table: str) -> dict[str, dict[str, list[float | str | bool | None]]]:
        return self.everything["tables"].get(table, {"rows": {}})["rows"]

    def _columns(self, table: str) -> list[str]:
        return self.everything["tables"].get(table, {"columns": []})["columns"]


def row_name(at: At) -> str:
    """The paper's name of a row, from the values of its axes."""
    return "-".join(NAMES.get(value, value) for key, value in at.items() if key != "backbone")


def name_axes(axes: Iterable[str], place: Place) -> At:
    """The values of a table's axes in a row that only the paper has: its names, and nothing for the other axes."""
    return dict.fromkeys(axes, "") | dict(zip(("backbone", "prompt"), place, strict=True))


def _packaged() -> Path:
    """Beside this module when installed, in results/ in a checkout."""
    here = Path(__file__)
    installed = here.with_name("paper.yaml")
    return installed if installed.exists() else here.parents[2] / "results" / "paper.yaml"
