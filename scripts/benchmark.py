"""How fast: our trainer, alone and in packs, beside the published protocol and peft, on this machine, in one run.

    python scripts/benchmark.py

Writes results/benchmark/<device>.json, .md and .png. Every contestant trains on the same rows (a sample of one epoch's
batches of 8) and evaluates the same rows; they take turns, so that a machine that slows down slows all of them. An
epoch's time is computed from these rates and the task's full numbers of rows. Packs have the processes that
hydra/launcher=packed would give them.

Real BoolQ, RTE and WSC rows where `--rows` holds them, else the miniature's. The T5 is the hub's, or a folder's
(`--t5`); a folder with a tokenizer and a config.json alone gives it random weights, which are as fast.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from hydra import compose, initialize_config_dir
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm
from transformers import AutoTokenizer, DataCollatorForSeq2Seq, T5Config, T5ForConditionalGeneration

from rpt.backbones import Encoded, T5Backbone, load_backbone
from rpt.backbones.device import precision_of
from rpt.config import Config, config_folder, register, to_config
from rpt.data.tokens import encode_answers
from rpt.files import write_atomically
from rpt.records.environment import environment
from rpt.records.run_folder import RunFolder
from rpt.tasks import TASKS
from rpt.training.evaluate import evaluate
from rpt.training.memory import max_tokens
from rpt.training.pack import Pack, accelerator_for
from rpt.training.prepare import device_name, new_training_run, read_data
from rpt.training.run import TrainingRun
from rpt.training.workers import processes, threads_each

PACKS = (2, 4, 8, 16)
BATCHES = 16  # of 8 rows; the largest pack trains them in one step
PAPER_BATCHES = 1  # is enough where every row is padded to 512
PAPER_GENERATED = 250  # training batches of every epoch that the published code generates for, besides validation
EVALUATED, GENERATED = 32, 12  # rows: by our argmax rule, and by those who generate the answers
PAPER, PEFT = "trainer=paper", "peft + Seq2SeqTrainer"
MATMULS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear")
ATTENTION = ("aten::_scaled_dot_product", "aten::_softmax")
SHOWN = {"ours": "alone", "ours, pack of 8": "in a pack of 8"}  # whose time is split
Words = tuple[str, str, Path, str | None, str]  # of `setting_of`


@dataclass
class Setting:
    """A backbone and a task: what all contestants have in common."""

    config: Config
    paper: Config
    weights: str
    backbone: Callable[..., T5Backbone]  # dropout=True: its layers drop out

    @property
    def name(self) -> str:
        return f"{self.config.backbone.name} {self.config.task.name}"


class Ours:
    """Our trainer: `together` runs like the given one at once, each on its own part of the batches."""

    def __init__(self, run: TrainingRun, batches: list[np.ndarray], backbone: T5Backbone, together: int = 1):
        config = run.config
        self.config, self.batches, self.backbone = config, batches, backbone
        self.accelerator = accelerator_for(config)
        self.backbone.place(self.accelerator.device, precision_of(config))
        given = run.weights, run.rows, run.select, run.report  # the same for all: making them takes longer than a turn
        prompts = [deepcopy(run.soft_prompt).to(self.accelerator.device) for _ in range(together)]
        self.runs = [TrainingRun(config, run.record, prompt, None, *given) for prompt in prompts]
        self.pack = Pack(self.backbone, self.accelerator, together, max_tokens(config, self.backbone, self.accelerator))
        self.pack.join(self.runs)

    def train(self, batches: int) -> None:
        """On the first so many batches, or the first step's."""
        for i in range(0, batches, len(self.runs)):
            part = self.batches[i : i + len(self.runs)]
            self.pack.active = {run: iter([batch]) for run, batch in zip(self.runs, part, strict=True)}
            self.pack.step()
        for run in self.runs:
            self.pack.read_losses(run)  # waits for the device

    def evaluate(self, rows: int) -> None:
        run = self.runs[0]
        some = np.linspace(0, len(run.report.examples) - 1, rows).astype(int)
        part = Encoded([run.report.examples[i] for i in some], [run.report.rows[i] for i in some])
        evaluate(self.backbone, run.soft_prompt.fold(), run.head_values(), part, self.config, self.accelerator)


