"""On a GPU, as far as one that is pretended can tell (scripts/benchmarking/pretended_gpu.py): no tensor is left on the
other device, the numbers are the processor's, and a step waits for the device no more than it must."""

import copy
import itertools
import json
from unittest.mock import Mock

import pytest
import torch
from benchmarking.pretended_gpu import pretend_gpu

from rpt.backbones import BertBackbone, T5Backbone, load_backbone
from rpt.backbones.device import find_device, precision_of
from rpt.inference.server import open_server
from rpt.training.engine import graphs
from rpt.training.engine.pack import Pack
from rpt.training.engine.step import Step
from rpt.training.run.evaluate import evaluate
from rpt.training.sweep.sweep import train_all
from tests.conftest import ROOT
from tests.decoders import save_decoder
from tests.training.runs import crash_at, prepared

TESTED = [line.split("==")[1].strip() for line in (ROOT / "constraints.txt").open() if line.startswith("torch==")]
on_known_torch = pytest.mark.skipif(
    torch.__version__.partition("+")[0] not in TESTED,
    reason=f"the pretended GPU knows torch {', '.join(TESTED)}, this is {torch.__version__}",
)
pytestmark = [on_known_torch, pytest.mark.slow]
SHORT = ["data.shots=4", "trainer.max_steps=2", "backbone.max_tokens=96", "prompt.length=4"]
EVALUATED = 4  # examples; their scores are not the point
BERT = "backbone=nano_bert"
RESIDUAL = ["prompt=residual", "prompt.length=3", "lr=0.01"]
VANILLA = ["prompt=vanilla", "prompt.length=12", "lr=0.05", "seed=1"]
LONGER = ["prompt=residual", "prompt.length=5", "lr=0.01", "seed=2"]


@pytest.fixture(autouse=True)
def processor(monkeypatch):
    """What is not on the pretended GPU is on the processor, also beside a real one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(autouse=True)
def few_rows(evaluate_few):
    evaluate_few(EVALUATED)


# Steps


def make_pack(configure, folder, overrides, runs):
    configs = [configure(*SHORT, *overrides, *further) for further in runs]
    backbone = load_backbone(configs[0].backbone, configs[0].trainer.dropout)
    backbone.place(find_device(), precision_of(configs[0]))
    pack = Pack(backbone, len(runs))
    pack.join([prepared(config, backbone, folder / str(i), EVALUATED) for i, config in enumerate(configs)])
    return pack


def train_steps(configure, folder, overrides, runs):
    """Every run's losses in two steps, and its predictions after them."""
    pack = make_pack(configure, folder, overrides, runs)
    pack.step()
    pack.step()
    losses = [[loss.item() for loss in run.unread_losses] for run in pack.active]
    actual = [
        evaluate(pack.backbone, run.fold_prompt(), run.copy_head(), run.select, run.config) for run in pack.active
    ]
    return losses, [each.predictions for each in actual]


MIXED = [RESIDUAL, VANILLA, LONGER, ["prompt=lstm", "prompt.dropout=0"], ["prompt=mlp", "prompt.shared=false"]]


@pytest.mark.parametrize(
    "task, backbone",
    [("record", "nano"), ("wsc", "nano"), ("multirc", "nano"), ("copa", "nano_bert"), ("record", "nano_bert")],
)
def test_every_kind_of_task(configure, tmp_path, task, backbone):
    """A T5 generates ReCoRD's and WSC's answers and reads the labels of all others alike. An encoder has its own path
    for choices and entities alone; labels and marked words: below."""
    check_steps(configure, tmp_path, [f"task={task}", f"backbone={backbone}"], [RESIDUAL])


@pytest.mark.parametrize(
    "overrides",
    [["task=boolq"], ["task=wic", BERT, "backbone.head=spans"]],
    ids=" ".join,
)
def test_a_mixed_pack(configure, tmp_path, overrides):
    check_steps(configure, tmp_path, overrides, MIXED)


