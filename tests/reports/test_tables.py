"""Tables: every number against its own computation, and what is said of missing ones."""

import csv
import dataclasses
import io
import re
import shutil
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import yaml

from rpt.records.schema import ALL_STEPS
from rpt.reports.budgets import training
from rpt.reports.figures import all_figures
from rpt.reports.frame import load_runs
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import LABELS, label, signed
from rpt.reports.layouts import file_name
from rpt.reports.paper import Paper
from rpt.reports.rates import choose_rates
from rpt.reports.render import paragraphs
from rpt.reports.scores import Cell, floors
from rpt.reports.table import Table, Text, backbone_notes, to_csv, to_latex, to_markdown
from rpt.reports.tables import all_tables
from rpt.reports.tables.score_table import leads, mean_and_spread
from rpt.tasks import get_task

from .conftest import fake_score, grid, write_record

MINIATURE = LABELS["warning"]["mini"]


def say_training(study):
    return " ".join(paragraphs("training", training=training(study)))


def table(study, name):
    return next(table for table in all_tables(study, Paper()) if table.name == name)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def find(rows, **where):
    (row,) = [row for row in rows if all(row[key] == value for key, value in where.items())]
    return row


def test_paper_yaml_keeps_every_number_of_the_transcription(shared):
    theirs = yaml.safe_load((shared / "paper/tables.yaml").read_text("utf-8"))
    ours = Paper().everything
    one, again = theirs["table1"], ours["tables"]["table1"]
    assert again["columns"] == one["columns"] and again["metrics"] == one["metrics"]
    for backbone, rows in again["rows"].items():
        assert rows == one[backbone]
        for row, values in rows.items():  # 10 tokens stand in columns 0-2 of the transcription, 100 in 3-5
            k = ["t5-large", "t5-base", "bert-base"].index(backbone)
            both = theirs["table2"]["ft" if row == "ft-r" else row]
            assert ours["tables"]["table2"]["rows"][backbone][row] == [both[k], both[k + 3]]
            assert len(values) == len(again["columns"])
    for name in ("table3a", "table3b"):
        rows = ours["tables"][name]["rows"]["t5-base"]
        assert rows == {row: theirs[name][row] for row in rows} and len(rows) == len(theirs[name]) - 2
    for name, backbone, split in (("table4", "t5-base", None), ("table5", "t5-large", "@"), ("table6", "t5-base", "")):
        rows = {row: values for row, values in theirs[name].items() if row not in ("caption", "columns")}
        if split:
            rows = {"-".join(row.split(split)[::-1]): values for row, values in rows.items()}
        elif split == "":
            rows = {f"rpt-{row}": values for row, values in rows.items()}
        assert ours["tables"][name]["rows"][backbone] == rows
    for name in ("figure3", "figure4", "figure5", "figure6"):
        numbers = sorted(np.ravel([list(_leaves(ours["figures"][name]["panels"]))]))
        expected = sorted(
            value * (100 if name == "figure3" else 1)
            for key, part in theirs[name].items()
            if key not in ("caption", "columns")
            for value in _leaves(part)
        )
        assert numbers == pytest.approx(expected)
    assert len(ours["errata"]) >= len(theirs["errata"]) and ours["related"].keys() == theirs["related"].keys()


def _leaves(part):
    for value in part.values() if isinstance(part, dict) else part:
        yield from _leaves(value) if isinstance(value, dict | list) else [value]


