"""The results in this repository: README and every table stand on the records that are committed beside them."""

import itertools
import statistics
from functools import cache

import pandas as pd
import pytest
from safetensors.torch import load_file

from rpt.config.grids import Grids
from rpt.records.schema import ALL_STEPS
from rpt.reports import labels
from rpt.reports.frame import load_runs
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.quantities import ranges_along
from rpt.reports.rates import choose_rates
from rpt.reports.report import build
from tests.conftest import NANO, ROOT

PROMPTS = ("vanilla", "mlp", "lstm", "residual")


@pytest.fixture(scope="module")
def records():
    return load_runs(ROOT / "results")


def join_once(scale, records):
    """join_once("mini", records)("table1"): its grid there, and what is recorded of it."""
    grids = Grids(scale)
    return cache(lambda name: GridResults.of(grids.lay_out(name), records))


@pytest.fixture(scope="module")
def in_miniature(records):
    return join_once("mini", records)


@pytest.fixture(scope="module")
def in_laptop_grid(records):
    return join_once("laptop", records)


@pytest.fixture
def of_minilm(records):
    """Those that results/laptop.md is about."""
    runs = records[(records["backbone"] == "minilm") & (records["protocol.held_out"] == 0.2)]
    return runs.fillna({"backbone.pooling": "cls"})


def read(page):
    """Without its line breaks."""
    return " ".join((ROOT / page).read_text().split())


def rows_of(page):
    """The cells of each row of its tables."""
    lines = (line.strip() for line in (ROOT / page).read_text().splitlines() if line.strip().startswith("| "))
    return [[text.strip() for text in line.strip("|").split("|")] for line in lines]


def show(scores):
    return f"{scores.mean():.1f} ± {scores.std():.1f}"


def lead(one, other):
    """Of the first over the second, in points; 0 where it is within the larger spread."""
    gap = one.mean() - other.mean()
    return gap if abs(gap) > max(one.std(), other.std()) else 0.0


def test_what_readme_says_of_the_miniature_stands_in_the_committed_records(in_miniature):
    study = in_miniature("table1")
    tasks = study.experiment.axes["task"]
    names = {"PT": "vanilla", "Residual PT": "residual", "PT w/ MLP": "mlp", "PT w/ LSTM": "lstm"}
    floors, scores = [], {}
    for task in tasks:
        of_nano = study.runs[study.runs["task"].eq(task) & study.runs["backbone"].eq("nano")]
        (floor,) = set(of_nano["majority.score"])
        floors.append(floor)
        for prompt in names.values():
            scores[prompt, task] = study.at({"backbone": "nano", "task": task, "prompt": prompt})["scores.score"]
    assert all(len(of_cell) == 3 for of_cell in scores.values())
    table = {row[0]: row[1:] for row in rows_of("README.md") if len(row) == 6}
    assert table.pop("miniature, ten tokens") == [*(label("task", task) for task in tasks), "average"]
    assert table.pop("majority class") == [f"{floor:.1f}" for floor in (*floors, statistics.fmean(floors))]
    assert set(table) == set(names)
    for name, said in table.items():
        own = [scores[names[name], task] for task in tasks]
        assert said == [show(column) for column in (*own, sum(own) / len(own))], name

    leads = {task: lead(scores["residual", task], scores["vanilla", task]) for task in tasks}
    assert [task for task, gap in leads.items() if gap] == ["copa"]
    said = f"on COPA, where residual is {leads['copa']:.1f} points ahead after 120 epochs"
    assert f"{said}, and plain was best in its last five" in read("README.md")
    copa = study.at({"backbone": "nano", "task": "copa", "prompt": "vanilla"})
    assert set(copa["evaluations"]) == {120} and copa["best.epoch"].min() > 115
    assert all(lead(scores["vanilla", task], scores[other, task]) > 0 for task in tasks for other in ("mlp", "lstm"))


