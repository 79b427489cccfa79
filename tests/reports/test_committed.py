"""The results in this repository: README and every table stand on the records that are committed beside them."""

import re
import shutil
import statistics
from functools import cache

import pandas as pd
import pytest
from safetensors.torch import load_file

from rpt.config.grids import Grids
from rpt.records.schema import ALL_STEPS
from rpt.reports.claims import CLAIMS, measure
from rpt.reports.frame import load_runs
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.rates import choose_rates
from rpt.reports.report import build
from rpt.reports.searches import write_searches
from scripts import compare_search
from tests.conftest import NANO, ROOT

PROMPTS = ("vanilla", "mlp", "lstm", "residual")


@pytest.fixture(scope="module")
def records():
    return load_runs(ROOT / "results")


def join_once(scale, records):
    """join_once("mini", records)("table1"): its grid there, and what is recorded of it."""
    grids = Grids(scale)
    return cache(lambda name: GridResults.join(grids.lay_out(name), records))


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
    leads = {task: lead(scores["residual", task], scores["vanilla", task]) for task in tasks}
    assert [task for task, gap in leads.items() if gap] == ["copa"]
    readme = " ".join(read("README.md").split())
    assert f"Residual PT is ahead of PT on COPA alone, by {leads['copa']:.1f} points" in readme
    assert all(lead(scores["vanilla", task], scores[other, task]) > 0 for task in tasks for other in ("mlp", "lstm"))


@pytest.fixture(scope="module")
def study_on_the_laptop(in_laptop_grid):
    """Table 1 at its chosen rates."""
    return choose_rates(in_laptop_grid("table1"))


@pytest.fixture(scope="module")
def on_the_laptop(study_on_the_laptop):
    """on_the_laptop("cb", "residual"): MiniLM's scores in a cell of table 1."""

    def scores(task, prompt):
        return study_on_the_laptop.at({"backbone": "minilm", "task": task, "prompt": prompt})["scores.score"]

    return scores


def test_how_many_records_are_of_a_changed_checkout_is_what_the_readme_of_results_says(records):
    changed = records["commit"].str.endswith("+changes").sum()
    assert f"Of the published records {changed} end so." in read("results/README.md")


def flan_runs(records, task, prompt):
    """Flan-T5-Small's runs of table 1 as it is run first: the paper's rate, ten tokens, by seed."""
    alike = records["backbone"].eq("flan_small") & records["task"].eq(task) & records["prompt"].eq(prompt)
    alike &= records["lr"].eq(0.3) & records["prompt.length"].eq(10) & records["trainer.epochs"].isin((15, 60))
    return records[alike].sort_values("seed").to_dict("records")


def test_what_the_page_on_the_laptop_says_of_flan_is_in_its_records(records):
    text, scores, first = read("results/laptop.md"), {}, {}
    for name in PROMPTS:
        runs = flan_runs(records, "cb", name)
        assert len(runs) == 3
        assert all(run["stopped"] != ALL_STEPS and round(run["majority.score"], 1) == 36.1 for run in runs)
        scores[name] = pd.Series([run["scores.score"] for run in runs])
        first[name] = [run["history"][0]["score"] for run in runs]
    assert ", ".join(f"{label('prompt', name)} {show(each)}" for name, each in scores.items()) in text
    assert all(one > other for one, other in zip(first["residual"], first["vanilla"], strict=True))
    sooner = re.search(r"share \((.*?)\sheld out\)", text)[1]
    assert f"Flan-T5-Small: {sooner}" in read("results/REPORT.md")


def test_what_the_page_on_the_laptop_says_of_flan_on_copa_is_in_its_records(records):
    runs = [run for name in PROMPTS for run in flan_runs(records, "copa", name) if run["seed"] == 0]
    epochs, scores = sorted(len(run["history"]) for run in runs), sorted(run["scores.score"] for run in runs)
    said = f"stop by patience after {epochs[0]} to {epochs[-1]} epochs and have {scores[0]:.1f} to {scores[-1]:.1f}"
    assert len(runs) == 4 and said in " ".join(read("results/laptop.md").split())
    assert all(run["stopped"] != ALL_STEPS for run in runs)


def test_what_the_page_on_the_laptop_says_of_flan_on_rte_is_in_its_records(records):
    (plain,), (residual,) = (flan_runs(records, "rte", name) for name in ("vanilla", "residual"))
    scores = f"PT {plain['scores.score']:.1f}, Residual PT {residual['scores.score']:.1f}"
    said = f"{scores}; the majority class has {plain['majority.score']:.1f}. On {plain['data.report']} rows"
    assert said in read("results/laptop.md")


