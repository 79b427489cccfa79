"""An exported prompt's README."""

from __future__ import annotations

import json
import os

from huggingface_hub import ModelCardData

from rpt.backbones import Writer
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
in front of the text that a frozen {backbone} reads. These {kept:,} numbers are all that is kept of training; the
backbone is as it was. A soft prompt cannot be merged into the backbone's weights: it is loaded beside them.

## Use

`pip install peft transformers torch`, then in this folder:

```python
{code}```
{folder}
Write your texts exactly as this one, field by field (it is a made-up row). {answers}

In training, {together} had {max_tokens} tokens together. {long_texts}

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


CODE_OF_T5 = """\
import torch
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

base = {base}
tokenizer = AutoTokenizer.from_pretrained(base{source})
model = AutoModelForSeq2SeqLM.from_pretrained(base{source}, dtype=torch.float32)
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
"""

CODE_OF_A_DECODER = """\
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

base = {base}
tokenizer = AutoTokenizer.from_pretrained(base{source})
model = AutoModelForCausalLM.from_pretrained(base{source}, dtype=torch.float32)
end = tokenizer.eos_token_id
model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end)  # greedy, whatever else is said there
model = PeftModel.from_pretrained(model, ".").eval()

texts = [{text}]
for text in texts:  # one by one: peft does not tell the model where padding stands
    batch = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    ids = model.generate(**batch, max_new_tokens={longest}, do_sample=False, num_beams=1)
    print(tokenizer.decode(ids[0, batch["input_ids"].shape[1] :], skip_special_tokens=True).strip())
"""

LONG_TEXTS_OF_T5 = """\
The code above cuts the end off a text of more than
{budget}; rpt shortens the longest field instead, so that the others stay whole. For equal answers to long texts do the
same."""

LONG_TEXTS_OF_A_DECODER = """\
Of a text of more than {budget} tokens rpt
shortens the longest field; for equal answers to long texts do the same."""


def write_model_card(run: SavedRun, base: str, backbone: Writer) -> str:
    """What the prompt is for, how to use it with peft alone, its scores and where they come from.

    Args:
        base: a hub id or a folder.
        backbone: the run's.
    """
    task, config, result = run.task, run.config, run.result
    miniature, local = result["data"]["miniature"], os.path.isdir(base)
    return CARD.format(
        **_describe_scores(run),
        **_describe_use(run, base, backbone),
        front=_front_matter(run, backbone.model.config.model_type, None if local else base),
        name=f"{task.folder}{' in miniature' if miniature else ''}",
        prompt=config.prompt.name,
        n=len(run.prompt),
        backbone=config.backbone.name,
        kept=result["parameters"]["kept"],
        max_tokens=config.backbone.max_tokens,
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


def _describe_use(run: SavedRun, base: str, backbone: Writer) -> dict[str, str]:
    """The part of the card on how to use the prompt."""
    config, longest = run.config.backbone, backbone.longest_answer(run.task)
    source = f", revision={json.dumps(config.revision)}" if config.revision else ""
    if backbone.gguf_file is not None:
        source = f", gguf_file={json.dumps(backbone.gguf_file)}"
    encodes = backbone.model.config.is_encoder_decoder
    budget = run.text_budget if encodes else run.text_budget - longest
    code = CODE_OF_T5 if encodes else CODE_OF_A_DECODER
    text = json.dumps(_show_text(run.task) + backbone.cue, ensure_ascii=False)
    return {
        "code": code.format(base=json.dumps(base), source=source, text=text, budget=budget, longest=longest),
        "together": "prompt and text" if encodes else "prompt, text and answer",
        "long_texts": (LONG_TEXTS_OF_T5 if encodes else LONG_TEXTS_OF_A_DECODER).format(budget=budget),
    }


def _front_matter(run: SavedRun, model_type: str, hub_id: str | None) -> str:
    real = run.task.name in TASKS and not run.result["data"]["miniature"]
    return ModelCardData(
        library_name="peft",
        license="apache-2.0",
        tags=["soft-prompt", "prompt-tuning", model_type],
        base_model=hub_id,
        datasets=["aps/super_glue"] if real else None,
    ).to_yaml()


def _describe_answers(task: Task) -> str:
    if task.verbalizers is None:
        return "The text that comes back is the answer."
    verbalizers = ", ".join(f"`{word}`" for word in task.verbalizers)
    labels = ", ".join(task.labels)
    return f"What comes back is one of {verbalizers}, but for case and punctuation (for {labels}), or no label."


def _describe_scores(run: SavedRun) -> dict[str, object]:
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
