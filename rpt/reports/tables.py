"""What each of the paper's tables looks like, and the same tables filled from run records."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from rpt.config import Config
from rpt.reports.cells import Cell, Metrics, average, cell, majority
from rpt.reports.formats import Table, Text
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import NAMES, Number, Paper, row_name
from rpt.reports.significance import Comparison, compare_entries, holm
from rpt.tasks import TASKS, get_task

MINIATURE = "MINIATURE: embedded nano backbone and our own grammars; not comparable with SuperGLUE."
LAPTOP = "LAPTOP: MiniLM-L6, 22 million parameters, on SuperGLUE's rows, 200 steps a run; the paper has no such runs."
WARNINGS = {"mini": MINIATURE, "laptop": LAPTOP}  # before each caption at a scale that is not the paper's
TITLES = {
    "backbone": "backbone", "prompt": "prompt", "prompt.init": "initialisation", "prompt.length": "tokens",
    "prompt.shared": "network", "t5_base": "T5-Base", "t5_large": "T5-Large", "t5_small": "T5-Small",
    "t5-base": "T5-Base", "t5-large": "T5-Large", "bert-base": "BERT-Base", "bert_base": "BERT-Base",
    "bert_large": "BERT-Large", "roberta_base": "RoBERTa-Base", "minilm": "MiniLM-L6", "nano_bert": "nano BERT",
    "vanilla": "PT", "mlp": "PT w/ MLP", "lstm": "PT w/ LSTM", "residual": "Residual PT", "none": "no prompt",
    "pt": "PT", "pt-mlp": "PT w/ MLP", "pt-lstm": "PT w/ LSTM", "rpt": "Residual PT",
    "ft": "fine-tuning", "ft-r": "fine-tuning", "finetune": "fine-tuning", "adapter": "Adapter",
    "adapterdrop": "AdapterDrop", "bitfit": "BitFit", "lora": "LoRA", "ia3": "(IA)³",
    "ptuning": "P-tuning",
    "attempt": "ATTEMPT", "spot": "SPoT", "uniform": "uniform", "vocabulary": "vocabulary",
    "True": "shared", "False": "one per token", "average": "average", "boolq": "BoolQ", "cb": "CB", "copa": "COPA",
    "multirc": "MultiRC", "record": "ReCoRD", "rte": "RTE", "wic": "WiC", "wsc": "WSC", "accuracy": "accuracy",
    "macro_f1": "macro-F1", "micro_f1": "micro-F1", "exact_match": "exact match", "f1": "F1",
    "kept": "kept for inference", "trained": "trained",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """A table of scores.

    name: of its files, and in the paper. rows: the axes that name a row, outermost first; further axes of several
    values are added. columns: the axis across; "task" has the average beside it, any other holds averages over tasks.
    within: the axes that rows must share to be compared for bold. contrast: axis, and the two values of it whose
    difference is the table's point. metrics: where a column does not show the task's headline score.
    """

    name: str
    experiment: str
    title: str
    rows: tuple[str, ...] = ("backbone", "prompt")
    columns: str = "task"
    plan_passes: tuple[str, ...] = ("backbone",)
    contrast: tuple[str, str, str] = ("prompt", "residual", "vanilla")
    metrics: Metrics = field(default_factory=dict)


LAYOUTS = (
    Layout("table1", "table1", "Table 1. Scores by task, 10 prompt tokens"),
    Layout("table2", "table2", "Table 2. Average over all tasks, by number of prompt tokens", columns="prompt.length"),
    Layout(
        "table3a", "table3", "Table 3a. Five tasks, 100 prompt tokens",
        metrics={"cb": ("macro_f1",), "multirc": ("micro_f1",)},
    ),
    Layout(
        "table4", "table4", "Table 4. Initialisation of the prompt, 10 tokens", ("backbone", "prompt", "prompt.init"),
        metrics={"multirc": ("micro_f1", "accuracy")},
    ),
    Layout(
        "table5", "table5", "Table 5. Length of the prompt", ("backbone", "prompt.length", "prompt"),
        plan_passes=("backbone", "prompt.length"),
        metrics={"cb": ("accuracy",), "multirc": ("micro_f1", "accuracy")},
    ),
    Layout(
        "table6", "table6", "Table 6. One network for all prompt tokens or one per token, 10 tokens",
        ("backbone", "prompt", "prompt.shared"), contrast=("prompt.shared", "False", "True"),
        metrics={"cb": ("accuracy",)},
    ),
)  # fmt: skip
PARAMETERS, SIGNIFICANCE = "table3b", "table1-significance"
METHODS = ("finetune", "adapter", "bitfit", "lora", "ia3")  # shown beside the prompts that are compared


def title(name: str) -> str:
    """How a value, task, metric or axis is written for a reader."""
    return TITLES.get(name, name)


def file_name(name: str, scale: str) -> str:
    """Without the ending: table1 at the paper's scale, table1-mini in miniature, table1-laptop."""
    return name if scale == "paper" else f"{name}-{scale}"