def test_what_readme_says_of_a_prompt_s_length_stands_in_the_committed_records(in_miniature):
    study = in_miniature("table5")

    def accuracy(prompt, length):
        scores = study.at({"prompt": prompt, "prompt.length": length})["scores.accuracy"]
        assert len(scores) == 3
        return f"{scores.mean():.0f}"

    plain, residual = (
        "{}, {} and {}".format(*(accuracy(prompt, length) for length in study.experiment.axes["prompt.length"]))
        for prompt in ("vanilla", "residual")
    )
    said = f"with 2, 10 and 100 tokens plain has an accuracy of {plain}, residual of {residual}"
    said += "; with 100 tokens all three residual runs used up their epochs, plain ones did not"
    assert said in read("README.md")
    longest = {prompt: study.at({"prompt": prompt, "prompt.length": "100"}) for prompt in ("vanilla", "residual")}
    assert {name: set(runs["stopped"] == ALL_STEPS) for name, runs in longest.items()} == {
        "vanilla": {False},
        "residual": {True},
    }


def test_what_readme_says_of_few_rows_stands_in_the_committed_records(in_miniature):
    study = in_miniature("figure5")
    by_shots = {
        prompt: [study.at({"prompt": prompt, "data.shots": few})["scores.score"] for few in ("5", "20", "50")]
        for prompt in ("vanilla", "residual")
    }
    assert all(len(scores) == 3 for of in by_shots.values() for scores in of)
    for plain, residual in zip(*by_shots.values(), strict=True):
        assert lead(residual, plain) == 0
    plain, residual = (
        "{:.0f}, {:.0f} and {:.0f}".format(*(scores.mean() for scores in of)) for of in by_shots.values()
    )
    said = f"With 5, 20 and 50 rows of each class of CB plain has {plain}, residual {residual}: level"
    assert said in read("README.md")


def test_what_readme_says_of_widths_stands_in_the_committed_records(in_miniature):
    study = in_miniature("figure6")
    scores = [study.at({"prompt.bottleneck": width})["scores.score"] for width in ("5", "50", "250", "1500")]
    means = pd.Series([of.mean() for of in scores])
    told = "widths of 5, 50, 250 and 1,500 have {:.0f}, {:.0f}, {:.0f} and {:.0f} on the".format(*means)
    assert told in read("README.md") and all(len(of) == 3 for of in scores)
    assert means.std() <= statistics.fmean(of.std() for of in scores)


@pytest.fixture(scope="module")
def study_on_the_laptop(in_laptop_grid):
    """Table 1 at its chosen rates."""
    return choose_rates(in_laptop_grid("table1"))


@pytest.fixture(scope="module")
def on_the_laptop(study_on_the_laptop):
    """on_the_laptop("cb", "residual"): the scores of a cell of table 1."""

    def scores(task, prompt):
        return study_on_the_laptop.at({"task": task, "prompt": prompt})["scores.score"]

    return scores


def test_what_readme_says_of_the_laptop_stands_in_the_committed_records(of_minilm, on_the_laptop):
    said, floors = read("README.md"), of_minilm.groupby("task")["majority.score"].first()
    on_rte = on_the_laptop("rte", "finetune").mean() - floors["rte"]
    assert (
        f"majority class by 10 points or more on CB and WiC, and by {on_rte:.0f} on RTE, where a linear probe" in said
    )
    assert "of the frozen encoder is no less ahead" in said
    assert on_the_laptop("rte", "probe").mean() >= on_the_laptop("rte", "finetune").mean()
    for task in ("cb", "wic"):
        assert on_the_laptop(task, "finetune").mean() - floors[task] >= 10, task
    assert "On all three no prompt of ten tokens is ahead of such a probe" in said
    for task in ("cb", "rte", "wic"):
        probe = on_the_laptop(task, "probe").mean()
        assert all(on_the_laptop(task, prompt).mean() <= probe for prompt in PROMPTS), task
    assert "nothing is more than 4 points ahead of giving one choice always" in said
    best = max(on_the_laptop("copa", method).mean() for method in (*PROMPTS, "probe", "finetune"))
    assert 3.5 < best - (100 - floors["copa"]) <= 4


def test_how_many_records_are_of_a_changed_checkout_is_what_the_readme_of_results_says(records):
    changed = records["commit"].str.endswith("+changes").sum()
    assert f"{changed} of the {len(records):,} published records do" in read("results/README.md")