def test_cells_are_the_mean_and_sample_standard_deviation_of_the_records(study):
    joined = study("table1")
    rows = rows_of(to_csv(table(joined, "table1-mini")))
    jobs = grid("table1").jobs.values()
    for task, metrics in (("boolq", ("accuracy",)), ("cb", ("accuracy", "macro_f1"))):
        item = [c for c in jobs if (c.backbone.name, c.task.name, c.prompt.name) == ("nano", task, "residual")]
        scores = [np.mean([fake_score(config, metric) for metric in metrics]) for config in item]
        row = find(rows, backbone="nano", prompt="residual", column=task)
        assert float(row["mean"]) == pytest.approx(np.mean(scores), abs=1e-4)
        assert float(row["sd"]) == pytest.approx(np.std(scores, ddof=1), abs=1e-4)
        assert (row["n"], row["asked"], row["paper"]) == ("3", "3", "")
    of_mlp = [c for c in jobs if (c.backbone.name, c.prompt.name) == ("nano", "mlp")]
    averages = []
    for seed in range(3):
        of_seed = [(config, get_task(config.task.name, "t5").paper_score) for config in of_mlp if config.seed == seed]
        averages.append(np.mean([np.mean([fake_score(config, m) for m in metrics]) for config, metrics in of_seed]))
    row = find(rows, backbone="nano", prompt="mlp", column="average")
    assert len(of_mlp) == 12 and float(row["mean"]) == pytest.approx(np.mean(averages), abs=1e-4)
    assert float(row["sd"]) == pytest.approx(np.std(averages, ddof=1), abs=1e-4)


def test_columns_show_the_metrics_that_the_paper_shows(study):
    def keep(c):
        return (c.backbone.name, c.task.name, c.prompt.name, c.seed) == ("nano", "cb", "residual", 0)

    (config,) = filter(keep, grid("table3").jobs.values())
    only = study("table3", keep=keep)
    row = find(rows_of(to_csv(table(only, "table3a-mini"))), backbone="nano", prompt="residual", column="cb")
    assert float(row["mean"]) == pytest.approx(fake_score(config, "macro_f1"), abs=1e-4)
    assert row["sd"] == "" and row["n"] == "1"


def test_fewer_seeds_are_said_and_absent_cells_stay_empty(study):
    def keep(config):
        return config.task.name != "copa" and (config.task.name != "cb" or config.seed < 2)

    text = to_markdown(table(study("table1", keep=keep), "table1-mini"))
    residual = next(line for line in text.splitlines() if "nano | Residual PT |" in line).split(" | ")
    header = next(line for line in text.splitlines() if "BoolQ" in line).split(" | ")
    assert "(2 of 3)" in residual[header.index("CB")]
    assert residual[header.index("COPA")].strip() == ""
    assert residual[-1].strip(" |") == ""  # no average without every task


def test_a_cell_that_the_grid_lacks_asks_for_no_run(study):
    rows = rows_of(to_csv(table(study("table1"), "table1-mini")))  # in miniature, the encoder has CB alone
    of_row = [row for row in rows if (row["backbone"], row["prompt"]) == ("nano_bert", "residual")]
    asked = {row["column"]: row["asked"] for row in of_row}
    assert asked == {"boolq": "0", "cb": "3", "copa": "0", "wsc": "0", "average": "0"}


def test_bold_needs_a_lead_over_the_spread():
    def leading(*rows):
        index = pd.MultiIndex.from_tuples([("nano", str(row)) for row in rows], names=["backbone", "prompt"])
        scores = pd.DataFrame([pd.Series(row) for row in rows]).set_axis(index)
        mean, sd = (numbers.to_frame("cb") for numbers in (scores.mean(axis=1), scores.std(axis=1)))
        return list(leads(mean, sd, ["backbone"])["cb"])

    ahead, behind, wide = (70, 71, 72), (60, 61, 62), (60, 70, 80)
    assert leading(behind, ahead) == [False, True]
    assert not any(leading(ahead, wide)) and not any(leading(ahead))
    assert not any(leading((90,), behind))  # one seed has no spread
    assert not any(leading(ahead, ahead))


def test_only_runs_of_the_same_seeds_are_subtracted(study):
    """As many seeds are not enough."""

    whole = study("table1", keep=lambda c: c.variant in ("vanilla", "residual") and c.backbone.name == "nano")
    task, prompt, seed = (whole.runs.index.get_level_values(key) for key in ("task", "prompt", "seed"))
    gone = (prompt == "residual") & (seed == "0") | (prompt == "vanilla") & (seed == np.where(task == "cb", "1", "0"))
    made = table(dataclasses.replace(whole, runs=whole.runs[~gone]), "table1-mini")
    (remark,) = [each for each in made.remarks if each.startswith("Residual PT − PT: here")]
    assert "BoolQ +" in remark and "COPA +" in remark and "CB" not in remark.partition(";")[0]


