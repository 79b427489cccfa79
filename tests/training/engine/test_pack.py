"""A run in a pack equals the run alone: the same rows in the same steps, the same losses, gradients and scores."""

import copy
import json
import math
import shutil
from itertools import count
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rpt import backbones
from rpt.errors import NonFiniteLoss, UsageError
from rpt.training.engine import pack as pack_module
from rpt.training.engine.optimizer import StackedAdamW
from rpt.training.engine.pack import Pack
from rpt.training.engine.step import Step
from rpt.training.sweep import sweep
from rpt.training.sweep.memory import measure_kept_bytes
from rpt.training.sweep.outcomes import Score
from rpt.training.sweep.sweep import train_all
from tests.conftest import tiny_bert, tiny_t5
from tests.training.runs import SHORT, assert_gradients_close, crash_at, first_gradients, fitted, prepared

STEPS = 6
TOLERANCE = 1e-4  # relative, of fp32 losses
# AdamW takes full steps even for gradients of rounding noise, and a few steps carry a difference in the last bits to
# the loss. A larger eps prevents this, so that the test compares the arithmetic of packs.
SMOOTH = "trainer.eps=1e-3"

VARIANTS = st.sampled_from(
    [
        ["prompt=vanilla"],
        ["prompt=mlp", "prompt.bottleneck=7"],
        ["prompt=residual", "prompt.bottleneck=7"],
        ["prompt=residual", "prompt.bottleneck=5", "prompt.layers=2"],
        ["prompt=residual", "prompt.bottleneck=7", "prompt.shared=false"],
        ["prompt=lstm", "prompt.dropout=0.2"],
    ]
)
RUNS = st.builds(
    lambda variant, length, lr, seed, shots, init: [
        *variant, f"prompt.length={length}", f"lr={lr}", f"seed={seed}", f"data.shots={shots}", f"prompt.init={init}",
    ],
    VARIANTS, st.integers(1, 12), st.sampled_from([0.001, 0.01, 0.05]), st.integers(0, 3), st.integers(1, 6),
    st.sampled_from(["vocabulary", "uniform"]),
)  # fmt: skip
ENCODED = st.sampled_from(  # of an encoder: labels, choices, marked words
    [["task=cb"], ["task=copa"], ["task=wic", "backbone.head=spans"]]
)
LIMITS = st.sampled_from([64, 200, 1000, 10**9])


@pytest.fixture(scope="module")
def smooth_backbone():
    return tiny_t5(1.0)


@pytest.fixture(scope="module")
def smooth_encoder():
    return tiny_bert(initializer_range=0.1)


def traced(pack, runs):
    """The rows and the loss of every step of each run."""
    trace = {run: [] for run in runs}

    class NotingStep(Step):
        def take(self, limit):
            losses = super().take(limit)
            for run, of_run, loss in zip(self.runs, self.rows, losses.tolist(), strict=True):
                trace[run].append((of_run.tolist(), loss))
            return losses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_module, "Step", NotingStep)
        over = list(pack.fit(iter(runs)))
    assert sorted(map(id, over)) == sorted(map(id, runs))
    return [trace[run] for run in runs]


