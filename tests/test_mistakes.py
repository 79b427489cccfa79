"""Mistakes of users, each with the one line that it causes."""

import importlib
import sys

import pytest

import rpt
from rpt import export
from rpt.config import DataConfig, TaskConfig
from rpt.data.sources import read_examples
from rpt.errors import UsageError
from rpt.inference.server import open_server
from rpt.tasks.custom import make_task
from rpt.training.sweep.needs import check_sweep

PRODUCT = """\
import torch
from rpt.prompts import Reparameterization, register


@register("product")
class Product(Reparameterization):
    def __init__(self, start, *, rank: int = 4):
        super().__init__(start)
        self.a = torch.nn.Parameter(torch.randn(start.length, rank))
        self.b = torch.nn.Parameter(torch.randn(rank, start.d_model))

    def forward(self):
        return self.a @ self.b
"""
OWN = ["--config-dir", "mine", "plugins=[mine.product]"]


@pytest.fixture
def mine(tmp_path):
    """A custom prompt: mine/product.py and mine/prompt/product.yaml."""
    (tmp_path / "mine/prompt").mkdir(parents=True)
    (tmp_path / "mine/product.py").write_text(PRODUCT)
    (tmp_path / "mine/broken.py").write_text("import nothing_like_it\n")
    (tmp_path / "mine/hydra/launcher").mkdir(parents=True)
    (tmp_path / "mine/hydra/launcher/cluster.yaml").write_text("defaults: [submitit_slurm]\ntimeout_min: 5\n")
    for name, text in {
        "product": "name: product\nreparameterization: product\nrank: 4\n",
        "nameless": "reparameterization: product\n",
        "classless": "name: classless\n",
    }.items():
        (tmp_path / f"mine/prompt/{name}.yaml").write_text(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lr=0.1,0.3"], "lr=0.1,0.3 is a list of values: a sweep; add -m"),
        (["hydra/launcher=packed"], "hydra/launcher=packed is for sweeps; add -m, or leave it out"),
        (["experiment=table6"], "An experiment is added to the configuration: +experiment=NAME"),
        (["-m", "hydra/launcher=ray", "lr=0.1,0.3"], "hydra/launcher=ray is not installed; pip install -e '.[ray]'"),
        (["-m", "+experiment=table6", "scale=laptop"], "give data.dir=FOLDER"),
        (["task=cb", "task=rte"], "task is given twice, task=cb and task=rte"),
        (["lr=0.1", "+lr=0.2"], "lr is given twice"),
        (["task=cb", "lr=1e30"], "try a smaller lr"),
        (["-m", "task=cb", "seed=0,1", "trainer.order=grouped,sorted"], "trainer.order=sorted is not known; choose"),
        (["-m", "task=cb", "lr=1e29,1e30"], "try a smaller lr"),
        (["--config-dir", "nowhere"], "--config-dir nowhere is no folder"),
        (["--config-dir", "mine", "prompt=product"], "or name the module that registers it, plugins=[mine.prompts]"),
        ([*OWN, "prompt=nameless"], "The YAML file of the chosen prompt lacks the line `name: ...`; add it."),
        ([*OWN, "prompt=classless"], "lacks the line `reparameterization: ...`"),
        ([*OWN, "prompt=product", "prompt.rank=wide"], "prompt.rank=wide must be of type int"),
        (
            ["-m", *OWN, "hydra/launcher=cluster", "lr=0.1,0.3"],
            "hydra/launcher=cluster hands the runs to Slurm, ",
        ),
        (["plugins=[mine.product2]"], "there is no module mine.product2 below"),
        (["plugins=[mine.broken]"], "cannot be imported: ModuleNotFoundError: No module named 'nothing_like_it' ("),
    ],
)
def test_it_ends_in_one_line(command, mine, miniature, tiny, arguments, message):
    keys = {word.split("=")[0] for word in arguments}
    stand_ins = [word for word in miniature if word.split("=")[0] not in keys]
    passed = [] if "scale=laptop" in arguments else [*stand_ins, tiny]
    short = ["data.shots=4", "trainer.max_steps=12", "trainer.eval_every=99", "trainer.eval_batch_size=256"]
    done = command(*passed, *arguments, *short)
    assert done.returncode != 0
    assert message in done.stderr and "Traceback" not in done.stderr and "Error executing" not in done.stderr
    assert done.stderr.count("rpt: ") == 1
    assert "sorted" not in message or not done.stdout  # no run was trained before


