"""README's section on extending, exactly as it is printed."""

import json
import re

import pytest

from tests.conftest import ROOT
from tests.processes import run_script

(SECTION,) = re.findall(r"^## Extending\n(.*?)^## ", (ROOT / "README.md").read_text(), flags=re.S | re.M)
BLOCKS = re.findall(r"```(python|yaml|bash)\n(.*?)```", SECTION, flags=re.S)


@pytest.fixture
def blocks(tmp_path):
    """The files that are printed, written where their first lines say; the commands."""
    for language, text in BLOCKS:
        if language != "bash":
            path = tmp_path / re.match(r"# (\S+)\n", text)[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return [text for language, text in BLOCKS if language == "bash"]


@pytest.mark.slow
def test_a_prompt_of_one_s_own(blocks, tiny, tmp_path, cache):
    """With a small backbone: no answer is looked at."""
    done = run_script(blocks[0].replace("backbone=nano", f"backbone=nano {tiny}"), tmp_path, HOME=str(cache))
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
    n, r, d = 10, 4, 32
    trained = {result["prompt"]: result["parameters"] for result in results}
    assert len(results) == 4 and trained["product"]["trained"] == n * r + r * d and trained["product"]["kept"] == n * d
    assert re.search(r"\| cb +\| nano +\| product +\| \d+\.\d ± \d+\.\d +\| 2 \| \d+\.\d +\| 168 +\|", done.stdout)


@pytest.mark.slow
def test_a_task_of_one_s_own(blocks, tmp_path, cache):
    done = run_script(blocks[1], tmp_path, HOME=str(cache))
    assert done.returncode == 0, done.stderr
    (result,) = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
    assert (result["task"], result["data"]["train"], result["data"]["report"]) == ("meals", 60, 20)
    assert result["scores"]["score"] > 80 > 60 > result["majority"]["score"]
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == 20 and sum(answer["answered"] for answer in answers) > 16
    assert all(set(answer["probabilities"]) == {"bad", "good"} for answer in answers)
    assert "text: (text)" in (tmp_path / "outputs/meals/adapter/README.md").read_text()
    assert "131,578" in done.stdout