def test_what_the_page_on_the_laptop_says_of_cb_and_copa_is_in_its_records(of_minilm, on_the_laptop):
    text = read("results/laptop.md")
    both = of_minilm[of_minilm["task"].isin(("cb", "copa"))]
    assert "36 runs a task" in text and set(both["task"].value_counts()) == {36 + 12}  # and figure 4's
    assert f"the longest run took {both['evaluations'].max()}" in text
    floors = both.groupby("task")["majority.score"].first()
    assert f"45.0 (always the other choice: {100 - floors['copa']:.1f})" in text
    for task in ("cb", "copa"):
        scores = {name: on_the_laptop(task, name) for name in (*PROMPTS, "probe", "finetune")}
        assert all(len(of_cell) == 3 for of_cell in scores.values())
        means = [scores[prompt].mean() for prompt in PROMPTS]
        assert f"fine-tuning {show(scores['finetune'])}, the linear probe {show(scores['probe'])}" in text, task
        assert f"the prompts {min(means):.1f} to {max(means):.1f}, the majority class {floors[task]:.1f}" in text, task
        assert lead(scores["residual"], scores["vanilla"]) == 0, task


def test_what_the_page_on_the_laptop_says_of_chosen_rates_is_in_its_records(study_on_the_laptop):
    text, rates = read("results/laptop.md"), study_on_the_laptop.rates
    chosen = {(of.at["task"], of.at["prompt"]): of for of in rates if of.at["task"] in ("cb", "copa")}
    heads = {job.task.name: job.trainer.head_lr for job in study_on_the_laptop.experiment.jobs.values()}
    of_probe = {of.at["task"]: float(of.rate) for of in rates if of.at["prompt"] == "probe" and of.rate is not None}
    assert heads == of_probe and heads["wic"] == heads["cb"] and heads["rte"] == heads["copa"]
    told = f"{heads['cb']:g} on CB and WiC, {heads['copa']:g} on COPA and RTE, {heads['wsc']:g} on WSC"
    assert f"the probe's choice: {told}" in text
    edges = sum(of.at_edge for of in chosen.values())
    assert (edges, len(chosen)) == (6, 12) and "Six of the twelve chosen rates of CB and COPA lie at an edge" in text
    assert "Plain, residual and LSTM chose 1" in text
    assert {chosen["copa", name].rate for name in ("vanilla", "residual", "lstm")} == {"1"}


def test_what_is_said_of_residual_against_plain_on_the_laptop_is_in_its_records(on_the_laptop):
    tasks = ("cb", "copa", "rte", "wic")
    cells = {(task, name): on_the_laptop(task, name) for task in tasks for name in ("residual", "vanilla")}
    assert all(len(scores) == 3 for scores in cells.values())
    leads = {task: lead(cells[task, "residual"], cells[task, "vanilla"]) for task in tasks}
    assert [task for task, gap in leads.items() if gap] == ["rte"]
    ahead = f"Residual is {leads['rte']:.1f} points ahead of plain on RTE, a little more than the spread of the seeds"
    assert f"{ahead}, and level with it on the other three, within the spread" in read("README.md")
    shown = {cell: show(scores) for cell, scores in cells.items()}
    on_cb = f"residual {shown['cb', 'residual']} and plain {shown['cb', 'vanilla']} on CB"
    on_copa = f"{shown['copa', 'residual']} and {shown['copa', 'vanilla']} on COPA"
    assert f"{on_cb}, {on_copa}" in read("results/laptop.md")


def test_what_the_page_on_the_laptop_says_of_learning_rates_is_in_its_records(in_laptop_grid):
    study, text, said = in_laptop_grid("figure4"), read("results/laptop.md"), []
    assert len(study.runs) == 48
    assert "One of the 48 runs used up its epochs, residual at 0.001 with seed 2 on CB" in text
    (used_up,) = study.runs[study.runs["evaluations"] == 40].to_dict("records")
    assert (used_up["task"], used_up["prompt"], used_up["lr"], used_up["seed"]) == ("cb", "residual", 0.001, 2)
    for task in ("cb", "copa"):
        for prompt in ("vanilla", "residual"):
            rates = study.experiment.axes["lr"]
            cells = [study.at({"task": task, "prompt": prompt, "lr": rate})["scores.score"] for rate in rates]
            means = [scores.mean() for scores in cells]
            assert all(len(scores) == 3 for scores in cells)
            assert max(means) - min(means) < max(scores.std() for scores in cells)
            said.append(f"from {min(means):.1f} to {max(means):.1f}")
    assert "On CB and COPA neither moves more with the learning rate than with the seed" in read("README.md")
    assert "On CB plain has {} and residual {}; on COPA plain has {} and residual {}.".format(*said) in text