def read_own(name, content):
    """Read a file as the rows of a custom task."""

    def read(folder):
        (folder / name).write_text(content)
        meals = TaskConfig(name="meals", fields=["text"], labels=["bad", "good"], train=name, validation=name)
        read_examples(DataConfig("folder", dir=str(folder)), make_task("meals", ("text",), ("bad", "good")), meals)

    return read


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda _: open_server({}), "open_server has no runs; give their folders by name"),
        (read_own("a.csv", "text;label\nWarm, good.;good\n"), "a.csv, line 1 has semicolons between its columns; save"),
        (read_own("a.csv", "text\tlabel\nWarm.\tgood\n"), "a.csv, line 1 has tabs between its columns; save the file"),
        (read_own("a.tsv", "text\tlabel\nWarm.\tgood\n"), "or for a custom task a table with commas (.csv)."),
        (read_own("a.jsonl", '{"text": "Warm.", "lab'), "Unterminated string starting at; download the file again."),
        (read_own("a.csv", "text,mood\nWarm.,good\n"), "found none; if that is mood, give task.answer=mood."),
        (read_own("a.csv", "text,label\nWarm.,\n"), "meals: field 'label'"),
        (read_own("a.csv", "text,text,label\na,b,good\n"), "line 1 has the column 'text' twice; rename one."),
        (read_own("a.csv", "text,label\n"), "a.csv has no rows of meals; give another file, or data set."),
        (read_own("a.csv", "txt,label\na,good\n"), "found only 'idx', 'txt', 'label'; give the columns to read as"),
        (read_own("a.csv", "text,label\na,fair\n"), "found str 'fair'; give every label as task.labels, and their co"),
        (read_own("a.json", '[{"text": "a"}]'), "; write the objects of this list one a line"),
        (lambda _: open_server(["a/run"]), "open_server has no runs; give their folders by name"),
        (lambda _: open_server({"a": "a/run"}, "fp8"), "precision=fp8 is not known; choose one of: auto, fp32, bf16."),
        (lambda _: rpt.train({"task": "cb"}), "rpt.train takes words and keys, not {'task': 'cb'}: rpt.train("),
        (lambda _: rpt.train(task=["cb", "rte"]), "is no choice; several are a sweep: -m task=cb,rte"),
        (lambda _: check_sweep(["hydra/launcher=submitit_slurm"]), "and this machine has no srun; start it "),
    ],
)  # fmt: skip
def test_it_is_said_in_one_line(tmp_path, monkeypatch, mistake, message):
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no srun
    with pytest.raises(UsageError) as caught:
        mistake(tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("plan -m table6", "There is no flag -m; keys have no dashes"),
        ("plan --scale=mini table6", "There is no flag --scale=mini; keys have no dashes"),
        ("plan +experiment=table6 scale=mini", "rpt.plan takes the name alone: rpt.plan NAME"),
        ("plan cards=24", "cards= is for the plan of one backbone: python -m rpt.plan backbone=NAME cards=24,80"),
        ("plan table6 hydra/launcher=slurm", "hydra/launcher=slurm is not known here; choose one of: basic, packed, "),
        ("plan table6 results=notes.txt", "results=notes.txt is no folder; give the one that results= is in training."),
        ("plan scale=mini scale=paper", "scale is given twice; keep one."),
        ("predict run=", "run= is empty; give a value, or leave it out."),
        ("predict run=a run=b", "run is given twice; keep one."),
        (
            "predict run=a input=.",
            "input=. cannot be read (Is a directory); give a file with a JSON object a line, or",
        ),
        ("predict run=a input=rows.csv", "rows.csv, line 2 should have 2 values, one for each column"),
        ("export run=a to=", "to= is empty; give a value, or leave it out."),
        (
            "export run=notes.txt to=b",
            "run=notes.txt is no run's record: it has no config.yaml; give a folder",
        ),
        ("publish -m", "There is no flag -m; keys have no dashes"),
        ("publish runs=. to=", "to= is empty; give a value, or leave it out."),
        ("results . csv=.", "csv=. cannot be used (it is a folder or a device); give another."),
        ("results a b", "results is given twice; keep one."),
    ],
)
def test_a_command_refuses_it_in_one_line(tmp_path, monkeypatch, capsys, line, message):
    (tmp_path / "notes.txt").write_text("a note\n")
    (tmp_path / "rows.csv").write_text("premise,hypothesis\na\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", line.split())
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(f"rpt.{line.split()[0]}").main()
    said = capsys.readouterr().err
    assert message in said and said.startswith("rpt: ") and said.count("\n") == 1


def test_exporting_over_another_prompt_asks_for_force(record, tmp_path, monkeypatch, capsys):
    def run(*further):
        monkeypatch.setattr(sys, "argv", ["export", f"run={record}", "to=adapter", "format=peft", *further])
        export.main()

    monkeypatch.chdir(tmp_path)
    run()
    run()  # the same prompt again
    card = tmp_path / "adapter/README.md"
    card.write_text(card.read_text().replace(record.name, "another"))
    with pytest.raises(SystemExit, match="2"):
        run()
    assert "holds another prompt; give a new folder, or force=true" in capsys.readouterr().err
    run("force=true")
    assert f"`{record.name}`" in card.read_text()