def captioned(caption: str, scale: str) -> str:
    """With what a reader must know of the scale first."""
    return " ".join(filter(None, (WARNINGS.get(scale), caption)))


def signed(value: float, digits: int = 1) -> str:
    """With its sign, a true minus, and no minus before zero."""
    return f"{round(value, digits) + 0.0:+,.{digits}f}".replace("-", "−")


def mean_and_spread(cell: Cell) -> str:
    """`77.9 ± 0.4`, with how many seeds where there are fewer than asked; empty without any."""
    if cell.mean is None:
        return ""
    spread = "" if cell.sd is None else f" ± {cell.sd:.1f}"
    return f"{cell.mean:.1f}{spread}" + ("" if cell.n == cell.asked else f" ({cell.n} of {cell.asked})")


def metrics_in_words(tasks: tuple[str, ...], metrics: Metrics, family: str = "t5") -> str:
    """What each task's number is, the accuracies in one.

    Args:
        family: of the backbones; encoders are given some tasks in another form.
    """
    headlines = {task: get_task(task, family).paper_score if task in TASKS else ("score",) for task in tasks}
    words = {task: metrics.get(task) or headlines[task] for task in tasks}
    special = [
        f"{title(task)} {'mean of ' if len(of) > 1 else ''}{' and '.join(title(metric) for metric in of)}"
        for task, of in words.items()
        if of != ("accuracy",)
    ]
    return "; ".join([*special, "accuracy elsewhere" if special else "accuracy"])


def all_tables(study: GridResults, paper: Paper) -> list[Table]:
    """Every table that stands on an experiment and has at least one record."""
    if not study.entries:
        return []
    tables = [_ScoreTable(of, study, paper).table() for of in LAYOUTS if of.experiment == study.experiment.name]
    if study.experiment.name == "table3":
        tables.append(_parameters(study, paper))
    if study.experiment.name == "table1":
        tables += _significance(study)
    return tables


def row_axes(wanted: tuple[str, ...], columns: str, study: GridResults) -> tuple[str, ...]:
    """The axes that name a row: the wanted ones in this grid, and whichever else has several values."""
    axes = study.experiment.axes
    further = [key for key, of in axes.items() if len(of) > 1 and key not in (*wanted, columns, "task", "seed")]
    return (*(key for key in wanted if key in axes), *further)


def covers(study: GridResults, paper: Paper, table: str) -> bool:
    """Whether the grid has all tasks that the paper's averages in a table are over."""
    return len(study.experiment.axes["task"]) >= len(paper.tasks(table))


def points(axes: tuple[str, ...], study: GridResults) -> Iterator[dict[str, str]]:
    """Every combination of the axes' values that the grid has, the first axis slowest."""
    places = [list(study.experiment.axes).index(key) for key in axes]
    there = {tuple(point[place] for place in places) for point in study.experiment.jobs}
    for values in itertools.product(*(study.experiment.axes[key] for key in axes)):
        if values in there:
            yield dict(zip(axes, values, strict=True))


def best(cells: list[Cell]) -> Cell | None:
    """The cell that is ahead of the next by more than either's standard deviation; None where that cannot be said."""
    ranked = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -cell.mean)
    if len(ranked) < 2 or ranked[0].sd is None or ranked[1].sd is None:
        return None
    first, second = ranked[:2]
    return first if first.mean - second.mean > max(first.sd, second.sd) else None