def test_what_the_page_on_the_laptop_says_of_a_decoder_is_in_its_records(records):
    runs = records[records["backbone"].eq("smollm2") & records["task"].eq("rte")]
    prompts, zero_shot = runs[runs["prompt"] != "none"], runs[runs["prompt"] == "none"]
    assert len(prompts) == 4 and set(prompts["lr"]) == {0.3} and set(prompts["seed"]) == {0}
    scores, losses = prompts["scores.score"], [history[-1]["loss"] for history in prompts["history"]]
    text = read("results/laptop.md")
    assert f"({scores.min():.1f} to {scores.max():.1f}, without a prompt {zero_shot['scores.score'].item():.1f}" in text
    assert f"the training loss falls to {min(losses):.1f} to {max(losses):.1f}" in text
    assert (scores - prompts["majority.score"]).max() < 3.0  # the standard error of 277 rows

    runs = records[records["backbone"].eq("smollm2") & records["task"].eq("cb")].copy()
    assert len(runs) == 8 and set(runs["seed"]) == {0} and set(runs["data.report"]) == {56} and "so far seed 0" in text
    runs["auto"] = runs["backbone.stream_scale"].eq("auto")
    runs["first"] = runs["history"].map(lambda history: f"{history[0]['loss']:.1f}")
    low, others = runs.query("auto and lr == 0.01").set_index("prompt"), runs.query("not auto or lr != 0.01")
    scores, floor, accuracy = (
        others["scores.score"],
        runs["majority.score"].iloc[0],
        others["scores.accuracy"].mean() / 100,
    )
    error = 100 * (accuracy * (1 - accuracy) / 56) ** 0.5
    assert f"{scores.min():.1f} to {scores.max():.1f} (majority class {floor:.1f}, standard error {error:.1f})" in text
    assert scores.max() - scores.min() < 2 * error
    plain, residual = (low.loc[prompt, "scores.score"] for prompt in ("vanilla", "residual"))
    assert f"0.01 is too low: PT {plain:.1f}, Residual PT {residual:.1f}." in text
    first = runs.set_index(["auto", "lr", "prompt"])["first"].sort_index()
    cells = [first[auto, lr] for auto in (True, False) for lr in (0.01, 0.3)]
    pairs = [f"{cell['vanilla']} and {cell['residual']}" for cell in cells]
    assert "{} there, {} at 0.3; without the scale {}, {}.".format(*pairs) in text


def test_what_the_page_on_the_laptop_says_of_minilm_is_in_its_records(of_minilm, on_the_laptop):
    text, floors = read("results/laptop.md"), of_minilm.groupby("task")["majority.score"].first()
    for task, name in (("cb", "CB"), ("rte", "RTE"), ("wic", "WiC")):
        scores, probe = on_the_laptop(task, "finetune"), on_the_laptop(task, "probe")
        assert f"{name} ({show(scores)}; {floors[task]:.1f})" in text and len(scores) == 3
        assert f"{name} ({show(probe)})" in text and len(probe) == 3
        assert scores.mean() - floors[task] > scores.std()
        assert all(on_the_laptop(task, prompt).mean() <= probe.mean() for prompt in PROMPTS), task
    best = max(on_the_laptop("copa", method).mean() for method in (*PROMPTS, "probe", "finetune"))
    assert f"nothing is more than {best - (100 - floors['copa']):.1f} points ahead of giving one choice" in text
    cells = {(task, name): on_the_laptop(task, name) for task in ("cb", "copa", "rte", "wic") for name in PROMPTS}
    assert all(len(scores) == 3 for scores in cells.values())
    leads = {task: lead(cells[task, "residual"], cells[task, "vanilla"]) for task, _ in cells}
    assert [task for task, gap in leads.items() if gap] == ["rte"] and leads["rte"] > 0
    assert f"Residual has {show(cells['rte', 'residual'])} and plain {show(cells['rte', 'vanilla'])} on RTE" in text


def test_what_readme_says_of_real_rows_is_on_the_page_and_in_its_records(on_the_laptop):
    readme, page = read("README.md"), read("results/laptop.md")
    plain, residual = re.search(r"PT has (\S+ ± \S+) and Residual PT (\S+ ± \S+),", readme).groups()
    assert f": PT {plain}, PT w/ MLP" in page and f", Residual PT {residual}." in page
    ahead = lead(on_the_laptop("rte", "residual"), on_the_laptop("rte", "vanilla"))
    assert f"Residual PT is ahead of PT on RTE alone, by {ahead:.1f} points" in readme


@pytest.mark.parametrize(("scale", "backbone", "task"), [("laptop", "minilm", "rte"), ("mini", "nano", "copa")])
def test_the_leads_that_readme_cannot_tell_from_chance_have_such_a_p(scale, backbone, task):
    made = pd.read_csv(ROOT / f"results/tables/table1-significance-{scale}.csv")
    (p,) = made[made["backbone"].eq(backbone) & made["task"].eq(task)]["p"]
    assert p > 0.4 and "cannot tell the leads on RTE and COPA from chance (p > 0.4)" in read("README.md")


