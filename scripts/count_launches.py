"""Count the kernels that a training step launches on a GPU, and its waits for the device, without computing anything.

    python scripts/count_launches.py

It counts on a simulated GPU (benchmarking/pretended_gpu.py), with the shapes of T5-Base and BERT-Base but without their
weights, in two minutes. Writes results/benchmark/launches.json and .md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarking.pretended_gpu import Gpu, pretend_gpu
from benchmarking.pretended_kernels import IN_GRAPH
from benchmarking.settings import SHAPES, TOKENS, compose_config
from transformers import AutoTokenizer, BertConfig, BertModel, T5Config, T5ForConditionalGeneration

import rpt.backbones
from rpt.backbones import Backbone, BertBackbone, Encoded, Row, T5Backbone
from rpt.backbones.device import find_device, precision_of
from rpt.config import Config
from rpt.data import task_for
from rpt.data.sequences import TokenSequence
from rpt.files import check_folder, write_atomically
from rpt.records.environment import environment
from rpt.records.run_folder import RunFolder
from rpt.training.engine.pack import Pack
from rpt.training.run.evaluate import evaluate
from rpt.training.run.first_values import make_head, make_soft_prompt
from rpt.training.run.run import TrainingRun

EMBEDDED = Path(rpt.backbones.__file__).parent  # its tokenizers also serve these models
PACKS = (1, 3, 8, 16)
LENGTHS = range(166, 142, -3)  # tokens of a batch's 8 rows
PARTS = ("forward", "backward", "optimizer")
OPTIMIZER = (
    "rpt/training/engine/optimizer.py:",
    "rpt/training/engine/step.py:update",
    "rpt/training/engine/stacked_runs.py:clip_gradients",
)


def make_backbone(name: str) -> Backbone:
    with torch.device("meta"):
        if name == "bert_base":
            encoder = BertModel(BertConfig(), add_pooling_layer=False)
            return BertBackbone(encoder, AutoTokenizer.from_pretrained(EMBEDDED / "nano_bert"), name)
        model = T5ForConditionalGeneration(T5Config(**TOKENS, **SHAPES["t5_base"]))
        return T5Backbone(model, AutoTokenizer.from_pretrained(EMBEDDED / "nano"), name)


def make_run(config: Config, backbone: Backbone) -> TrainingRun:
    """A run on one batch of made-up rows; BoolQ's answers have two tokens."""
    rows = [make_row(backbone, length) for length in LENGTHS]
    task = task_for(config)
    raw = {"passage": "a", "question": "b", "label": 0}
    examples = [example for i in range(len(rows)) for example in task.parse({**raw, "idx": i})]
    encoded = Encoded(task, examples, [[row] for row in rows])
    soft_prompt, head = make_soft_prompt(config, task, backbone), make_head(config, task, backbone)
    return TrainingRun(config, RunFolder(Path(tempfile.mkdtemp())), soft_prompt, head, {}, rows, encoded, encoded)


def make_row(backbone: Backbone, length: int) -> Row:
    if isinstance(backbone, BertBackbone):
        return Row((TokenSequence(np.ones(length, dtype=np.int32), length),), 0)
    return Row(([5] * length,), [5, 1], terms=2)


def count(name: str) -> list[dict[str, Any]]:
    """Count a step of a pack of each size, and a batch of an evaluation."""
    counts = []
    for size in PACKS:
        with pretend_gpu(compute=False) as gpu:
            backbone = make_backbone(name)
            overrides = ["task=boolq", f"backbone={name}", "data=mini", "trainer.precision=bf16", "prompt=residual"]
            configs = [compose_config(*overrides, f"seed={seed}") for seed in range(size)]
            backbone.place(find_device(), precision_of(configs[0]))
            pack = Pack(backbone, size)
            runs = [make_run(config, backbone) for config in configs]
            pack.join(runs)
            for _ in range(3):  # the second records the graph that the third replays
                pack.active = {run: iter([np.arange(len(run.rows))]) for run in runs}
                gpu.forget()
                pack.step()
            counts.append({"backbone": name, "what": f"a step of {size} run{'s' * (size > 1)}", **describe(gpu)})
            if size == 1:
                run = runs[0]
                prompt, head = run.fold_prompt(), run.copy_head()
                gpu.forget()
                evaluate(backbone, prompt, head, run.select, run.config)
                counts.append({"backbone": name, "what": "an evaluation batch of 8", **describe(gpu)})
    return counts


def describe(gpu: Gpu) -> dict[str, Any]:
    parts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    launches = 0
    for kernel, times in gpu.kernels.items():
        launches += 0 if kernel.phase.endswith(IN_GRAPH) else times
        if kernel.operation != "graph":
            parts["optimizer" if kernel.where.startswith(OPTIMIZER) else kernel.phase.removesuffix(IN_GRAPH)] += times
            kinds[kernel.operation] += times
    return {
        "launches": launches,
        "kernels": {part: parts[part] for part in PARTS} | {"all": parts.total()},
        "most": dict(kinds.most_common(12)),
        "waits": [wait._asdict() for wait in gpu.waits],
    }


def write_markdown(results: list[dict[str, Any]]) -> str:
    lines = [
        "# Kernels and waits",
        "",
        "Kernels that a GPU runs, launches that start them (a CUDA graph starts many), and how often the processor",
        "waits: with T5-Base's and BERT-Base's shapes, bf16, batches of 8 rows, residual prompts. Counted on a",
        "pretended GPU by `python scripts/count_launches.py`; copies to and from the device are not counted as",
        "kernels, and how long kernels take is not known. The runs of a pack have one shape of prompt.",
        "",
        "| backbone | | forward | backward | optimizer | kernels | launches | waits |",
        "|--|--|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        kernels = result["kernels"]
        numbers = " | ".join(f"{kernels[part]:,}" for part in (*PARTS, "all"))
        lines.append(
            f"| {result['backbone']} | {result['what']} | {numbers} | {result['launches']:,} | {len(result['waits'])} |"
        )
    for result in results:
        if result["what"].startswith(("a step of 1 ", "an evaluation")):
            lines += ["", f"**{result['backbone']}, {result['what']}**", ""]
            waits = Counter(f"{wait['where']} ({wait['why']})" for wait in result["waits"])
            for title, counted in (("waits", waits), ("kernels", result["most"])):
                told = ", ".join(f"{times} × {name}" for name, times in counted.items()) or "none"
                lines.append(f"* {title}: {told}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/benchmark"), help="a folder")
    chosen = parser.parse_args()
    check_folder(chosen.out, "--out")
    results = [result for name in ("t5_base", "bert_base") for result in count(name)]
    record = {"results": results, **environment()}
    write_atomically(chosen.out / "launches.json", (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(chosen.out / "launches.md", write_markdown(results).encode())
    print(write_markdown(results))


if __name__ == "__main__":
    main()