def test_latex_has_no_rule_below_the_last_row(study):
    text = to_latex(table(study("table1", keep=lambda c: c.backbone.name == "nano" and c.seed == 0), "table1-mini"))
    assert "\\midrule" in text and not re.search(r"midrule\s*\\bottomrule", text)


def test_at_the_papers_scale_the_papers_number_and_the_difference_stand_below(study):
    selected = study("table1", "paper", keep=lambda c: c.task.name == "boolq" and c.backbone.name == "t5_base")
    made = table(selected, "table1")
    row = find(rows_of(to_csv(made)), backbone="t5_base", prompt="residual", column="boolq")
    assert row["paper"] == "77.9000"
    assert float(row["difference"]) == pytest.approx(float(row["mean"]) - 77.9, abs=1e-3)
    text = to_markdown(made)
    assert "shifted by one cell" in text and "94.0" in text  # printed values are kept
    lines = text.splitlines()
    printed = lines[next(i for i, line in enumerate(lines) if "T5-Base | fine-tuning" in line) + 1]
    assert "<sup>" in printed.split("|")[3]
    assert text.count("positive rows only") == 1
    assert MINIATURE not in text


def test_miniature_tables_hold_no_number_of_the_papers(study):
    made = table(study("table6"), "table6-mini")
    assert made.warning == MINIATURE and to_markdown(made).startswith(f"**{MINIATURE} Table 6.")
    assert all(row["paper"] == row["difference"] == "" for row in rows_of(to_csv(made)))
    remark, *_ = made.remarks
    assert "the paper (T5-Base) CB −2.0." in remark


def test_at_the_laptop_s_scale_only_what_is_over_the_same_tasks_is_compared_with_the_paper(study):
    made = table(choose_rates(study("table1", "laptop", keep=lambda c: c.seed == 0)), "table1-laptop")
    assert made.warning == LABELS["warning"]["laptop"] and "CB mean of accuracy and macro-F1;" in made.caption
    assert {row["backbone"] for row in rows_of(to_csv(made))} == {"", "flan_small", "minilm"}  # one floor for all
    (remark,) = [each for each in made.remarks if "(BERT-Base)" in each]
    ours, paper = remark.split("; the paper (BERT-Base) ")
    assert "average" in ours and paper == "CB +7.2, COPA +11.9, RTE +1.8, WiC +2.8, WSC +1.6."


def test_a_table_of_averages_over_one_task_names_it(study):
    caption = table(study("table2", keep=lambda c: c.seed == 0), "table2-mini").caption
    assert "Table 2. Score on CB, by number of prompt tokens;" in caption
    assert caption.endswith("; CB mean of accuracy and macro-F1.")
    caption = table(study("table2", "paper", keep=lambda c: c.seed == 0 and c.task.name == "cb"), "table2").caption
    assert caption.startswith("Table 2. Average over all tasks, by") and caption.endswith("; accuracy elsewhere.")


def test_rows_that_have_not_learnt_a_task_are_named(study):
    made = table(study("table1"), "table1-mini")
    rows = [row for row in rows_of(to_csv(made)) if row["column"] != "average"]
    (floor,) = {float(row["mean"]) for row in rows if row["prompt"] == "majority class"}
    expected = defaultdict(list)
    for row in (row for row in rows if row["mean"] and row["prompt"] != "majority class"):
        if float(row["mean"]) - float(row["sd"]) <= floor:
            name = f"{label('backbone', row['backbone'])} {label('prompt', row['prompt'])}"
            expected[name].append(label("task", row["column"]))
    said = "; ".join(f"{name} ({', '.join(tasks)})" for name, tasks in expected.items())
    sentences = [remark for remark in made.remarks if remark.startswith("Not ahead")]
    assert expected and sentences == [f"Not ahead of the majority class by more than the spread: {said}."]


