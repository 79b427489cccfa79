"""Decoders do all that T5 does: every task, packs, methods, prediction, serving, export to peft."""

import dataclasses
import json
import os
import subprocess
import sys
from itertools import count

import pytest
import torch

from rpt import export, predict
from rpt.backbones import CausalBackbone, load_backbone
from rpt.data.miniature import rows
from rpt.inference.server import open_server
from rpt.prompts.prompt_file import load_prompt
from rpt.tasks import TASKS
from rpt.training.engine.pack import Pack
from rpt.training.run.evaluate import evaluate
from rpt.training.run.methods import make_trainable
from rpt.training.sweep.sweep import train_all
from tests.decoders import save_decoder, tiny_decoder
from tests.training.engine.test_pack import SMOOTH, assert_equal_traces, traced
from tests.training.runs import crash_at, fitted, prepared

KINDS = ["gpt2", "llama"]


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    return {kind: save_decoder(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture
def loaded(overrides, configure):
    return lambda kind: load_backbone(configure(*overrides[kind]).backbone)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_packs_give_every_run_what_it_has_alone(configure, overrides, loaded, tmp_path, kind):
    """Twenty steps; prompts of several lengths and kinds, so that rows have padding on both sides of their text."""
    backbone, numbers = loaded(kind), count()
    short = ["data.shots=4", "trainer.max_steps=20", "trainer.eval_every=99", "backbone.max_tokens=96", SMOOTH]
    further = [["prompt=vanilla", "prompt.length=3"], ["prompt=residual", "prompt.length=7", "seed=1"],
           ["prompt=mlp", "prompt.length=3", "lr=0.05"]]  # fmt: skip
    configs = [configure(*overrides[kind], "task=cb", *short, *each) for each in further]

    def ready():
        return [prepared(config, backbone, tmp_path / str(next(numbers)), evaluated=4) for config in configs]

    packed = traced(Pack(backbone, 3), ready())
    assert_equal_traces(packed, [traced(Pack(backbone), [run])[0] for run in ready()])
    assert [len(trace) for trace in packed] == [20] * 3


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_task_trains_and_is_scored(configure, overrides, loaded, tmp_path, kind, task):
    backbone, runs = loaded(kind), []
    for i, prompt in enumerate(["vanilla", "lstm"]):
        further = [f"prompt={prompt}", "prompt.length=2", f"protocol={['paper', 'superglue'][i]}"]
        further += [["prompt.init=uniform"], ["prompt.init=text", "prompt.init_text='true or false'"]][i]
        config = configure(*overrides[kind], f"task={task}", "data.shots=1", "trainer.max_steps=1", *further)
        runs.append(prepared(config, backbone, tmp_path / str(i), evaluated=4))
    for run in runs:
        fitted(backbone, run)
        assert run.failure is None and 0 <= run.progress.best_score <= 100
        assert all(row.length + len(row.target) <= 510 for row in run.rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["finetune", "bitfit", "adapter", "lora", "ia3"])
def test_a_method_trains_its_own_weights(configure, overrides, loaded, tmp_path, kind, method):
    config = configure(*overrides[kind], f"method={method}", "task=cb", "data.shots=2", "trainer.max_steps=2")
    backbone = loaded(kind)
    make_trainable(backbone, config.method, config.seed)
    before = {name: weight.detach().clone() for name, weight in backbone.model.named_parameters()}
    fitted(backbone, prepared(config, backbone, tmp_path, evaluated=4))
    moved = {name for name, weight in backbone.model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved and moved <= set(backbone.trained)


def test_the_loss_of_a_tiny_decoder_halves_and_labels_are_what_is_generated(configure, overrides, tmp_path):
    backbone = tiny_decoder("llama")
    budget = ["data.shots=4", "trainer.max_steps=60", "trainer.epochs=60", "trainer.eval_every=99", "prompt.length=8"]
    config = configure(*overrides["llama"], "task=cb", "prompt=vanilla", "lr=0.3", *budget)
    run = prepared(config, backbone, tmp_path, evaluated=32)
    (trace,) = traced(Pack(backbone), [run])
    losses = [loss for _, loss in trace]
    assert sum(losses[-4:]) < sum(losses[:4]) / 2
    prompt, answers = run.fold_prompt(), []
    for decode in ("argmax", "generate"):
        config.trainer.decode = decode
        answers.append(evaluate(backbone, prompt, {}, run.select, config).predictions)
    assert answers[0] == answers[1] and answers[0].count(None) < 32


def test_a_decoder_without_a_prompt_gives_the_likeliest_label(configure, overrides, tmp_path, evaluate_few):
    evaluate_few(4)
    short = ["task=cb", "prompt=none", "prompt.length=0", "trainer.decode=likeliest"]
    (outcome,) = train_all([config := configure(*overrides["gpt2"], *short)])
    assert 0 <= outcome <= 100
    backbone = tiny_decoder("gpt2")
    some = prepared(config, backbone, tmp_path / "again", evaluated=6).report
    empty = torch.empty(1, 0, backbone.d_model), torch.empty(1, 0, dtype=torch.long)
    candidates = backbone.encode_answers(list(some.task.verbalizers))
    losses = [
        [
            backbone.losses(*empty, backbone.collate([dataclasses.replace(row, target=word)], 0), {})
            for word in candidates
        ]
        for (row,) in some.rows
    ]
    predictions = evaluate(backbone, None, {}, some, config).predictions
    assert predictions == [of_row.index(min(of_row)) for of_row in losses] and None not in predictions


def test_a_killed_run_goes_on(configure, overrides, tmp_path, monkeypatch, evaluate_few):
    evaluate_few(4)
    short = [*overrides["gpt2"], "task=cb", "data.shots=2", "trainer.max_steps=4", "trainer.checkpoint_every=1"]
    config, again = (configure(*short, "prompt.length=3", f"results={tmp_path / name}") for name in ("a", "b"))
    (whole,) = train_all([config])
    with crash_at(monkeypatch, 2):
        train_all([again])
    (resumed,) = train_all([again])
    assert load_prompt(resumed.folder / "prompt.safetensors").equal(load_prompt(whole.folder / "prompt.safetensors"))


STRANGER = """
import json, os, sys
sys.modules["rpt"] = None  # whoever imports it fails
for folder in sys.argv[1:]:
    os.chdir(folder)
    exec(open("card.py").read().replace("print(", "answers.append("), scope := {"answers": []})
    json.dump(scope["answers"], open("answers.json", "w"))
"""


@pytest.mark.slow
def test_records_are_served_together_and_exported_to_peft(configure, overrides, tmp_path, evaluate_few):
    """A prompt of an open answer and one of labels: a batch of both, and peft alone, give what predict gives."""
    evaluate_few(4)
    expected = {}
    for kind, exported in (("gpt2", "cb"), ("llama", "wsc")):
        (tmp_path / kind).mkdir()
        adapter, texts = serve_and_export(configure, overrides[kind], tmp_path / kind, exported)
        expected[adapter] = texts
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", STRANGER, *map(str, expected)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for adapter, texts in expected.items():
        assert json.loads((adapter / "answers.json").read_text()) == texts


def serve_and_export(configure, overrides, folder, exported):
    """Train and serve a prompt of each of two tasks.

    Returns:
        The folder that one of them is exported to, with the code of its card, and the texts that predict gives.
    """
    short = ["prompt=residual", "data.shots=2", "trainer.max_steps=3", "lr=0.1", "backbone.stream_scale=auto"]
    short += [*overrides, f"results={folder}"]
    configs = [configure(*short, f"task={task}", f"prompt.length={n}") for task, n in (("cb", 3), ("wsc", 5))]
    runs = dict(zip(("cb", "wsc"), (str(outcome.folder) for outcome in train_all(configs)), strict=True))
    raw = {
        "cb": [{"premise": "It rains. " * n, "hypothesis": "It is wet."} for n in (1, 4)],
        "wsc": [{"text": f"Ada gave {name} the cup because she was kind.", "span1_index": 0, "span2_index": 6,
                 "span1_text": "Ada", "span2_text": "she"} for name in ("Eve", "a very old friend")],
    }  # fmt: skip
    server, alone = open_server(runs, precision="fp32"), {}
    assert isinstance(server.backbone, CausalBackbone)
    for task, run in runs.items():
        (folder / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in raw[task]))
        paths = run, str(folder / f"{task}.jsonl"), str(folder / f"{task}.answers")
        predict.predict(predict.PredictArguments(*paths, precision="fp32"))
        lines = (folder / f"{task}.answers").read_text().splitlines()
        alone[task] = [json.loads(line)["text"] for line in lines]
    mixed = [(task, *server.parse(task, raw[task][i])) for i in (0, 1) for task in runs]
    answers = server.answer(mixed)
    assert [answer.text for answer in answers] == [alone[task][i] for i in (0, 1) for task in runs]

    adapter = folder / "adapter"
    export.export(export.ExportArguments(runs[exported], str(adapter)))
    assert json.loads((adapter / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"
    texts = [example_text(server, exported, *server.parse(exported, row)) for row in raw[exported]]
    (adapter / "card.py").write_text(code_of_the_card(adapter, texts))
    return adapter, alone[exported]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's own, on transformers 5
@pytest.mark.parametrize(("kind", "tasks"), [("gpt2", [*TASKS]), ("llama", ["cb", "copa", "record"])])
def test_what_the_card_says_gives_the_answers_of_every_task(configure, overrides, tmp_path, kind, tasks, evaluate_few):
    """A card's code depends on the task, and on whether the tokenizer begins with a marker, as Llama's does."""
    evaluate_few(2)
    short = ["prompt=vanilla", "prompt.length=3", "data.shots=1", "trainer.max_steps=2", "lr=0.1"]
    outcomes = train_all([configure(*overrides[kind], *short, f"task={task}") for task in tasks])
    runs = {task: str(outcome.folder) for task, outcome in zip(tasks, outcomes, strict=True)}
    server = open_server(runs, precision="fp32")
    for task, run in runs.items():
        examples = [server.parse(task, row)[0] for row in rows(task, "val", 0)[:3]]
        expected = [answer.text for answer in server.answer([(task, example) for example in examples])]
        export.export(export.ExportArguments(run, str(tmp_path / task)))
        code = code_of_the_card(tmp_path / task, [example_text(server, task, example) for example in examples])
        answers = []
        exec(code.replace('"."', repr(str(tmp_path / task))), {"print": answers.append})
        assert answers == expected, task


def code_of_the_card(adapter, texts):
    code = (adapter / "README.md").read_text().split("```python\n")[1].split("```")[0]
    start, end = code.index("texts = ["), code.index("\nfor text")
    return f"{code[:start]}texts = {texts!r}{code[end:]}"


def example_text(server, task, example):
    return server.prompts[task].task.source(example) + server.backbone.cue
