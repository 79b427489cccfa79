"""BERT and RoBERTa behind the interface. Soft prompts stand behind [CLS], and a head is trained on the [CLS] state.

Shapes: B rows, S sequences of all rows (of cosine pooling, pairs of them), N prompt tokens, T text tokens, M marked
words, C head outputs, d model width, w width of what is pooled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from rpt.backbones.answers import Answer, Question, group_alike, stack_prompts
from rpt.backbones.base import Backbone, attention_bias, fingerprint_with_settings, register_family
from rpt.backbones.device import send
from rpt.backbones.pooling import POOLINGS, Features, Pooling, States
from rpt.backbones.rows import Batch, Encoded, Heads, Row
from rpt.config import BackboneConfig
from rpt.data.batches import pad
from rpt.data.sequences import TokenSequence, encode_decisions
from rpt.tasks import Example, Prediction, Task

SECOND = "second_"  # where two texts are read one by one: what is the second text's in a batch


@register_family("bert")
class BertBackbone(Backbone):
    """An encoder whose weights never change. It reads [CLS], prompt, text, [SEP] (paper, section 4.2), and a linear
    head tells the label from what it made of [CLS]. The published code has no such part.

    Args:
        pooling: what heads read instead of [CLS]'s state.
    """

    model_types = ("bert", "roberta", "xlm-roberta")
    auto_class = AutoModel
    load_options: ClassVar[dict[str, object]] = {"add_pooling_layer": False}

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        fingerprint: str,
        dropout: bool = False,
        pooling: Pooling = POOLINGS["cls"],
    ):
        super().__init__(model, tokenizer, fingerprint + pooling.suffix, dropout)
        self.pooling = pooling

    @classmethod
    def build(
        cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: BackboneConfig, dropout: bool
    ) -> Self:
        return cls(model, tokenizer, fingerprint_with_settings(model, tokenizer), dropout, POOLINGS[config.pooling])

    def find_fault(self, config: BackboneConfig) -> str | None:
        tokenizer, positions = self.tokenizer, self.model.config.max_position_embeddings - self._first_position
        ids = tokenizer("a")["input_ids"]
        between = (ids[:1], ids[-1:]) == ([tokenizer.cls_token_id], [tokenizer.sep_token_id])
        if tokenizer.padding_side != "right" or tokenizer.pad_token_id is None or not between:
            return "its tokenizer must pad on the right and put a text between [CLS] and [SEP], as BERT's does"
        if config.max_tokens > positions:
            return f"it has {positions} positions for prompt and text; give backbone.max_tokens={positions} or less"
        return None

    # Given examples

    def rows(self, examples: list[Example], task: Task, text_budget: int, cache: Path | None) -> list[list[Row]]:
        """A row for each of an example's decisions; they are the same under both protocols."""
        apart = self.pooling.sequences > 1
        sequences = encode_decisions(examples, task, self.tokenizer, text_budget, cache, apart)
        return [
            [Row(read, decision.label) for read, decision in zip(of_example, task.decisions(example), strict=True)]
            for of_example, example in zip(sequences, examples, strict=True)
        ]

    def training_rows(self, encoded: Encoded) -> list[Row]:
        return [row for of_example in encoded.rows for row in of_example if row.target is not None]

    @staticmethod
    def count(examples: list[Example], task: Task) -> int:
        return sum(decision.label is not None for example in examples for decision in task.decisions(example))

    def new_head(self, task: Task, config: BackboneConfig) -> nn.Linear:
        """One layer, as in the paper. It reads what is pooled and, with head=spans, behind it the mean state of each
        marked word."""
        width = self._pooled_width * (1 + task.encoder_marks if config.head == "spans" else 1)
        # Where choices are compared a bias would be the same for all, and drift on the noise of its gradient.
        return self.pooling.initialize(nn.Linear(width, task.head_outputs, bias=task.head_outputs > 1))

    # Trained with

    def collate(self, rows: Sequence[Row], prompt_length: int, width: int | None = None, multiple: int = 1) -> Batch:
        labels = send(torch.tensor([-1 if row.target is None else row.target for row in rows]), self.device)
        sequences = [sequence for row in rows for sequence in row.sequences]
        return {"labels": labels} | self._pad_sequences(sequences, prompt_length, width, multiple)

    def losses(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch, heads: Heads) -> Tensor:
        return cross_entropy(self.logits(prompts, prompt_mask, batch, heads), batch["labels"], reduction="none")

    def make_trial(self, width: int) -> tuple[Row, Heads]:
        w = self._pooled_width
        head = {"weight": torch.zeros(1, 2, w, device=self.device), "bias": torch.zeros(1, 2, device=self.device)}
        return Row((TokenSequence(np.ones(width, dtype=np.int32), width),) * self.pooling.sequences, 0), head

    # Asked

    def predict(
        self, prompt: Tensor, head: Heads, encoded: Encoded, decode: str = "argmax", width: int | None = None
    ) -> Callable[[], list[Prediction]]:
        """What the head decides for; nothing is decoded."""
        rows = [row for of_example in encoded.rows for row in of_example]
        mask = torch.ones(len(rows), len(prompt), dtype=torch.long, device=self.device)
        heads = {name: value.expand(len(rows), *value.shape) for name, value in head.items()}
        batch = self.collate(rows, len(prompt), width)
        logits = self.logits(prompt.expand(len(rows), -1, -1), mask, batch, heads)

        def decide() -> list[Prediction]:
            each = iter(logits.tolist())
            return [
                encoded.task.decide(example, [next(each) for _ in of_example])
                for example, of_example in zip(encoded.examples, encoded.rows, strict=True)
            ]

        return decide

    def answer(self, questions: list[Question]) -> list[Answer]:
        """What the head of each question decides for, and how probable each choice is."""
        prompts, mask = stack_prompts(questions)
        sequences = [sequence for question in questions for row in question.rows for sequence in row.sequences]
        # The number of each reading's question.
        asked = [i for i, question in enumerate(questions) for row in question.rows for _ in self._readings(row)]
        batch = self._pad_sequences(sequences, prompts.shape[1])
        features = self.read(prompts[asked], mask[asked], batch)
        outputs: dict[int, list[float]] = {}
        for group in group_alike([questions[i] for i in asked], lambda question: tuple(question.head["weight"].shape)):
            heads = [questions[asked[s]].head for s in group]
            stacked = {name: torch.stack([head[name] for head in heads]) for name in heads[0]}
            outputs |= zip(group, self.outputs(features.pick(group), stacked).tolist(), strict=True)
        each = (outputs[s] for s in range(len(asked)))
        return [
            _decide(question, [[out for _ in self._readings(row) for out in next(each)] for row in question.rows])
            for question in questions
        ]

    # The model itself

    @property
    def _pooled_width(self) -> int:
        return self.pooling.width(self.d_model)

    def _readings(self, row: Row) -> Sequence[TokenSequence]:
        """The first or only sequence of each of its readings."""
        return row.sequences[:: self.pooling.sequences]

    def _pad_sequences(
        self, sequences: Sequence[TokenSequence], prompt_length: int, width: int | None = None, multiple: int = 1
    ) -> Batch:
        """ids, mask and types (0 or 1: first or second text) [S, T], and the marked words' ends [S, M, 2].

        Where two texts are read one by one, the second ones stand beside the first, as second_ids and so on, and have a
        width of their own: a hypothesis is shorter than its premise.
        """
        batch: Batch = {}
        each = self.pooling.sequences
        for i, which in enumerate(("", SECOND)[:each]):
            padded = self._pad_alike(sequences[i::each], prompt_length, width, multiple)
            batch |= {f"{which}{name}": part for name, part in padded.items()}
        return batch

    def _pad_alike(
        self, sequences: Sequence[TokenSequence], prompt_length: int, width: int | None, multiple: int
    ) -> Batch:
        width = self.choose_width(max(map(len, sequences)), prompt_length, width, multiple)
        ids = pad([sequence.ids.tolist() for sequence in sequences], self.tokenizer.pad_token_id, width)
        at = torch.arange(width)
        mask = at < torch.tensor([[len(sequence)] for sequence in sequences])
        types = at >= torch.tensor([[sequence.second] for sequence in sequences])
        types &= self.model.config.type_vocab_size > 1  # RoBERTa has one
        most = max(len(sequence.marks) for sequence in sequences)  # served together, tasks differ in them
        marks = torch.tensor([[*s.marks, *[(0, 0)] * (most - len(s.marks))] for s in sequences])
        batch = {"ids": ids, "mask": mask.long(), "types": (mask & types).long(), "marks": marks}
        return {name: send(part, self.device) for name, part in batch.items()}

    def logits(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch, heads: Heads) -> Tensor:
        """What the heads make of each row: the outputs for its sequences side by side, float32.

        Args:
            heads: of each row, as `outputs` takes them of each sequence.
        """
        rows = len(prompts)
        each = len(batch["ids"]) // rows  # a task's rows have equally many sequences
        if each > 1:
            prompts, prompt_mask = (part.repeat_interleave(each, dim=0) for part in (prompts, prompt_mask))
            heads = {name: value.repeat_interleave(each, dim=0) for name, value in heads.items()}
        return self.outputs(self.read(prompts, prompt_mask, batch), heads).reshape(rows, -1)

    def read(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch) -> Features:
        """What heads may read of each sequence, or of each pair of texts.

        Args:
            prompts: [S, N, d].
            prompt_mask: [S, N], 1 where the row's own prompt stands, which is at the right end, next to its text.
        """
        texts = [self.encode(prompts, prompt_mask, batch)]
        if self.pooling.sequences > 1:
            second = {name.removeprefix(SECOND): part for name, part in batch.items() if name.startswith(SECOND)}
            texts.append(self.encode(prompts, prompt_mask, second))
        return Features(self.pooling.read(texts), texts[0].states, batch["marks"], prompts.shape[1])

    def encode(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch) -> States:
        """The states of [CLS], prompt, text."""
        texts = self.model.get_input_embeddings()(batch["ids"])

        def joined(text: Tensor, prompt: Tensor) -> Tensor:
            return torch.cat([text[:, :1], prompt.to(text.dtype), text[:, 1:]], dim=1)

        mask = joined(batch["mask"], prompt_mask)
        # Positions count what is there, so that neither a shorter prompt nor padding moves a row's text.
        positions = mask.cumsum(dim=1) - 1 + self._first_position
        no_prompt = torch.zeros_like(prompt_mask)
        states: Tensor = self.model(
            inputs_embeds=joined(texts, prompts),
            attention_mask=attention_bias(mask),
            position_ids=positions,
            token_type_ids=joined(batch["types"], no_prompt),
        ).last_hidden_state
        return States(states, joined(batch["mask"], no_prompt))

    def outputs(self, features: Features, heads: Heads) -> Tensor:
        """What the heads make of each sequence: [S, C], float32.

        Args:
            heads: weight [S, C, w] (or, of a head that reads the marked words too, [S, C, (1 + M) d]) and, with C > 1,
                bias [S, C].
        """
        read = features.take(heads["weight"].shape[-1])
        with torch.autocast(self.device.type, enabled=False):  # what is trained is small, and stays float32
            return self.pooling.scale(torch.einsum("scd,sd->sc", heads["weight"], read) + heads.get("bias", 0.0))

    @property
    def _first_position(self) -> int:
        """RoBERTa numbers its positions from behind the padding token's id."""
        config = self.model.config
        return 0 if config.model_type == "bert" else config.pad_token_id + 1


def _decide(question: Question, logits: list[list[float]]) -> Answer:
    """The answer to a question from what its head gave each of its rows."""
    task, example = question.task, question.example
    decided = task.decide(example, logits)
    probabilities = torch.tensor(task.weigh(logits)).softmax(dim=0).tolist()
    return Answer(
        example.idx,
        text=decided if isinstance(decided, str) else None,
        label=None if isinstance(decided, str) else task.labels[decided],
        probabilities=dict(zip(task.candidates(example), probabilities, strict=True)),
    )
