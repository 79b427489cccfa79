"""What an experiment would cost: counted exactly, estimated from records or from measured steps."""

import multiprocessing
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, T5Config

from rpt import plan
from rpt.backbones import T5Backbone
from rpt.backbones.footprint import measure_footprint
from rpt.config import BackboneConfig
from rpt.config.grids import Grids
from rpt.errors import UsageError
from rpt.records.run_records import RunRecords
from rpt.train import train
from rpt.training.run.loader import Loader
from rpt.training.sweep import estimate, workers
from scripts import cards
from tests.processes import CONTEXT

WORDS = [
    "trainer.precision=fp32",
    "backbone.max_tokens=64",
    "data.shots=8",
    "trainer.epochs=2",
    "trainer.patience=3",
    "trainer.max_steps=12",
    "prompt.length=4",
    "seed=0,1",
]


@pytest.fixture
def miniature(miniature, tiny):
    return [*miniature, tiny]


def planned(miniature, *overrides, packed=False):
    cache = [word for word in miniature if word.startswith(("data.cache", "backbone.path"))]
    results = next(word.removeprefix("results=") for word in miniature if word.startswith("results="))
    return plan.plan(["figure4"], "mini", ["task=cb", "lr=0.3", *WORDS, *cache, *overrides], results, packed)


def test_recorded_runs_are_counted_and_not_planned_again(configure, miniature, monkeypatch):
    first = planned(miniature).splitlines()
    assert first[1].split()[:4] == ["figure4", "4", "0", "4"]
    assert first[-1].strip().startswith("python -m rpt.train -m +experiment=figure4 scale=mini task=cb lr=0.3")
    train(configure("task=cb", "prompt=vanilla", "lr=0.3", *WORDS[:-1], "seed=1"))
    assert planned(miniature).splitlines()[1].split()[:4] == ["figure4", "4", "1", "3"]

    def never(*_):
        raise AssertionError("measured although a record of this kind is there")

    threads = torch.get_num_threads()
    packed = planned(miniature, packed=True).splitlines()  # a run alone says nothing about packs
    assert torch.get_num_threads() == threads
    assert packed[1].split()[:4] == ["figure4", "4", "1", "3"] and "hydra/launcher=packed" in packed[-1]
    monkeypatch.setattr(estimate, "measure", never)
    assert planned(miniature, "prompt=vanilla").splitlines()[1].split()[:4] == ["figure4", "2", "1", "1"]


def test_a_command_names_the_folder_of_rows_once():
    def commands(*overrides):
        return Grids("laptop", overrides).lay_out("figure4").commands

    assert commands() == ("python -m rpt.train -m +experiment=figure4 scale=laptop data.dir=FOLDER",)
    assert commands("data.dir=rows") == ("python -m rpt.train -m +experiment=figure4 scale=laptop",)  # plan adds it


def test_an_estimate_from_a_record_is_what_the_run_took(configure, miniature, tmp_path):
    config = configure("task=cb", "prompt=residual", "data.shots=8", "trainer.epochs=3")
    train(config)
    (entry,) = RunRecords(tmp_path / "results")
    seconds, memory = estimate.Estimator([(entry.config, entry.result)], together=1).estimate(config)
    assert seconds == pytest.approx(entry.result["seconds"], rel=0.5)
    assert memory == entry.result["peak_memory_bytes"]


@pytest.mark.parametrize("together", [1, 3])
def test_rates_are_measured_without_leaving_a_record(configure, tmp_path, together):
    rates = estimate.measure(configure("task=rte", "prompt=residual", "data.shots=32"), together, Loader())
    assert rates.training > 0 and rates.evaluation > 0 and rates.memory > 2**20
    assert not list(tmp_path.rglob("result.json"))


def test_backbones_of_two_families_are_estimated_on_rows_of_their_own(configure, monkeypatch):
    """Of WSC a T5 trains on rows with the right noun, an encoder on all."""
    monkeypatch.setattr(estimate, "measure", lambda *_: estimate.Rates(1.0, 1.0, 0.0, 1))
    estimator = estimate.Estimator([], together=1)
    t5, encoder = (estimator.estimate(configure("task=wsc", f"backbone={name}"))[0] for name in ("nano", "nano_bert"))
    assert encoder > 1.5 * t5


