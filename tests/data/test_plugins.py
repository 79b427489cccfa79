"""Tasks of one's own: a class in a module of `plugins`."""

import json

import pytest
from hydra import compose, initialize_config_dir

from rpt.config import config_folder, to_config
from rpt.data.plugins import load_plugins
from rpt.errors import UsageError
from rpt.tasks import TASKS
from rpt.train import train

# A task whose rows stand in PAIRS/, with a field and a label of its own.
MODULE = """
from rpt.tasks.base import Task

class Pairs(Task):
    name, folder, hub_config = "pairs", "PAIRS", "pairs"
    labels = ("same", "other")
    columns = ("first", "second")
"""


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """A folder with the module and its rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "pairs_task.py").write_text(MODULE)
    (tmp_path / "PAIRS").mkdir()
    for split in ("train", "val"):
        rows = [
            {"idx": n, "first": f"{split} {n}", "second": f"{n}", "label": ("same", "other")[n % 2]} for n in range(8)
        ]
        (tmp_path / "PAIRS" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield tmp_path
    TASKS.pop("pairs", None)


@pytest.mark.parametrize("line, name", [("def f(:", "broken_syntax"), ("import json; json.loads('{')", "broken_json")])
def test_the_line_of_the_user_s_module_is_named(tmp_path, monkeypatch, line, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text(f"\n{line}\n")
    with pytest.raises(UsageError, match=rf"\({tmp_path}/{name}\.py, line 2\); mend the module\."):
        load_plugins([name])


def test_a_module_that_is_there_is_not_called_missing(tmp_path, monkeypatch):
    """The package that it lacks has the beginning of its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "absent_prompts.py").write_text("import absent\n")
    with pytest.raises(UsageError, match=r"cannot be imported: ModuleNotFoundError: No module named 'absent' .*line 1"):
        load_plugins(["absent_prompts"])
    with pytest.raises(UsageError, match="there is no module absent.prompts below"):
        load_plugins(["absent.prompts"])


def test_a_task_class_that_lacks_an_attribute_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = "from rpt.tasks import Task\n\n\nclass Mine(Task):\n    name, labels = 'mine', ('a', 'b')\n"
    (tmp_path / "lacking_task.py").write_text(module)
    with pytest.raises(UsageError, match=r"plugins=\[lacking_task\]: class Mine has no folder; declare it"):
        load_plugins(["lacking_task"])


def test_a_task_class_of_one_s_own_is_trained(pairs, tiny, cache):
    overrides = ["task=custom", "task.name=pairs", "plugins=[pairs_task]", f"data.dir={pairs}", f"data.cache={cache}"]
    overrides += ["backbone=nano", tiny, "tracking=none", "trainer.max_steps=1", f"results={pairs / 'results'}"]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        train(to_config(compose("train", overrides)))
    (path,) = pairs.rglob("result.json")
    result = json.loads(path.read_text())
    assert (result["task"], result["data"]["train"], result["data"]["report"]) == ("pairs", 8, 8)
