"""The whole of `python -m rpt.results`: from records to files."""

import dataclasses
import json
import re
import subprocess
import sys

import pandas as pd
import pytest

from rpt import results
from rpt.records.schema import SCHEMA
from rpt.reports import report
from rpt.reports.claims import CLAIMS, SCALES, check_claims, judge, speeds, verdict
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import Paper
from rpt.reports.render import environment, escape_markdown
from rpt.reports.report import build, write
from rpt.reports.scores import Cell
from rpt.results import ResultsArguments, main, make_tables

from .conftest import grid, open_grids, reseal, write_record


@pytest.fixture(autouse=True)
def few_experiments(monkeypatch):
    """Laying out every grid takes long; two are enough here."""
    monkeypatch.setattr(report, "names", lambda: ["table6", "figure6"])
    monkeypatch.setattr(report, "Grids", open_grids)


def test_a_rebuild_gives_the_same_bytes_and_leaves_other_files_alone(recorded):
    folder = recorded("table6")
    (folder / "tables").mkdir()
    (folder / "tables/table4.md").write_text("from records that are gone")
    (folder / "tables/table5.txt").write_text("not ours")
    _, stale, problems = write(folder, html=True)
    assert stale == [folder / "tables/table4.md"] and problems == []
    assert not list(folder.glob("figures/*"))  # table 6 has none
    first = {path: path.read_bytes() for path in folder.glob("[tfR]*/*")} | {"r": (folder / "REPORT.html").read_bytes()}
    assert {path.name for path in folder.glob("tables/*")} == {f"table6-mini.{e}" for e in ("md", "csv", "tex")} | {
        "table5.txt"
    }
    for path in first:
        if path != "r" and path.name != "table5.txt":
            path.unlink()
    write(folder, html=True)
    again = {path: path.read_bytes() for path in folder.glob("[tfR]*/*")} | {"r": (folder / "REPORT.html").read_bytes()}
    assert again == first


def test_damaged_and_older_records_are_named_and_the_rest_is_built(recorded, monkeypatch):
    monkeypatch.setattr(report, "names", lambda: ["table1"])
    selected = {("nano", task, prompt) for task in ("cb", "wsc") for prompt in ("residual", "vanilla")}
    folder = recorded("table1", keep=lambda c: (c.backbone.name, c.task.name, c.variant) in selected)
    paths = sorted(folder.glob("runs/cb/nano/*/*/result.json"))
    reseal(paths[0].parent, schema=SCHEMA - 1)
    reseal(paths[1].parent, scores={"score": 50.0})
    reseal(paths[2].parent, created=None)
    (paths[3].parent / "metrics.jsonl").write_text('{"epoch": 1.0, "score": "high", "loss": null}\n')
    (paths[4].parent / "predictions.json").write_text('{"credits": [1.0, "yes"]}')
    paths[5].write_text("{")
    paths += sorted(folder.glob("runs/wsc/nano/residual/*/result.json"))[:2]
    (paths[6].parent / "config.yaml").write_text("backbone: {family: t5}\n")
    (paths[7].parent / "config.yaml").unlink()
    for path in (*paths[3:5], *paths[6:]):
        reseal(path.parent)
    files, problems = build(folder)
    wrong = (
        "schema",
        "accuracy",
        "created",
        "line 1, score",
        "credits[1]",
        "cannot be read",
        "backbone.name",
        "field config should be",
    )
    for path, what in zip(paths, wrong, strict=True):
        (line,) = [line for line in problems if path.parent.name in line]
        assert what in line and str(folder) not in line and f"* {escape_markdown(line)}" in files["REPORT.md"].decode()
    rows = files["tables/table1-mini.csv"].decode()
    assert re.search(r"residual,cb,,,0,3", rows) and re.search(r",wsc,[\d.]+,[\d.]*,[123],3", rows)


def test_failed_runs_and_mixed_rows_are_problems(recorded):
    folder = recorded("table6")
    config = next(c for c in grid("table1").jobs.values() if c.task.name == "wsc")
    write_record(folder, config, status="failed", error="NonFiniteLoss: the loss\nis nan")
    other = next(iter(grid("table6").jobs.values()))
    path = write_record(folder, other) / "result.json"
    reseal(path.parent, data=json.loads(path.read_text())["data"] | {"fingerprint": "other rows"})
    problems = build(folder)[1]
    assert any("failed run" in line and "the loss is nan" in line for line in problems)
    assert any("differ in the rows of cb" in line for line in problems)


def test_fewer_shots_are_other_rows_on_purpose(study):
    assert list(study("figure5", keep=lambda config: config.seed == 0).mixtures()) == []


