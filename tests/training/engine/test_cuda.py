"""On a real GPU: what only there can go wrong. `make gpu` runs these; anywhere else they are skipped."""

import copy
import json
import math

import pytest
import torch
from safetensors.torch import load_file

from rpt.train import train
from rpt.training.engine import graphs
from rpt.training.engine.pack import Pack
from rpt.training.run.evaluate import evaluate
from rpt.training.run.methods import make_trainable
from rpt.training.sweep.sweep import train_all
from tests.conftest import tiny_bert, tiny_t5
from tests.training.engine.test_pack import SMOOTH, TOLERANCE, assert_equal_traces, traced
from tests.training.runs import SHORT, crash_at, prepared

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU"),
]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SIX_STEPS = [SMOOTH, "trainer.max_steps=6", "trainer.eval_every=99", "trainer.eval_batch_size=128", "data.shots=8"]
T5 = ["task=cb"]
BERT = ["backbone=nano_bert", "task=copa"]
SPANS = ["backbone=nano_bert", "task=wic", "backbone.head=spans"]
VARIANTS = [
    ["prompt=residual", "prompt.bottleneck=7"],
    ["prompt=vanilla"],
    ["prompt=residual", "prompt.bottleneck=5", "prompt.layers=2"],
    ["prompt=mlp", "prompt.bottleneck=7"],
]
PACK = [  # of 16: lengths, rates and seeds of their own
    [*VARIANTS[i % 4], f"prompt.length={3 + i % 5}", f"lr={(0.01, 0.05)[i % 2]}", f"seed={i}"] for i in range(16)
]
LSTM = ["prompt=lstm", "prompt.length=5", "prompt.dropout=0.2", "lr=0.01"]


def backbone_for(overrides, device, precision="fp32"):
    backbone = tiny_bert(initializer_range=0.1) if overrides[0] == BERT[0] else tiny_t5(1.0)
    backbone.place(device, precision)
    return backbone


@pytest.fixture
def ready(configure, tmp_path):
    """Runs of these words, prepared anew at every call."""
    calls = []

    def make(backbone, overrides, runs, steps=SIX_STEPS):
        calls.append(None)
        folder = tmp_path / str(len(calls))
        configs = [configure(*overrides, *steps, *each) for each in runs]
        return [prepared(config, backbone, folder / str(i), evaluated=8) for i, config in enumerate(configs)]

    return make


@pytest.mark.parametrize("overrides", [T5, BERT, SPANS], ids=["t5", "bert", "spans"])
@pytest.mark.parametrize("together", [1, 2, 16])
def test_a_pack_gives_every_run_the_losses_it_has_on_the_processor(ready, overrides, together):
    """Some of them, each alone there: this holds packs to single runs as well."""
    gpu, cpu = backbone_for(overrides, CUDA), backbone_for(overrides, CPU)
    runs = PACK[:together]
    packed = traced(Pack(gpu, together), ready(gpu, overrides, runs))
    alone = [traced(Pack(cpu), [run])[0] for run in ready(cpu, overrides, runs[::5])]
    for one, other in zip(packed[::5], alone, strict=True):
        assert [rows for rows, _ in one] == [rows for rows, _ in other]
        assert [loss for _, loss in one] == pytest.approx([loss for _, loss in other], rel=5e-3)


@pytest.mark.parametrize("overrides", [T5, BERT], ids=["t5", "bert"])
def test_a_pack_is_its_runs_alone(ready, overrides):
    """On the same device the tolerance of `test_pack` holds; with the LSTM, whose products are another library's."""
    gpu, runs = backbone_for(overrides, CUDA), [*PACK[:3], LSTM]
    packed = traced(Pack(gpu, 4), ready(gpu, overrides, runs))
    assert_equal_traces(packed, [traced(Pack(gpu), [run])[0] for run in ready(gpu, overrides, runs)])


