"""An exported prompt's README. Here are its facts; its words are in model_card.md.j2."""

from __future__ import annotations

import json
import os

from huggingface_hub import ModelCardData
from jinja2 import Environment, PackageLoader

from rpt.backbones import Writer
from rpt.data.miniature import GRAMMARS, rows
from rpt.inference.saved_run import SavedRun
from rpt.tasks import TASKS, Example, Task
from rpt.tasks.custom import CustomTask

TEMPLATES = PackageLoader("rpt.inference", ".")


def write_model_card(run: SavedRun, base: str, backbone: Writer) -> str:
    """What the prompt is for, how to use it with peft alone, its scores and where they come from.

    Args:
        base: a hub id or a folder.
        backbone: the run's.
    """
    config, is_folder, longest = run.config, os.path.isdir(base), backbone.longest_answer(run.task)
    source = f", revision={json.dumps(config.backbone.revision)}" if config.backbone.revision else ""
    if backbone.gguf_file is not None:
        source = f", gguf_file={json.dumps(backbone.gguf_file)}"
    encodes = backbone.model.config.is_encoder_decoder
    environment = Environment(loader=TEMPLATES, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template("model_card.md.j2").render(
        task=run.task,
        config=config,
        result=run.result,
        rows=run.result["data"],
        metrics=[*(metric for metric in run.result["scores"] if metric != "score"), "score"],
        front=_front_matter(run, backbone.model.config.model_type, None if is_folder else base),
        n=len(run.prompt),
        base=json.dumps(base),
        is_folder=is_folder,
        source=source,
        text=json.dumps(_show_text(run.task) + backbone.cue, ensure_ascii=False),
        encodes=encodes,
        longest=longest,
        budget=run.text_budget if encodes else run.text_budget - longest,
    )


def _front_matter(run: SavedRun, model_type: str, hub_id: str | None) -> str:
    real = run.task.name in TASKS and not run.result["data"]["miniature"]
    return ModelCardData(
        library_name="peft",
        license="apache-2.0",
        tags=["soft-prompt", "prompt-tuning", model_type],
        base_model=hub_id,
        datasets=["aps/super_glue"] if real else None,
    ).to_yaml()


def _show_text(task: Task) -> str:
    """A row of the miniature as the backbone reads it; a placeholder for tasks without a grammar."""
    if isinstance(task, CustomTask):
        return task.source(Example({column: f"({column})" for column in task.columns}, None))
    if task.name not in GRAMMARS:
        return f"a text as rpt's task {task.name} writes it"
    return task.source(task.parse(rows(task.name, "val", 0)[0])[0])
