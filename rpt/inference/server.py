"""Several prompts over one backbone.

    server = open_server({"questions": "results/runs/boolq/...", "entailment": "results/runs/rte/..."})
    rows = [("questions", {"passage": ..., "question": ...}), ("entailment", {"premise": ..., "hypothesis": ...})]
    answers = server.answer([(name, example) for name, row in rows for example in server.parse(name, row)])

A batch may mix rows of different tasks, each with its own prompt and, over an encoder, its own head. Every answer is
equal to the answer that the row gets alone.
"""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from rpt.backbones import Answer, Backbone, Question, load_backbone
from rpt.backbones.device import cap_evaluation_pass, find_device, precision_of
from rpt.backbones.pass_limit import PassLimit
from rpt.config import PRECISIONS_OF_USE, check_choice
from rpt.errors import UsageError
from rpt.inference.saved_run import SavedRun, open_saved_run
from rpt.tasks import Example
from rpt.tasks.fields import RawRow


class PromptServer:
    """Answers rows with its prompts.

    Args:
        backbone: on its device.
        prompts: by names that requests use; all were trained for this backbone.
    """

    def __init__(self, backbone: Backbone, prompts: Mapping[str, SavedRun]):
        self.backbone, self.limit = backbone, PassLimit(cap_evaluation_pass(backbone.device))
        self.prompts = {name: run.to(backbone.device) for name, run in prompts.items()}

    def parse(self, name: str, row: RawRow) -> list[Example]:
        """Parse a raw row, in the schema of the official files or of the hub, into examples for this prompt; usually
        one.

        Labels are optional, and so is an `idx` that is a plain number; its default is 0.

        Raises:
            UsageError: there is no such prompt, or the row does not fit its task's schema.
        """
        task = self._find(name).task
        try:
            return task.parse(row if task.group_by or not isinstance(row, Mapping) else {"idx": 0, **row})
        except (ValueError, RecursionError) as error:  # the second for a value too deeply nested to print
            raise UsageError(str(error)) from error

    @torch.inference_mode()
    def answer(
        self, requests: Sequence[tuple[str, Example]], batch_size: int = 64, progress: bool = False
    ) -> list[Answer]:
        """Answer each (name of a prompt, example).

        Args:
            batch_size: sequences in a batch; an encoder reads one for each choice or entity.

        Raises:
            UsageError: there is no such prompt.
        """
        self.backbone.train(False)
        questions = self._ask(requests)
        longest = max((len(question.prompt) for question in questions), default=0)
        with tqdm(total=len(questions), unit="row", disable=None if progress else True) as bar:

            def answer(batch: list[int]) -> list[Answer]:
                with self.backbone.autocast():
                    answers = self.backbone.answer([questions[i] for i in batch])
                bar.update(len(batch))
                return answers

            return self.limit.batch(answer, [question.rows for question in questions], batch_size, longest)

    def _ask(self, requests: Sequence[tuple[str, Example]]) -> list[Question]:
        indices = defaultdict(list)
        for i, (name, _) in enumerate(requests):
            indices[name].append(i)
        questions: dict[int, Question] = {}
        for name, asked in indices.items():
            run, examples = self._find(name), [requests[i][1] for i in asked]
            encoded = self.backbone.rows(examples, run.task, run.text_budget, cache=None)
            for i, example, rows in zip(asked, examples, encoded, strict=True):
                questions[i] = Question(example, rows, run.prompt, run.head, run.task)
        return [questions[i] for i in range(len(requests))]

    def _find(self, name: str) -> SavedRun:
        if name not in self.prompts:
            raise UsageError(f"There is no prompt {name}; there are {', '.join(self.prompts)}.")
        return self.prompts[name]


def open_server(
    runs: Mapping[str, str | Path | SavedRun], precision: str = "auto", backbone_path: str | None = None
) -> PromptServer:
    """Load the backbone that the runs share, and their prompts.

    Args:
        runs: folders of records, by the names for their prompts.
        precision: auto | fp32 | bf16 of the backbone; auto: as in training on this machine.
        backbone_path: the folder of the backbone, if it is not where the runs found it.

    Raises:
        UsageError: there are no runs, a record cannot be used, the runs do not share a backbone, or it cannot be
        loaded.
    """
    if not runs or not isinstance(runs, Mapping):
        raise UsageError(
            'open_server has no runs; give their folders by name: {"questions": "results/runs/boolq/..."}.'
        )
    check_choice("precision", precision, PRECISIONS_OF_USE)
    prompts = {name: run if isinstance(run, SavedRun) else open_saved_run(run) for name, run in runs.items()}
    first, *others = prompts.values()
    for other in others:
        ours, theirs = (f"{run.backbone_fingerprint} {run.config.backbone.weights}" for run in (first, other))
        if ours != theirs:
            raise UsageError(
                f"{first.folder} and {other.folder} were trained for different backbones ({ours}, {theirs}); "
                "open a server for each."
            )
    if precision == "fp32" and first.config.backbone.weights == "bf16":
        raise UsageError("precision=fp32 is not for a run with backbone.weights=bf16; leave it out.")
    config = dataclasses.replace(first.config, trainer=dataclasses.replace(first.config.trainer, precision=precision))
    backbone = load_backbone_of(first, backbone_path, precision_of(config))
    backbone.place(find_device(), precision_of(config))
    return PromptServer(backbone, prompts)


def load_backbone_of(run: SavedRun, path: str | None = None, precision: str = "fp32") -> Backbone:
    """The backbone that the prompt was trained in front of.

    Args:
        path: where it lies now, if not where the run had it from.
        precision: that it will be placed in.

    Raises:
        UsageError: it cannot be loaded, or its weights differ.
    """
    config = run.config.backbone
    if path is not None and not os.path.exists(os.path.expanduser(path)):
        raise UsageError(f"backbone.path={path} does not exist; give a folder as save_pretrained writes it.")
    config = config if path is None else dataclasses.replace(config, path=path)
    backbone = load_backbone(config, precision=precision)
    if backbone.fingerprint != run.backbone_fingerprint:
        raise UsageError(
            f"Backbone {config.name} has other weights ({backbone.fingerprint}) than the prompt was trained with "
            f"({run.backbone_fingerprint}); give those with backbone.path=FOLDER."
        )
    return backbone