def test_runs_whose_epochs_ended_before_their_patience_are_named(study):
    """WSC has no patience: all of its runs train to the end. PT's on BoolQ end theirs with the last of 20 epochs."""
    joined = study("table1", keep=lambda c: c.task.name in ("boolq", "wsc") and c.variant in ("vanilla", "residual"))
    at = joined.runs.index.to_frame()
    ended = (at["task"] == "wsc") | ((at["backbone"] == "nano") & (at["seed"] != "2"))
    stopped = np.where(ended, ALL_STEPS, "no better score in 15 evaluations")
    best = {"best.step": np.where(at["prompt"] == "residual", 60, 50)}
    joined = dataclasses.replace(joined, runs=joined.runs.assign(stopped=stopped, **best))
    said = "Epochs ended before patience did: Residual PT (BoolQ 2 of 3)."
    assert [remark for remark in table(joined, "table1-mini").remarks if remark.startswith("Epochs ended")] == [said]


def test_budgets_are_said_also_where_they_are_equal(study):
    *_, budget = table(study("table1", keep=lambda c: c.seed == 0), "table1-mini").remarks
    of_two = "BoolQ, CB at most 60 epochs, stopped after 15 without a better score"
    assert budget == f"Training: {of_two}; COPA, WSC 120 epochs."
    *_, budget = table(study("table4", "paper", keep=lambda c: c.seed == 0), "table4").remarks
    assert budget == "Training: 20 epochs."


def test_unequal_budgets_are_said(study):
    *_, budgets = table(study("table1", "paper", keep=lambda c: c.seed == 0 and c.task.name == "cb"), "table1").remarks
    assert budgets == "Training: PT, PT w/ MLP, PT w/ LSTM, Residual PT, linear probe 20 epochs; fine-tuning 50 epochs."


def test_a_budget_of_one_backbone_and_task_names_both(study):
    small = study("table1", "laptop", keep=lambda c: c.seed == 0 and not c.tunes_prompt)
    *_, budgets = table(choose_rates(small), "table1-laptop").remarks[:-1]
    assert "Flan-T5-Small (CB, COPA), MiniLM-L6" not in budgets
    ends = "without a better held-out score"
    assert f"Flan-T5-Small (CB, COPA) at most 60 epochs, stopped after 15 {ends}" in budgets
    assert f"MiniLM-L6 (CB, COPA, WSC) at most 40 epochs, stopped after 8 {ends}" in budgets
    assert f"MiniLM-L6 (RTE, WiC) at most 6 epochs, stopped after 3 {ends}." in budgets


def test_tasks_whose_texts_are_compared_are_named():
    def said_of(experiment):
        return say_training(GridResults.join(experiment, pd.DataFrame()))

    whole = grid("table1", "laptop")
    assert "cosine" not in said_of(grid("table1", "paper"))
    assert "On RTE the head reads the cosine of two texts, each read alone." in said_of(whole)
    of_cb = {
        point: dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, pooling="cosine"))
        for point, config in whole.jobs.items()
        if config.task.name == "cb"
    }
    said = said_of(dataclasses.replace(whole, jobs=whole.jobs | of_cb))
    assert said.endswith("On CB and RTE the head reads the cosine of two texts, each read alone.")


def test_a_budget_of_one_row_and_task_names_both():
    whole = grid("table1", "paper")
    both = {("bert_base", "cb"), ("bert_base", "rte")}
    jobs = {point: config for point, config in whole.jobs.items() if (config.backbone.name, config.task.name) in both}
    for point, config in jobs.items():
        if (config.variant, config.task.name) == ("finetune", "cb"):
            jobs[point] = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, epochs=90))
    said = say_training(GridResults.join(dataclasses.replace(whole, jobs=jobs), pd.DataFrame()))
    assert said.endswith("linear probe 20 epochs; fine-tuning (CB) 90 epochs; fine-tuning (RTE) 50 epochs.")


def test_parameters_are_counted_in_the_records(study):
    made = table(study("table3", "paper", keep=lambda c: c.task.name == "cb"), "table3b")
    row = find(rows_of(to_csv(made)), backbone="t5_base", prompt="vanilla", column="kept")
    assert float(row["mean"]) == 76_800 and float(row["paper"]) == 77_000
    assert "220M" in to_markdown(made) and "76,800" in to_markdown(made)