def test_real_and_miniature_records_never_share_a_table(recorded):
    recorded("table6", "mini", keep=lambda c: c.seed == 0)
    folder = recorded("table6", "paper", keep=lambda c: c.seed == 0)
    files, _ = build(folder)
    real, miniature = (files[f"tables/{name}.csv"].decode() for name in ("table6", "table6-mini"))
    assert "nano" not in real and "t5_base" not in miniature
    text = files["REPORT.md"].decode()
    assert text.index("## SuperGLUE") < text.index("## Miniature")


def test_the_page_counts_its_runs_and_names_their_commands(recorded):
    folder = recorded("figure6", keep=lambda c: c.seed < 2)
    files, _ = build(folder)
    text = files["REPORT.md"].decode()
    assert "Runs: 8 (8 in miniature)" in text and "Time: 0.2 hours" in text and "Seeds: 0, 1" in text
    assert "`python -m rpt.train -m +experiment=figure6 scale=mini`" in text and "8 of 12 runs recorded" in text
    assert "](figures/figure6-mini.png)" in text and "figures/figure6-mini.png" in files


def test_the_html_page_needs_no_other_file(recorded):
    files, _ = build(recorded("figure6", keep=lambda c: c.seed == 0), html=True)
    page = files["REPORT.html"].decode()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert sources and all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert "<table>" in page and "<script" not in page and "<link" not in page


def written(lines):
    """The table of claims as the page has it."""
    return environment(escape_markdown).get_template("claims.md.j2").render(claims=lines, scales=SCALES)


def test_verdicts():
    def cell(*scores):
        return Cell.over(pd.Series(scores, dtype=float))

    high, low, wide, single = cell(70, 71, 72), cell(60, 61, 62), cell(55, 65, 80), cell(70)
    assert verdict(high, low) == "shows" and verdict(low, high) == "does not show"
    assert verdict(high, wide) == "within the spread"
    assert verdict(single, low) == "too few seeds to say" and verdict(high, cell()) == "not recorded"


def test_claims_are_computed_and_missing_ones_are_not_run(study):
    papers = [GridResults(grid("table6", "paper"), pd.DataFrame())]
    lines = check_claims([study("table6"), study("figure6", keep=lambda c: c.seed == 9)], papers, Paper())
    by_experiment = {line.claim.experiment: line for line in lines}
    line = by_experiment["table6"]
    (judged,) = line.judgements["mini"]
    assert line.theirs == {"t5_base": pytest.approx(0.9)} and judged.backbone == "nano" and judged.smaller.n == 3
    assert line.judgements["laptop"] == line.judgements["paper"] == by_experiment["figure6"].judgements["mini"] == []
    assert [line.claim for line in lines] == [*CLAIMS] and all(list(line.judgements) == [*SCALES] for line in lines)
    page = written(lines)
    assert f"| {judged.verdict} (nano: {judged.larger} against {judged.smaller}) |" in page
    assert page.count(" +0.9 (T5-Base) |") == 1 and len(page.splitlines()) == 2 + len(CLAIMS)


@pytest.mark.slow
def test_a_claim_is_judged_on_the_tasks_that_are_whole_and_names_them(study):
    """Of each backbone: the encoder has one task in the miniature."""

    def recorded(config):
        part = config.task.name == "boolq" and config.seed == 0
        return (part or config.task.name in ("cb", "copa", "wsc")) and config.variant in ("vanilla", "residual")

    joined = study("table1", keep=recorded)
    lines = check_claims([joined], [], Paper())
    against_plain, by_example, against_mlp, *_ = (line.judgements["mini"] for line in lines)
    for backbone, tasks, missing in (
        ("nano", ("cb", "copa", "wsc"), ("boolq",)),
        ("nano_bert", ("cb",), ("boolq", "copa", "wsc")),
    ):
        scores = joined.of_tasks(tasks).runs["scores.score"].groupby(level=["backbone", "prompt", "seed"]).mean()
        means = scores.groupby(level=["backbone", "prompt"]).mean()
        residual, plain = (f"{means[backbone, prompt]:.1f}" for prompt in ("residual", "vanilla"))
        (judged,) = [judged for judged in against_plain if judged.backbone == backbone]
        assert str(judged.larger).startswith(f"{residual} ± ") and str(judged.smaller).startswith(f"{plain} ± ")
        assert (judged.seeds, judged.without) == (3, missing)
        (judged,) = [judged for judged in by_example if judged.backbone == backbone]
        assert judged.without == missing and judged.test.examples == 120 * len(tasks)
    assert against_mlp == []
    page = written(lines)
    assert ", without BoolQ)" in page and ", without BoolQ, COPA and WSC)" in page and ", n = " not in page
    whole = joined.of_tasks(("cb", "copa", "wsc"))
    assert whole.experiment.axes["task"] == ("cb", "copa", "wsc") and len(whole.runs) == len(joined.runs) - 2