def test_a_run_without_a_prompt_only_evaluates(configure):
    config = configure("task=cb", "prompt=none", "data.shots=8", "trainer.epochs=100")
    rates = estimate.measure(config, 2, Loader())
    assert estimate.duration(config, rates, Loader().rows(config)) == rates.start + 112 / rates.evaluation


@pytest.mark.parametrize(
    "gpus, processes, devices, sharers", [(1, "null", 1, 1), (2, "null", 2, 1), (2, "4", 2, 2), (1, "3", 1, 3)]
)
def test_gpus_share_the_time_and_processes_the_memory(miniature, monkeypatch, gpus, processes, devices, sharers):
    measured = []

    def measure(config, together, loader, shared):
        measured.append(shared)
        return estimate.Rates(training=0.1, evaluation=1000.0, start=0.0, memory=2**30)

    monkeypatch.setattr(estimate, "measure", measure)
    monkeypatch.setattr(workers, "list_gpus", lambda: [str(i) for i in range(gpus)])
    alone = planned(miniature).splitlines()[1].split()
    packed = planned(miniature, f"pack.processes={processes}", packed=True).splitlines()[1].split()
    assert alone[5] == packed[5] == "min"
    assert int(packed[4]) == pytest.approx(int(alone[4]) / devices, abs=1)
    assert float(packed[6]) == devices * sharers and set(measured) == {1, sharers}


@pytest.mark.parametrize(
    "word, message",
    [
        ("table9", "There is no experiment table9; choose one of: table1"),
        ("task=nope", "There is no task=nope; choose one of: boolq"),
        ("trainer.epoch=3", "did you mean trainer.epochs?"),
        ("table1_methods", "table1_methods is a part of table1; give that."),
        ("task=cb task=wic", "task is given twice, task=cb and task=wic"),
    ],
)
def test_the_command_names_what_it_does_not_know(monkeypatch, capsys, word, message):
    overrides = [word] if "=" not in word else ["table6", "scale=mini", *word.split()]
    monkeypatch.setattr(sys, "argv", ["plan", *overrides])
    with pytest.raises(SystemExit, match="2"):
        plan.main()
    errors = capsys.readouterr().err
    assert message in errors and errors.startswith("rpt: ") and len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["backbone=nano", "scale=mini"], "scale=mini is for experiments; name one"),
        (["backbone=nano,nano_bert"], "backbone=nano,nano_bert is a list of values; give one, or name an experiment"),
        (["backbone=nano", "cards=²"], "cards=² should be gigabytes of GPUs: cards=24,80"),
    ],
)
def test_the_plan_of_one_backbone_refuses_what_it_would_ignore(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["plan", *arguments])
    with pytest.raises(SystemExit, match="2"):
        plan.main()
    assert message in capsys.readouterr().err