def test_what_the_page_on_the_laptop_says_of_wic_is_in_its_records(of_minilm, on_the_laptop):
    text = read("results/laptop.md")
    wic = of_minilm[(of_minilm["task"] == "wic") & (of_minilm["prompt"] == "finetune")]
    assert wic.groupby("lr").size().to_dict() == {3e-5: 3, 1e-4: 1} and "Fine-tuning has four runs" in text
    held_out = wic[wic["seed"] == 0].set_index("lr")["best.select_score"]
    assert f"3e-5 is ahead of 1e-4 ({held_out[3e-5]:.1f} against {held_out[1e-4]:.1f} with seed 0)" in text
    floor = wic["majority.score"].iloc[0]
    assert f"It reaches {show(on_the_laptop('wic', 'finetune'))} on the validation rows" in text
    assert f"where the majority class is {floor:.1f}" in text


def test_what_the_page_on_the_laptop_says_of_wsc_is_in_its_records(of_minilm):
    wsc, text = of_minilm[of_minilm["task"] == "wsc"], read("results/laptop.md")
    tried = {"finetune": [3e-5, 1e-4], "probe": [0.001, 0.01, 0.1, 1]}
    assert wsc.groupby("prompt")["lr"].agg(sorted).to_dict() == tried and (wsc["seed"] == 0).all()
    one_answer = 100 * 55 / 104  # of the held-out rows
    best, floor = wsc["best.select_score"].max(), wsc["majority.score"].iloc[0]
    assert f"({best:.1f} at most, {one_answer:.1f} for the one answer)" in text and best - one_answer < 1
    assert f"the majority class, {floor:.1f}, on the validation rows" in text and wsc["scores.score"].max() <= floor
    assert "WSC's 450 rows" in text and (wsc["data.train"] == 450).all() and (wsc["data.select"] == 104).all()


def outcome_cells(run):
    """The seed, the best epoch, and the scores on held-out and on validation rows, as the page's tables have them."""
    epoch = f"{run['best.epoch']:.0f} of {len(run['history'])}"
    return [str(run["seed"]), epoch, f"{run['best.select_score']:.1f}", f"{run['scores.score']:.1f}"]