class Apart:
    """The processes that the launcher would give to our packs: each trains its part of every pack.

    Args:
        batches: of 8 rows.
        sizes: runs of each pack.
    """

    def __init__(self, words: Words, batches: list[np.ndarray], sizes: tuple[int, ...]):
        context = multiprocessing.get_context("spawn")
        self.children = []
        for number in range(processes(None, max(sizes))):
            pipe, end = context.Pipe()
            child = context.Process(target=_train_parts, args=(end, words, batches, sizes, number), daemon=True)
            child.start()
            end.close()  # the child has the only one left: when it dies, nothing more can come
            self.children.append((child, pipe))

    def ask(self, size: int, *question: Any) -> list[Any]:
        """The answers of all processes that have a part of the pack."""
        pipes = [pipe for _, pipe in self.children[: processes(None, size)]]
        for pipe in pipes:
            pipe.send((size, *question))
        return [pipe.recv() for pipe in pipes]

    def end(self) -> None:
        for child, pipe in self.children:
            pipe.close()
            child.join()


def _train_parts(
    pipe: Connection, words: Words, batches: list[np.ndarray], sizes: tuple[int, ...], number: int
) -> None:
    """What a process does: for every pack, the part of its runs and batches that this number's process gets."""
    setting, parts = setting_of(*words), {}
    backbone = setting.backbone()
    run = prepared(setting.config, backbone)
    for size in sizes:
        n = processes(None, size)
        own = [batch for i in range(0, len(batches), size) for batch in batches[i : i + size][number::n]]
        if runs := len(range(number, size, n)):
            parts[size] = Ours(run, own, backbone, runs), threads_each(n)
    while True:
        try:
            size, what, *given = pipe.recv()
        except EOFError:  # the parent is done with it, or dead
            return
        part, threads = parts[size]
        torch.set_num_threads(threads)
        pipe.send(part.train(len(part.batches)) if what == "train" else profiled(part, *given))


class PackApart:
    """One of the packs of `Apart`."""

    def __init__(self, apart: Apart, size: int):
        self.apart, self.size = apart, size

    def train(self, _batches: int) -> None:
        """On all of them."""
        self.apart.ask(self.size, "train")

    def profiled(self, with_shares: bool) -> dict[str, Any]:
        """All processes' peaks together; where the time goes is much the same in each."""
        found = self.apart.ask(self.size, "profile", with_shares)
        return found[0] | {"peak_bytes": sum(of["peak_bytes"] for of in found)}


class Peft:
    """peft's prompt tuning under transformers' Seq2SeqTrainer: rows padded to the longest of their batch."""

    def __init__(self, run: TrainingRun, batches: list[np.ndarray], backbone: T5Backbone):
        from peft import PromptTuningConfig, TaskType, get_peft_model

        config, precision = run.config, precision_of(run.config)
        task, length = TASKS[config.task.name], config.prompt.length
        prompt = PromptTuningConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=length)
        model = get_peft_model(backbone.model, prompt)
        rows = [i for batch in batches for i in batch]
        words = task.verbalizers(config.protocol.name)
        longest = task.max_answer_tokens or max(map(len, encode_answers(list(words), backbone.tokenizer)))
        self.trained = [{"input_ids": run.rows[i].sequences[0], "labels": run.rows[i].target} for i in rows]
        self.report = [{"input_ids": row.sequences[0], "labels": run.rows[0].target} for (row,) in run.report.rows]
        self.seconds = Stopwatch()
        self.trainer = transformers.Seq2SeqTrainer(
            model,
            transformers.Seq2SeqTrainingArguments(
                output_dir=tempfile.mkdtemp(), per_device_train_batch_size=config.trainer.batch_size,
                per_device_eval_batch_size=config.trainer.eval_batch_size,
                learning_rate=config.lr, weight_decay=config.trainer.weight_decay, lr_scheduler_type="constant",
                max_grad_norm=0.0, bf16=precision == "bf16", use_cpu=not torch.cuda.is_available(),
                train_sampling_strategy="sequential", predict_with_generate=True, generation_max_length=longest + 1,
                save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True,
            ),
            train_dataset=self.trained,
            data_collator=DataCollatorForSeq2Seq(backbone.tokenizer, model),
            callbacks=[self.seconds],
        )  # fmt: skip

    def train(self, batches: int) -> float:
        """Its own seconds: of the steps, without what the Trainer does before the first."""
        self.trainer.args.max_steps = batches
        self.trainer.train()
        return self.seconds.total

    def evaluate(self, rows: int) -> None:
        some = np.linspace(0, len(self.report) - 1, rows).astype(int)
        self.trainer.predict([self.report[i] for i in some])