@pytest.mark.parametrize("overrides", [T5, BERT], ids=["t5", "bert"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_single(ready, overrides, precision):
    """fp16 with its loss scale, and therefore alone."""
    half, whole, runs = backbone_for(overrides, CUDA, precision), backbone_for(overrides, CUDA), PACK[:1]
    if precision == "bf16":
        runs = PACK[:4]
    pack = Pack(half, len(runs))
    assert pack.scaler.is_enabled() == (precision == "fp16")
    actual = traced(pack, ready(half, overrides, runs, [*SIX_STEPS, f"trainer.precision={precision}"]))
    expected = traced(Pack(whole, len(runs)), ready(whole, overrides, runs))
    for one, other in zip(actual, expected, strict=True):
        assert [loss for _, loss in one] == pytest.approx([loss for _, loss in other], rel=0.05, abs=0.02)


def test_fp16_leaves_out_the_steps_that_overflow(ready):
    backbone = backbone_for(T5, CUDA, "fp16")
    (run,) = ready(backbone, T5, PACK[:1], [*SIX_STEPS, "trainer.precision=fp16"])
    pack = Pack(backbone)
    pack.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**40, backoff_factor=2.0**-12)
    list(pack.fit(iter([run])))
    assert run.failure is None and run.progress.step == 6 and 0 < run.progress.updates < 6
    assert pack.scaler.get_scale() < 2.0**40 and torch.isfinite(run.fold_prompt()).all()


def test_the_same_run_twice(ready):
    """Up to the order of sums, which is not fixed on a GPU."""
    backbone = backbone_for(T5, CUDA)
    one, other = (traced(Pack(backbone, 4), ready(backbone, T5, [*PACK[:3], LSTM])) for _ in range(2))
    assert_equal_traces(one, other)


@pytest.mark.parametrize("overrides", [["backbone=nano", *T5], BERT], ids=["t5", "bert"])
def test_a_run_that_is_killed_goes_on(configure, tmp_path, monkeypatch, overrides):
    overrides = [
        *overrides,
        SMOOTH,
        "data.shots=8",
        "trainer.epochs=2",
        "trainer.eval_every=2",
        "trainer.checkpoint_every=2",
    ]

    def config(name):
        entry = configure(*overrides, "prompt=residual", "lr=0.01", "backbone.max_tokens=96")
        entry.results = str(tmp_path / name)
        return entry

    def outcome(name):
        (result,) = (tmp_path / name).rglob("result.json")
        lines = [json.loads(line) for line in (result.parent / "metrics.jsonl").read_text().splitlines()]
        return [line["loss"] for line in lines], load_file(result.parent / "prompt.safetensors")["prompt_embeddings"]

    train(config("unbroken"))
    with crash_at(monkeypatch, 3):
        train(config("broken"))
    assert list(tmp_path.glob("broken/**/checkpoint.safetensors"))
    train(config("broken"))
    (losses, prompt), (expected_losses, expected) = outcome("broken"), outcome("unbroken")
    assert losses == pytest.approx(expected_losses, rel=1e-3)
    torch.testing.assert_close(prompt, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("overrides", [T5, BERT], ids=["t5", "bert"])
def test_fine_tuning(ready, configure, overrides):
    """Weights of the backbone itself, with the losses that they have on the processor."""
    each = ["method=finetune", "lr=0.001"]
    actual = []
    for device in (CUDA, CPU):
        backbone = backbone_for(overrides, CPU)
        make_trainable(backbone, configure(*overrides, *each).method, seed=0)
        backbone.place(device, "fp32")
        actual += traced(Pack(backbone), ready(backbone, overrides, [each]))
    on_gpu, on_cpu = ([loss for _, loss in trace] for trace in actual)
    assert on_gpu == pytest.approx(on_cpu, rel=1e-2)


@pytest.mark.parametrize("overrides", [T5, [*T5, "trainer.decode=generate"], BERT, SPANS], ids=" ".join)
def test_evaluation_is_the_processors(configure, ready, nano, nano_bert, overrides):
    predictions = []
    for device in (CUDA, CPU):
        backbone = copy.deepcopy(nano_bert if overrides[0] == BERT[0] else nano)
        backbone.place(device, "fp32")
        (run,) = ready(backbone, overrides, [["prompt=residual"]])
        prompt, head = run.fold_prompt(), run.copy_head()
        predictions.append(evaluate(backbone, prompt, head, run.report, run.config).predictions)
    on_gpu, on_cpu = predictions
    different = sum(one != other for one, other in zip(on_gpu, on_cpu, strict=True))
    assert different <= len(on_cpu) // 50  # rounding may decide a tie


ONE_SHAPE = [SMOOTH, "data.shots=8", "trainer.batch_size=24", "trainer.max_steps=6", "trainer.eval_every=99"]


@pytest.mark.parametrize("overrides", [T5, BERT, SPANS], ids=["t5", "bert", "spans"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("limit", [math.inf, 1500], ids=["one pass", "several passes"])
def test_graphs_have_the_losses_of_single_kernels(ready, monkeypatch, overrides, precision, limit):
    """Recorded at once, replayed in every step and, where a pass is small, several times in a step."""
    monkeypatch.setattr(graphs, "RECORD_AFTER", 1)
    backbone = backbone_for(overrides, CUDA, precision)
    steps = [*ONE_SHAPE, f"trainer.precision={precision}"]
    actual = {}
    for graphed in (True, False):
        pack = Pack(backbone, 4, limit, graphs=graphed)
        actual[graphed] = traced(pack, ready(backbone, overrides, PACK[:4], steps))
        assert pack.losses.enabled == graphed and bool(pack.losses._recorded) == graphed
    tolerance = {"rel": TOLERANCE} if precision == "fp32" else {"rel": 0.05, "abs": 0.02}
    for one, other in zip(actual[True], actual[False], strict=True):
        assert [loss for _, loss in one] == pytest.approx([loss for _, loss in other], **tolerance)


@pytest.mark.parametrize("overrides", [T5, BERT, SPANS], ids=["t5", "bert", "spans"])
@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize("graphed", [True, False], ids=["graphs", "kernels"])
def test_a_step_that_reads_no_loss_never_waits(ready, monkeypatch, overrides, together, graphed):
    """For the device: torch raises where the processor would."""
    monkeypatch.setattr(graphs, "RECORD_AFTER", 1)
    backbone = backbone_for(overrides, CUDA, "bf16")
    runs = ready(backbone, overrides, PACK[:together], [*ONE_SHAPE, "trainer.precision=bf16"])
    pack = Pack(backbone, together, graphs=graphed)
    pack.join(runs)
    pack.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        pack.step()
        pack.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(run.progress.step == 3 for run in runs)


def test_passes_are_halved_until_they_fit_a_real_memory(ready):
    overrides = [*T5, "trainer.pad_to_max=true", "trainer.batch_size=16"]
    backbone = backbone_for(overrides, CUDA)
    runs = [[*VARIANTS[0], "prompt.length=5", f"seed={seed}"] for seed in range(4)]
    steps = [SMOOTH, *SHORT]
    free = Pack(backbone, 4)
    torch.cuda.reset_peak_memory_stats()
    expected = traced(free, ready(backbone, overrides, runs, steps))
    needed, held = torch.cuda.max_memory_allocated(), torch.cuda.memory_allocated()
    packed, tight = ready(backbone, overrides, runs, steps), Pack(backbone, 4)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((held + (needed - held) / 2) / total)
    try:
        actual = traced(tight, packed)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert tight.limit.max_tokens < free.limit.max_tokens
    assert_equal_traces(actual, expected)


def test_a_sweep(configure, tmp_path):
    """As commands run it, in the precision that this GPU gives `auto`."""
    overrides = ["task=cb", *SHORT, "trainer.precision=auto", "backbone.max_tokens=96"]
    configs = [configure(*overrides, *each) for each in ([*VARIANTS[0]], [*VARIANTS[1]], LSTM, ["method=finetune"])]
    assert [type(outcome) for outcome in train_all(configs, 3)] == [float] * 4
    told = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
    assert {result["device"] for result in told} == {torch.cuda.get_device_name()}, told[0].keys()