class _Notes:
    """Footnotes in the order in which they are first needed."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, texts: list[str]) -> tuple[int, ...]:
        self.texts += [text for text in texts if text not in self.texts]
        return tuple(sorted(self.texts.index(text) + 1 for text in texts))


class _ScoreTable:
    """Fills one layout. Lines at the paper's scale come in threes: ours, the paper's, the difference."""

    def __init__(self, layout: Layout, study: GridResults, paper: Paper):
        self.layout, self.study, self.paper = layout, study, paper
        self.scale, axes = study.experiment.scale, study.experiment.axes
        self.beside = self.scale == "paper"  # the paper's numbers stand beside ours
        self.axes = row_axes(layout.rows, layout.columns, study)
        across = axes[layout.columns]
        self.columns = (*across, "average") if layout.columns == "task" else across
        self.rows = [(values, {c: self._cell(values, c) for c in self.columns}) for values in points(self.axes, study)]
        tasks = across if layout.columns == "task" else ()
        self.floors = {b: [majority(study, t, layout.metrics, b) for t in tasks] for b in axes["backbone"]}
        self.notes, self.records = _Notes(), []

    def table(self) -> Table:
        layout, axes = self.layout, self.study.experiment.axes
        labels = [title(key) for key in self.axes] + ([""] if self.beside else [])
        columns = [self._titled(layout.columns, column) for column in self.columns]
        blocks = [block for block in (self._majority(), *self._blocks()) if block]
        about = f"Mean ± standard deviation over {len(axes['seed'])} seeds where not said otherwise, per cent"
        families = sorted({config.backbone.family for config in self.study.experiment.jobs.values()})
        words = metrics_in_words(axes["task"], layout.metrics, families[-1])
        judged = "wsc" in axes["task"] and families == ["bert", "t5"]
        words += "; encoders judge every row of WSC, by accuracy" if judged else ""
        caption = f"{layout.title}. {about}; {words}."
        return Table(
            name=file_name(layout.name, self.scale),
            caption=captioned(caption, self.scale),
            header=[*labels, *columns],
            labels=len(labels),
            blocks=blocks,
            records=self.records,
            notes=self.notes.texts,
            remarks=[*self._contrasts(), *self._no_better(), training(self.study)],
        )

    @staticmethod
    def _titled(axis: str, value: str) -> str:
        """A value with its unit where it is a bare number."""
        return f"{value} {title(axis)}" if value.isdigit() else title(value)

    def _cell(self, values: dict[str, str], column: str) -> Cell:
        if self.layout.columns != "task":
            return average(self.study, values | {self.layout.columns: column}, self.layout.metrics)
        if column == "average":
            return average(self.study, values, self.layout.metrics)
        return cell(self.study, values | {"task": column}, self.layout.metrics)

    def _blocks(self) -> Iterator[list[list[Text]]]:
        shown = set()
        groups = [list(of) for _, of in itertools.groupby(self.rows, key=self._group)]
        for group in groups:
            block = []
            prompts = [cells for values, cells in group if values.get("prompt") not in METHODS]
            boldest = [best([cells[column] for cells in prompts]) for column in self.columns]
            for values, cells in group:
                bold = {c: cells[c] is top for c, top in zip(self.columns, boldest, strict=True)}
                name, backbone = self._row(values), NAMES.get(values["backbone"], values["backbone"])
                at = (backbone, self.paper.row(self.layout.name, backbone, name))
                shown.add(at)
                block += self._lines([title(value) for value in values.values()], values, cells, bold, at)
            yield block
        if self.beside:
            yield from self._rows_of_the_paper_alone(shown)

    @staticmethod
    def _row(values: dict[str, str]) -> str:
        return row_name([value for key, value in values.items() if key != "backbone"])

    def _group(self, row: tuple[dict[str, str], dict[str, Cell]]) -> list[str]:
        return [row[0][key] for key in self.layout.plan_passes if key in row[0]]

    def _lines(
        self, labels: list[str], values: dict[str, str], cells: dict[str, Cell], bold: dict[str, bool],
        at: tuple[str, str],
    ) -> list[list[Text]]:  # fmt: skip
        """One row of the grid. at: the paper's names of the backbone and the row."""
        printed = {c: self.paper.value(self.layout.name, *at, c) if self.beside else None for c in self.columns}
        gaps = {c: _difference(cells[c], printed[c]) for c in self.columns}
        for c in self.columns:
            self._record(values, c, cells[c], printed[c], gaps[c], bold[c])
        ours = [Text(mean_and_spread(cells[c]), bold=bold[c]) for c in self.columns]
        if not self.beside:
            return [[*map(Text, labels), *ours]]
        lines = [[*map(Text, labels), Text("ours"), *ours]]
        if any(value is not None for value in printed.values()):
            blank = [Text()] * len(labels)
            lines.append([*blank, *self._printed(at, printed)])
            lines.append([*blank, Text("difference"), *(Text("" if g is None else signed(g)) for g in gaps.values())])
        return lines

    def _printed(self, at: tuple[str, str], printed: dict[str, Number]) -> list[Text]:
        """The word "paper" and the paper's values, with their footnotes."""

        def noted(text: str, *column: str) -> Text:
            return Text(text, notes=self.notes.number(self.paper.notes(self.layout.name, *at, *column)))

        values = [noted("" if value is None else f"{value:.1f}", column) for column, value in printed.items()]
        return [noted("paper"), *values]

    def _majority(self) -> list[list[Text]]:
        """The majority class of the training rows, for tables with tasks across."""
        if self.layout.columns != "task":
            return []
        lines: dict[tuple[float | None, ...], list[str]] = {}
        for backbone in self.study.experiment.axes["backbone"]:
            values = self.floors[backbone]
            known = [value for value in values if value is not None]
            average = sum(known) / len(known) if len(known) == len(values) else None
            if known:
                lines.setdefault((*values, average), []).append(backbone)
        block = []
        for values, backbones in lines.items():
            of = backbones[0] if len(lines) > 1 else ""  # an encoder is given other rows of WSC
            place = {key: {"prompt": "majority class", "backbone": of}.get(key, "") for key in self.axes}
            for column, value in zip(self.columns, values, strict=True):
                one = Cell({} if value is None else {"": value}, 0)
                self._record(place, column, one, None, None, False, counted=False)
            texts = [Text("" if value is None else f"{value:.1f}") for value in values]
            block.append([*(Text(title(name)) for name in place.values()), *([Text()] * self.beside), *texts])
        return block

    def _rows_of_the_paper_alone(self, shown: set[tuple[str, str]]) -> Iterator[list[list[Text]]]:
        for backbone, rows in self.paper.rows(self.layout.name).items():
            block = []
            for row in rows:
                if (backbone, row) in shown:
                    continue
                printed = {c: self.paper.value(self.layout.name, backbone, row, c) for c in self.columns}
                names = {"backbone": backbone, "prompt": row}
                for column, value in printed.items():
                    self._record(names, column, Cell({}, 0), value, None, False)
                labels = [Text(title(names.get(key, ""))) for key in self.axes]
                block.append([*labels, *self._printed((backbone, row), printed)])
            yield block

    def _record(
        self, values: dict[str, str], column: str, cell: Cell, printed: Number, gap: float | None, bold: bool,
        counted: bool = True,
    ) -> None:  # fmt: skip
        self.records.append(
            {"table": self.layout.name, "scale": self.scale}
            | {key: values.get(key, "") for key in self.axes}
            | {"column": column, "mean": cell.mean, "sd": cell.sd, "n": cell.n if counted else None}
            | {"asked": cell.asked if counted else None, "paper": printed, "difference": gap}
            | {"bold": "yes" if bold else ""}
        )

    def _contrasts(self) -> list[str]:
        """The difference that the table is about, column by column, here and in the paper."""
        axis, high, low = self.layout.contrast
        remarks = []
        for values, cells in self.rows:
            other = {**values, axis: low}
            if values[axis] != high or other not in [at for at, _ in self.rows]:
                continue
            against = next(of for at, of in self.rows if at == other)
            ours = {c: _difference(cells[c], against[c].mean) for c in self.columns}
            name, backbone = self.layout.name, self.paper.backbone_beside(self.layout.name, values["backbone"])
            rows = [self._row(at) for at in (values, other)]
            pairs = {c: [self.paper.value(name, backbone, row, c) for row in rows] for c in self.columns}
            theirs = {c: a - b for c, (a, b) in pairs.items() if a is not None and b is not None}
            if not covers(self.study, self.paper, name):
                theirs.pop("average", None)  # it is over other tasks
            if any(value is not None for value in ours.values()):
                about = [self._titled(key, v) for key, v in values.items() if key not in (axis, "backbone", "prompt")]
                sentence = ", ".join([f"{title(high)} − {title(low)}", *about])
                sentence += f": here ({title(values['backbone'])}) {self._listed(ours)}"
                sentence += f"; the paper ({title(backbone)}) {self._listed(theirs)}" if theirs else ""
                remarks.append(f"{sentence}.")
        return remarks

    def _no_better(self) -> list[str]:
        """The rows that have not learnt a task: within their spread of the majority class, or below it."""
        found = []
        for values, cells in self.rows:
            tasks = [
                title(task)
                for task, floor in zip(self.columns, self.floors[values["backbone"]], strict=False)
                if floor is not None
                and cells[task].mean is not None
                and cells[task].mean - floor <= (cells[task].sd or 0.0)
            ]
            if tasks:
                found.append(f"{' '.join(map(title, values.values()))} ({', '.join(tasks)})")
        return [f"Not ahead of the majority class by more than the spread: {'; '.join(found)}."] if found else []

    def _listed(self, differences: dict[str, float | None]) -> str:
        known = {c: value for c, value in differences.items() if value is not None}
        return ", ".join(f"{self._titled(self.layout.columns, c)} {signed(value)}" for c, value in known.items())


