"""The entry point as a user meets it: demo, sweeps, real rows, README."""

import json
import math
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from tests.conftest import ROOT

QUICK = ["data.shots=4", "trainer.max_steps=2", "trainer.eval_every=9", "trainer.eval_batch_size=256"]


def results(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("result.json"))]


def readme_commands(program):
    text = re.sub(
        r"^## Extending\n.*?^## ", "", (ROOT / "README.md").read_text(), flags=re.S | re.M
    )  # it runs as a whole
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.S)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith(program)]


FIRST, *OTHERS = (line for line in readme_commands("python -m rpt") if "run=$run" not in line)


def test_a_record_holds_what_its_numbers_rest_on(command, miniature, tmp_path):
    """Of the README's first command, as written but for its length."""
    _, _, _, *overrides = shlex.split(FIRST)
    assert overrides[:2] == ["task=boolq", "prompt=residual"] and overrides[-1] == "results=outputs/mine"
    keys = {word.split("=")[0] for word in overrides}
    overrides += [*(word for word in miniature if word.split("=")[0] not in keys), *QUICK]
    done = command(*overrides)
    assert done.returncode == 0, done.stderr
    (result,) = results(tmp_path)
    d, m = 256, 250
    assert result["parameters"]["trained"] == d * 10 + 2 * d * m + m + d + 2 * d
    assert result["parameters"]["kept"] == d * 10
    assert result["data"]["miniature"] and len(result["data"]["fingerprint"]) == 64
    assert (
        result["device"] and result["versions"]["torch"] and result["seconds"] > 0 and result["peak_memory_bytes"] > 0
    )
    (folder,) = {path.parent for path in tmp_path.rglob("result.json")}
    assert folder.relative_to(tmp_path / "outputs/mine").parts[:4] == ("runs", "boolq", "nano", "residual")
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "console.log",
        "metrics.jsonl",
        "predictions.json",
        "prompt.safetensors",
        "result.json",
    }
    assert yaml.safe_load((folder / "config.yaml").read_text())["prompt"]["bottleneck"] == m
    answers = json.loads((folder / "predictions.json").read_text())
    assert len(answers["predictions"]) == len(answers["credits"]) == result["data"]["report"]
    assert 100 * sum(answers["credits"]) / len(answers["credits"]) == pytest.approx(result["scores"]["accuracy"])
    assert "majority class" in done.stdout and "trained in all" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}
    again = command(*overrides)
    assert again.returncode == 0 and "Already recorded" in again.stdout


def test_records_are_not_scattered_over_hydra_s_folders(command, miniature, tmp_path):
    done = command(*miniature, "task=cb", "hydra.job.chdir=true", *QUICK)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "hydra.job.chdir=true would scatter records over folders; give results=FOLDER instead" in done.stderr
    assert not results(tmp_path)


@pytest.mark.slow
def test_a_failed_job_does_not_end_the_sweep(command, miniature, tiny, tmp_path):
    done = command("-m", "lr=1e30,0.01", "task=cb", *miniature, tiny, *QUICK[:1], "trainer.max_steps=12")
    assert done.returncode == 2 and "rpt: the loss of" in done.stderr and "Traceback" not in done.stderr
    assert sorted(r["status"] for r in results(tmp_path)) == ["failed", "finished"]
    assert done.stdout.splitlines()[-1] == (
        "sweep of 2 runs: 1 trained, 0 recorded before, 0 skipped, 1 failed, 0 missing"
    )
    done = command("-m", "lr=0.01", "seed=0", "task=cb", *miniature, tiny, *QUICK[:1], "trainer.max_steps=12")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("sweep of 1 runs: 0 trained, 1 recorded before, 0 skipped, 0 failed")


@pytest.mark.slow
def test_real_rows(command, shared, tmp_path, cache):
    """WSC's, of which a T5 reads some; RTE's are those of a command of the README."""
    overrides = [
        "prompt=residual",
        "backbone=nano",
        f"data.dir={shared / 'superglue'}",
        "tracking=none",
        "data.shots=2",
    ]
    short = ["trainer.max_steps=1", f"data.cache={cache}", "backbone.max_tokens=48", "trainer.eval_batch_size=128"]
    done = command("task=wsc", *overrides, *short)
    assert done.returncode == 0, done.stderr
    (result,) = results(tmp_path)
    assert result["data"]["report"] == 38 and result["data"]["name"] != "mini"


@pytest.mark.slow
@pytest.mark.parametrize("line", readme_commands("make"))
def test_readme_targets_run(line, command, tiny, tmp_path):
    """What a target does after its set-up, but for its length. `make test` runs the tests themselves, and what `make
    table` does is tested with the results."""
    dry = subprocess.run(
        [*line.split(), "--dry-run", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    made = [line for line in dry.stdout.replace("\\\n", " ").splitlines() if line.startswith(".venv/bin/py")]
    elsewhere = {"make test": [".venv/bin/pytest -m ''"], "make table": [".venv/bin/python -m rpt.results"]}
    if line in elsewhere:
        assert made == elsewhere[line]
        return
    said = ""
    for _, _, module, *overrides in map(shlex.split, made):
        done = command(*overrides, *([*QUICK, tiny] if module == "rpt.train" else []), module=module)
        assert done.returncode == 0, done.stderr
        said += done.stdout
    assert len(results(tmp_path)) == 6 and list(tmp_path.glob("outputs/demo/figures/*.png"))
    rows = re.findall(r"^\| cb +\| nano +\| (vanilla|residual) +\| (\S+)", said, flags=re.M)
    assert len(rows) == len(set(rows)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("line", OTHERS)
def test_readme_commands_run(line, command, miniature, tiny, tmp_path, shared, record):
    """As written, but for what this machine lacks (the hub's rows and weights) and for their length."""
    _, _, module, *overrides = shlex.split(line)
    if module == "rpt.results":
        shutil.copytree(record.parents[4], tmp_path / overrides[0])
        done = command(*overrides, module=module)
        assert done.returncode == 0, done.stderr
        return
    if "table1" in overrides or "+experiment=table1" in overrides:  # one run of many
        overrides = [word for word in overrides if not word.startswith(("task=", "prompt="))]
        overrides += ["task=cb", "prompt=vanilla", "seed=0"]
    keys = {word.split("=")[0] for word in overrides}
    overrides = [word.replace("data.dir=FOLDER", f"data.dir={shared / 'superglue'}") for word in overrides]
    overrides = ["backbone=nano" if word.startswith(("backbone=t5", "backbone=flan")) else word for word in overrides]
    stand_ins = [word for word in miniature if word.split("=")[0] not in keys]
    if module == "rpt.plan":
        done = command(*overrides, *stand_ins, "data.shots=4", module=module)
        assert done.returncode == 0 and re.search(r"^table1 +1 +0 +1 +\d+ ", done.stdout, re.M), done
        return
    if "data.dir" in keys:
        stand_ins = [word for word in stand_ins if word != "data=mini"]
    short = [*QUICK, tiny, "backbone.max_tokens=48"]
    done = command(*overrides, *stand_ins, *(word for word in short if word.split("=")[0] not in keys))
    assert done.returncode == 0, done.stderr
    actual = results(tmp_path)
    assert {result["status"] for result in actual} == {"finished"}
    if "-m" in overrides and "+experiment" not in keys:
        assert len({result["id"] for result in actual}) == math.prod(1 + word.count(",") for word in overrides)
    if "data.dir" in keys:
        (result,) = actual
        assert (result["task"], result["data"]["name"], result["data"]["report"]) == ("rte", "folder", 277)
        assert round(result["majority"]["score"], 2) == 52.71