def test_what_the_page_on_the_laptop_says_of_minilm_s_rates_is_in_its_records(of_minilm, study_on_the_laptop):
    text = read("results/laptop.md")
    rates = study_on_the_laptop.rates[study_on_the_laptop.rates["backbone"] == "minilm"]
    chosen = rates[rates["chosen"]]
    on_two = chosen[chosen["task"].isin(("cb", "copa"))]
    assert (on_two["edge"].sum(), len(on_two)) == (6, 12)
    assert "Of the twelve rates chosen there (six methods) six are the lowest or highest tried" in text
    jobs = [job for job in study_on_the_laptop.experiment.jobs.values() if job.backbone.name == "minilm"]
    heads = {job.task.name: job.trainer.head_lr for job in jobs}
    of_probe = chosen[chosen["prompt"] == "probe"].set_index("task")["lr"].astype(float).to_dict()
    assert heads == of_probe and heads["wic"] == heads["cb"] and heads["rte"] == heads["copa"]
    assert f"{heads['cb']:g} on CB and WiC, {heads['copa']:g} on COPA and RTE, {heads['wsc']:g} on WSC" in text
    both = of_minilm[of_minilm["task"].isin(("cb", "copa")) & of_minilm["prompt"].isin(("vanilla", "residual"))]
    assert len(both) == 48 and "for either prompt (48 runs)" in text
    for _, cells in both.groupby(["task", "prompt"]):
        by_rate = cells.groupby("lr")["scores.score"]
        assert len(by_rate) == 4 and by_rate.mean().max() - by_rate.mean().min() < by_rate.std().max()


def test_what_the_page_on_the_laptop_says_of_rte_wsc_and_wic_is_in_its_records(of_minilm, on_the_laptop):
    text = read("results/laptop.md")
    tuned = of_minilm[of_minilm["prompt"].eq("finetune") & of_minilm["task"].eq("rte")]
    as_one = tuned[(tuned["backbone.pooling"] == "cls") & ~tuned["trainer.dropout"].astype(bool)].groupby("lr")
    assert as_one["best.select_score"].mean().idxmax() == 3e-5
    assert f"has {show(as_one.get_group(3e-5)['scores.score'])} at the rate" in text
    assert f"With `backbone.pooling=cosine` it has {show(on_the_laptop('rte', 'finetune'))}" in text
    dropped, averaged = tuned["trainer.dropout"].astype(bool), tuned["backbone.pooling"] == "mean"
    assert (dropped.sum(), averaged.sum()) == (3, 1) and set(tuned[dropped]["trainer.epochs"]) == {10}
    wsc = of_minilm[of_minilm["task"] == "wsc"]
    assert set(wsc["prompt"]) == {"finetune", "probe"} and (wsc["scores.score"] <= wsc["majority.score"]).all()
    assert f"the majority class ({wsc['majority.score'].iloc[0]:.1f})" in text
    longer = of_minilm[of_minilm["trainer.epochs"] == 12].sort_values("seed")
    assert set(longer["task"]) == {"wic"} and (longer["stopped"] != ALL_STEPS).all()
    ended = "{} and {}".format(*map(len, longer["history"]))
    scores = "{:.1f} and {:.1f}".format(*longer["scores.score"])
    assert f"stopped by themselves after {ended} and had {scores}" in text
    plain = of_minilm[(of_minilm["task"] == "wic") & (of_minilm["prompt"] == "vanilla") & (of_minilm["lr"] == 0.01)]
    assert sorted(plain[plain["trainer.epochs"] == 6]["best.epoch"] == 6) == [False, True, True]
    again = plain[plain["seed"] == 2].sort_values("trainer.epochs")["history"]
    first = "{:.1f} in one and {:.1f} in the other".format(*(history[0]["score"] for history in again))
    assert f"after one epoch seed 2 has {first}, held out" in text


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
    assert all(len(runs) == 3 for item in by_rate.values() for runs in item.values())