def assert_equal_traces(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert [rows for rows, _ in one] == [rows for rows, _ in other]
        assert [loss for _, loss in one] == pytest.approx([loss for _, loss in other], rel=TOLERANCE)


ANYTIME = {"deadline": None, "phases": [Phase.explicit, Phase.generate]}
ANYTIME["suppress_health_check"] = [HealthCheck.function_scoped_fixture]


def check_any_pack(configure, backbone, folder, overrides, runs, max_runs, limit):
    overrides = [
        *overrides,
        SMOOTH,
        f"trainer.max_steps={STEPS}",
        "trainer.eval_every=99",
        "trainer.eval_batch_size=128",
    ]
    configs, numbers = [configure(*overrides, *each) for each in runs], count()

    def ready():
        return [prepared(config, backbone, folder / str(next(numbers)), evaluated=8) for config in configs]

    together = ready()
    packed = traced(Pack(backbone, max_runs, limit), together)
    alone = ready()
    assert_equal_traces(packed, [traced(Pack(backbone), [run])[0] for run in alone])
    assert all(len(trace) == run.total_steps for trace, run in zip(packed, together, strict=True))


@settings(max_examples=3, **ANYTIME)
@given(st.lists(RUNS, min_size=2, max_size=8), st.integers(1, 8), LIMITS)
def test_any_pack_gives_every_run_the_steps_it_has_alone(configure, smooth_backbone, tmp_path, runs, max_runs, limit):
    """Mixed lengths, variants, rates, seeds and numbers of rows; with more runs than places, some join later."""
    check_any_pack(configure, smooth_backbone, tmp_path, ["task=cb"], runs, max_runs, limit)


@settings(max_examples=2, **ANYTIME)
@given(ENCODED, st.lists(RUNS, min_size=1, max_size=8), st.integers(1, 8), LIMITS)
def test_any_pack_of_an_encoder_does_so_too(configure, smooth_encoder, tmp_path, overrides, runs, max_runs, limit):
    """Each run has its own head, and positions that do not depend on other prompts."""
    overrides = ["backbone=nano_bert", *overrides]
    check_any_pack(configure, smooth_encoder, tmp_path, overrides, runs, max_runs, limit)


PACKED = [
    ["prompt=residual", "prompt.length=3", "lr=0.01"],
    ["prompt=vanilla", "prompt.length=12", "lr=0.05", "seed=1"],
    ["prompt=lstm", "prompt.length=5", "lr=0.001", "seed=2"],
    ["prompt=residual", "prompt.length=3", "lr=0.05", "seed=3"],
]
OTHERS = [  # that have no table, or buffers of each run's own
    ["prompt=superposition", "prompt.length=3", "lr=0.01", "prompt.words=5", "seed=4"],
    ["prompt=superposition", "prompt.length=3", "lr=0.01", "prompt.words=5", "seed=5"],
    ["prompt=lowrank", "prompt.length=3", "lr=0.01", "seed=6"],
    ["prompt=lowrank", "prompt.length=3", "lr=0.01", "seed=7"],
    ["prompt=decomposed", "prompt.length=4", "lr=0.01"],
    ["prompt=hadamard", "prompt.length=4", "lr=0.01"],
]


def test_gradients(configure, nano, tmp_path):
    """On the trained backbone; each run sees its own rows and nothing of the others. In float64, where rounding moves
    no unit over the kink of its ReLU: in float32 one did, on one machine, and changed a gradient by half a per cent."""
    nano = copy.deepcopy(nano)
    nano.model.double()
    runs = [
        prepared(configure("task=cb", *SHORT, "backbone.max_tokens=64", *overrides), nano, tmp_path / str(i))
        for i, overrides in enumerate([*PACKED, *OTHERS])
    ]
    alone = [gradients for run in runs for gradients in first_gradients(nano, run)]
    for one, other in zip(alone, first_gradients(nano, *runs), strict=True):
        assert_gradients_close(one, other)


def records(folder):
    actual = {}
    for path in folder.rglob("result.json"):
        result = json.loads(path.read_text())
        history = [json.loads(line) for line in (path.parent / "metrics.jsonl").read_text().splitlines()]
        told = [(line["step"], line["score"]) for line in history]
        actual[result["id"]] = (told, result["scores"], result["stopped"], result["steps"])
    return actual


@pytest.mark.slow
def test_records(configure, tmp_path, evaluate_few):
    """Scores, early stops included; more runs than places."""
    evaluate_few(24)
    overrides = ["task=rte", "data.shots=8", "trainer.epochs=3", "trainer.patience=1", "backbone.max_tokens=48"]
    for together in (1, 3):
        configs = [configure(*overrides, *each, f"results={tmp_path / str(together)}") for each in PACKED]
        assert all(isinstance(outcome, float) for outcome in train_all(configs, together))
    expected = records(tmp_path / "1")
    assert len(expected) == len(PACKED) and len({steps for *_, steps in expected.values()}) > 1
    assert records(tmp_path / "3") == expected
    assert not list(tmp_path.rglob("checkpoint*")) and not list(tmp_path.rglob(".lock"))


@pytest.mark.slow
def test_a_pack_that_is_killed_goes_on(configure, tmp_path, monkeypatch, evaluate_few):
    """Also with one more run and in a different composition."""
    evaluate_few(24)
    overrides = ["task=cb", "data.shots=8", "trainer.epochs=2", "trainer.checkpoint_every=2", "backbone.max_tokens=64"]

    def configs(folder):
        return [configure(*overrides, *each, f"results={tmp_path / folder}") for each in PACKED]

    train_all(configs("unbroken"), 4)
    with crash_at(monkeypatch, 4):
        train_all(configs("broken")[:3], 3)
    assert len(list(tmp_path.glob("broken/**/checkpoint.safetensors"))) == 3
    assert not list(tmp_path.rglob(".lock"))
    train_all(configs("broken"), 4)
    assert records(tmp_path / "broken") == records(tmp_path / "unbroken")


def test_a_run_that_diverges_leaves_the_pack_and_the_others_go_on(configure, nano, tmp_path):
    configs = [configure("task=cb", *SHORT, "trainer.max_steps=12", lr) for lr in ("lr=1e30", "lr=0.01")]
    bad, good = (prepared(config, nano, tmp_path / str(config.lr), evaluated=8) for config in configs)
    assert fitted(nano, bad, good) == [bad, good]
    assert isinstance(bad.failure, NonFiniteLoss) and good.failure is None
    assert good.progress.step == 12 and torch.isfinite(good.soft_prompt.fold()).all()


@pytest.mark.slow
def test_what_ends_one_run_ends_no_other(configure, tiny, evaluate_few):
    """A run that diverges, and one whose prompt cannot be initialised: both are reported, the others finish."""
    evaluate_few(8)
    overrides = [
        "task=cb",
        "data.shots=8",
        "trainer.max_steps=10",
        "trainer.eval_every=9",
        "backbone.max_tokens=64",
        tiny,
    ]
    bad = [["lr=1e30"], ["prompt.init=labels", "prompt.length=2"]]
    outcomes = train_all([configure(*overrides, *each) for each in [*bad, *PACKED]], 4)
    assert [type(outcome).__name__ for outcome in outcomes] == ["NonFiniteLoss", "UsageError", *["Score"] * 4]


def test_a_backbone_that_cannot_be_read_ends_no_other_run(configure, tmp_path, evaluate_few):
    """Not even with an unknown error."""
    evaluate_few(8)
    broken = tmp_path / "broken"
    shutil.copytree(Path(backbones.__file__).parent / "nano", broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    overrides = ["task=cb", "data.shots=8", "trainer.max_steps=2", "backbone.max_tokens=64"]
    outcomes = train_all([configure(*overrides, *each) for each in ([f"backbone.path={broken}"], [])], 2)
    assert isinstance(outcomes[0], UsageError) and "cannot be loaded" in str(outcomes[0])
    assert isinstance(outcomes[1], float)


def test_an_unknown_error_before_the_record_ends_no_other_run(configure, monkeypatch, caplog, evaluate_few):
    evaluate_few(8)
    opened = sweep.prepare_run

    def opening(config, loader):
        if config.seed == 1:
            raise RuntimeError("out of file handles")
        return opened(config, loader)

    monkeypatch.setattr(sweep, "prepare_run", opening)
    overrides = ["task=cb", "data.shots=8", "trainer.max_steps=2", "backbone.max_tokens=64"]
    outcomes = train_all([configure(*overrides, f"seed={seed}") for seed in (0, 1, 2)], 3)
    assert [type(outcome) for outcome in outcomes] == [Score, RuntimeError, Score]
    assert "Traceback" in caplog.text and "out of file handles" in caplog.text


def test_padding_to_the_maximum_packs_prompts_of_one_length_only(configure, evaluate_few):
    evaluate_few(8)
    overrides = ["task=cb", "data.shots=8", "trainer.max_steps=2", "trainer.pad_to_max=true", "backbone.max_tokens=64"]
    outcomes = train_all([configure(*overrides, f"prompt.length={length}") for length in (3, 3, 12)], 3)
    assert all(isinstance(outcome, float) for outcome in outcomes)


def test_clipping_is_torchs_own_for_every_run(configure, nano, tmp_path):
    def gradients(folder, *overrides):
        overrides = ["task=cb", *SHORT, "prompt=residual", "prompt.length=3", *overrides]
        configs = [configure(*overrides, f"seed={seed}") for seed in (0, 1)]
        return first_gradients(nano, *[prepared(c, nano, tmp_path / folder / str(c.seed)) for c in configs])

    for free, clipped in zip(gradients("free"), gradients("clipped", "trainer.clip=0.05"), strict=True):
        alone = {name: torch.nn.Parameter(torch.zeros_like(gradient)) for name, gradient in free.items()}
        for name, parameter in alone.items():
            parameter.grad = free[name].clone()
        assert torch.nn.utils.clip_grad_norm_(alone.values(), 0.05) > 0.05
        assert_gradients_close({name: parameter.grad for name, parameter in alone.items()}, clipped)


class TestMemory:
    def limited(self, monkeypatch, backbone, rows, training=True):
        encode = backbone.encode

        def encoding(prompts, mask, ids):
            if torch.is_grad_enabled() == training and len(ids) > rows:
                raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
            return encode(prompts, mask, ids)

        monkeypatch.setattr(backbone, "encode", encoding)

    def runs(self, configure, backbone, folder):
        overrides = ["task=cb", SMOOTH, *SHORT, "backbone.max_tokens=64"]
        return [
            prepared(configure(*overrides, *each), backbone, folder / str(i), evaluated=8)
            for i, each in enumerate(PACKED)
        ]

    def test_passes_are_halved_until_they_fit(self, configure, smooth_backbone, tmp_path, monkeypatch):
        runs = self.runs(configure, smooth_backbone, tmp_path / "a")
        expected = traced(Pack(smooth_backbone, 4), runs)
        self.limited(monkeypatch, smooth_backbone, 5)
        runs = self.runs(configure, smooth_backbone, tmp_path / "b")
        pack = Pack(smooth_backbone, 4)
        assert_equal_traces(traced(pack, runs), expected)
        assert pack.limit.max_tokens <= 5 * 64

    def test_evaluations_are_halved_too(self, configure, smooth_backbone, tmp_path, monkeypatch, caplog):
        def histories(folder):
            runs = self.runs(configure, smooth_backbone, tmp_path / folder)
            ended = list(Pack(smooth_backbone, 4).fit(iter(runs)))
            return [run.progress.history for run in sorted(ended, key=runs.index)]

        expected = histories("a")
        self.limited(monkeypatch, smooth_backbone, 3, training=False)
        assert histories("b") == expected
        assert 0 < caplog.text.count("Out of memory") < 8  # not at every evaluation again

    def test_what_no_row_fits_fails_every_run_of_the_pack(self, configure, tmp_path, monkeypatch, caplog):
        monkeypatch.setattr(Step, "run_passes", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("no room")))
        outcomes = train_all([configure("task=cb", *SHORT, *each) for each in PACKED], 4)
        assert [type(outcome) for outcome in outcomes] == [torch.OutOfMemoryError] * 4
        told = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
        assert [result["status"] for result in told] == ["failed"] * 4
        consoles = [path.read_text() for path in tmp_path.rglob("console.log")]
        assert [console.count("Traceback") for console in consoles] == [1] * 4 and caplog.text.count("Traceback") == 1

    def test_a_trial_tells_what_a_row_keeps(self, smooth_backbone):
        short, long = (measure_kept_bytes(smooth_backbone, width) for width in (32, 128))
        assert 4 * short < long < 16 * short  # linear in the tokens but for attention, which is quadratic


@settings(max_examples=25)
@given(
    st.integers(1, 5), st.integers(1, 8), st.sampled_from([0.0, 0.01]), st.sampled_from([1e-8, 1e-3]), st.integers(0, 9)
)
def test_stacked_adamw_is_adamw(runs, steps, weight_decay, eps, seed):
    """Compared with torch's optimizer for each run; one run joins later."""
    compare_with("torch", torch.optim.AdamW, runs, steps, weight_decay, eps, seed)


class PublishedAdamW(torch.optim.Optimizer):
    """The formula of transformers' AdamW, parameter by parameter."""

    def __init__(self, parameters, **defaults):
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self):
        lr, eps, weight_decay = (self.defaults[key] for key in ("lr", "eps", "weight_decay"))
        for p in self.param_groups[0]["params"]:
            t, m, v = self.state[p].get("moments", (0, torch.zeros_like(p), torch.zeros_like(p)))
            t, m, v = t + 1, 0.9 * m + 0.1 * p.grad, 0.999 * v + 0.001 * p.grad**2
            self.state[p]["moments"] = t, m, v
            step_size = lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            p -= step_size * m / (v.sqrt() + eps)
            p -= lr * weight_decay * p


