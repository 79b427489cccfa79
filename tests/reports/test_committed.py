"""The results in this repository: README and every table stand on the records that are committed beside them."""

import statistics

import pandas as pd
import pytest

from rpt.config.grids import Grids
from rpt.reports import labels
from rpt.reports.frame import load_runs
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.layouts import METHODS
from rpt.reports.rates import choose_rates
from rpt.reports.report import build
from tests.conftest import ROOT


def readme():
    """Without its line breaks."""
    return " ".join((ROOT / "README.md").read_text().split())


def test_what_readme_says_of_the_miniature_stands_in_the_committed_records():
    study = GridResults.of(Grids("mini").lay_out("table1"), load_runs(ROOT / "results"))

    def scores(task, prompt):
        runs = study.at({"backbone": "nano", "task": task, "prompt": prompt})
        assert len(runs) == 3
        return runs["scores.score"]

    def differ(task, first, second):
        one, other = scores(task, first), scores(task, second)
        return abs(one.mean() - other.mean()) > max(one.std(), other.std())

    assert set(study.at({"backbone": "nano", "task": "cb", "prompt": "vanilla"})["majority.score"].round()) == {23}
    assert [round(scores("cb", prompt).mean()) for prompt in ("vanilla", "residual")] == [90, 91]
    assert "reaches 90 and residual prompt tuning 91 on CB, where the majority class has 23" in readme()
    of_wsc = [round(scores("wsc", prompt).mean()) for prompt in ("vanilla", "residual", "mlp", "lstm")]
    assert of_wsc == [86, 87, 67, 52]
    assert "plain reaches 86 and residual 87, an MLP 67 and an LSTM 52 in the same 120 epochs" in readme()
    assert not any(differ(task, "vanilla", "residual") for task in ("cb", "wsc"))
    assert differ("wsc", "vanilla", "mlp") and differ("wsc", "vanilla", "lstm")


def test_what_readme_says_of_a_prompt_s_length_stands_in_the_committed_records():
    study = GridResults.of(Grids("mini").lay_out("table5"), load_runs(ROOT / "results"))

    def accuracy(prompt, length):
        scores = study.at({"prompt": prompt, "prompt.length": length})["scores.accuracy"]
        assert len(scores) == 3
        return f"{scores.mean():.0f}"

    plain, residual = (
        "{}, {} and {}".format(*(accuracy(prompt, length) for length in study.experiment.axes["prompt.length"]))
        for prompt in ("vanilla", "residual")
    )
    assert f"with 2, 10 and 100 tokens plain has an accuracy of {plain}, residual of {residual}" in readme()


def test_what_readme_says_of_the_laptop_stands_in_the_committed_records():
    runs = load_runs(ROOT / "results")
    whole = GridResults.of(Grids("laptop").lay_out("table1"), runs)
    assert len(whole.runs) >= 59  # what laptop.md's own commands trained counts, but for the head alone
    study = choose_rates(whole)

    def scores(task, prompt):
        return study.at({"task": task, "prompt": prompt})["scores.score"]

    assert "majority class by 10 points or more on CB and WiC" in readme()
    for task in ("cb", "wic"):
        (floor,) = set(study.at({"task": task, "prompt": "finetune"})["majority.score"])
        assert scores(task, "finetune").mean() - floor >= 10, task
    assert "On CB no prompt of ten tokens is ahead of a head trained alone" in readme()
    assert "on COPA nothing is clearly ahead of giving one choice always" in readme()
    head = runs[(runs["backbone"] == "minilm") & (runs["task"] == "cb") & (runs["lr"] == 1e-9)]["scores.score"]
    for prompt in (name for name in study.experiment.axes["prompt"] if len(scores("copa", name))):
        if prompt not in METHODS:
            own = scores("cb", prompt)
            assert own.mean() - head.mean() <= max(own.std(), head.std()), prompt
        own, majority = scores("copa", prompt), study.at({"task": "copa", "prompt": prompt})["majority.score"]
        floors = pd.DataFrame({"given": majority, "other": 100 - majority}).max(axis=1)
        assert (own - floors).mean() <= own.std(), prompt