def test_what_the_page_on_the_laptop_says_of_rte_is_in_its_records(of_minilm):
    of_rte, text = of_minilm[of_minilm["task"] == "rte"], read("results/laptop.md")
    every, probe = of_rte[of_rte["prompt"] == "finetune"], of_rte[of_rte["prompt"] == "probe"]
    yes_or_no = every["trainer.dropout"].map({True: "yes", False: "no"})
    told = [
        [labels.rate(run["lr"]), run["backbone.pooling"], yes_or_no[place], *outcome_cells(run)]
        for place, run in every.iterrows()
    ]
    rows = rows_of("results/laptop.md")
    assert sorted(told) == sorted(row for row in rows if len(row) == 7 and row[1] in ("cls", "mean", "cosine"))
    rte = every[every["backbone.pooling"] != "cosine"]
    learned, collapsed = rte[rte["lr"] < 3e-4], rte[rte["lr"] == 3e-4]
    assert all(line["constant"] for history in collapsed["history"] for line in history)
    held_out, reported = (
        f"{learned[key].min():.0f} to {learned[key].max():.0f}" for key in ("best.select_score", "scores.score")
    )
    assert f"up to 1e-4 the 498 held-out rows say {held_out}, the 277 validation rows {reported}" in text
    dropout = rte["trainer.dropout"].astype(bool)
    by_rate = rte[(rte["backbone.pooling"] == "cls") & ~dropout].groupby("lr")
    held_out, scores = by_rate["best.select_score"].mean(), by_rate["scores.score"]
    assert by_rate.size().to_dict() == {1e-5: 3, 3e-5: 3, 1e-4: 1, 3e-4: 1} and held_out.idxmax() == 3e-5
    assert "1e-4 is worse, and 3e-4 gives every row the same answer" in text and held_out[1e-4] < held_out[1e-5]
    dropped = rte[dropout]
    assert (dropped["lr"] == 3e-5).all() and dropped["best.select_score"].mean() < held_out[3e-5]
    told = f"({dropped['best.select_score'].mean():.1f} over three seeds) and has {show(dropped['scores.score'])}"
    assert f"no better on the held-out rows {told} on the validation rows" in text and len(dropped) == 3
    assert f"3e-5 ({held_out[3e-5]:.1f} over three seeds; 1e-5 has {held_out[1e-5]:.1f})" in text
    chosen, other = (show(scores.get_group(lr)) for lr in (3e-5, 1e-5))
    assert f"it has {chosen}, which is not ahead" in text and f"1e-5 has {other}, which is, by half" in text
    ahead = scores.mean() - rte["majority.score"].iloc[0] - scores.std()
    assert ahead[3e-5] < 0 and round(ahead[1e-5], 1) == 0.5, ahead
    long = [runs["history"] for _, runs in rte[~dropout].iterrows() if len(runs["history"]) > 4 and runs["lr"] < 1e-4]
    assert all(min(line["loss"] for line in history) < 0.1 for history in long)

    compared = every[every["backbone.pooling"] == "cosine"].set_index(["lr", "seed"])
    chosen = compared.loc[3e-5]
    told = f"{show(chosen['best.select_score'])} on the held-out rows and {show(chosen['scores.score'])} on the"
    ahead = chosen["scores.score"].mean() - rte["majority.score"].iloc[0]
    assert f"{told} validation rows: {ahead:.1f} points ahead" in text and len(chosen) == 3
    assert ahead > chosen["scores.score"].std()
    held_out = [compared["best.select_score"][lr, 0] for lr in (3e-5, 1e-5)]
    assert "3e-5 is ahead of 1e-5 ({:.1f} against {:.1f} held out)".format(*held_out) in text
    assert "1e-4 and 3e-4 are still to be tried" in text and len(compared) == 4
    probe = probe[probe["lr"] == 0.01]
    ahead = chosen["best.select_score"].mean() - probe["best.select_score"].mean()
    assert round(ahead) == 2 and "on the held-out rows it is two points ahead of the probe" in text
    assert chosen["scores.score"].mean() < probe["scores.score"].mean()


@pytest.fixture
def trained_little(of_minilm):
    """Of RTE and WiC, the linear probe and the prompts, as table 1 has them."""
    there = of_minilm["task"].isin(("rte", "wic")) & (of_minilm["trainer.epochs"] == 6)
    return of_minilm[there & (of_minilm["prompt"] != "finetune")]


def test_the_page_on_the_laptop_lists_each_probe_and_prompt_of_rte_and_wic(trained_little):
    told = [
        [label("task", run["task"]), label("prompt", run["prompt"]), labels.rate(run["lr"]), *outcome_cells(run)]
        for _, run in trained_little.iterrows()
    ]
    rows = rows_of("results/laptop.md")
    assert sorted(told) == sorted(row for row in rows if len(row) == 7 and row[0] in ("RTE", "WiC"))


@pytest.mark.parametrize(("task", "best"), [("rte", 0.01), ("wic", 0.001)])
def test_what_the_page_on_the_laptop_says_of_the_probe_is_in_its_records(trained_little, task, best):
    probe = trained_little[(trained_little["task"] == task) & (trained_little["prompt"] == "probe")]
    assert probe.groupby("lr")["best.select_score"].mean().idxmax() == best
    of_one_seed = probe[probe["seed"] == 0].set_index("lr")["best.select_score"]
    assert len(of_one_seed) == 4 and of_one_seed.idxmax() == best
    at_best = probe[probe["lr"] == best]
    assert len(at_best) == 3
    held_out, scores = show(at_best["best.select_score"]), show(at_best["scores.score"])
    told = f"{held_out} on the held-out rows and {scores} on the validation rows"
    assert f"At its best rate, {best:g}, the probe has {told}" in read("results/laptop.md")