def check_steps(configure, tmp_path, overrides, runs):
    with pretend_gpu():
        losses, predictions = train_steps(configure, tmp_path, overrides, runs)
    expected, told = train_steps(configure, tmp_path, overrides, runs)
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=1e-4, atol=1e-5)
    assert predictions == told


@pytest.mark.parametrize(
    "overrides, runs",
    [([], [RESIDUAL]), ([], [RESIDUAL, VANILLA, [*RESIDUAL, "seed=2"]]), ([BERT], [RESIDUAL])],
    ids=["t5", "t5 pack of two shapes", "bert"],
)
def test_a_step_never_waits(configure, tmp_path, overrides, runs):
    """For what is in the list, every step of every run would pay. Losses are read elsewhere, and not at every step."""
    with pretend_gpu() as gpu:
        pack = make_pack(configure, tmp_path, ["task=boolq", *overrides], runs)
        pack.step()
        gpu.forget()
        pack.step()
        assert gpu.waits == []


@pytest.mark.parametrize("overrides", [[], [BERT]], ids=["t5", "bert"])
def test_graphs_have_the_numbers_of_the_processor(configure, tmp_path, overrides):
    """Four steps on one shape of batch: plain, recorded, replayed twice, all of them with other rows."""
    overrides = ["task=boolq", "trainer.max_steps=4", "trainer.pad_to_max=true", "data.shots=16", *overrides]

    def train_four(folder):
        pack = make_pack(configure, folder, overrides, [RESIDUAL, [*RESIDUAL, "seed=1"]])
        for _ in range(4):
            pack.step()
        return pack.losses, [[loss.item() for loss in run.unread_losses] for run in pack.active]

    with pretend_gpu() as gpu:
        graphed, losses = train_four(tmp_path / "gpu")
    assert graphed.enabled
    assert sum(times for kernel, times in gpu.kernels.items() if kernel.operation == "graph") >= 2 * 3
    _, expected = train_four(tmp_path / "processor")
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_graphs_take_a_share_of_the_memory(configure, tmp_path, monkeypatch):
    """A quarter of 80 GiB: where each reserves 15, no third one is recorded, and steps go on without. A process that
    shares the GPU with another has half of that."""
    monkeypatch.setattr(graphs, "RECORD_AFTER", 1)
    monkeypatch.setattr(graphs, "MULTIPLE", 1)
    with pretend_gpu():
        reserved = itertools.count(0, 15 * 2**30)
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda *_: next(reserved))
        record = Mock(side_effect=torch.cuda.make_graphed_callables)
        monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
        overrides = ["task=boolq", "data.shots=16", "trainer.max_steps=16", "trainer.batch_size=1"]
        pack = make_pack(configure, tmp_path, overrides, [RESIDUAL])
        for gpu_processes, recorded in ((1, 2), (2, 1)):
            pack.losses = graphs.GraphedLosses(pack.backbone, gpu_processes=gpu_processes)
            record.reset_mock()
            for _ in range(8):
                pack.step()
            assert record.call_count == recorded
            assert pack.losses.enabled


def test_a_decoder(configure, tmp_path, monkeypatch):
    """Its steps and predictions, none of which waits; its graphs."""
    overrides = save_decoder("llama", tmp_path / "decoder")
    # transformers fills in the frequencies of its positions while it loads, which the pretended GPU does not follow.
    loaded = load_backbone(configure(*overrides).backbone)
    monkeypatch.setitem(globals(), "load_backbone", lambda *_: copy.deepcopy(loaded))
    check_steps(configure, tmp_path, ["task=cb", *overrides], MIXED[:3])
    test_a_step_never_waits(configure, tmp_path, overrides, [RESIDUAL, VANILLA])
    test_graphs_have_the_numbers_of_the_processor(configure, tmp_path, overrides)


