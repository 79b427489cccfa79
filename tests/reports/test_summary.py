"""Any folder of records: what differs in it, as a table and as figures."""

import csv
import shutil
import statistics

import pytest
from matplotlib.colors import to_rgb

from rpt import results
from rpt.config import compose, to_config
from rpt.errors import UsageError
from rpt.records.run_folder import RunFolder
from rpt.reports.figures.folder import draw_folder
from rpt.reports.figures.style import STYLES
from rpt.reports.frame import load_runs
from rpt.reports.summary import find_best, find_lines, summarise
from rpt.reports.summary_page import summary_table, write_summary
from rpt.reports.table import to_csv, to_markdown
from rpt.results import ResultsArguments, make_tables

from .conftest import reseal, write_record

BASE = ["backbone=nano", "data=mini", "tracking=none", "task=cb", "trainer.max_steps=7"]


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """2 prompts × 3 learning rates × 2 seeds; the score is 50 + 10 for residual + the rate + the seed."""
    monkeypatch.setattr("os.fsync", lambda _: None)

    def write(*keys, prompts=("vanilla", "residual"), rates=(0.01, 0.1, 0.3), seeds=(0, 1), folder=tmp_path / "sweep"):
        for prompt in prompts:
            config = to_config(compose("train", [*BASE, f"prompt={prompt}", *keys]))
            for config.lr in rates:
                for config.seed in seeds:
                    score = 50 + 10 * (prompt == "residual") + config.lr + config.seed
                    write_record(folder, config, scores={"accuracy": score, "macro_f1": score, "score": score})
        return folder

    return write


def test_runs_are_grouped_by_what_differs(sweep):
    summary = summarise(sweep())
    assert summary.axes == ["prompt", "lr"] and summary.numeric == ["lr"] and summary.problems == []
    assert len(summary.runs) == 12 and list(summary.groups["n"]) == [2] * 6
    first = summary.groups.iloc[0]
    assert (first["prompt"], first["lr"]) == ("residual", 0.01)
    assert first["mean"] == pytest.approx(60.51) and first["sd"] == pytest.approx(statistics.stdev([0, 1]))
    assert len(load_runs(sweep())) == 12
    text = to_markdown(summary_table(summary))
    assert "| residual | 0.3 | 60.8 ± 0.7 | 2 |" in " ".join(text.split())
    assert "Best lr: residual: 0.3 (60.8); vanilla: 0.3 (50.8)." in text


def test_the_best_value_is_found_along_each_line(sweep):
    summary = summarise(sweep())
    assert [(at, best) for at, best, _ in find_best(summary, "lr")] == [(["residual"], 0.3), (["vanilla"], 0.3)]
    assert all(list(runs["lr"].unique()) == [0.01, 0.1, 0.3] for _, runs in find_lines(summary, "lr"))


def test_values_are_compared_over_the_seeds_that_all_have(sweep):
    """A lucky seed at one of them does not decide; the table's mean is said."""
    sweep(prompts=("vanilla",), rates=(0.01, 0.1, 0.3), seeds=(0,))
    summary = summarise(sweep(prompts=("vanilla",), rates=(0.01, 0.1), seeds=(1,)))
    assert list(find_best(summary, "lr")) == [([], 0.3, pytest.approx(50.3))]
    (ax,) = draw_folder(summary)["along-lr"].axes
    assert [float(*line.get_xdata()) for line in ax.lines if line.get_marker() == "*"] == [0.3]


def test_a_setting_that_follows_from_another_is_no_axis(sweep):
    folder = sweep(rates=(0.3,), prompts=("vanilla",))
    sweep("prompt.length=20", rates=(0.1,), prompts=("residual",))
    summary = summarise(folder)
    assert summary.axes == ["prompt"] and set(summary.implied) == {"prompt.length", "lr"}
    assert "What differs with these: " in to_markdown(summary_table(summary))


def test_runs_on_other_rows_or_in_another_precision_are_no_seeds(sweep):
    folder = sweep(rates=(0.3,), prompts=("vanilla",))
    rows = {"miniature": False, "fingerprint": "cb-real-rows", "train": 1, "select": 120, "report": 120}
    changes = {"data": {"name": "folder", **rows}}, {"precision": "bf16"}
    for number, path in enumerate(sorted(folder.rglob("result.json"))):
        again = shutil.copytree(path.parent, path.parent.with_name(f"again-{number}"))
        reseal(again, **changes[number])
    summary = summarise(folder)
    assert summary.axes == ["rows", "precision"] and summary.implied == []
    groups = summary.groups[["rows", "precision", "n"]].values.tolist()
    assert groups == [["cb-real-", "fp32", 1], ["miniature cb-None-", "bf16", 1], ["miniature cb-None-", "fp32", 2]]