def test_what_the_page_on_the_laptop_says_of_rte_s_prompts_is_in_its_records(trained_little, on_the_laptop):
    text, rte = read("results/laptop.md"), trained_little[trained_little["task"] == "rte"]
    assert (rte["backbone.pooling"] == "cosine").all()
    prompts = rte[rte["prompt"] != "probe"]
    assert set(prompts["lr"]) == {0.01, 0.1} and (prompts["trainer.head_lr"] == 0.01).all()
    scores = {name: on_the_laptop("rte", name) for name in (*PROMPTS, "probe", "finetune")}
    assert max(scores[name].mean() for name in (*PROMPTS, "finetune")) < scores["probe"].mean()
    plain, mlp, lstm, residual = (show(scores[name]) for name in PROMPTS)
    assert f"PT has {plain} on the validation rows, an MLP {mlp}, an LSTM {lstm} and Residual PT {residual}." in text
    assert all(len(scores[name]) == 3 for name in PROMPTS)
    held_out = prompts[prompts["lr"] == 0.01].groupby("prompt")["best.select_score"].mean()
    ahead = lead(scores["residual"], scores["vanilla"]), held_out["residual"] - held_out["vanilla"]
    assert f"Residual is {ahead[0]:.1f} points ahead of plain there, a little more than the spread" in text
    assert f"and {ahead[1]:.1f} on the held-out rows. An MLP is ahead of plain as well" in text
    assert lead(scores["mlp"], scores["vanilla"]) > 0 and held_out["mlp"] > held_out["vanilla"]
    high = {run["prompt"]: run["history"] for _, run in prompts[prompts["lr"] == 0.1].iterrows()}
    constant = {name: history[-1]["constant"] for name, history in high.items()}
    assert all(line["constant"] for line in high["vanilla"])
    assert constant == {name: name == "vanilla" for name in PROMPTS}
    assert "At the rate 0.1 plain gives every row the same answer from the first epoch on; the other three" in text


def test_what_the_page_on_the_laptop_says_of_wic_s_prompts_is_in_its_records(trained_little, on_the_laptop):
    text, wic = read("results/laptop.md"), trained_little[trained_little["task"] == "wic"]
    scores = {name: on_the_laptop("wic", name) for name in (*PROMPTS, "probe", "finetune")}
    assert "On these no prompt is ahead of it" in text
    assert max(scores[name].mean() for name in PROMPTS) < scores["probe"].mean() < scores["finetune"].mean() - 5
    plain, mlp, lstm, residual = (show(scores[name]) for name in PROMPTS)
    assert f"PT has {plain}, an MLP {mlp}, an LSTM {lstm} and Residual PT {residual}." in text
    assert all(len(scores[name]) == 3 for name in PROMPTS)
    assert "no two of the four differ by more than the spread" in text
    assert all(lead(scores[one], scores[other]) == 0 for one, other in itertools.combinations(PROMPTS, 2))
    assert set(wic[wic["prompt"] != "probe"]["lr"]) == {0.01, 0.1}
    best_epochs = wic[(wic["prompt"] == "vanilla") & (wic["lr"] == 0.01)]["best.epoch"]
    assert "Two of the three plain runs were best in the last of theirs" in text
    assert sorted(best_epochs == 6) == [False, True, True]


def test_what_the_page_on_the_laptop_says_of_more_epochs_is_in_its_records(of_minilm, trained_little):
    longer = of_minilm[of_minilm["trainer.epochs"] == 12].sort_values("seed")
    assert set(longer["task"]) == {"wic"} and set(longer["prompt"]) == {"vanilla"} and list(longer["seed"]) == [0, 2]
    assert (longer["stopped"] != ALL_STEPS).all()
    ended = "{} and {}".format(*map(len, longer["history"]))
    best = "{:.0f} and {:.0f}".format(*longer["best.epoch"])
    scores = "{:.1f} and {:.1f}".format(*longer["scores.score"])
    said = f"after {ended} epochs, were best after {best}, and have {scores} on the validation rows: more epochs would"
    assert said in read("results/laptop.md")
    alike = trained_little.merge(longer, on=["task", "prompt", "lr", "seed"])
    assert len(alike) == 2 and (alike["scores.score_y"] < alike["scores.score_x"]).all()


def mean(runs, at, key):
    """Of what the runs' histories have under the key at an evaluation: 0 is the first, -1 the last."""
    return statistics.fmean(history[at][key] for history in runs["history"])


