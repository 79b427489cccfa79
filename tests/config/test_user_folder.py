"""The user's folder (`--config-dir`): whatever its name and content, a run has the same identity everywhere."""

import json
import re
import sys

import pytest
from omegaconf import OmegaConf

import rpt.config.choices
from rpt.config import compose, config_folder, run_id, to_config, use_config_folder
from rpt.config.choices import choices, default_options, user_folders
from rpt.config.grids import Grids
from rpt.config.hydra_app import set_up_job
from rpt.config.mistakes import explained_mistakes
from rpt.errors import UsageError
from rpt.train import main
from tests import processes
from tests.config.test_grids import outcomes
from tests.conftest import ROOT

PRODUCT = "name: product\nreparameterization: product\nscale: 1e-3\n"


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    """Forget the folder of a test before the next one."""
    forget(monkeypatch)
    yield
    forget(monkeypatch)


def forget(monkeypatch):
    monkeypatch.setattr(rpt.config.choices, "_user_folders", [])
    for empty in rpt.config.choices._caches:
        empty()


def write(folder, **texts):
    """prompt_wide="..." is prompt/wide.yaml."""
    for name, text in texts.items():
        path = folder / f"{name.replace('_', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder)


@pytest.mark.parametrize("name", ["minä (1),b", "it's v=1", 'say "[x]"', "back\\slash", "#1%20"])
def test_it_may_be_called_as_it_likes(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    folder = write(tmp_path / name, prompt_wide="name: wide\nreparameterization: residual\nbottleneck: 7\n")
    monkeypatch.setattr(sys, "argv", ["train", "--config-dir", folder, "prompt=wide", "--help"])
    main()
    assert "bottleneck: 7" in capsys.readouterr().out
    overrides = ["-m", "backbone=nano", "data=mini", "tracking=none", "prompt=wide", "prompt.length=9999"]
    monkeypatch.setattr(sys, "argv", ["train", "--config-dir", name, *overrides])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "rpt: prompt.length=9999 is longer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: wide\n\tbottleneck: 7\n", "prompt/wide.yaml, line 2: found a tab character"),
        ('name: wide\nreparameterization: "residual\n', "prompt/wide.yaml, line 2: while scanning a quoted scalar"),
        ("name: wide\nlength: ${by_task:60,{wsc: 120}}\n", "line 2: mapping values are not allowed"),
        ("name: wide\nlength: ${by_task:60,{wsc: 120}}\n", 'put quotes around it: "${by_task:60,{wsc: 120}}"'),
        ("name: wide\n".encode("utf-16"), "prompt/wide.yaml is not UTF-8 text; save it as UTF-8"),
        ("name: wide\nname: wider\n", "prompt/wide.yaml, line 2: the key name is there twice"),
        ("reparameterization: residual\n", "The YAML file of the chosen prompt lacks the line `name: ...`; add it."),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, text, message):
    use_config_folder(write(tmp_path, prompt_wide=text))
    with pytest.raises(UsageError) as refused, explained_mistakes():
        to_config(compose("train", ["prompt=wide"]))
    assert message in str(refused.value) and "\n" not in str(refused.value)
    write(tmp_path, experiment_first="defaults: [/scale: paper]\nhydra: {sweeper: {params: {prompt: wide, seed: 0}}}\n")
    with pytest.raises(UsageError) as refused:
        Grids("mini").lay_out("first")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("group", "text", "message"),
    [
        ("trainer", "name: quick\nepoch: 1\n", "There is no key trainer.epoch; did you mean trainer.epochs?"),
        ("trainer", "name: quick\nepochs: one\n", "Value 'one' of type 'str' could not be converted to Integer"),
        ("task", "train: rows.jsonl\n", "The YAML file of the chosen task lacks the line `name: ...`; add it."),
    ],
)
def test_a_key_that_there_is_not_is_named_with_its_group(tmp_path, group, text, message):
    use_config_folder(write(tmp_path, **{f"{group}_quick": text}))
    with pytest.raises(UsageError, match=message.replace("?", "[?]")), explained_mistakes():
        to_config(compose("train", [f"{group}=quick"]))


def test_a_file_called_as_a_choice_of_ours_is_refused(tmp_path):
    with pytest.raises(UsageError, match="task/cb.yaml: task=cb is there already; rename the file"):
        use_config_folder(write(tmp_path, task_cb="name: cb\n"))
    assert user_folders() == ()