class TestItFindsMistakes:
    def test_a_tensor_on_the_wrong_device_raises(self, configure, tmp_path, monkeypatch):
        losses = T5Backbone.losses

        def compute_losses(backbone, prompts, *rest):
            return losses(backbone, prompts + torch.zeros(prompts.shape[-1]), *rest)

        monkeypatch.setattr(T5Backbone, "losses", compute_losses)
        with pretend_gpu(), pytest.raises(RuntimeError, match=r"same device.*test_gpu\.py:compute_losses"):
            make_pack(configure, tmp_path, ["task=boolq"], [RESIDUAL]).step()

    def test_a_number_that_is_read_shows(self, configure, tmp_path, monkeypatch):
        losses = BertBackbone.losses

        def compute_losses(*args):
            actual = losses(*args)
            actual.sum().item()
            return actual

        monkeypatch.setattr(BertBackbone, "losses", compute_losses)
        with pretend_gpu() as gpu:
            make_pack(configure, tmp_path, ["task=boolq", BERT], [RESIDUAL]).step()
        assert ("tests/training/engine/test_gpu.py:compute_losses", "read by item") in gpu.waits

    def test_what_waits_and_what_does_not(self):
        with pretend_gpu() as gpu:
            here, on_gpu = torch.ones(3), torch.ones(3, device="cuda")
            stream, event = torch.cuda.Stream(), torch.cuda.Event()
            with stream, torch.cuda.stream(stream):
                on_gpu.copy_(here.pin_memory(), non_blocking=True)
                torch.tensor([1, 2], pin_memory=True).to("cuda", non_blocking=True)
                event.record(stream)
            torch.cuda.current_stream().wait_event(event)
            on_gpu.record_stream(stream)
            on_gpu[on_gpu > 0] = 2.0
            on_gpu.masked_fill(on_gpu > 0, 3.0)[1:].sum()
            torch.zeros_like(here, device="cuda").add_(on_gpu)
            assert gpu.waits == []
            waiting = [
                lambda: here.to("cuda", non_blocking=True),
                lambda: here.pin_memory().to("cuda"),
                lambda: torch.tensor([1.0], device="cuda"),
                lambda: on_gpu.cpu(),
                lambda: on_gpu[torch.tensor([0])],
                lambda: on_gpu[on_gpu > 0],
                lambda: on_gpu.nonzero(),
                lambda: bool(on_gpu[0]),
                torch.cuda.synchronize,
            ]
            for number, wait in enumerate(waiting, start=1):
                wait()
                assert len(gpu.waits) == number, gpu.waits
            with pytest.raises(RuntimeError, match="same device"):
                here + on_gpu
            with pytest.raises(TypeError, match="to numpy"):
                on_gpu.numpy()


# Whole runs


def read_records(folder):
    """Of each record, the losses and scores on its way and at its end."""
    actual = {}
    for path in folder.rglob("result.json"):
        result = json.loads(path.read_text())
        assert result["status"] == "finished", result
        history = [json.loads(line) for line in (path.parent / "metrics.jsonl").read_text().splitlines()]
        numbers = [line[name] for line in history for name in ("loss", "score")]
        actual[result["id"]] = [*filter(None, numbers), *result["scores"].values()]
    return actual


def train_records(configure, folder, overrides, runs=([],)):
    outcomes = train_all([configure(*SHORT, *overrides, *further, f"results={folder}") for further in runs], len(runs))
    assert all(isinstance(outcome, float) for outcome in outcomes), outcomes
    return read_records(folder)


def check_records(configure, folder, overrides, runs=([],), tolerance=1e-4):
    with pretend_gpu():
        actual = train_records(configure, folder / "gpu", overrides, runs)
    expected = train_records(configure, folder / "processor", overrides, runs)
    assert len(actual) == len(runs) and actual.keys() == expected.keys()
    for name, numbers in actual.items():
        assert numbers == pytest.approx(expected[name], rel=tolerance)