def test_how_many_records_are_of_a_changed_checkout_is_what_the_readme_of_results_says():
    runs = load_runs(ROOT / "results")
    changed = runs["commit"].str.endswith("+changes").sum()
    text = " ".join((ROOT / "results" / "README.md").read_text().split())
    assert f"{changed} of the {len(runs):,} published records do" in text


def test_the_page_on_the_laptop_says_what_its_records_say():
    runs = load_runs(ROOT / "results")
    runs = runs[(runs["backbone"] == "minilm") & (runs["protocol.held_out"] == 0.2)]
    text = " ".join((ROOT / "results" / "laptop.md").read_text().split())
    of = {task: runs[runs["task"] == task] for task in ("cb", "copa", "wic")}
    floors = {task: f"{own['majority.score'].iloc[0]:.1f}" for task, own in of.items()}
    other = f"{100 - of['copa']['majority.score'].iloc[0]:.1f}"
    assert f"| majority class | | {floors['cb']} | | {floors['copa']} (the other choice: {other}) |" in text
    assert f"majority class is {floors['wic']}" in text
    both = pd.concat([of["cb"], of["copa"]])
    assert f"{len(both)} runs" in text and f"the longest run took {both['evaluations'].max()}" in text
    names = {"PT": "vanilla", "PT w/ MLP": "mlp", "PT w/ LSTM": "lstm", "Residual PT": "residual",
             "fine-tuning": "finetune", "the head alone (PT at rate 1e-9)": "vanilla"}  # fmt: skip
    lines = (ROOT / "results" / "laptop.md").read_text().splitlines()
    cells = 0
    for line in (line for line in lines if line.startswith("| ") and " ± " in line):
        name, *columns = [text.strip() for text in line.strip("|").split("|")]
        for task, rate, said in (("cb", *columns[:2]), ("copa", *columns[2:])):
            if not said:
                continue
            own = runs[(runs["task"] == task) & (runs["prompt"] == names[name])]
            scores = own[own["lr"] == (float(rate) if rate else 1e-9)]["scores.score"]
            assert len(scores) == 3 and f"{scores.mean():.1f} ± {scores.std():.1f}" == said, line
            tried = own[(own["seed"] == 0) & (own["lr"] > 1e-9)].sort_values("lr")
            assert not rate or tried.loc[tried["best.select_score"].idxmax(), "lr"] == float(rate), line
            cells += 1
    assert cells == 11
    wic = runs[(runs["task"] == "wic") & (runs["prompt"] == "finetune")].groupby("lr")
    assert (wic.size() == 3).all() and wic["best.select_score"].mean().idxmax() == 3e-5
    scores = {lr: f"{own.mean():.1f} ± {own.std():.1f}" for lr, own in wic["scores.score"]}
    assert scores == {3e-5: "61.8 ± 0.5", 1e-4: "57.5 ± 2.5", 3e-4: "50.0 ± 0.0"}
    assert all(scores[lr] in " ".join(lines) for lr in (3e-5, 1e-4))

    cells = [[text.strip() for text in line.strip("|").split("|")] for line in lines]
    of_rte = runs[runs["task"] == "rte"].fillna({"backbone.pooling": "cls"})
    told = [[labels.rate(run["lr"]), run["backbone.pooling"], str(run["seed"]),
             f"{run['best.epoch']:.0f} of {len(run['history'])}", f"{run['best.select_score']:.1f}",
             f"{run['scores.score']:.1f}"] for _, run in of_rte.iterrows()]  # fmt: skip
    assert sorted(told) == sorted(row for row in cells if len(row) == 6 and row[1] in ("cls", "mean"))
    held_out, reported = (
        f"{of_rte[key].min():.0f} to {of_rte[key].max():.0f}" for key in ("best.select_score", "scores.score")
    )
    assert f"498 held-out rows say {held_out}, the 277 validation rows {reported}" in text
    by_rate = of_rte[of_rte["backbone.pooling"] == "cls"].groupby("lr")
    held_out, scores = by_rate["best.select_score"].mean(), by_rate["scores.score"]
    assert (by_rate.size() == 3).all() and held_out.idxmax() == 3e-5
    assert f"3e-5 ({held_out[3e-5]:.1f} over three seeds; 1e-5 has {held_out[1e-5]:.1f})" in text
    said = {lr: f"{scores.mean()[lr]:.1f} ± {scores.std()[lr]:.1f}" for lr in held_out.index}
    assert f"it has {said[3e-5]}, which is not ahead" in text and f"1e-5 has {said[1e-5]}, which is, by half" in text
    ahead = scores.mean() - of_rte["majority.score"].iloc[0] - scores.std()
    assert ahead[3e-5] < 0 and round(ahead[1e-5], 1) == 0.5, ahead
    assert all(min(line["loss"] for line in history) < 0.1 for history in of_rte["history"] if len(history) > 4)


