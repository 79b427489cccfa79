"""The results in this repository: README and every table stand on the records that are committed beside them."""

import statistics

import pytest

from rpt.config.grids import Grids
from rpt.records.run_records import RunRecords
from rpt.reports.grid_results import GridResults
from rpt.reports.report import build
from tests.conftest import ROOT


def test_what_readme_says_of_the_miniature_stands_in_the_committed_records():
    study = GridResults.of(Grids("mini").lay_out("table1"), RunRecords(ROOT / "results"))
    ahead = []
    for task in study.experiment.axes["task"]:
        runs = study.at({"backbone": "nano", "prompt": "residual", "task": task}).values()
        assert runs, task
        gaps = [run.result["scores"]["score"] - run.result["majority"]["score"] for run in runs]
        ahead.append(statistics.fmean(gaps) >= 15)
    words = "zero one two three four five six seven eight".split()
    assert f"by 15 points or more on {words[sum(ahead)]} of the eight miniature" in (ROOT / "README.md").read_text()


def test_what_readme_says_of_the_laptop_stands_in_the_committed_records():
    study = GridResults.of(Grids("laptop").lay_out("table1"), RunRecords(ROOT / "results"))
    readme = (ROOT / "README.md").read_text()
    assert "gets ahead of\nthe majority class" in readme and len(study.entries) == len(study.experiment.jobs)
    for prompt in study.experiment.axes["prompt"]:
        for task in study.experiment.axes["task"]:
            runs = study.at({"prompt": prompt, "task": task}).values()
            gaps = [run.result["scores"]["score"] - run.result["majority"]["score"] for run in runs]
            assert statistics.fmean(gaps) <= statistics.stdev(gaps), f"{prompt} is ahead on {task}"


@pytest.mark.slow
def test_committed_tables_and_figures_are_what_the_committed_records_give():
    files, problems = build(ROOT / "results")
    assert files and not problems
    for name, content in files.items():
        assert (ROOT / "results" / name).read_bytes() == content, f"{name} is out of date; run make table"