@pytest.mark.parametrize(
    "method, backbone",
    [("finetune", "nano"), ("lora", "nano_bert"), ("adapter", "nano"), ("ia3", "nano")],  # BitFit tunes a part
)
def test_other_methods(configure, tmp_path, method, backbone):
    check_records(configure, tmp_path, ["task=cb", f"method={method}", f"backbone={backbone}"])


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.precision=bf16"],
        ["trainer.precision=fp16", "trainer.clip=1"],
        ["trainer.precision=bf16", "method=lora", BERT],
    ],
    ids=" ".join,
)
def test_half_precision(configure, tmp_path, overrides):
    with pretend_gpu():
        (numbers,) = train_records(configure, tmp_path, ["task=cb", "trainer.max_steps=1", *overrides]).values()
    assert torch.tensor(numbers).isfinite().all()


def test_a_broken_pack_goes_on_from_its_checkpoints(configure, tmp_path, monkeypatch):
    overrides, runs = ["task=cb", "trainer.max_steps=3", "trainer.checkpoint_every=1"], [RESIDUAL, VANILLA]
    with pretend_gpu():
        unbroken = train_records(configure, tmp_path / "unbroken", overrides, runs)
        with crash_at(monkeypatch, 2):
            train_records(configure, tmp_path / "broken", overrides, runs)
        assert train_records(configure, tmp_path / "broken", overrides, runs) == unbroken


def test_a_sweep_whose_passes_are_halved_when_memory_runs_out(configure, tmp_path, monkeypatch):
    """It has the numbers of the processor before and after."""
    overrides, runs, sizes = ["task=cb"], [RESIDUAL, VANILLA], []
    expected = train_records(configure, tmp_path / "processor", overrides, runs)
    run_pass = Step.run_pass

    def run_small_pass(step, pieces, *rest):
        if len(pieces) > 5:
            raise torch.OutOfMemoryError("no room")
        sizes.append(len(pieces))
        return run_pass(step, pieces, *rest)

    with pretend_gpu():
        whole = train_records(configure, tmp_path / "gpu", overrides, runs)
        monkeypatch.setattr(Step, "run_pass", run_small_pass)
        halved = train_records(configure, tmp_path / "halved", overrides, runs)
    assert 0 < max(sizes) <= 5
    for actual in (whole, halved):
        assert len(actual) == len(runs) and actual.keys() == expected.keys()
        for name, numbers in actual.items():
            assert numbers == pytest.approx(expected[name], rel=1e-4)


ROWS = {
    "boolq": {"passage": "The cat sat.", "question": "did the cat sit"},
    "copa": {"premise": "It rained.", "choice1": "I got wet.", "choice2": "I ate.", "question": "effect"},
    "record": {
        "passage": "Anna met Bob in Rome.\n@highlight\nBob smiled",
        "query": "@placeholder met Bob",
        "entities": ["Anna", "Bob", "Rome"],
        "answers": ["Anna"],
        "idx": {"passage": 0, "query": 0},
    },
}


def read_probabilities(answer):
    return {**(answer.probabilities or {}), "of the text": answer.probability or 0.0}


@pytest.mark.parametrize(
    "backbone, tasks",
    [("nano", ["boolq", "record"]), ("nano_bert", ["copa", "record"])],
)
def test_a_server_gives_the_answers_of_the_processor(configure, tmp_path, backbone, tasks):
    for length, task in enumerate(tasks, start=2):
        overrides = [f"task={task}", f"backbone={backbone}", f"prompt.length={length}", "trainer.max_steps=1"]
        train_records(configure, tmp_path, overrides)
    runs = {path.parents[3].name: path.parent for path in tmp_path.rglob("result.json")}

    def answer():
        server = open_server(runs, precision="fp32")
        return server.answer([(name, example) for name in tasks for example in server.parse(name, ROWS[name])])

    with pretend_gpu():
        actual = answer()
    for one, other in zip(actual, answer(), strict=True):
        assert (one.text, one.label, one.answered) == (other.text, other.label, other.answered)
        assert read_probabilities(one) == pytest.approx(read_probabilities(other), rel=1e-3)