def test_what_the_page_on_why_says_of_smaller_words_is_in_its_records(in_miniature):
    study, text = in_miniature("why"), read("results/why.md")
    word = load_file(NANO / "model.safetensors")["shared.weight"].float().norm(dim=1).mean().item()
    assert f"A word's vector in the nano has a length of about {word:.0f}" in text
    lengths, scores = [], {}
    for name, prompt in (("PT", "vanilla"), ("Residual PT", "residual")):
        for scale in ("1", "0.1667"):
            cell = {"prompt": prompt, "backbone.stream_scale": scale}
            runs = {lr: study.at(cell | {"lr": lr}) for lr in study.experiment.axes["lr"]}
            assert all(len(of_rate) == 3 for of_rate in runs.values())
            scores[name, scale] = item = {lr: of_rate["scores.score"] for lr, of_rate in runs.items()}
            ends = [mean(runs["0.3"], at, "prompt_norm") / word / float(scale) for at in (0, -1)]
            lengths.append([name, scale, *(f"{end:.1f}" for end in ends), show(item["0.3"])])
            in_table = next(row for row in rows_of("results/tables/why-mini.md") if row[1:3] == [scale, name])
            assert [text.strip("*") for text in in_table[3:]] == [*map(show, item.values())]
    assert [row for row in rows_of("results/why.md") if row[1] in ("1", "0.1667")] == lengths
    for name in ("PT", "Residual PT"):
        at_one, smaller = (scores[name, scale]["0.3"] for scale in ("1", "0.1667"))
        assert smaller.std() >= 3 * at_one.std() and lead(smaller, at_one) == 0
    plain, residual = (scores[name, "0.1667"] for name in ("PT", "Residual PT"))
    assert abs(residual["0.3"].mean() - plain["0.3"].mean()) <= plain["0.3"].std()
    assert lead(residual["0.03"], plain["0.03"]) == 0
    assert f"at 0.03 it gains {lead(plain['0.03'], scores['PT', '1']['0.03']):.1f} points" in text
    best = [max(item, key=lambda lr, item=item: item[lr].mean()) for item in (residual, plain)]
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
    plain, residual = ({lr: runs["scores.score"] for lr, runs in item.items()} for item in by_rate.values())
    leads = {lr: residual[lr].mean() - plain[lr].mean() for lr in plain}
    spreads = {lr: max(residual[lr].std(), plain[lr].std()) for lr in plain}
    low = ("0.03", "0.01", "0.001")
    said = "{:.1f} points at 0.03, {:.1f} at 0.01 and {:.1f} at 0.001".format(*(leads[lr] for lr in low))
    assert said in text and {lr for lr in leads if leads[lr] > spreads[lr]} == {*low}
    assert all(abs(leads[lr]) <= spreads[lr] for lr in leads if lr not in low)
    best = [max(scores, key=lambda lr, item=scores: item[lr].mean()) for scores in (residual, plain)]
    gap = residual[best[0]].mean() - plain[best[1]].mean()
    assert f"{best[0]} for residual and {best[1]} for plain, residual is {gap:.1f} ahead, within the spread" in text
    ended = [runs["evaluations"].eq(60).sum() for item in by_rate.values() for lr, runs in item.items() if lr in low]
    assert f"{sum(ended)} of 18 ended with their 60 epochs" in text
    stopped = by_rate["PT"]["0.001"].query("evaluations < 60")
    assert len(stopped) == 2 and all(history[-1]["loss"] < history[-6]["loss"] for history in stopped["history"])

    (about_rates,) = [claim for claim in CLAIMS if claim.experiment == "figure4"]
    ranges = [scores.mean() for scores in measure(about_rates, in_miniature("figure4"), {"backbone": "nano"})]
    assert "the accuracy of PT by {:.0f} points, of Residual PT by {:.0f}".format(*ranges) in read("README.md")


def test_what_readme_says_of_the_demo_are_the_first_epochs_of_its_records(in_miniature):
    said = {}
    for name, by_rate in runs_by_rate(in_miniature).items():
        firsts = [by_rate[lr].query("seed == 0")["history"].item()[:8] for lr in ("0.001", "0.01", "0.3")]
        said[name] = [f"{max(line['score'] for line in first):.1f}" for first in firsts]
    plain, residual = said["PT"], said["Residual PT"]
    ends = "Residual PT reaches {}, {} and {}, PT {}, {} and {}".format(*residual, *plain)
    assert f"8 epochs of the miniature CB at learning rates 0.001, 0.01 and 0.3: {ends}" in read("README.md")


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
    assert "with lengths of {:.1f} to {:.1f} million".format(*(end / 1e6 for end in ends("lstm"))) in text
    shortest, longest = (round(end, -1) for end in ends("vanilla"))
    scores = [f"{runs['scores.score'].mean():.1f}" for runs in runs_of("vanilla")]
    assert f"Plain prompts, {shortest:.0f} to {longest:.0f} long, have {scores[0]} and {scores[1]}." in text


@pytest.mark.slow
def test_the_pages_on_searches_are_what_their_records_give(tmp_path):
    shutil.copytree(ROOT / "results" / "searches", tmp_path / "searches")
    assert write_searches(tmp_path) == (ROOT / "results" / "searches.md").read_text()
    assert compare_search.PAGE.read_text() == compare_search.HEAD + compare_search.compare(ROOT / "results")


@pytest.mark.slow
def test_committed_tables_and_figures_are_what_the_committed_records_give():
    files, problems = build(ROOT / "results")
    assert files and not problems
    for name, content in files.items():
        assert (ROOT / "results" / name).read_bytes() == content, f"{name} is out of date; run make table"