def training(study: GridResults) -> str:
    """How long its runs train, in a sentence: grids of one prompt and task may differ in it."""
    jobs = study.experiment.jobs.values()
    of_variant: dict[str, set[str]] = {}
    for config in jobs:
        of_variant.setdefault(config.variant, set()).add(_budget(config))
    budgets: dict[str, dict[str, None]] = {}
    for config in jobs:
        row = [] if len(of_variant[config.variant]) == 1 else [title(config.backbone.name)]
        budgets.setdefault(_budget(config), {})[" ".join([*row, title(config.variant)])] = None
    words = [budget if len(budgets) == 1 else f"{', '.join(rows)} {budget}" for budget, rows in budgets.items()]
    return f"Training: {'; '.join(words)}."


def _budget(config: Config) -> str:
    """How long a run trains."""
    steps = config.trainer.max_steps
    return f"{config.trainer.epochs} epochs" if steps is None else f"{steps} steps"


def _difference(cell: Cell, other: Number) -> float | None:
    return None if cell.mean is None or other is None else cell.mean - other


def _parameters(study: GridResults, paper: Paper) -> Table:
    """Table 3b: parameters counted in the runs, beside the paper's."""
    scale, axes = study.experiment.scale, row_axes(("backbone", "prompt"), "task", study)
    beside, columns, notes = scale == "paper", ("kept", "trained"), _Notes()
    block, records, shown = [], [], set()
    for values in points(axes, study):
        runs = [e for task in study.experiment.axes["task"] for e in study.at(values | {"task": task}).values()]
        counts = {c: sorted({entry.result["parameters"][c] for entry in runs}) for c in columns}
        backbone = NAMES.get(values["backbone"], values["backbone"])
        at = (backbone, paper.row(PARAMETERS, backbone, row_name([values["prompt"]])))
        printed = {c: paper.value(PARAMETERS, *at, c) if beside else None for c in columns}
        shown.add(at)
        line = [Text(title(value)) for value in values.values()]
        for c in columns:
            line.append(Text(" or ".join(f"{count:,}" for count in counts[c])))
            if beside:
                line.append(Text(printed[c] or "", notes=notes.number(paper.notes(PARAMETERS, *at, c))))
            one = float(counts[c][0]) if len(counts[c]) == 1 else None
            theirs = _spelled_out(printed[c])
            gap = None if one is None or theirs is None else one - theirs
            numbers = {
                "mean": one,
                "sd": None,
                "n": len(runs),
                "asked": len(study.experiment.jobs) // _many(axes, study),
            }
            about = {"table": PARAMETERS, "scale": scale, **values, "column": c}
            records.append(about | numbers | {"paper": theirs, "difference": gap})
        block.append(line)
    blocks = [block]
    if beside:
        blocks.append([])
        for backbone, rows in paper.rows(PARAMETERS).items():
            for row in (row for row in rows if (backbone, row) not in shown):
                line = [Text(title(backbone)), Text(title(row)), *[Text()] * (len(axes) - 2)]
                for c in columns:
                    value = paper.value(PARAMETERS, backbone, row, c)
                    line += [Text(), Text(value or "", notes=notes.number(paper.notes(PARAMETERS, backbone, row, c)))]
                blocks[-1].append(line)
    sourced = [title(r) for b, rows in paper.rows(PARAMETERS).items() for r in rows
               if paper.value(PARAMETERS, b, r, "source")]  # fmt: skip
    titles = [[title(c), f"{title(c)}, paper"] if beside else [title(c)] for c in columns]
    caption = "Table 3b. Parameters, 100 prompt tokens: kept after training, and trained."
    return Table(
        name=file_name(PARAMETERS, scale),
        caption=captioned(caption, scale),
        header=[*map(title, axes), *itertools.chain(*titles)],
        labels=len(axes),
        blocks=blocks,
        records=records,
        notes=notes.texts,
        remarks=[f"Pre-trained on source tasks: {', '.join(sourced)}."] if beside else [],
    )


