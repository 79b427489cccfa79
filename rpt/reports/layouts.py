"""What tables and figures look like. These are the classes of layouts.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rpt.config.yaml_files import load_yaml

Metrics = Mapping[str, tuple[str, ...]]  # by task, the metrics whose mean is shown; else "score"


@dataclass(frozen=True)
class Layout:
    """A table of scores.

    name: of its files, in the paper, and of the experiment unless that is given. title: {average} stands for the
    content of a column that is no task. rows: the axes that name a row, outermost first; further axes of several values
    are added. columns: the axis across; several tasks have their average beside them; other axes hold averages over
    tasks. groups: the axes that rows must share to compete for bold. contrast: an axis and the two of its values whose
    difference the table is about. metrics: for columns that do not show the task's headline score.
    """

    name: str
    experiment: str
    title: str
    rows: tuple[str, ...] = ("backbone", "prompt")
    columns: str = "task"
    groups: tuple[str, ...] = ("backbone",)
    contrast: tuple[str, str, str] = ("prompt", "residual", "vanilla")
    metrics: Metrics = field(default_factory=dict)


@dataclass(frozen=True)
class Curves:
    """A figure of scores along one axis, a panel for each task.

    name: of its files and of the experiment. title: {tokens} stands for the length of the prompt. with_average: add a
    panel for the average of several tasks. with_majority: draw the majority class. metrics: for tasks that do not show
    their headline score.
    """

    name: str
    axis: str
    title: str
    with_average: bool = True
    with_majority: bool = True
    metrics: Metrics = field(default_factory=dict)


_FILE = load_yaml(Path(__file__).with_name("layouts.yaml").read_text("utf-8"))
LAYOUTS = [Layout(**{"experiment": fields["name"]} | fields) for fields in _FILE["tables"]]
CURVES = [Curves(**fields) for fields in _FILE["curves"]]
METHODS = ("probe", "finetune", "adapter", "bitfit", "lora", "ia3")  # shown beside the prompts that are compared
PARAMETERS, SIGNIFICANCE, COSTS = "table3b", "table1-significance", "reparameterizations"  # tables of other things
LEARNING = ("table1", "stream_scale")  # experiments whose runs are also listed one by one
BARS, BY_EPOCH = "table1-bars", "figure3"  # figures of another form

METRICS: dict[str, Metrics] = {table.experiment: table.metrics for table in LAYOUTS}
METRICS |= {figure.name: figure.metrics for figure in CURVES}
NAMES = {  # of all files
    *(table.name for table in LAYOUTS), *(figure.name for figure in CURVES), PARAMETERS, SIGNIFICANCE, COSTS,
    BARS, BY_EPOCH, *(f"{name}-learning" for name in LEARNING), *(f"{name}-rates" for name in (*METRICS, BY_EPOCH)),
}  # fmt: skip


def title_of(experiment: str) -> str:
    """The heading of an experiment: Table 1."""
    word = experiment.rstrip("0123456789")
    return f"{word.capitalize()} {experiment[len(word) :]}".rstrip().replace("_", " ")


def is_about(experiment: str, axis: str) -> bool:
    """Whether a table or figure of the experiment shows this axis."""
    tables = ((*table.rows, table.columns) for table in LAYOUTS if table.experiment == experiment)
    figures = (figure.axis for figure in CURVES if figure.name == experiment)
    return axis in figures or any(axis in axes for axes in tables)


def file_name(name: str, scale: str) -> str:
    """Without the ending: table1 at the paper's scale, table1-mini in miniature, table1-laptop."""
    return name if scale == "paper" else f"{name}-{scale}"