def test_the_page_on_why_says_what_its_records_say():
    runs = load_runs(ROOT / "results")
    runs = runs[(runs["backbone"] == "nano") & (runs["prompt.length"] == 10)]
    wsc, runs = (runs[runs["task"] == task] for task in ("wsc", "cb"))
    lines = [line for line in (ROOT / "results" / "why.md").read_text().splitlines() if line.startswith("| ")]
    cells = [[text.strip() for text in line.strip("|").split("|")] for line in lines]
    names = {label("prompt", name): name for name in runs["prompt"].unique()}

    def mean(own, at, key):
        return statistics.fmean(history[at][key] for history in own["history"])

    of_wsc, of_lengths, of_rates = ([row for row in cells if len(row) == n and row[0] in names] for n in (6, 5, 4))
    for name, *lengths, at_60, at_120, score in of_wsc:
        own = wsc[wsc["prompt"] == names[name]]
        ends = [mean(own, at, "prompt_norm") for at in (0, -1)]
        losses = [f"{mean(own, at, 'loss'):.2f}" for at in (59, -1)]
        assert [float(length.replace(",", "")) for length in lengths] == pytest.approx(ends, rel=0.05), name
        assert [at_60, at_120, score] == [*losses, f"{own['scores.score'].mean():.1f}"], name
    for name, first, last, score, seeds in of_lengths:
        own = runs[(runs["prompt"] == names[name]) & (runs["lr"] == 0.3)]
        ends = [mean(own, at, "prompt_norm") for at in (0, -1)]
        assert [float(first.replace(",", "")), float(last.replace(",", ""))] == pytest.approx(ends, rel=0.05), name
        assert (score, int(seeds)) == (f"{own['scores.score'].mean():.1f}", len(own)), name
    by_rate = {name: runs[runs["prompt"] == names[name]].groupby("lr") for name in ("PT", "Residual PT")}
    means = {name: of["scores.score"].mean() for name, of in by_rate.items()}
    for name, *scores in of_rates:
        own = by_rate[name]["scores.score"]
        assert scores == [f"{means[name][lr]:.1f} ± {own.std()[lr]:.1f}" for lr in (0.03, 0.3, 3.0)], name
        assert (own.size() == 3).all() and means[name].idxmax() == 0.3
    text = " ".join((ROOT / "results" / "why.md").read_text().split())
    ahead = means["Residual PT"] - means["PT"]
    assert f"residual is {ahead[0.03]:.1f} points ahead" in text and f"it is {ahead[0.3]:.1f} ahead" in text
    assert sum(of.get_group(0.03)["evaluations"].eq(60).sum() for of in by_rate.values()) == 3
    assert (len(of_wsc), len(of_lengths), len(of_rates)) == (4, 8, 2)


@pytest.mark.slow
def test_committed_tables_and_figures_are_what_the_committed_records_give():
    files, problems = build(ROOT / "results")
    assert files and not problems
    for name, content in files.items():
        assert (ROOT / "results" / name).read_bytes() == content, f"{name} is out of date; run make table"
