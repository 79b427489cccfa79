"""T5 behind the interface. Soft prompts stand in front of its encoder input.

Shapes: B rows, N prompt tokens, T text tokens, S = N + T, L answer tokens, V candidates, d model width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSeq2SeqLM, GenerationConfig
from transformers.modeling_outputs import BaseModelOutput

from rpt.backbones.answers import Answer, Question, group_alike, stack_prompts
from rpt.backbones.base import Backbone, attention_bias
from rpt.backbones.device import send
from rpt.backbones.rows import Batch, Encoded, Heads, Prediction, Row
from rpt.config import BackboneConfig
from rpt.data.batches import pad
from rpt.data.tokens import encode_answers, encode_sources
from rpt.tasks import Example, Task, clean

NO_LABEL = -100  # fills labels to equal length and carries no loss
ANSWER_MULTIPLE = 4  # answers are padded to, where widths are padded so that few shapes are met


@dataclass(frozen=True)
class Encoding:
    """What the encoder made of prompts and texts: states [B, S, d], mask [B, S] (1 where something stands)."""

    states: Tensor
    mask: Tensor

    def pick(self, rows: list[int] | Tensor) -> Encoding:
        """Some of the rows."""
        return Encoding(self.states[rows], self.mask[rows])

    def repeat(self, times: int) -> Encoding:
        """Every row so many times, one after the other."""
        return Encoding(self.states.repeat_interleave(times, dim=0), self.mask.repeat_interleave(times, dim=0))


class T5Backbone(Backbone):
    """A T5 whose weights never change; it reads a source and writes its answer. One end marker per text."""

    model_types = ("t5", "mt5")
    load_model = AutoModelForSeq2SeqLM.from_pretrained  # also of gated layers and an output layer of its own (v1.1)

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        # A call of generate() takes whatever it is not told from here, and this from generation_config.json.
        self.model.generation_config = GenerationConfig(
            decoder_start_token_id=self._start,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )

    def find_fault(self, config: BackboneConfig) -> str | None:
        tokenizer = self.tokenizer
        if tokenizer.padding_side != "right" or tokenizer("a")["input_ids"][-1:] != [tokenizer.eos_token_id]:
            return f"its tokenizer must pad on the right and end a text with {tokenizer.eos_token}, as T5's does"
        if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
            return "its tokenizer needs a padding token that is not the end marker, as T5's <pad>"
        return None

    # Given examples

    def rows(self, examples: list[Example], task: Task, text_budget: int, cache: Path | None) -> list[list[Row]]:
        sources = encode_sources(examples, task, self.tokenizer, text_budget, cache)
        return [[Row((source,))] for source in sources]

    def training_rows(self, encoded: Encoded) -> list[Row]:
        """A row for each of an example's answers."""
        task = encoded.task
        targets = [task.targets(example) for example in encoded.examples]
        flat = [target for of_example in targets for target in of_example]
        answers = iter(encode_answers(flat, self.tokenizer, task.max_answer_tokens))
        trained = []
        for (row,), of_example in zip(encoded.rows, targets, strict=True):
            for answer in (next(answers) for _ in of_example):
                trained.append(Row(row.sequences, answer, terms=len(answer)))
        return trained

    @staticmethod
    def count(examples: list[Example], task: Task) -> int:
        return sum(len(task.targets(example)) for example in examples)

    # Trained with

    def collate(self, rows: Sequence[Row], prompt_length: int, width: int | None = None, multiple: int = 1) -> Batch:
        answers = [row.target for row in rows]
        longest = max(map(len, answers))
        labels = pad(answers, NO_LABEL, longest if multiple == 1 else longest + -longest % ANSWER_MULTIPLE)
        ids = self._pad_sources(rows, prompt_length, width, multiple)
        return {"ids": ids, "labels": send(labels, self.device)}

    def losses(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch, heads: Heads) -> Tensor:
        return self.answer_losses(self.encode(prompts, prompt_mask, batch["ids"]), batch["labels"])

    def make_trial(self, width: int) -> tuple[Row, Heads]:
        return Row(([1] * width,), [1]), {}

    # Asked

    def predict(
        self, prompt: Tensor, head: Heads, encoded: Encoded, decode: str = "argmax", width: int | None = None
    ) -> Callable[[], list[Prediction]]:
        """By the argmax rule where answers are labels, and by generation where asked for or needed."""
        ids = self._pad_sources([row for (row,) in encoded.rows], len(prompt), width)
        mask = torch.ones(len(ids), len(prompt), dtype=torch.long, device=self.device)
        encoding = self.encode(prompt.expand(len(ids), -1, -1), mask, ids)
        task = encoded.task
        if decode == "argmax" and task.verbalizers:
            return self._match_labels(encoding, task)
        texts = self.generate(encoding, self.longest_answer(task))
        return lambda: [task.interpret(text, example) for text, example in zip(texts, encoded.examples, strict=True)]

    def _match_labels(self, encoding: Encoding, task: Task) -> Callable[[], list[Prediction]]:
        """The labels whose words are the greedy answers, without generating."""
        # Answers are compared after `clean`, so a label's other spellings count as that label: "notentailment".
        spellings = [
            (spelling, label)
            for label, word in enumerate(task.verbalizers)
            for spelling in dict.fromkeys([word, word.lower(), word.capitalize(), clean(word)])
        ]
        candidates = encode_answers([spelling for spelling, _ in spellings], self.tokenizer)
        hits = self.argmax_is(encoding, candidates)
        found = torch.where(hits.any(dim=1), hits.int().argmax(dim=1), -1)
        return lambda: [None if i == -1 else spellings[i][1] for i in found.tolist()]

    def longest_answer(self, task: Task) -> int:
        """How many tokens an answer may have: of answers that are labels as many as the longest, for more could not be
        one."""
        if task.verbalizers is None:
            return task.max_answer_tokens
        return max(map(len, encode_answers(list(task.verbalizers), self.tokenizer)))

    def answer(self, questions: list[Question]) -> list[Answer]:
        """What T5 writes, and how probable it is."""
        prompts, mask = stack_prompts(questions)
        ids = self._pad_sources([row for question in questions for row in question.rows], prompts.shape[1])
        encoding = self.encode(prompts, mask, ids)
        answers: dict[int, Answer] = {}
        for group in group_alike(questions, lambda question: question.task):
            task = questions[group[0]].task
            read = self._read_open_answers if task.verbalizers is None else self._read_labels
            examples = [questions[i].example for i in group]
            answers |= zip(group, read(encoding.pick(group), examples, task), strict=True)
        return [answers[i] for i in range(len(questions))]

    def _read_labels(self, encoding: Encoding, examples: list[Example], task: Task) -> list[Answer]:
        words = encode_answers(list(task.verbalizers), self.tokenizer)
        texts = self.generate(encoding, self.longest_answer(task))
        n, v = len(examples), len(words)
        labels = pad(words, NO_LABEL).to(self.device).repeat(n, 1)  # row by row
        gaps = self.gaps_to_greedy(encoding.repeat(v), labels).view(n, v)
        answers = []
        for example, text, probabilities in zip(examples, texts, (-gaps).softmax(dim=1).tolist(), strict=True):
            written = task.find_label(text, example)
            label = probabilities.index(max(probabilities)) if written is None else written
            by_label = dict(zip(task.labels, probabilities, strict=True))
            answers.append(Answer(example.idx, text, task.labels[label], written is not None, by_label))
        return answers

    def _read_open_answers(self, encoding: Encoding, examples: list[Example], task: Task) -> list[Answer]:
        texts = self.generate(encoding, self.longest_answer(task))
        written = pad(encode_answers(texts, self.tokenizer), NO_LABEL).to(self.device)
        likelihoods = (-self.answer_losses(encoding, written)).exp().tolist()
        answers = []
        for example, text, probability in zip(examples, texts, likelihoods, strict=True):
            label = None
            if task.labels:  # WSC: the text is somebody, the label whether that is the noun
                label = task.labels[task.find_label(text, example) or 0]
            answered = task.is_answer(text, example)
            answers.append(Answer(example.idx, text, label, answered, probability=probability))
        return answers

    # The model itself

    def _pad_sources(
        self, rows: Sequence[Row], prompt_length: int, width: int | None = None, multiple: int = 1
    ) -> Tensor:
        sources = [source for row in rows for source in row.sequences]
        width = self.choose_width(max(map(len, sources)), prompt_length, width, multiple)
        return send(pad(sources, self.tokenizer.pad_token_id, width), self.device)

    def encode(self, prompts: Tensor, prompt_mask: Tensor, ids: Tensor) -> Encoding:
        """Run the encoder on prompts [B, N, d] followed by texts.

        Args:
            prompt_mask: [B, N], 1 where the row's own prompt stands. A shorter prompt stands at the right end, next
                to its text: T5 knows only relative positions, so it sees the same as without the padding.
            ids: [B, T], right-padded.
        """
        texts = self.model.get_input_embeddings()(ids)
        mask = torch.cat([prompt_mask, ids.ne(self.tokenizer.pad_token_id).to(prompt_mask.dtype)], dim=1)
        embeds = torch.cat([prompts.to(texts.dtype), texts], dim=1)
        states = self.model.get_encoder()(inputs_embeds=embeds, attention_mask=attention_bias(mask)).last_hidden_state
        return Encoding(states, mask)

    def answer_losses(self, encoding: Encoding, labels: Tensor) -> Tensor:
        """Cross-entropy of each row's answer, summed over its tokens: [B], float32.

        Args:
            labels: [B, L] answer ids, filled up with NO_LABEL.
        """
        logits = self._decode(encoding, self._shift_right(labels))
        losses = cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=NO_LABEL, reduction="none")
        return losses.view(labels.shape).sum(dim=1)

    def gaps_to_greedy(self, encoding: Encoding, labels: Tensor) -> Tensor:
        """How much less likely each row's answer is than its likeliest tokens, each beside the likeliest one in its
        place, in nats summed over its tokens: [B], float32. It is 0 for the greedy answer and positive for any other.

        Args:
            labels: [B, L] answer ids, filled up with NO_LABEL.
        """
        logits, padding = self._decode(encoding, self._shift_right(labels)).float(), labels == NO_LABEL
        chosen = logits.gather(2, labels.masked_fill(padding, 0)[..., None])[..., 0]
        return (logits.amax(dim=2) - chosen).masked_fill(padding, 0).sum(dim=1)

    def argmax_is(self, encoding: Encoding, candidates: list[list[int]]) -> Tensor:
        """Which candidate greedy decoding would answer: bool [B, V], at most one true per row.

        Greedy decoding yields y exactly when, fed y, every position's argmax is y's next token. The first token is the
        same question for all candidates and is asked alone. After it hardly ever more than one candidate is possible:
        that one is fed to its end, and where the argmax parts from it, those that part at the same place remain.
        """
        answers = send(pad(candidates, NO_LABEL), self.device)  # [V, L]
        start = torch.full((len(encoding.states), 1), self._start, device=self.device)
        possible = self._decode(encoding, start).argmax(dim=-1) == answers[:, 0]  # [B, V]
        hits = torch.zeros_like(possible)
        while len(rows := possible.any(dim=1).nonzero()[:, 0]):
            guess = possible[rows].int().argmax(dim=1)  # of each row, one that is still possible
            fed = answers[guess]  # [R, L]
            argmax = self._decode(encoding.pick(rows), self._shift_right(fed)).argmax(dim=-1)
            agrees = (argmax[:, None] == answers) | (answers == NO_LABEL)  # [R, V, L]
            # A position says something about a candidate as long as all tokens before it are those that were fed.
            alike = (fed[:, None] == answers).int().cumprod(dim=2).bool()
            told = torch.cat([torch.ones_like(alike[..., :1]), alike[..., :-1]], dim=2)
            possible[rows] &= (agrees | ~told).all(dim=2)
            hits[rows, guess] = possible[rows, guess]
            possible[rows, guess] = False
        return hits

    def _shift_right(self, labels: Tensor) -> Tensor:
        """What the decoder is fed to write the labels [B, L]: T5 starts its answers with the padding token."""
        shifted = torch.cat([torch.full_like(labels[:, :1], self._start), labels[:, :-1]], dim=1)
        return shifted.masked_fill(shifted == NO_LABEL, self.tokenizer.pad_token_id)

    def generate(self, encoding: Encoding, longest: int) -> list[str]:
        """Greedy answers of at most `longest` tokens, as text."""
        ids = self.model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoding.states),
            attention_mask=encoding.mask,
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
        )
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True)

    @property
    def _start(self) -> int:
        return self.model.config.decoder_start_token_id

    def _decode(self, encoding: Encoding, fed: Tensor) -> Tensor:
        """Logits [B, L, V] for the tokens fed [B, L], each of which sees itself and those before it."""
        causal = torch.ones(fed.shape[1], fed.shape[1], dtype=torch.bool, device=self.device).tril()
        return self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoding.states),
            attention_mask=attention_bias(encoding.mask),
            decoder_input_ids=fed,
            decoder_attention_mask=attention_bias(causal[None]).expand(len(fed), -1, -1, -1),
            use_cache=False,
        ).logits


@torch.no_grad()
def rescale_stream(model: Any, scale: float) -> None:
    """Multiply everything on a T5's residual stream by `scale`, in place, and leave all outputs as they are.

    The embeddings and what is written to the stream grow alike. The norms before each layer take the factor out again;
    the decoder's last norm is divided by it where the output layer is the embedding table itself.
    A prompt stands beside the embeddings and AdamW moves it by about the learning rate a step, whatever their scale: so
    this changes what a learning rate means, and how much a LayerNorm's output, of unit variance, weighs beside words.
    """
    model.get_input_embeddings().weight.mul_(scale)
    for name, weight in model.named_parameters():
        if name.endswith((".o.weight", ".wo.weight")):
            weight.mul_(scale)
    if model.get_output_embeddings().weight is model.get_input_embeddings().weight:
        model.decoder.final_layer_norm.weight.div_(scale)
