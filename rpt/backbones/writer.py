"""Backbones that write answers: what they are trained on, how answers are read and weighed.

Shapes: B rows, N prompt tokens, T text tokens, S = N + T, L answer tokens, V candidates, d model width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from rpt.backbones.answers import Answer, Question, group_alike, stack_prompts
from rpt.backbones.base import Backbone
from rpt.backbones.device import send
from rpt.backbones.encoding import Encoding
from rpt.backbones.likelihood import NO_LABEL, sum_gaps, sum_losses
from rpt.backbones.rows import Batch, Encoded, Heads, Row
from rpt.data.batches import pad
from rpt.data.rows import warn_once
from rpt.data.tokens import Tokens, encode_answers, encode_sources, shorten
from rpt.errors import UsageError
from rpt.tasks import Example, Prediction, Task, clean

ANSWER_MULTIPLE = 4  # answers are padded to, where widths are padded so that few shapes are met
Read = TypeVar("Read", bound=Encoding)


class Writer(Backbone, Generic[Read]):
    """A model whose weights never change; it reads prompt and text, and writes the answer and an end marker. What it
    made of prompt and text is of type `Read`.

    Attributes:
        cue: stands behind each text and asks for the answer; empty where an encoder has read the text.
        padding: fills token ids up to equal length; no text holds it.
    """

    cue: ClassVar[str] = ""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, fingerprint: str, dropout: bool = False
    ):
        super().__init__(model, tokenizer, fingerprint, dropout)
        # A call of generate() takes whatever it is not told from here, and this from generation_config.json.
        end = tokenizer.eos_token_id
        self.model.generation_config = GenerationConfig(
            decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
            eos_token_id=end,
            pad_token_id=end if self.padding == -1 else self.padding,
        )

    @property
    @abstractmethod
    def padding(self) -> int: ...

    @abstractmethod
    def encode(self, prompts: Tensor, prompt_mask: Tensor, ids: Tensor) -> Read:
        """The Encoding of prompts [B, N, d] followed by texts.

        Args:
            prompt_mask: [B, N], 1 where the row's own prompt stands. A shorter prompt stands at the right end, next
                to its text.
            ids: [B, T], right-padded with `padding`.
        """

    @abstractmethod
    def _first_fed(self, encoding: Read) -> Tensor:
        """The token that each answer is written behind: [B]."""

    @abstractmethod
    def _decode(self, encoding: Read, fed: Tensor) -> Tensor:
        """Logits [B, L, pieces] for the tokens fed [B, L], each of which sees the encoding, itself and those before
        it."""

    @abstractmethod
    def generate(self, encoding: Read, longest: int) -> list[str]:
        """Greedy answers of at most `longest` tokens, as text."""

    # Given examples

    def rows(self, examples: list[Example], task: Task, text_budget: int, cache: Path | None) -> list[list[Row]]:
        if examples:
            self._check_words(task, examples[0])
        sources = encode_sources(examples, task, self.tokenizer, text_budget, cache, self.cue)
        return [[Row((source,))] for source in sources]

    def _check_words(self, task: Task, example: Example) -> None:
        """Refuse words of labels that the vocabulary lacks letters of: they would be written alike, or as nothing.

        Raises:
            UsageError: naming the first of them.
        """
        for label, word in enumerate(task.verbalizers or ()):
            (text,) = self.tokenizer.batch_decode(self.encode_answers([word]), skip_special_tokens=True)
            if task.find_label(text, example) != label:
                raise UsageError(
                    f"{task.name}: the backbone's vocabulary cannot write {word!r} for label {task.labels[label]}, it "
                    f"comes back as {text!r}; give words that it has: task.words=[…]."
                )

    def training_rows(self, encoded: Encoded) -> list[Row]:
        """A row for each of an example's answers."""
        task, longest = encoded.task, encoded.task.max_answer_tokens
        targets = [task.targets(example) for example in encoded.examples]
        flat = [target for of_example in targets for target in of_example]
        whole = self.encode_answers(flat)
        if longest is not None and (cut := sum(len(answer) > longest for answer in whole)):
            warn_once(
                f"{task.name}: {cut:,} of {len(whole):,} training answers are longer than {longest} tokens "
                "(max_answer_tokens) and lose their ends."
            )
        answers = iter(whole if longest is None else [shorten(answer, longest) for answer in whole])
        trained = []
        for (row,), of_example in zip(encoded.rows, targets, strict=True):
            for answer in (next(answers) for _ in of_example):
                trained.append(Row(row.sequences, answer, terms=len(answer)))
        return trained

    def encode_answers(self, texts: list[str]) -> list[Tokens]:
        """Token ids of answers as they are written, each with its end marker."""
        return encode_answers(texts, self.tokenizer, self.cue)

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
        """By the argmax rule where answers are labels, unless `decode` asks for another; open answers are generated."""
        ids = self._pad_sources([row for (row,) in encoded.rows], len(prompt), width)
        mask = torch.ones(len(ids), len(prompt), dtype=torch.long, device=self.device)
        encoding = self.encode(prompt.expand(len(ids), -1, -1), mask, ids)
        task = encoded.task
        if decode == "argmax" and task.verbalizers:
            return self._match_labels(encoding, task, encoded.examples[0])
        if decode == "likeliest" and task.verbalizers:
            return self._choose_likeliest(encoding, task.verbalizers)
        texts = self.generate(encoding, self.longest_answer(task))
        return lambda: [task.interpret(text, example) for text, example in zip(texts, encoded.examples, strict=True)]

    def _match_labels(self, encoding: Read, task: Task, example: Example) -> Callable[[], list[Prediction]]:
        """The labels whose words are the greedy answers, without generating."""
        spellings = [  # also others that the task reads as the label: "notentailment"
            (spelling, label)
            for label, word in enumerate(task.verbalizers or ())
            for spelling in dict.fromkeys([word, word.lower(), word.capitalize(), clean(word)])
            if task.find_label(spelling, example) == label
        ]
        candidates = self.encode_answers([spelling for spelling, _ in spellings])
        hits = self.argmax_is(encoding, candidates)
        which = torch.where(hits.any(dim=1), hits.int().argmax(dim=1), -1)
        return lambda: [None if i == -1 else spellings[i][1] for i in which.tolist()]

    def _choose_likeliest(self, encoding: Read, verbalizers: Sequence[str]) -> Callable[[], list[Prediction]]:
        """The labels whose words are the most probable of the task's, whatever the greedy answers are."""
        losses = self._measure_each(encoding, verbalizers, sum_losses)
        return lambda: losses.argmin(dim=1).tolist()

    def _measure_each(
        self, encoding: Read, verbalizers: Sequence[str], measure: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """What `sum_losses` or `sum_gaps` gives for every word behind every row: [B, V]."""
        candidates = self.encode_answers(list(verbalizers))
        labels = pad(candidates, NO_LABEL).to(self.device).repeat(len(encoding.mask), 1)  # row by row
        return measure(self.feed(encoding.repeat(len(candidates)), labels), labels).view(-1, len(candidates))

    def longest_answer(self, task: Task) -> int:
        """The most tokens that an answer may have; for labels those of the longest, since a longer text is none."""
        if task.max_answer_tokens is not None:
            return task.max_answer_tokens
        return max(map(len, self.encode_answers(list(task.verbalizers or ()))))

    def answer(self, questions: list[Question]) -> list[Answer]:
        """What the model writes, and how probable it is."""
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

    def _read_labels(self, encoding: Read, examples: list[Example], task: Task) -> list[Answer]:
        texts = self.generate(encoding, self.longest_answer(task))
        gaps = self._measure_each(encoding, task.verbalizers or (), sum_gaps)
        answers = []
        for example, text, of_labels in zip(examples, texts, gaps.cpu(), strict=True):
            written = task.find_label(text, example)
            if written is not None:
                of_labels[written] = 0  # what is written is the greedy choice, in whatever spelling
            probabilities = (-of_labels).softmax(dim=0).tolist()
            label = probabilities.index(max(probabilities)) if written is None else written
            by_label = dict(zip(task.labels, probabilities, strict=True))
            answers.append(Answer(example.idx, text, task.labels[label], written is not None, by_label))
        return answers

    def _read_open_answers(self, encoding: Read, examples: list[Example], task: Task) -> list[Answer]:
        texts = self.generate(encoding, self.longest_answer(task))
        written = pad(self.encode_answers(texts), NO_LABEL).to(self.device)
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
        return send(pad(sources, self.padding, width), self.device)

    def answer_losses(self, encoding: Read, labels: Tensor) -> Tensor:
        """Cross-entropy of each row's answer, summed over its tokens: [B], float32.

        Args:
            labels: [B, L] answer ids, filled up with NO_LABEL.
        """
        return sum_losses(self.feed(encoding, labels), labels)

    def feed(self, encoding: Read, labels: Tensor) -> Tensor:
        """The logits [B, L, pieces] that the labels [B, L] are written with."""
        fed = torch.cat([self._first_fed(encoding)[:, None], labels[:, :-1]], dim=1)
        return self._decode(encoding, fed.masked_fill(fed == NO_LABEL, self.padding))

    def argmax_is(self, encoding: Read, candidates: list[list[int]]) -> Tensor:
        """Which candidate greedy decoding would answer: bool [B, V], at most one true per row.

        Greedy decoding yields y exactly when, fed y, every position's argmax is y's next token. The first token is the
        same question for all candidates and is asked alone. After it hardly ever more than one candidate is possible:
        that one is fed to its end, and where the argmax parts from it, those that part at the same place remain.
        """
        answers = send(pad(candidates, NO_LABEL), self.device)  # [V, L]
        first = self._first_fed(encoding)[:, None]
        possible = self._decode(encoding, first).argmax(dim=-1) == answers[:, 0]  # [B, V]
        hits = torch.zeros_like(possible)
        while len(rows := possible.any(dim=1).nonzero()[:, 0]):
            guess = possible[rows].int().argmax(dim=1)  # of each row, one that is still possible
            fed = answers[guess]  # [R, L]
            of_rows = encoding.pick(rows)
            argmax = self.feed(of_rows, fed).argmax(dim=-1)
            agrees = (argmax[:, None] == answers) | (answers == NO_LABEL)  # [R, V, L]
            # A position says something about a candidate as long as all tokens before it are those that were fed.
            alike = (fed[:, None] == answers).int().cumprod(dim=2).bool()
            told = torch.cat([torch.ones_like(alike[..., :1]), alike[..., :-1]], dim=2)
            possible[rows] &= (agrees | ~told).all(dim=2)
            hits[rows, guess] = possible[rows, guess]
            possible[rows, guess] = False
        return hits