def test_deleting_a_record_changes_the_cells_that_stood_on_it_and_no_other(recorded):
    folder = recorded("table1")
    before = rows_of(to_csv(table(GridResults.join(grid("table1"), load_runs(folder)), "table1-mini")))
    (gone,) = (folder / "runs/copa/nano/mlp").glob("*seed1*")
    shutil.rmtree(gone)
    after = rows_of(to_csv(table(GridResults.join(grid("table1"), load_runs(folder)), "table1-mini")))
    changed = {(a["backbone"], a["prompt"], a["column"]) for a, b in zip(before, after, strict=True) if a != b}
    assert changed == {("nano", "mlp", "copa"), ("nano", "mlp", "average")}
    assert find(after, backbone="nano", prompt="mlp", column="copa")["n"] == "2"


def test_a_new_backbone_gives_new_rows(recorded):
    experiment = grid("table6")
    jobs = {
        (name, *point[1:]): dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, name=name))
        for point, config in experiment.jobs.items()
        for name in ("nano", "newcomer")
    }
    wider = dataclasses.replace(experiment, axes=experiment.axes | {"backbone": ("nano", "newcomer")}, jobs=jobs)
    folder = recorded("table6")
    write_record(folder, next(config for config in jobs.values() if config.backbone.name == "newcomer"))
    assert "| newcomer | Residual PT | shared |" in to_markdown(
        table(GridResults.join(wider, load_runs(folder)), "table6-mini")
    )


TRICKY = Table(
    "x", "50 % & more_less", ["a|b", "c"], 1, [[[Text("x#1"), Text("1 ± 2", bold=True, notes=(1,))]]],
    [{"a": 1.23456, "b": None}], ["{braces} ~ ^ \\"], ["−3 < 4"],
)  # fmt: skip


def test_latex_escapes_what_it_must():
    text = to_latex(TRICKY)
    bare = text.replace("\\{", "").replace("\\}", "")
    assert bare.count("{") == bare.count("}")
    assert r"50 \% \& more\_less" in text and r"x\#1 & \textbf{1 $\pm$ 2}\textsuperscript{1} \\" in text
    assert all(ord(character) < 128 for character in text)
    for command in ("toprule", "midrule", "bottomrule", "begin{tabular}{lr}", "end{tabular}"):
        assert command in text


def test_markdown_and_csv():
    assert "| x#1 | **1 ± 2**<sup>1</sup> |" in to_markdown(TRICKY)
    assert to_csv(TRICKY) == "a,b\n1.2346,\n"


def test_signs():
    assert [signed(value) for value in (0.04, -0.04, 1.25, -12)] == ["+0.0", "+0.0", "+1.2", "−12.0"]
    assert mean_and_spread(Cell(None, None, 0), 3) == ""
    assert mean_and_spread(Cell(1.0, None, 1), 3) == "1.0 (1 of 3)"


@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_reparameterizations_stand_beside_their_cost(study, scale):
    results = study("reparameterizations", scale)
    scores, costs = all_tables(results, Paper())
    assert (scores.name, costs.name) == tuple(
        file_name(name, scale) for name in ("reparameterizations-scores", "reparameterizations")
    )
    assert costs.header == ["backbone", "prompt", "trained", "kept for inference", "average", "seconds"]
    prompts = results.experiment.axes["prompt"]
    assert [record["prompt"] for record in costs.records] == list(prompts) and len(prompts) == 9
    residual = costs.records[prompts.index("residual")]
    assert residual["trained"] == residual["kept"] + 1000 and residual["seconds"] == 90 and residual["n"] == 3
    assert " ± " in costs.blocks[0][0][4].text and to_csv(costs)


def test_each_method_at_its_own_best_rate(study):
    """What is left of a difference when the learning rate is taken out of it."""
    (table,) = all_tables(
        study("why", keep=lambda c: c.backbone.stream_scale == 1 or c.prompt.name == "vanilla"), Paper()
    )
    said = [remark for remark in table.remarks if remark.startswith("Each at its best rate")]
    assert len(said) == 2 and "(embeddings × 1): PT " in said[0] and "; Residual PT − PT +" in said[0]
    assert "(embeddings × 0.1667): PT " in said[1] and "−" not in said[1]