@settings(max_examples=25)
@given(
    st.integers(1, 5), st.integers(1, 8), st.sampled_from([0.0, 0.1]), st.sampled_from([1e-8, 1e-2]), st.integers(0, 9)
)
def test_stacked_adamw_of_the_published_code(runs, steps, weight_decay, eps, seed):
    """It adds eps before the correction and decays after the update: with these values, far from torch's."""
    compare_with("transformers", PublishedAdamW, runs, steps, weight_decay, eps, seed)


def compare_with(adamw, alone_class, runs, steps, weight_decay, eps, seed):
    """Stacked runs with a new optimizer for every step, as after a checkpoint, and each run alone."""

    class OneRun:
        def __init__(self, number):
            self.rate, self.moments = 10.0 ** -(number % 4), {}
            self.progress = type("Progress", (), {"updates": 0})()
            trainer = type("Trainer", (), {"eps": eps, "weight_decay": weight_decay, "adamw": adamw})()
            self.config = type("Config", (), {"trainer": trainer})()

        def choose_lr(self, name):
            return self.rate

    generator = torch.Generator().manual_seed(seed)
    shapes = {"table": (3, 4), "bias": (4,)}
    each = [OneRun(number) for number in range(runs)]
    start = {name: torch.randn(runs, *shape, generator=generator) for name, shape in shapes.items()}
    alone = [{name: start[name][r].clone().requires_grad_() for name in shapes} for r in range(runs)]
    theirs = [alone_class(alone[r].values(), lr=each[r].rate, eps=eps, weight_decay=weight_decay) for r in range(runs)]
    values = copy.deepcopy(start)
    for step in range(steps):
        present = list(range(runs if step else max(1, runs - 1)))  # the last run joins after the first step
        stacked = {name: values[name][present].clone().requires_grad_() for name in shapes}
        ours = StackedAdamW(stacked, [each[r] for r in present])
        for name, shape in shapes.items():
            gradient = torch.randn(runs, *shape, generator=generator)
            stacked[name].grad = gradient[present].clone()
            for r in present:
                alone[r][name].grad = gradient[r].clone()
        ours.step()
        for r in present:
            theirs[r].step()
        for name in shapes:
            values[name][present] = stacked[name].detach()
    for r in range(runs):
        for name in shapes:
            torch.testing.assert_close(values[name][r], alone[r][name].detach(), rtol=1e-5, atol=1e-6)
