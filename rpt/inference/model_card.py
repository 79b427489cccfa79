"""The README.md that goes with an exported prompt."""

from __future__ import annotations

import json
import os
from typing import Any

from huggingface_hub import ModelCardData

from rpt.data.miniature import GRAMMARS, rows
from rpt.inference.saved_run import SavedRun
from rpt.tasks import TASKS, Example, Task
from rpt.tasks.custom import CustomTask

CARD = """\
---
{front}
---
# A soft prompt for {name}: {prompt} prompt tuning, {n} tokens

Made with rpt, a reproduction of [Residual Prompt Tuning](https://arxiv.org/abs/2305.03937): {n} embeddings that stand
in front of the text in the encoder of a frozen {backbone}. These {kept:,} numbers are all that is kept of training; the
backbone is as it was. A soft prompt cannot be merged into the backbone's weights: it is loaded beside them.

## Use

`pip install peft transformers torch`, then in this folder:

```python
import torch
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

base = {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoModelForSeq2SeqLM.from_pretrained(base{revision}, dtype=torch.float32)
model.generation_config = GenerationConfig(  # greedy, whatever lies beside the weights
    decoder_start_token_id=model.config.decoder_start_token_id,
    eos_token_id=tokenizer.eos_token_id,
    pad_token_id=tokenizer.pad_token_id,
)
model = PeftModel.from_pretrained(model, ".").eval()

texts = [{text}]
batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length={budget})
ids = model.generate(**batch, max_new_tokens={longest}, do_sample=False, num_beams=1)
print(tokenizer.batch_decode(ids, skip_special_tokens=True))
```
{folder}
Write your texts exactly as this one, field by field (it is a made-up row). {answers}

In training, prompt and text had {max_tokens} tokens together. The code above cuts the end off a text of more than
{budget}; rpt shortens the longest field instead, so that the others stay whole. For equal answers to long texts do the
same.

## Scores

On {report:,} {reported}, under rpt's protocol `{protocol}`, in per cent; beside them what the training rows' most
frequent answer would score.

| metric | prompt | most frequent answer |
|--|--|--|
{scores}
{caution}
From run `{id}`: learning rate {lr:g}, seed {seed}, the best of {steps:,} steps ({best:,}), {precision} on {device},
rpt {version} at commit {commit}. The backbone's weights have the fingerprint `{weights}`.

## Limits and licence

The prompt is for these weights, texts and answers alone, and was measured on nothing but the rows above. It is under
Apache-2.0; the backbone and SuperGLUE's rows have licences of their own.

```bibtex
@inproceedings{{razdaibiedina2023residual,
  title = {{Residual Prompt Tuning: Improving Prompt Tuning with Residual Reparameterization}},
  author = {{Razdaibiedina, Anastasia and Mao, Yuning and Khabsa, Madian and Lewis, Mike and Hou, Rui and Ba, Jimmy and
    Almahairi, Amjad}},
  booktitle = {{Findings of the Association for Computational Linguistics: ACL 2023}},
  year = {{2023}},
  url = {{https://arxiv.org/abs/2305.03937}},
}}
```
"""


def write_model_card(run: SavedRun, base: str, longest: int) -> str:
    """What the prompt is for, how to use it with peft alone, its scores and where they come from.

    Args:
        base: a hub id or a folder.
        longest: how many tokens an answer may have.
    """
    task, config, result = run.task, run.config, run.result
    miniature, local = result["data"]["miniature"], os.path.isdir(base)
    return CARD.format(
        **_describe_scores(run),
        front=_front_matter(run, None if local else base),
        name=f"{task.folder}{' in miniature' if miniature else ''}",
        prompt=config.prompt.name,
        n=len(run.prompt),
        backbone=config.backbone.name,
        kept=result["parameters"]["kept"],
        base=json.dumps(base),
        revision=f", revision={json.dumps(config.backbone.revision)}" if config.backbone.revision else "",
        text=json.dumps(_show_text(task), ensure_ascii=False),
        budget=run.text_budget,
        max_tokens=config.backbone.max_tokens,
        longest=longest,
        folder="\n`base` is a folder on the machine where this was written: put in where yours is.\n" if local else "",
        answers=_describe_answers(task),
        id=result["id"],
        lr=config.lr,
        seed=config.seed,
        steps=result["steps"],
        best=result["best"]["step"],
        precision=result["precision"],
        device=result["device"],
        version=result["versions"]["rpt"],
        commit=result.get("commit") or "unknown",
        weights=result["backbone_fingerprint"],
    )


def _front_matter(run: SavedRun, hub_id: str | None) -> str:
    real = run.task.name in TASKS and not run.result["data"]["miniature"]
    return ModelCardData(
        library_name="peft",
        license="apache-2.0",
        tags=["soft-prompt", "prompt-tuning", "t5"],
        base_model=hub_id,
        datasets=["aps/super_glue"] if real else None,
    ).to_yaml()


def _describe_answers(task: Task) -> str:
    if task.verbalizers is None:
        return "The text that comes back is the answer."
    verbalizers = ", ".join(f"`{word}`" for word in task.verbalizers)
    labels = ", ".join(task.labels)
    return f"What comes back is one of {verbalizers}, but for case and punctuation (for {labels}), or no label."


def _describe_scores(run: SavedRun) -> dict[str, Any]:
    """The part of the card on scores: the rows that they are on, and cautions."""
    scores, majority, rows = run.result["scores"], run.result["majority"], run.result["data"]
    caution = ""
    if rows["miniature"]:
        caution = "\nMiniature scores show effects and are not comparable with SuperGLUE's.\n"
    elif run.config.protocol.selection == "reported":
        caution = "\nThe checkpoint was chosen on these same rows, as in the paper.\n"
    metrics = [*(metric for metric in scores if metric != "score"), "score"]
    return {
        "report": rows["report"],
        "reported": f"{'made-up rows of the miniature' if rows['miniature'] else 'validation rows of'} "
        f"{run.task.folder}",
        "protocol": run.task.protocol,
        "scores": "\n".join(f"| {metric} | {scores[metric]:.2f} | {majority[metric]:.2f} |" for metric in metrics),
        "caution": caution,
    }


def _show_text(task: Task) -> str:
    """A row of the miniature as the backbone reads it; a placeholder for tasks without a grammar."""
    if isinstance(task, CustomTask):
        return task.source(Example({column: f"({column})" for column in task.columns}, None))
    if task.name not in GRAMMARS:
        return f"a text as rpt's task {task.name} writes it"
    return task.source(task.parse(rows(task.name, "val", 0)[0])[0])
