"""What the record of a benchmark says, for reading."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

PAPER, PEFT = "trainer=paper", "peft + Seq2SeqTrainer"
SHOWN = {"ours": "alone", "ours, pack of 8": "in a pack of 8"}  # whose time is split


def compare_with_targets(result: dict[str, Any]) -> list[dict[str, Any]]:
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
        {"what": what, "ratio": summarise(values), "target": target, "kind": kind}
        | {"met": None if target is None else (statistics.median(values) >= target) == (kind == "at least")}
        for what, values, target, kind in asked
    ]


def summarise(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, high = np.percentile(values, [25, 75])
    return {"median": statistics.median(values), "low": float(low), "high": float(high)}


def write_markdown(record: dict[str, Any]) -> str:
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
                f"| {name} | {show(training)} | {show(evaluation)} | {show(of['epoch'], ' s')} "
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


def show(values: list[float], unit: str = "") -> str:
    of = summarise(values)
    return f"{of['median']:,.1f}{unit} ({of['low']:,.1f}–{of['high']:,.1f})"


def draw(record: dict[str, Any]) -> Figure:
    """Training rates of all contestants: a row of panels for each backbone, a panel for each task."""
    backbones, tasks = (
        list(dict.fromkeys(result[key] for result in record["results"])) for key in ("backbone", "task")
    )
    shown, axes = plt.subplots(
        len(backbones),
        len(tasks),
        figsize=(2.7 * len(tasks) + 1.4, 2.5 * len(backbones) + 0.4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for result in record["results"]:
        panel = axes[backbones.index(result["backbone"])][tasks.index(result["task"])]
        rates = [summarise([8 / s for s in of["train"]]) for of in result["contestants"].values()]
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