def test_best_rates_are_subtracted_only_if_both_tried_the_same_with_the_same_seeds(study):
    """A method that tries more would have the luckier best one."""
    (made,) = all_tables(study("why", keep=lambda c: c.prompt.name == "vanilla" or (c.lr, c.seed) != (3, 0)), Paper())
    best = [remark for remark in made.remarks if remark.startswith("Each at its best rate")]
    assert len(best) == 2 and all("Residual PT" in remark and "−" not in remark for remark in best)


def two_backbones():
    """Table 1 at scale=laptop with a T5 beside the encoder, which comes first in the files."""
    whole = grid("table1", "laptop")
    place, jobs = list(whole.axes).index("backbone"), {}
    for point, config in whole.jobs.items():
        if config.task.name == "cb" and config.lr == 0.01 and config.variant in ("vanilla", "residual"):
            t5 = dataclasses.replace(config.backbone, name="flan_small", family="t5", pooling="cls")
            jobs[point] = config
            jobs[(*point[:place], "flan_small", *point[place + 1 :])] = dataclasses.replace(config, backbone=t5)
    axes = whole.axes | {"backbone": ("minilm", "flan_small"), "task": ("cb",), "lr": ("0.01",)}
    return dataclasses.replace(whole, axes=axes, jobs=jobs)


def test_a_t5_stands_before_the_encoder_and_is_explained_once(tmp_path):
    experiment = two_backbones()
    for config in experiment.jobs.values():
        write_record(tmp_path, config)
    joined = GridResults.join(experiment, load_runs(tmp_path))
    tables = {made.name: made for made in all_tables(joined, Paper())}
    text = to_markdown(tables["table1-laptop"])
    assert text.index("| Flan-T5-Small | PT |") < text.index("| MiniLM-L6 | PT |")
    assert "Residual PT − PT: here (Flan-T5-Small) CB" in text and "; the paper (T5-Base) CB" in text
    note = LABELS["backbone note"]["flan_small"]
    assert note.startswith("int8 weights") and all(to_markdown(made).count(note) == 1 for made in tables.values())
    (plot,) = all_figures(joined, Paper())
    assert "(Flan-T5-Small, MiniLM-L6)" in plot.caption and note not in plot.caption  # the report says it once
    assert backbone_notes(joined) == [f"Flan-T5-Small: {note}."]


def test_rows_without_a_run_are_named_below_the_table(study):
    made = table(study("table1", keep=lambda c: c.backbone.name == "nano" and c.variant != "lstm"), "table1-mini")
    text = to_markdown(made)
    assert "Not recorded yet: PT w/ LSTM; nano BERT." in text and "| nano BERT |" not in text
    assert find(rows_of(to_csv(made)), backbone="nano_bert", prompt="residual", column="cb")["n"] == "0"


def test_averages_stand_beside_the_papers_only_over_the_same_tasks():
    """As many tasks are not enough."""
    paper = Paper()
    assert paper.covered_by(("wic", "cb", "rte", "copa"), "table6")
    assert not paper.covered_by(("wic", "cb", "rte", "wsc"), "table6")
    assert not paper.covered_by(("wic", "cb", "rte", "copa", "wsc"), "table6")


def test_the_floor_of_few_shots_is_the_better_constant_answer(study):
    """Balanced rows have no most frequent answer. 48.0 is recorded; of two labels the other one has 52.0."""
    few = study("figure5", "paper", keep=lambda c: c.seed == 0)
    lowest = floors(few, {}).loc["t5_large"]
    assert dict(lowest[["wic", "rte", "boolq"]]) == {"wic": 52.0, "rte": 52.0, "boolq": 52.0}
    assert np.isnan(lowest["wsc"])  # its answers are open
    assert floors(study("figure5", keep=lambda c: c.seed == 0), {}).isna().all(axis=None)  # CB has three labels
    assert set(floors(study("table1", keep=lambda c: c.seed == 0), {}).loc["nano"]) == {48.0}
