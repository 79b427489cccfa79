"""From Python: train, load, answer, and every record as a data frame."""

import re
import subprocess
import sys

import pytest
import torch

import rpt
from rpt.errors import UsageError
from tests.conftest import ROOT

SHORT = ["trainer.epochs=2", "trainer.max_steps=6", "data.shots=8"]


@pytest.mark.slow
def test_readme_s_example_trains_loads_and_asks_a_run(tmp_path, monkeypatch, capsys):
    """As printed, but for its length."""
    (code,) = re.findall(r"```python\n(import rpt\n.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert code.count(f'"{SHORT[0]}"') == 1
    monkeypatch.chdir(tmp_path)
    made: dict = {}
    exec(code.replace(f'"{SHORT[0]}"', f"*{SHORT}"), made)
    run, answer = made["run"], made["answer"]
    assert run.prompt.shape == (10, 256) and 0 < run.scores["score"] <= 100 and run.majority["score"] > 0
    assert run.curve[-1]["step"] == 6
    assert answer.label in answer.probabilities
    assert set(answer.probabilities) == {"entailment", "contradiction", "neutral"}
    assert "residual" in capsys.readouterr().out
    again = rpt.load(run.folder)
    assert torch.equal(again.prompt, run.prompt) and again.scores == run.scores
    (row,) = rpt.load_runs("outputs/python").to_dict("records")
    assert row["scores.score"] == run.scores["score"] and row["prompt"] == "residual"
    recorded = rpt.train(*SHORT, task="cb", prompt="residual", backbone="nano", data="mini", results="outputs/python")
    assert recorded.folder == run.folder


def test_the_metrics_are_loaded_as_readme_says():
    (said,) = re.findall(r"`evaluate\.load\(str\((.*?)\), \"boolq\"\)`", (ROOT / "results" / "README.md").read_text())
    assert said == "rpt.metrics.SUPER_GLUE"
    program = f"import rpt; print({said}.is_dir())"  # in an interpreter that has imported nothing else of rpt
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "True\n"


def test_what_is_refused():
    with pytest.raises(UsageError, match="nonsense.*boolq"):
        rpt.train(task="nonsense")
    with pytest.raises(UsageError, match="trains soft prompts; use the command"):
        rpt.train(task="cb", method="finetune", backbone="nano", data="mini")
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        rpt.tarin  # noqa: B018