def test_experiments_and_prompts_of_a_folder_of_one_s_own(tmp_path, miniature, monkeypatch, capsys):
    texts = {
        "prompt/wide.yaml": "name: wide\nreparameterization: residual\nbottleneck: 7\n",
        "experiment/first.yaml": "# @package _global_\ndefaults: [_self_, /scale: paper]\nhydra: {sweeper: {params: {"
        "backbone: t5_base, task: cb, prompt: 'wide,residual', seed: '0,1'}}}\n",
    }
    for name, text in texts.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setattr(sys.modules["rpt.config.choices"], "_user_folders", [])
    monkeypatch.setattr(estimate, "measure", lambda *_: estimate.Rates(100.0, 100.0, 1.0, 2**30))
    folder, overrides = (
        str(tmp_path / "mine"),
        [word for word in miniature if word.startswith(("data.cache", "results"))],
    )
    monkeypatch.setattr(
        sys,
        "argv",
        ["plan", "first", "scale=mini", "hydra/launcher=joblib", "--config-dir", folder, "data.shots=8", *overrides],
    )
    plan.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["first", "4", "0", "4"]
    assert f"+experiment=first scale=mini --config-dir {folder} hydra/launcher=joblib data.shots=8" in lines[-1]
    monkeypatch.setattr(sys, "argv", ["plan", "--config-dir", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="2"):
        plan.main()
    assert "nowhere is no folder" in capsys.readouterr().err


def test_a_run_in_another_precision_is_another_run(configure, miniature, monkeypatch):
    monkeypatch.setattr(estimate, "measure", lambda *_: estimate.Rates(0.1, 1000.0, 0.0, 2**30))
    train(configure("task=cb", "prompt=vanilla", "lr=0.3", *WORDS[:-1], "seed=1"))
    assert planned(miniature, "prompt=vanilla").splitlines()[1].split()[:4] == ["figure4", "2", "1", "1"]
    other = planned(miniature, "prompt=vanilla", "trainer.precision=bf16")
    assert other.splitlines()[1].split()[:4] == ["figure4", "2", "0", "2"]
    assert other.splitlines()[-1].split()[-1].startswith("results=")


@pytest.fixture
def only_config(tmp_path):
    """The word for a backbone that is nothing but its config.json: three weights in a thousand million."""
    wide = T5Config(d_model=4096, d_kv=64, d_ff=65536, num_layers=2, num_heads=8, decoder_start_token_id=0)
    wide.save_pretrained(tmp_path / "wide")
    return f"backbone.path={tmp_path / 'wide'}"


def test_whether_a_backbone_fits_is_told_by_its_config_alone(only_config):
    overrides = ["backbone=t5_base", only_config, "backbone.name=wide", "backbone.max_tokens=64", "tracking=none"]
    first, _, heading, *lines = plan.plan_one(overrides, "2,80").splitlines()
    assert first.startswith("wide: 2,") and "computed in bf16" in first
    assert heading.split()[:3] == ["weights", "checkpointing", "memory"] and "2 GB card" in heading
    cells = {tuple(line.split()[:2]): line for line in lines}
    assert "does not fit" in cells["auto", "false"] and "fits, " in cells["auto", "false"].split("does not fit")[1]
    assert len(cells) == 6
    with pytest.raises(UsageError, match="cards=big should be gigabytes of GPUs"):
        plan.plan_one(overrides, "big")
    with pytest.raises(UsageError, match="leave out method=lora"):
        plan.plan_one([*overrides, "method=lora"], "80")


SMALL = T5Config(d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8, decoder_start_token_id=0)


def run_pass(shape, rows, width):
    model = AutoModelForSeq2SeqLM.from_config(shape)
    backbone = T5Backbone(model, SimpleNamespace(pad_token_id=0, eos_token_id=1), "")
    backbone.place(torch.device("cpu"), "fp32")
    row, _ = backbone.make_trial(width - 10)
    prompts = torch.zeros(rows, 10, backbone.d_model, requires_grad=True)
    mask = torch.ones(rows, 10, dtype=torch.long)
    backbone.losses(prompts, mask, backbone.collate([row] * rows, 10), {}).sum().backward()


def measure_peak(told):
    """The bytes that a pass of a T5-Small takes, in a process of its own."""

    def read(line):
        return 1024 * int(re.search(rf"{line}:\s+(\d+)", Path("/proc/self/status").read_text())[1])

    tiny = T5Config(vocab_size=64, d_model=32, d_ff=64, num_layers=1, num_heads=2, decoder_start_token_id=0)
    run_pass(tiny, 1, 32)  # loads what is loaded lazily
    before = read("VmRSS")
    run_pass(SMALL, 4, 256)
    told.send(read("VmHWM") - before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process reads its peak memory from /proc")
def test_planned_memory_is_what_a_t5_small_takes():
    peak, told = multiprocessing.Pipe(duplex=False)
    process = CONTEXT.Process(target=measure_peak, args=(told,))
    process.start()
    process.join()
    assert process.exitcode == 0
    footprint = measure_footprint(SMALL, BackboneConfig("small", max_tokens=256), 10, "fp32", False, on_gpu=False)
    assert footprint.parameters == 60_506_624
    assert footprint.peak("auto", 4) == pytest.approx(peak.recv(), rel=0.15)


@pytest.mark.slow
def test_the_page_on_cards_is_what_is_planned():
    page = cards.PAGE.read_text("utf-8")
    assert page.startswith(cards.HEAD) and all(f"\n{name}: " in page for name in cards.MODELS)
    assert cards.section("llama_3_2_3b") in page  # a T5's is computed above