class Stopwatch(transformers.TrainerCallback):
    """From the begin of the first step to the end of the last."""

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self.began = time.perf_counter()

    def on_step_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        self.total = time.perf_counter() - self.began


# ---- measuring -------------------------------------------------------------------------------------------


def timed(call: Callable[[], Any]) -> float:
    """Seconds, by the call's own count if it returns one."""
    began = time.perf_counter()
    own = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return own if isinstance(own, float) else time.perf_counter() - began


def profiled(contestant: Ours | Peft, with_shares: bool) -> dict[str, Any]:
    """A step on the longest batch under the profiler: peak bytes and, as it takes long, only where asked for each kind
    of operator's share of the time."""
    held = 0
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()  # by the weights of all contestants
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities, profile_memory=True) as seen:
        contestant.train(1)
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() - held
    else:
        changes = [e.nbytes() for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
        peak = int(np.cumsum(changes).max(initial=0))
    if not with_shares:
        return {"peak_bytes": peak}
    # Kernels stand under the operators that started them, and once more by themselves, which are no CPU events.
    operators = [e for e in seen.key_averages() if e.device_type == DeviceType.CPU]
    spent = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    times = {e.key: getattr(e, spent) for e in operators}
    total = sum(times.values())
    shares = {
        "matrix products": sum(t for key, t in times.items() if key in MATMULS) / total,
        "attention and softmax": sum(t for key, t in times.items() if key.startswith(ATTENTION)) / total,
    }
    return {"peak_bytes": peak, "shares": shares | {"everything else": 1 - sum(shares.values())}}


def flops(contestant: Ours) -> int:
    """Floating-point operations of a round: the forward pass and the backward pass of the activations."""
    with FlopCounterMode(display=False) as counted:
        contestant.train(BATCHES)
    return counted.get_total_flops()


def matmul_rate(backbone: T5Backbone, precision: str, rows: int = 4096) -> float:
    """Floating-point operations per second of the widest layer's product, in that precision."""
    config, dtype = backbone.model.config, {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    left = torch.randn(rows, config.d_model, device=backbone.device).to(dtype[precision])
    right = torch.randn(config.d_ff, config.d_model, device=backbone.device).to(dtype[precision])
    seconds = [timed(lambda: torch.nn.functional.linear(left, right)) for _ in range(60)]
    return 2 * rows * config.d_model * config.d_ff / statistics.median(seconds[10:])


def prepared(config: Config, backbone: T5Backbone) -> TrainingRun:
    return new_training_run(config, read_data(config), backbone, RunFolder(Path(tempfile.mkdtemp())))


def measure(words: Words, rounds: int, bar: tqdm) -> dict[str, Any]:
    """All contestants on one backbone and task."""
    setting = setting_of(*words)
    config, precision = setting.config, precision_of(setting.config)
    backbone = setting.backbone()  # frozen, so all of ours can have it
    probe, paper = prepared(config, backbone), prepared(setting.paper, backbone)
    epoch = [batch for batch in islice(probe.steps(), probe.steps_per_epoch) if len(batch) == config.trainer.batch_size]
    full = sorted(epoch, key=lambda batch: max(probe.rows[i].length for i in batch))
    sample = np.linspace(0, len(full) - 1, BATCHES).astype(int)
    # The longest first, for the peak; the others in no order, as the runs of a pack meet.
    batches = [full[-1], *(full[i] for i in np.random.default_rng(0).permutation(sample[:-1]))]
    apart = Apart(words, batches, PACKS) if processes(None, max(PACKS)) > 1 else None
    ready = {"ours": Ours(probe, batches, backbone)}
    ready |= {f"ours, pack of {k}": PackApart(apart, k) if apart else Ours(probe, batches, backbone, k) for k in PACKS}
    ready |= {
        PAPER: Ours(paper, batches, setting.backbone(setting.paper.trainer.dropout)),
        PEFT: Peft(probe, batches, setting.backbone()),
    }
    operations = flops(ready["ours"]) / BATCHES  # before the profiles: a process's first steps are not like the others
    found = {}
    for name, one in ready.items():
        profile_it = one.profiled if isinstance(one, PackApart) else partial(profiled, one)
        found[name] = {"train": [], "evaluate": []} | profile_it(name in SHOWN)
    rates = []
    for _ in range(rounds):
        rates.append(matmul_rate(backbone, precision))
        for name, contestant in ready.items():
            bar.set_postfix_str(f"{setting.name}: {name}", refresh=True)
            evaluated = GENERATED if name in (PAPER, PEFT) else EVALUATED
            trained = PAPER_BATCHES if name == PAPER else BATCHES
            seconds = timed(lambda c=contestant, n=trained: c.train(n)) / trained
            rate = None
            if not name.startswith("ours, pack"):  # each run is evaluated by itself, as alone
                rate = evaluated / timed(lambda c=contestant, n=evaluated: c.evaluate(n))
            found[name]["train"].append(seconds)
            found[name]["evaluate"].append(rate)
            bar.update()
    if apart:
        apart.end()
    for name in ready:
        if name.startswith("ours, pack"):
            found[name]["evaluate"] = found["ours"]["evaluate"]
    steps, validation = probe.steps_per_epoch, len(probe.select.examples)
    for name, of in found.items():
        generated = min(PAPER_GENERATED, steps) * config.trainer.batch_size if name == PAPER else 0
        of["epoch"] = [
            steps * train + (validation + generated) / rate
            for train, rate in zip(of["train"], of["evaluate"], strict=True)
        ]
    rate = statistics.median(rates)
    return {
        "backbone": config.backbone.name, "weights": setting.weights, "task": config.task.name,
        "rows": "SuperGLUE" if config.data.name == "folder" else "miniature",
        "train_rows": len(probe.rows), "validation_rows": validation, "precision": precision,
        "mean_tokens": statistics.mean(row.length for row in probe.rows) + config.prompt.length,
        "contestants": found,
        "floor": {"flops": operations, "matmul_flops_per_second": rate, "seconds": operations / rate},
    }  # fmt: skip


# ---- what is shown ---------------------------------------------------------------------------------------


def targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The ratios that are asked for, each round against the same round, with what they should be on this device."""
    cuda, of, task = torch.cuda.is_available(), result["contestants"], result["task"]
    single = of["ours"]

    pack = of["ours, pack of 8"]

    def ratio(slow: list[float], fast: list[float]) -> list[float]:
        return [a / b for a, b in zip(slow, fast, strict=True)]

    floor = [result["floor"]["seconds"]] * len(single["train"])
    wanted = {"boolq": 8, "wsc": 15} if cuda else {"boolq": 5, "rte": 8, "wsc": 15}
    asked = [
        ("epoch, trainer=paper / ours", ratio(of[PAPER]["epoch"], single["epoch"]), wanted.get(task), "at least"),
        ("training, peft / ours", ratio(of[PEFT]["train"], single["train"]), 2 if cuda else 1.3, "at least"),
        ("training, 8 alone / pack of 8", ratio(single["train"], pack["train"]), 4 if cuda else 1.3, "at least"),
        ("training, ours / floor", ratio(single["train"], floor), None if cuda else 2, "at most"),
        ("training, pack of 8 / floor", ratio(pack["train"], floor), 3 if cuda else None, "at most"),
    ]  # fmt: skip
    return [
        {"what": what, "ratio": spread(values), "target": target, "kind": kind}
        | {"met": None if target is None else (statistics.median(values) >= target) == (kind == "at least")}
        for what, values, target, kind in asked
    ]


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, high = np.percentile(values, [25, 75])
    return {"median": statistics.median(values), "low": float(low), "high": float(high)}


def markdown(record: dict[str, Any]) -> str:
    """The record for reading."""
    lines = [f"# How fast, on {record['device']}", "", NOTES.format(**record)]
    for result in record["results"]:
        lines += [
            "",
            f"## {result['backbone']} ({result['weights']}), {result['task']} ({result['rows']} rows), "
            f"{result['precision']}, {result['mean_tokens']:.0f} tokens a row on average",
            "",
            "| | training, rows/s | evaluation, rows/s | epoch with validation | peak memory of a step |",
            "|--|--:|--:|--:|--:|",
        ]
        for name, of in result["contestants"].items():
            training, evaluation = ([per / s for s in of["train"]] if per else of["evaluate"] for per in (8, 0))
            lines.append(
                f"| {name} | {_shown(training)} | {_shown(evaluation)} | {_shown(of['epoch'], ' s')} "
                f"| {of['peak_bytes'] / 2**20:,.0f} MiB |"
            )
        floor = result["floor"]
        lines.append(
            f"| arithmetic floor ({floor['flops'] / 1e9:.1f} GFLOP a step at "
            f"{floor['matmul_flops_per_second'] / 1e9:,.0f} GFLOP/s) | {8 / floor['seconds']:.1f} | | | |"
        )
        lines += ["", "| ratio | measured (quartiles) | target | met |", "|--|--:|--:|--|"]
        for target in result["targets"]:
            of, met = target["ratio"], target["met"]
            asked = "" if target["target"] is None else f"{target['kind']} {target['target']}"
            lines.append(
                f"| {target['what']} | {of['median']:.2f} ({of['low']:.2f}–{of['high']:.2f}) "
                f"| {asked} | {'' if met is None else 'yes' if met else 'no'} |"
            )
        split = "; ".join(
            f"{how} "
            + ", ".join(f"{what} {share:.0%}" for what, share in result["contestants"][name]["shares"].items())
            for name, how in SHOWN.items()
        )
        most = statistics.median(result["contestants"]["ours"]["train"]) / floor["seconds"]
        lines += ["", BOUND.format(split=split, most=most)]
    return "\n".join(lines) + "\n"


NOTES = """\
Measured by `scripts/benchmark.py` in one run, {rounds} rounds in which the contestants took turns; medians, quartiles
in brackets. Training: {batches} batches of 8 from one epoch, the same for all (trainer=paper: {paper_batches} of them,
for all its rows are padded to 512 tokens). A pack's runs are shared among {processes} process(es), as by
hydra/launcher=packed. Epochs are computed from the rates and the full numbers of rows;
trainer=paper's also holds the greedy generation for the first 250 training batches, as the published code has it. The
floor is the forward pass and the backward pass of the activations at the speed of this machine's matrix products, in
the same precision; norms, softmax, casts and the optimizer are beyond it. A pack's peak is of one step of all its
runs."""

BOUND = """\
Where a step spends its time, in processor or device time: {split}.
A pack computes what its runs compute alone, so at best it is as fast as the floor: {most:.2f} times as fast as one run
alone."""


def _shown(values: list[float], unit: str = "") -> str:
    of = spread(values)
    return f"{of['median']:,.1f}{unit} ({of['low']:,.1f}–{of['high']:,.1f})"


def figure(record: dict[str, Any]) -> Figure:
    """Training rates of all contestants: a row of panels for each backbone, a panel for each task."""
    backbones, tasks = (
        list(dict.fromkeys(result[key] for result in record["results"])) for key in ("backbone", "task")
    )
    shown, axes = plt.subplots(
        len(backbones), len(tasks), figsize=(2.7 * len(tasks) + 1.4, 2.5 * len(backbones) + 0.4), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for result in record["results"]:
        panel = axes[backbones.index(result["backbone"])][tasks.index(result["task"])]
        rates = [spread([8 / s for s in of["train"]]) for of in result["contestants"].values()]
        medians = [of["median"] for of in rates]
        errors = [[of["median"] - of["low"] for of in rates], [of["high"] - of["median"] for of in rates]]
        colors = ["#D55E00" if name.startswith("ours") else "#0072B2" for name in result["contestants"]]
        panel.barh(list(result["contestants"]), medians, xerr=errors, color=colors, ecolor="#404040", capsize=2)
        panel.axvline(8 / result["floor"]["seconds"], color="#404040", linestyle="--", linewidth=1)
        panel.set_title(f"{result['backbone']}, {result['task']}", fontsize=9)
        panel.set_xlabel("training (rows/s)", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0][0].invert_yaxis()  # for all: they share it
    shown.suptitle(f"{record['device']}; dashed: arithmetic floor; bars: median, lines: quartiles", fontsize=9)
    return shown


# ---- the command -----------------------------------------------------------------------------------------


def composed(*overrides: str) -> Config:
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return to_config(compose("train", ["tracking=none", *overrides]))


def setting_of(backbone: str, task: str, rows: Path, t5: str | None, precision: str) -> Setting:
    """A backbone and a task, with a way to load the backbone anew for every contestant that changes it."""
    register()
    transformers.utils.logging.set_verbosity_error()
    data = f"data.dir={rows}" if rows.is_dir() else "data=mini"
    words = [f"task={task}", f"backbone={backbone}", data, "prompt=residual"]
    config = composed(*words, f"trainer.precision={precision}")
    paper = composed(*words, "trainer=paper")
    if backbone == "nano" or t5 is None:
        return Setting(config, paper, "pretrained", partial(load_backbone, config.backbone))
    if Path(t5, "model.safetensors").is_file():
        config.backbone.path = paper.backbone.path = t5
        return Setting(config, paper, "pretrained", partial(load_backbone, config.backbone))

    def random_weights(dropout: bool = False) -> T5Backbone:
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(T5Config.from_pretrained(t5))
        return T5Backbone(model, AutoTokenizer.from_pretrained(t5), "random weights", dropout)

    return Setting(config, paper, "random weights", random_weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["nano", "t5_small"], help="names under configs/backbone")
    parser.add_argument("--tasks", nargs="+", default=["boolq", "rte", "wsc"])
    parser.add_argument(
        "--rows", type=Path, default=Path("../shared/superglue"), help="SuperGLUE in the official layout"
    )
    parser.add_argument("--t5", help="a folder with the T5 of --backbones; default: from the hub")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--out", type=Path, default=Path("results/benchmark"))
    chosen = parser.parse_args()
    settings = [
        (backbone, task, chosen.rows, chosen.t5, chosen.precision)
        for backbone in chosen.backbones
        for task in chosen.tasks
    ]
    for words in settings:
        setting_of(*words)  # what cannot be had is said before the first is measured
    results = []
    with tqdm(total=len(settings) * chosen.rounds * (3 + len(PACKS)), unit="turn") as bar:
        for words in settings:
            result = measure(words, chosen.rounds, bar)
            results.append(result | {"targets": targets(result)})
    record = {
        "device": device_name(), "rounds": chosen.rounds, "batches": BATCHES, "paper_batches": PAPER_BATCHES,
        "processes": processes(None, max(PACKS)), "results": results, **environment(),
    }  # fmt: skip
    name = f"{device_name()}-{chosen.precision}".lower().replace(", ", "-").replace(" ", "-")
    image = io.BytesIO()
    figure(record).savefig(image, format="png", dpi=150)
    write_atomically(chosen.out / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(chosen.out / f"{name}.md", markdown(record).encode())
    write_atomically(chosen.out / f"{name}.png", image.getvalue())
    print(markdown(record))


if __name__ == "__main__":
    main()