def test_the_page_on_why_says_what_its_records_say(in_miniature):
    kinds, tasks = (in_miniature(name) for name in ("reparameterizations", "table1"))
    names = {label("prompt", name): name for name in kinds.experiment.axes["prompt"]}
    scaled = {"1", "0.1667"}  # of words, in the table of a test of its own
    rows = [row for row in rows_of("results/why.md") if row[0] in names and row[1] not in scaled]

    of_wsc, of_lengths, of_rates = ([row for row in rows if len(row) == n] for n in (6, 5, 7))
    assert (len(of_wsc), len(of_lengths), len(of_rates)) == (4, 8, 2)
    for name, *lengths, at_60, at_120, score in of_wsc:
        runs = tasks.at({"backbone": "nano", "task": "wsc", "prompt": names[name]})
        ends = [mean(runs, at, "prompt_norm") for at in (0, -1)]
        losses = [f"{mean(runs, at, 'loss'):.2f}" for at in (59, -1)]
        assert [float(length.replace(",", "")) for length in lengths] == pytest.approx(ends, rel=0.05), name
        assert [at_60, at_120, score] == [*losses, f"{runs['scores.score'].mean():.1f}"], name
    for name, *lengths, score, seeds in of_lengths:
        runs = kinds.at({"prompt": names[name]})
        ends = [mean(runs, at, "prompt_norm") for at in (0, -1)]
        assert [float(length.replace(",", "")) for length in lengths] == pytest.approx(ends, rel=0.05), name
        assert (score, int(seeds)) == (f"{runs['scores.score'].mean():.1f}", len(runs)), name

    by_rate = runs_by_rate(in_miniature)
    for name, *said in of_rates:
        assert said == [show(runs["scores.score"]) for runs in by_rate[name].values()], name
    assert all(len(runs) == 3 for of in by_rate.values() for runs in of.values())


def test_what_the_page_on_why_says_of_smaller_words_is_in_its_records(in_miniature):
    study, text = in_miniature("why"), read("results/why.md")
    word = load_file(NANO / "model.safetensors")["shared.weight"].float().norm(dim=1).mean().item()
    assert f"A word's vector in the nano has a length of about {word:.0f}" in text
    lengths, rates, scores = [], [], {}
    for name, prompt in (("PT", "vanilla"), ("Residual PT", "residual")):
        for scale in ("1", "0.1667"):
            cell = {"prompt": prompt, "backbone.stream_scale": scale}
            runs = {lr: study.at(cell | {"lr": lr}) for lr in study.experiment.axes["lr"]}
            assert all(len(of_rate) == 3 for of_rate in runs.values())
            scores[name, scale] = of = {lr: of_rate["scores.score"] for lr, of_rate in runs.items()}
            ends = [mean(runs["0.3"], at, "prompt_norm") / word / float(scale) for at in (0, -1)]
            lengths.append([name, scale, *(f"{end:.1f}" for end in ends), show(of["0.3"])])
            rates.append([name, scale, *map(show, of.values())])
    assert [row for row in rows_of("results/why.md") if row[1] in ("1", "0.1667")] == [*lengths, *rates]
    for name in ("PT", "Residual PT"):
        at_one, smaller = (scores[name, scale]["0.3"] for scale in ("1", "0.1667"))
        assert smaller.std() >= 3 * at_one.std() and lead(smaller, at_one) == 0
    plain, residual = (scores[name, "0.1667"] for name in ("PT", "Residual PT"))
    assert abs(residual["0.3"].mean() - plain["0.3"].mean()) <= plain["0.3"].std()
    assert lead(residual["0.03"], plain["0.03"]) == 0
    assert "With words a sixth as long, its lead at 0.03 is gone" in read("README.md")
    assert f"at 0.03 it gains {lead(plain['0.03'], scores['PT', '1']['0.03']):.1f} points" in text
    best = [max(of, key=lambda lr, of=of: of[lr].mean()) for of in (residual, plain)]
    assert lead(residual[best[0]], plain[best[1]]) == 0
    gap = residual[best[0]].mean() - plain[best[1]].mean()
    assert f"{best[0]} for residual and {best[1]} for plain, residual is {gap:.1f} ahead, within the spread, at" in text


