"""Show the record of a benchmark as Markdown, as a summary and as a figure."""

from __future__ import annotations

import statistics
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarking.targets import summarise

SHOWN = {"ours": "alone", "ours, pack of 8": "in a pack of 8"}  # contestants whose time is split


def write_markdown(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    lines = [f"# How fast, on {record['device']}", "", NOTES.format(**record)]
    for result in record["results"]:
        if "failed" in result:
            lines += ["", f"## {result['backbone']}, {result['task']}", "", f"failed: {result['failed']}"]
            continue
        lines += [
            "",
            f"## {result['backbone']} ({result['weights']}), {result['task']} ({result['rows']} rows), "
            f"{result['precision']}, {result['mean_tokens']:.0f} tokens a row on average, {result['rounds']} rounds",
            "",
            *_contestants(result),
            "",
            "| ratio | measured (quartiles) | target | met |",
            "|--|--:|--:|--|",
            *map(_target, result["targets"]),
            *_split(result),
        ]
    return "\n".join(lines) + "\n"


def write_summary(record: dict[str, Any]) -> str:
    """A line for each setting and for each of its targets, for a terminal."""
    lines = []
    for result in record["results"]:
        name = f"{result['backbone']} {result['task']}"
        if "failed" in result:
            lines.append(f"{name}: failed: {result['failed']}")
            continue
        rates = []
        for contestant, entry in result["contestants"].items():
            rate = f"{8 / statistics.median(entry['train']):,.0f}" if "failed" not in entry else "failed"
            rates.append(f"{contestant.replace('ours, ', '')} {rate}")
        floor = result["floor"]
        rates.append(f"floor {8 / floor['seconds']:,.0f}" if "seconds" in floor else "floor failed")
        lines.append(f"{name}, rows/s: {'; '.join(rates)}")
        for target in result["targets"]:
            if target["ratio"] and target["target"]:
                said = "met" if target["met"] else "NOT met"
                at = f"{target['ratio']['median']:.2f} ({target['kind']} {target['target']})"
                lines.append(f"    {target['what']}: {at} {said}")
    return "\n".join(lines)


def _contestants(result: dict[str, Any]) -> list[str]:
    contestants, floor = result["contestants"], result["floor"]
    gpu = any("waits" in entry for entry in contestants.values())
    head = ["", "training, rows/s", "share of the floor", "evaluation, rows/s", "epoch with validation"]
    head += [
        "peak memory" if gpu else "peak memory of a step",
        *(("kernels a step", "launches", "waits") if gpu else ()),
    ]
    lines = [_row(head), "|--|" + "--:|" * (len(head) - 1)]
    for name, entry in contestants.items():
        if "failed" in entry:
            lines.append(_row([name, f"failed: {entry['failed']}", *[""] * (len(head) - 2)]))
            continue
        share = f"{floor['seconds'] / statistics.median(entry['train']):.0%}" if "seconds" in floor else ""
        training, epoch = show([8 / s for s in entry["train"]]), show(entry["epoch"], " s")
        cells = [name, training, share, show(entry["evaluate"]), epoch]
        cells.append(f"{entry['peak_bytes'] / 2**20:,.0f} MiB" if "peak_bytes" in entry else entry["unprofiled"])
        cells += [f"{entry[key]:,g}" if key in entry else "" for key in ("kernels", "launches", "waits")] if gpu else []
        lines.append(_row(cells))
    if "failed" in floor:
        told = [f"arithmetic floor failed: {floor['failed']}", ""]
    else:
        at = f"{floor['flops'] / 1e9:,.1f} GFLOP a step at {floor['matmul_flops_per_second'] / 1e9:,.0f} GFLOP/s"
        told = [f"arithmetic floor ({at})", f"{8 / floor['seconds']:,.1f}"]
    lines.append(_row([*told, *[""] * (len(head) - 2)]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _target(target: dict[str, Any]) -> str:
    ratio, met = target["ratio"], target["met"]
    measured = f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})" if ratio else "not measured"
    asked = "" if target["target"] is None else f"{target['kind']} {target['target']}"
    return _row([target["what"], measured, asked, "" if met is None else "yes" if met else "no"])


def _split(result: dict[str, Any]) -> list[str]:
    contestants = result["contestants"]
    split = "; ".join(
        f"{how} " + ", ".join(f"{what} {share:.0%}" for what, share in contestants[name]["shares"].items())
        for name, how in SHOWN.items()
        if "shares" in contestants.get(name, {})
    )
    lines = ["", f"Where a step spends its time, in processor or device time: {split}."] if split else []
    if "failed" not in contestants["ours"] and "seconds" in result["floor"]:
        most = statistics.median(contestants["ours"]["train"]) / result["floor"]["seconds"]
        lines += [] if lines else [""]
        lines += [BOUND.format(most=most)]
    return lines


NOTES = """\
Measured by `scripts/benchmark.py` in one run, on a processor by turns; medians, quartiles in brackets.
Training: {batches} batches of 8 from one epoch, the same for all (trainer=paper: {paper_batches} of them,
for all its rows are padded to 512 tokens). A pack's runs are shared among {processes} process(es), as by
hydra/launcher=packed. Epochs are computed from the rates and the full numbers of rows;
trainer=paper's also holds the greedy generation for the first 250 training batches, as the published code has it. The
floor is the forward pass and the backward pass of the activations at the speed of this machine's matrix products, in
the same precision; norms, softmax, casts and the optimizer are beyond it. A pack's peak is of one step of all its
runs. On a GPU the contestants are measured one after another, for CUDA graphs keep their memory, and every shape is
recorded when it is first met; the peak is of training and evaluation, with weights and graphs. Kernels, launches and
waits (of the processor, for the device) are those of a step of all runs on the longest rows that reads no loss."""

BOUND = """\
A pack computes what its runs compute alone, so at best it is as fast as the floor: {most:.2f} times as fast as one run
alone."""


def show(values: list[float], unit: str = "") -> str:
    if not values:
        return ""
    spread = summarise(values)
    return f"{spread['median']:,.1f}{unit} ({spread['low']:,.1f}–{spread['high']:,.1f})"


def draw(record: dict[str, Any]) -> Figure:
    """Training rates of all contestants: a row of panels for each backbone, a column for each task."""
    results = [result for result in record["results"] if "failed" not in result]
    backbones, tasks = (list(dict.fromkeys(result[key] for result in results)) or [""] for key in ("backbone", "task"))
    shown, axes = plt.subplots(
        len(backbones),
        len(tasks),
        figsize=(2.7 * len(tasks) + 1.4, 2.5 * len(backbones) + 0.4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for result in results:
        panel = axes[backbones.index(result["backbone"])][tasks.index(result["task"])]
        contestants = result["contestants"]  # a failed contestant has a line without a bar
        rates = [summarise([8 / s for s in entry.get("train", [float("inf")])]) for entry in contestants.values()]
        medians = [rate["median"] for rate in rates]
        below, above = [r["median"] - r["low"] for r in rates], [r["high"] - r["median"] for r in rates]
        colors = ["#D55E00" if name.startswith("ours") else "#0072B2" for name in contestants]
        panel.barh(list(contestants), medians, xerr=[below, above], color=colors, ecolor="#404040", capsize=2)
        if "seconds" in result["floor"]:
            panel.axvline(8 / result["floor"]["seconds"], color="#404040", linestyle="--", linewidth=1)
        panel.set_title(f"{result['backbone']}, {result['task']}", fontsize=9)
        panel.set_xlabel("training (rows/s)", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0][0].invert_yaxis()  # for all panels: they share the axis
    shown.suptitle(f"{record['device']}; dashed: arithmetic floor; bars: median, lines: quartiles", fontsize=9)
    return shown