def test_numbers_are_read_alike_by_everyone(tmp_path):
    """One reader once read 1e-3 as text, so 2 and 2.0 were two runs."""
    use_config_folder(write(tmp_path, prompt_product=PRODUCT))
    assert default_options("product") == {"scale": 0.001}

    def identity(*overrides):
        return run_id(to_config(compose("train", ["prompt=product", *overrides])), "r", "w", "fp32")

    assert identity() == identity("prompt.scale=1e-3") == identity("prompt.scale=0.001")
    assert identity("prompt.scale=2") == identity("prompt.scale=2.0") != identity()


def test_a_prompt_that_lists_fewer_options_has_all_of_its_reparameterization(tmp_path):
    """The record has all options, so no other process needs the folder for the run's identity."""
    texts = {"prompt_product": PRODUCT + "rank: 4\n", "prompt_other": "name: other\nreparameterization: product\n"}
    use_config_folder(write(tmp_path, **texts))
    assert to_config(compose("train", ["prompt=other"])).prompt.options == {"scale": 0.001, "rank": 4}


def test_a_job_in_another_process_knows_the_folder(tmp_path, monkeypatch):
    """Launchers of Hydra start a job with only the composed configuration."""
    folder = write(tmp_path, prompt_product=PRODUCT, task_meals="name: meals\nfields: [text]\n")
    use_config_folder(folder)
    overrides = ["prompt=product", "prompt.scale=2", "task=meals", "trainer.epochs='${by_task:4,{meals: 6}}'"]
    cfg = compose("train", overrides)
    here = to_config(cfg)
    forget(monkeypatch)
    assert "meals" not in choices("task")
    sources = [{"provider": "main", "path": config_folder()}, {"provider": "command-line", "path": folder}]
    set_up_job(OmegaConf.create({"runtime": {"config_sources": sources}}))
    elsewhere = to_config(cfg)
    assert elsewhere == here and here.trainer.epochs == 6 and here.prompt.options == {"scale": 2.0}


# A module for plugins=[counting]: a line for each backbone that a process loads.
COUNTING = """
import os
from rpt.training.run import loader
load = loader.load_backbone
def load_and_count(*given):
    with open("loaded", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return load(*given)
loader.load_backbone = load_and_count
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("launch", "n_runs"),
    [
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], 4),
        (["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"], 1),
    ],
)
def test_launchers_make_the_runs_that_the_command_makes(tmp_path, cache, tiny, launch, n_runs):
    """The same sweep without the launcher finds every run. A process that trains several runs, as one of joblib's two
    does, loads what they share once."""
    folder = write(
        tmp_path / "mine",
        prompt_wide="name: wide\nreparameterization: residual\nbottleneck: 7\n",
        task_meals="defaults: [schema]\nname: meals\nfields: [text]\nlabels: [bad, good]\n",
    )
    (tmp_path / "counting.py").write_text(COUNTING)
    for split in ("train", "validation"):
        rows = [{"text": f"{word} {split} soup {i}", "label": word} for i, word in enumerate(["bad", "good"] * 4)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [f"task.{split}={tmp_path}/{split}.jsonl" for split in ("train", "validation")]
    overrides = ["-m", "--config-dir", folder, "task=meals", "prompt=wide", "backbone=nano", tiny, *files]
    overrides += ["trainer.epochs='${by_task:4,{meals: 1}}'", f"seed=range({n_runs})", f"data.cache={cache}"]
    overrides += ["tracking=none", "results=out", "plugins=[counting]"]
    # Not in a fork: launchers send what a command has in its __main__ by value to the interpreters that they start.
    done = processes.run_fresh("rpt.train", [*overrides, *launch], tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    assert [told["status"] for told, *_ in outcomes(tmp_path / "out").values()] == ["finished"] * n_runs
    loaded = (tmp_path / "loaded").read_text().split()
    assert len(loaded) == len(set(loaded)) <= 2
    again = processes.start("rpt.train", overrides, tmp_path).wait(240)
    assert again.returncode == 0 and again.stdout.count("Already recorded") == n_runs, again


def test_slurm_s_settings_stand_in_a_file_as_the_readme_of_configs_says(tmp_path):
    (text,) = re.findall(r"```yaml\n# (mine/.*?)```", (ROOT / "configs/README.md").read_text(), re.S)
    place, yaml = text.partition(":")[0], text.split("\n", 1)[1]
    write(tmp_path, **{place.removesuffix(".yaml").replace("/", "_"): yaml})
    use_config_folder(str(tmp_path / "mine"))
    launcher = compose("train", ["hydra/launcher=gpu"], with_hydra=True).hydra.launcher
    assert (launcher.gpus_per_node, launcher.timeout_min, launcher.partition) == (1, 600, "gpu")
    assert launcher["_target_"].endswith("SlurmLauncher")
