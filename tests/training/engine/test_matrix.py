"""Every backbone with every prompt on every task, and on every task under every protocol: it trains and gets scores."""

import pytest

from rpt.tasks import TASKS
from tests.training.runs import fitted, prepared

PROMPTS = {"paper": ["vanilla", "lstm"], "superglue": ["mlp", "residual"]}


@pytest.mark.parametrize("protocol", PROMPTS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("backbone", ["nano", "nano_bert"])
def test_every_combination_runs(configure, request, tmp_path, backbone, task, protocol):
    frozen = request.getfixturevalue(backbone)
    overrides = [f"backbone={backbone}", f"task={task}", f"protocol={protocol}", "data.shots=1", "trainer.max_steps=1"]
    runs = []
    for prompt in PROMPTS[protocol]:
        config = configure(*overrides, f"prompt={prompt}", "prompt.length=2")
        runs.append(prepared(config, frozen, tmp_path / prompt, evaluated=4))
    for run in fitted(frozen, *runs):
        assert run.failure is None and 0 <= run.progress.best_score <= 100
        assert (run.head is None) == (backbone == "nano") == (run.best_head == {})