def test_an_option_of_one_prompt_is_an_axis_where_it_varies(sweep):
    for width in (5, 50):
        folder = sweep(f"prompt.bottleneck={width}", rates=(0.3,), prompts=("residual",))
    sweep(rates=(0.3,), prompts=("vanilla",))
    summary = summarise(folder)
    assert summary.axes == ["prompt", "prompt.bottleneck"] and summary.numeric == ["prompt.bottleneck"]
    assert "| vanilla | – |" in " ".join(to_markdown(summary_table(summary)).split())


def test_the_command_prints_writes_and_lays_out_no_grid_in_vain(sweep, capsys, monkeypatch, tmp_path):
    folder = sweep()
    monkeypatch.setattr("rpt.reports.report.Grids", None)
    make_tables(ResultsArguments(str(folder), csv=str(tmp_path / "all.csv")))
    said = capsys.readouterr().out
    assert "Best lr" in said and "no records" not in said
    assert (folder / "summary.md").read_text() in said
    assert (folder / "figures/along-lr.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert len(rows) == 6 and rows[0]["prompt"] == "residual" and float(rows[0]["mean"]) == pytest.approx(60.51)
    assert to_csv(summary_table(summarise(folder))) == (tmp_path / "all.csv").read_text()


def test_records_deeper_down_and_parts_of_a_folder_are_found(sweep, tmp_path):
    sweep(folder=tmp_path / "all/one")
    sweep("prompt.length=5", folder=tmp_path / "all/two")
    assert summarise(tmp_path / "all").axes == ["prompt", "prompt.length", "lr"]
    part = summarise(tmp_path / "all/one/runs/cb/nano/vanilla")
    assert part.axes == ["lr"] and len(part.runs) == 6


def test_one_run_is_a_table_and_a_curve_over_epochs(sweep):
    folder = sweep(rates=(0.3,), seeds=(0,), prompts=("residual",))
    files = [path.name for path in write_summary(summarise(folder), folder)]
    assert files == ["summary.md", "summary.tex", "by-epoch.png"]
    text = " ".join((folder / "summary.md").read_text().split())
    assert "| task | backbone | prompt | score | n | majority |" in text
    assert "| cb | nano | residual | 60.3 | 1 | 48.0 |" in text


def test_runs_that_differ_by_prompt_are_bars_and_a_page_needs_no_other_file(sweep, drawn):
    folder = sweep(rates=(0.3,))
    make_tables(ResultsArguments(str(folder), html=True))
    names = {path.name for path in folder.glob("[!r]*/*")}
    assert names == {"bars.png", "bars.svg", "by-epoch.png", "by-epoch.svg"}
    bars, by_epoch = drawn
    colors = {bar.get_facecolor()[:3] for bar in bars.axes[0].patches}
    assert colors == {to_rgb(STYLES[name][0]) for name in ("vanilla", "residual")}
    assert [ax.get_ylabel() for ax in by_epoch.axes] == ["score (%)", "loss"]
    page = (folder / "summary.html").read_text()
    assert page.count('src="data:image/svg+xml;base64,') == page.count("src=") == 2
    assert r"cb & nano & residual & 60.8 $\pm$ 0.7 & 2 & 48.0" in " ".join((folder / "summary.tex").read_text().split())


def test_what_was_found_instead_of_finished_runs_is_said(tmp_path):
    arguments = ResultsArguments(str(tmp_path))
    with pytest.raises(UsageError, match="no run at all; give the folder that results= was in training"):
        make_tables(arguments)
    failed = tmp_path / "runs/cb/nano/residual/n10"
    RunFolder(failed).write_result({"status": "failed", "id": "n10", "error": "x"})
    (failed / "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="1 failed, 1 not finished"):
        make_tables(arguments)


def test_a_run_of_the_paper_s_settings_stands_in_its_tables():
    from rpt.config import as_dict, settings
    from rpt.config.grids import is_in_a_grid

    def held(*overrides):
        return is_in_a_grid(settings(as_dict(to_config(compose("train", ["backbone=nano", "data=mini", *overrides])))))

    budget = ["trainer.epochs=60", "trainer.patience=15"]
    assert held(*budget) and held(*budget, "task=cb", "method=lora") and held("backbone=t5_base")
    assert held("trainer.epochs=120", "task=wsc") and held(
        "trainer.epochs=100", "trainer.eval_every=5", "data.shots=5", "task=cb"
    )
    assert not held(*budget, "method=lora")  # in miniature on CB alone
    assert held("+experiment=stream_scale", "scale=mini", "task=rte", "data.shots=20", "lr=0.01")
    assert not held() and not held(*budget, "trainer.max_steps=7") and not held(*budget, "prompt=none")
    assert results.REPOSITORY.name == "results"


def test_lines_have_the_colours_of_their_methods_and_a_legend_outside(sweep):
    figure = draw_folder(summarise(sweep()))["along-lr"]
    (ax,) = figure.axes
    colors = {line.get_label(): line.get_color() for line in ax.lines}
    assert (colors["residual"], colors["vanilla"]) == (STYLES["residual"][0], STYLES["vanilla"][0])
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "prompt" and ax.get_legend() is None