def runs_by_rate(in_miniature):
    """Of plain and residual on CB, those at each rate of figure 4 and of the page on why."""
    studies = {lr: in_miniature("figure4") for lr in ("0.001", "0.01", "0.03", "0.3")}
    studies |= {"3": in_miniature("why"), "10": in_miniature("figure4")}
    at = {"3": {"backbone.stream_scale": "1"}}
    return {
        name: {lr: study.at({"prompt": prompt, "lr": lr} | at.get(lr, {})) for lr, study in studies.items()}
        for name, prompt in (("PT", "vanilla"), ("Residual PT", "residual"))
    }


def test_what_is_said_of_rates_in_miniature_is_in_its_records(in_miniature):
    by_rate, text = runs_by_rate(in_miniature), read("results/why.md")
    plain, residual = ({lr: runs["scores.score"] for lr, runs in of.items()} for of in by_rate.values())
    leads = {lr: residual[lr].mean() - plain[lr].mean() for lr in plain}
    spreads = {lr: max(residual[lr].std(), plain[lr].std()) for lr in plain}
    low = ("0.03", "0.01", "0.001")
    said = "{:.1f} points at 0.03, {:.1f} at 0.01 and {:.1f} at 0.001".format(*(leads[lr] for lr in low))
    assert said in text and {lr for lr in leads if leads[lr] > spreads[lr]} == {*low}
    assert all(abs(leads[lr]) <= spreads[lr] for lr in leads if lr not in low)
    best = [max(scores, key=lambda lr, of=scores: of[lr].mean()) for scores in (residual, plain)]
    gap = residual[best[0]].mean() - plain[best[1]].mean()
    assert f"{best[0]} for residual and {best[1]} for plain, residual is {gap:.1f} ahead, within the spread" in text
    ended = [runs["evaluations"].eq(60).sum() for of in by_rate.values() for lr, runs in of.items() if lr in low]
    assert f"{sum(ended)} of 18 ended with their 60 epochs" in text
    stopped = by_rate["PT"]["0.001"].query("evaluations < 60")
    assert len(stopped) == 2 and all(history[-1]["loss"] < history[-6]["loss"] for history in stopped["history"])

    ranges = [scores.mean() for scores in ranges_along("lr")(in_miniature("figure4"), {"backbone": "nano"})]
    readme = read("README.md")
    assert "the accuracy of plain by {:.0f} points, of residual by {:.0f}".format(*ranges) in readme
    assert 0.3 < gap < 0.7 and "each at its best rate, residual is half a point ahead" in readme


def test_what_the_page_on_why_says_of_boolq_and_copa_is_in_its_records(in_miniature):
    study, text = in_miniature("table1"), read("results/why.md")

    def runs_of(prompt):
        return [study.at({"backbone": "nano", "task": task, "prompt": prompt}) for task in ("boolq", "copa")]

    def ends(prompt):
        lengths = [history[-1]["prompt_norm"] for runs in runs_of(prompt) for history in runs["history"]]
        return min(lengths), max(lengths)

    boolq, copa = runs_of("lstm")
    floors = [f"{runs['majority.score'].iloc[0]:.1f}" for runs in (boolq, copa)]
    assert f"majority class ({boolq['scores.score'].mean():.1f} against {floors[0]})" in text
    assert f"on COPA they reach {copa['scores.score'].mean():.1f} in 120 ({floors[1]})" in text
    assert sorted(boolq["evaluations"]) == [17, 25, 38] and "after 17, 25 and 38 epochs" in text
    assert "end {:.1f} to {:.1f} million long".format(*(end / 1e6 for end in ends("lstm"))) in text
    shortest, longest = (round(end, -1) for end in ends("vanilla"))
    scores = [f"{runs['scores.score'].mean():.1f}" for runs in runs_of("vanilla")]
    assert f"Plain prompts, {shortest:.0f} to {longest:.0f} long, have {scores[0]} and {scores[1]}." in text


@pytest.mark.slow
def test_committed_tables_and_figures_are_what_the_committed_records_give():
    files, problems = build(ROOT / "results")
    assert files and not problems
    for name, content in files.items():
        assert (ROOT / "results" / name).read_bytes() == content, f"{name} is out of date; run make table"
