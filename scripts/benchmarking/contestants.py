"""Who trains in our processes or beside us: our trainer, alone and in a pack, and peft's prompt tuning."""

from __future__ import annotations

import tempfile
import time
from copy import deepcopy
from typing import Any

import numpy as np
import torch
import transformers
from transformers import DataCollatorForSeq2Seq

from rpt.backbones import T5Backbone
from rpt.backbones.device import find_device, precision_of
from rpt.tasks import TASKS
from rpt.training.evaluate import evaluate
from rpt.training.memory import choose_max_tokens
from rpt.training.pack import Pack
from rpt.training.run import TrainingRun, read_losses


class Ours:
    """Our trainer: `together` runs like the given one at once, each on its own part of the batches."""

    def __init__(self, run: TrainingRun, batches: list[np.ndarray], backbone: T5Backbone, together: int = 1):
        config = run.config
        self.config, self.batches, self.backbone = config, batches, backbone
        self.backbone.place(find_device(), precision_of(config))
        given = run.weights, run.rows, run.select, run.report  # the same for all: making them takes longer than a turn
        prompts = [deepcopy(run.soft_prompt).to(backbone.device) for _ in range(together)]
        self.runs = [TrainingRun(config, run.record, prompt, None, *given) for prompt in prompts]
        self.pack = Pack(backbone, together, choose_max_tokens(config, backbone))
        self.pack.join(self.runs)

    def train(self, batches: int) -> None:
        """On the first so many batches, or the first step's."""
        for i in range(0, batches, len(self.runs)):
            part = self.batches[i : i + len(self.runs)]
            self.pack.active = {run: iter([batch]) for run, batch in zip(self.runs, part, strict=True)}
            self.pack.step()
        read_losses(self.runs)  # waits for the device

    def evaluate(self, rows: int) -> None:
        run = self.runs[0]
        some = np.linspace(0, len(run.report.examples) - 1, rows).astype(int)
        evaluate(self.backbone, run.fold_prompt(), run.copy_head(), run.report.pick(some), self.config)


class Peft:
    """peft's prompt tuning under transformers' Seq2SeqTrainer: rows padded to the longest of their batch."""

    def __init__(self, run: TrainingRun, batches: list[np.ndarray], backbone: T5Backbone):
        from peft import PromptTuningConfig, TaskType, get_peft_model

        config, precision = run.config, precision_of(run.config)
        longest = backbone.longest_answer(TASKS[config.task.name], config.protocol.name)
        prompt = PromptTuningConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=config.prompt.length)
        model = get_peft_model(backbone.model, prompt)
        rows = [i for batch in batches for i in batch]
        self.trained = [{"input_ids": run.rows[i].sequences[0], "labels": run.rows[i].target} for i in rows]
        self.report = [{"input_ids": row.sequences[0], "labels": run.rows[0].target} for (row,) in run.report.rows]
        self.seconds = Stopwatch()
        self.trainer = transformers.Seq2SeqTrainer(
            model,
            transformers.Seq2SeqTrainingArguments(
                output_dir=tempfile.mkdtemp(),
                per_device_train_batch_size=config.trainer.batch_size,
                per_device_eval_batch_size=config.trainer.eval_batch_size,
                learning_rate=config.lr,
                weight_decay=config.trainer.weight_decay,
                lr_scheduler_type="constant",
                max_grad_norm=0.0,
                bf16=precision == "bf16",
                use_cpu=not torch.cuda.is_available(),
                train_sampling_strategy="sequential",
                predict_with_generate=True,
                generation_max_length=longest + 1,
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=self.trained,
            data_collator=DataCollatorForSeq2Seq(backbone.tokenizer, model),
            callbacks=[self.seconds],
        )

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
