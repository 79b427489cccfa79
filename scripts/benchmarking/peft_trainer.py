"""A contestant: peft's prompt tuning with transformers' trainer. Imported only on request: it may not be installed."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np
import torch
import transformers
from peft import PromptTuningConfig, TaskType, get_peft_model
from transformers import DataCollatorForSeq2Seq

from benchmarking.measuring import await_device
from rpt.backbones import T5Backbone
from rpt.backbones.device import precision_of
from rpt.training.run.run import TrainingRun


class Peft:
    """peft's prompt tuning with transformers' Seq2SeqTrainer, which pads rows to the longest of their batch."""

    together = 1

    def __init__(self, run: TrainingRun, batches: list[np.ndarray], backbone: T5Backbone):
        config, precision = run.config, precision_of(run.config)
        longest = backbone.longest_answer(run.report.task)
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
        self.trainer.remove_callback(transformers.PrinterCallback)  # it prints too much

    def train(self, batches: int) -> float:
        """Train, and return the seconds of the steps only, without the Trainer's preparation."""
        self.trainer.args.max_steps = batches
        self.trainer.train()
        return self.seconds.total

    def evaluate(self, rows: int) -> None:
        some = np.linspace(0, len(self.report) - 1, rows).astype(int)
        self.trainer.predict([self.report[i] for i in some])  # type: ignore[arg-type]  # it takes any sequence


class Stopwatch(transformers.TrainerCallback):
    """Measures from the beginning of the first step to the end of the last, on the device too."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            await_device()
            self.began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == state.max_steps:
            await_device()
            self.total = time.perf_counter() - self.began