def test_widths_are_compared_over_the_seeds_that_all_have(study):
    (claim,) = (claim for claim in CLAIMS if claim.measure == "width")
    two = judge(claim, study("figure6", keep=lambda c: c.seed < 2), "nano")
    uneven = study("figure6", keep=lambda c: c.seed < 2 or c.prompt.options["bottleneck"] > 5)
    assert judge(claim, uneven, "nano") == two and two.seeds == 2
    assert len(uneven.runs) == 11


def test_two_prompts_are_compared_over_the_seeds_that_both_have(study):
    counts = {"residual": 2, "vanilla": 3}
    whole = study("table1", keep=lambda c: c.task.name == "cb" and c.seed < counts.get(c.variant, 0))
    results = whole.of_tasks(("cb",))
    plain = results.at({"backbone": "nano", "task": "cb", "prompt": "vanilla"})["scores.score"]
    judged = judge(CLAIMS[0], results, "nano")
    assert judged.seeds == judged.larger.n == judged.smaller.n == 2 < len(plain)
    assert judged.smaller.mean == pytest.approx(plain[["0", "1"]].mean())


def test_speeds_are_compared_over_the_evaluations_that_both_runs_have(study):
    """One may have stopped earlier, and its mean would leave out where scores are high."""
    joined = study("figure3", keep=lambda c: c.seed == 0)
    stopped = [history[:5] if prompt == "vanilla" else history for prompt, history in
               zip(joined.runs["prompt"], joined.runs["history"], strict=True)]  # fmt: skip
    shorter = dataclasses.replace(joined, runs=joined.runs.assign(history=stopped))
    (residual,), (vanilla,) = speeds(shorter, {"backbone": "nano"})
    (whole,), _ = speeds(joined, {"backbone": "nano"})
    histories = joined.runs.loc[joined.runs["prompt"] == "residual", "history"]
    first = [line["score"] for history in histories for line in history[:5]]
    assert residual == pytest.approx(sum(first) / len(first)) and vanilla < residual < whole


def test_a_figures_claim_is_held_to_the_papers_curves_of_its_own_tasks():
    """Its panel of averages is over tasks that it does not name."""
    paper = Paper()
    tasks, prompts = ("wic", "rte", "boolq", "wsc"), ("residual", "vanilla")
    ours, theirs = (sum(paper.curve("figure5", task, prompt)[1][0] for task in tasks) / 4 for prompt in prompts)
    lines = check_claims([], [GridResults(grid("figure5", "paper"), pd.DataFrame())], paper)
    (gaps,) = [line.theirs for line in lines if line.claim.experiment == "figure5"]
    assert gaps == {"t5_large": pytest.approx(ours - theirs)} and round(ours - theirs, 1) != 7.2
    assert f"about {ours - theirs:+.1f} (T5-Large)" in written(lines)


def test_a_folder_that_is_not_there_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["results", f"results={tmp_path / 'nowhere'}"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"rpt: There is no folder {tmp_path / 'nowhere'}" in capsys.readouterr().err


def test_nothing_without_records_and_no_training_code(tmp_path):
    code = """
import sys
from rpt.results import main, make_tables
try:
    main()
finally:
    assert 'rpt.training' not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith(f"rpt: There is no finished run below {tmp_path}: no run at all")
    assert list(tmp_path.iterdir()) == []


def test_the_repositorys_folder_is_known_by_its_absolute_path_too(recorded, monkeypatch, capsys, tmp_path):
    """It gets the paper's tables alone: no summary, and no figure along a setting."""
    recorded("table6", keep=lambda c: c.seed == 0)
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    folder = tmp_path / "results"
    folder.mkdir()
    (tmp_path / "elsewhere").rename(folder / "runs")
    monkeypatch.chdir(tmp_path)
    said = []
    for path in ("results", str(folder), f"{folder}/../results"):
        make_tables(ResultsArguments(path))
        said.append(capsys.readouterr().out.replace(path, "results"))
        assert {path.name for path in folder.iterdir()} == {"runs", "tables", "REPORT.md"}
    assert said[0] == said[1] == said[2] and "REPORT.md" in said[0]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(results, "CHECKOUT", folder)
    make_tables(ResultsArguments(str(folder)))
    assert not (folder / "summary.md").exists()