def _many(axes: tuple[str, ...], study: GridResults) -> int:
    """How many rows the axes make."""
    return sum(1 for _ in points(axes, study))


def _spelled_out(printed: Number) -> float | None:
    """77K as 77000."""
    if not isinstance(printed, str):
        return None
    return float(printed[:-1]) * {"K": 1e3, "M": 1e6}[printed[-1]]


def _significance(study: GridResults) -> list[Table]:
    """Residual against plain over the examples that both predicted; no table where nothing can be compared."""
    axes, scale = row_axes(("backbone",), "task", study), study.experiment.scale
    axes = tuple(key for key in axes if key != "prompt")
    found: list[tuple[dict[str, str], Comparison]] = []
    for values in points((*axes, "task"), study):
        plain, residual = (study.at(values | {"prompt": prompt}) for prompt in ("vanilla", "residual"))
        comparison = compare_entries(residual, plain)
        if comparison is not None:
            found.append((values, comparison))
    if not found:
        return []
    adjusted = holm([comparison.p for _, comparison in found])
    block, records = [], []
    for (values, of), p_holm in zip(found, adjusted, strict=True):
        numbers = [
            f"{of.second:.1f}",
            f"{of.first:.1f}",
            signed(of.difference),
            f"{signed(of.low)} to {signed(of.high)}",
        ]
        numbers += [p_value(of.p), p_value(p_holm), f"{of.examples:,}", str(of.seeds)]
        block.append([*(Text(title(value)) for value in values.values()), *map(Text, numbers)])
        records.append(
            {"table": SIGNIFICANCE, "scale": scale, **values, "plain": of.second, "residual": of.first}
            | {"difference": of.difference, "low": of.low, "high": of.high, "p": of.p, "p_holm": p_holm}
            | {"examples": of.examples, "seeds": of.seeds}
        )
    caption = (
        "Residual against plain, task by task: credit per example (per cent, mean over the seeds that both have), its "
        "difference in points with a 95 % paired bootstrap interval, and a two-sided permutation test over examples "
        "(signs of the differences, 10,000 times); p (Holm) allows for the number of lines."
    )
    columns = ["PT", "Residual PT", "difference", "95 % interval", "p", "p (Holm)", "examples", "seeds"]
    remark = (
        "Credit is 1 for a right answer and 0 for a wrong one (ReCoRD: mean of exact match and F1), so that a score "
        "made of F1 or of whole questions moves otherwise. The test asks whether these runs differ on other examples "
        "of this kind; whether other seeds would, the standard deviations tell."
    )
    return [
        Table(
            name=file_name(SIGNIFICANCE, scale),
            caption=captioned(caption, scale),
            header=[*map(title, axes), "task", *columns],
            labels=len(axes) + 1,
            blocks=[block],
            records=records,
            remarks=[remark],
        )
    ]


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


FILES: tuple[str, ...] = (*(layout.name for layout in LAYOUTS), PARAMETERS, SIGNIFICANCE)
