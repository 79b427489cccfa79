"""A frozen T5 with soft prompts in front of its encoder input.

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
from transformers import T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.t5.modeling_t5 import T5LayerNorm

from rpt.backbones.base import DTYPES, Backbone, Encoded, Heads, Prediction, Row
from rpt.backbones.fast.cross_attention import absorb
from rpt.backbones.fast.norm import FrozenNorm
from rpt.config import BackboneConfig
from rpt.data.batches import pad
from rpt.data.tokens import encode_answers, encode_sources
from rpt.tasks import Example, Task, clean

NO_LABEL = -100  # fills labels to equal length and carries no loss


@dataclass(frozen=True)
class Encoding:
    """What the encoder made of prompts and texts: states [B, S, d], mask [B, S] (1 where something stands)."""

    states: Tensor
    mask: Tensor


class T5Backbone(Backbone):
    """A T5 whose weights never change; it reads a source and writes its answer. One end marker per text."""

    model_types = ("t5",)
    load_model = T5ForConditionalGeneration.from_pretrained

    def fault(self, config: BackboneConfig) -> str | None:
        tokenizer = self.tokenizer
        if tokenizer.padding_side != "right" or tokenizer("a")["input_ids"][-1:] != [tokenizer.eos_token_id]:
            return f"its tokenizer must pad on the right and end a text with {tokenizer.eos_token}, as T5's does"
        return None

    def place(self, device: torch.device, precision: str) -> None:
        """As any backbone, with two layers that are cheaper while frozen: norms, and the decoder's cross-attention.

        Frozen norms are rounded too: T5's give their weight's precision, so that the products behind them need no
        casts. The states between the layers stay float32.
        """
        super().place(device, precision)
        if self.frozen:
            absorb(self.model)
        for module in self.model.modules():
            if isinstance(module, T5LayerNorm) and not module.weight.requires_grad:
                module.__class__ = FrozenNorm
                if precision in DTYPES:
                    module.weight.data = module.weight.data.to(DTYPES[precision])

    # What examples become

    def rows(
        self, examples: list[Example], task: Task, protocol: str, room: int, cache: Path | None
    ) -> list[list[Row]]:
        sources = encode_sources(examples, task, protocol, self.tokenizer, room, cache)
        return [[Row((source,))] for source in sources]

    def training_rows(self, examples: list[Example], rows: list[list[Row]], task: Task, protocol: str) -> list[Row]:
        """A row for each of an example's answers."""
        targets = [task.targets(example, protocol) for example in examples]
        flat = [target for of_example in targets for target in of_example]
        answers = iter(encode_answers(flat, self.tokenizer, task.max_answer_tokens))
        trained = []
        for (row,), of_example in zip(rows, targets, strict=True):
            for answer in (next(answers) for _ in of_example):
                trained.append(Row(row.sequences, answer, terms=len(answer)))
        return trained

    @staticmethod
    def count(examples: list[Example], task: Task, protocol: str) -> int:
        return sum(len(task.targets(example, protocol)) for example in examples)

    # What comes of them

    def losses(
        self, prompts: Tensor, prompt_mask: Tensor, rows: Sequence[Row], heads: Heads, width: int | None = None
    ) -> Tensor:
        labels = pad([row.target for row in rows], NO_LABEL).to(self.device)
        return self.answer_losses(self.encode(prompts, prompt_mask, self._ids(rows, width)), labels)

    def predictor(
        self, task: Task, protocol: str, decode: str
    ) -> Callable[[Tensor, Heads, Encoded, int | None], list[Prediction]]:
        """Reads answers by the argmax rule where they are labels, and by generation where asked for or needed."""
        by_rule = task.verbalizers(protocol) and decode == "argmax"
        read = (self._argmax_reader if by_rule else self._generate_reader)(task, protocol)

        def predict(prompt: Tensor, heads: Heads, encoded: Encoded, width: int | None) -> list[Prediction]:
            ids = self._ids([row for (row,) in encoded.rows], width)
            mask = torch.ones(len(ids), len(prompt), dtype=torch.long, device=self.device)
            return read(self.encode(prompt.expand(len(ids), -1, -1), mask, ids), encoded.examples)

        return predict

    def trial(self, width: int) -> tuple[Row, Heads]:
        return Row(([1] * width,), [1]), {}

    def _ids(self, rows: Sequence[Row], width: int | None) -> Tensor:
        sources = [source for row in rows for source in row.sequences]
        return pad(sources, self.tokenizer.pad_token_id, width).to(self.device)

    def _argmax_reader(self, task: Task, protocol: str) -> Any:
        """Reads the label whose words are the greedy answer, without generating (DESIGN, decision 4)."""
        # Answers are compared after `clean` (PROTOCOL), so a label's other spellings count as that label:
        # "notentailment".
        spellings = [
            (spelling, label)
            for label, word in enumerate(task.verbalizers(protocol))
            for spelling in dict.fromkeys([word, word.lower(), word.capitalize(), clean(word)])
        ]
        candidates = encode_answers([spelling for spelling, _ in spellings], self.tokenizer)

        def read(encoding: Encoding, _: list[Example]) -> list[Prediction]:
            hits = self.argmax_is(encoding, candidates)
            found = torch.where(hits.any(dim=1), hits.int().argmax(dim=1), -1).tolist()
            return [None if i == -1 else spellings[i][1] for i in found]

        return read

    def _generate_reader(self, task: Task, protocol: str) -> Any:
        """Reads what is generated greedily."""
        longest = task.max_answer_tokens
        if longest is None:  # as long as the longest label; more text could only make the answer wrong
            longest = max(map(len, encode_answers(list(task.verbalizers(protocol)), self.tokenizer)))

        def read(encoding: Encoding, examples: list[Example]) -> list[Prediction]:
            texts = self.generate(encoding, longest)
            return [task.interpret(text, example, protocol) for text, example in zip(texts, examples, strict=True)]

        return read

    # The model itself

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
        states = self.model.get_encoder()(inputs_embeds=embeds, attention_mask=mask).last_hidden_state
        return Encoding(states, mask)

    def answer_losses(self, encoding: Encoding, labels: Tensor) -> Tensor:
        """Cross-entropy of each row's answer, summed over its tokens: [B], float32.

        Args:
            labels: [B, L] answer ids, filled up with NO_LABEL.
        """
        # T5 starts its answers with the padding token.
        shifted = torch.cat([torch.full_like(labels[:, :1], self._start), labels[:, :-1]], dim=1)
        shifted = shifted.masked_fill(shifted == NO_LABEL, self.tokenizer.pad_token_id)
        logits = self._decode(encoding, shifted)
        losses = cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=NO_LABEL, reduction="none")
        return losses.view(labels.shape).sum(dim=1)

    def argmax_is(self, encoding: Encoding, candidates: list[list[int]]) -> Tensor:
        """Which candidate greedy decoding would answer: bool [B, V], at most one true per row.

        Greedy decoding yields y exactly when, fed y, every position's argmax is y's next token (DESIGN,
        decision 4). All candidates share one decoder pass: they stand one after the other in one sequence, and a
        block-diagonal causal mask keeps them apart. T5's decoder knows only relative positions, so each candidate
        sees what it would see alone; the encoder's keys and values are computed once.
        """
        lengths = torch.tensor([len(candidate) for candidate in candidates])
        flat = torch.tensor([token for candidate in candidates for token in candidate], device=self.device)
        fed = torch.tensor([t for c in candidates for t in (self._start, *c[:-1])], device=self.device)
        block = torch.repeat_interleave(torch.arange(len(candidates)), lengths).to(self.device)
        allowed = (block[:, None] == block[None, :]).tril()
        rows = encoding.states.shape[0]
        # Additive, as T5's attention adds it to its position bias.
        mask = torch.zeros(allowed.shape, dtype=encoding.states.dtype, device=self.device)
        mask = mask.masked_fill(~allowed, torch.finfo(mask.dtype).min).expand(rows, 1, -1, -1)
        logits = self._decode(encoding, fed.expand(rows, -1), mask)
        hits = logits.argmax(dim=-1) == flat
        return torch.stack([part.all(dim=1) for part in hits.split(lengths.tolist(), dim=1)], dim=1)

    def generate(self, encoding: Encoding, longest: int) -> list[str]:
        """Greedy answers of at most `longest` tokens, as text."""
        ids = self.model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoding.states), attention_mask=encoding.mask,
            max_new_tokens=longest, do_sample=False, num_beams=1,
        )  # fmt: skip
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True)

    @property
    def _start(self) -> int:
        return self.model.config.decoder_start_token_id

    def _decode(self, encoding: Encoding, fed: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoding.states), attention_mask=encoding.mask,
            decoder_input_ids=fed, decoder_attention_mask=mask, use_cache=False,
        ).logits  # fmt: skip
