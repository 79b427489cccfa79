"""Decoders behind the interface: GPT-2, Llama and their like, with soft prompts in front of the text.

It reads prompt, text, cue and writes the answer behind the cue: P' <bos> premise: … hypothesis: … answer: | true <eos>.
As in peft the prompt is the very first, before the marker that some tokenizers begin a text with.

Shapes: B rows, N prompt tokens, T text tokens, S = N + T, L answer tokens, Q positions of a pass, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from rpt.backbones.base import attention_bias, register_family
from rpt.backbones.encoding import Encoding
from rpt.backbones.likelihood import sum_losses
from rpt.backbones.rows import Batch, Heads, Row
from rpt.backbones.writer import Writer
from rpt.config import BackboneConfig
from rpt.data.text_tokenizer import text_tokenizer
from rpt.errors import UsageError
from rpt.tasks import Example, Task

MIN_ROOM = 16  # tokens that prompt and answer have to leave for the text
PRE_NORM = ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "opt")
ON_STREAM = ("wpe", "embed_positions", "o_proj", "down_proj", "c_proj", "out_proj", "fc2")  # what is added to it
LAST_NORM = ("norm", "ln_f", "final_layer_norm")


@dataclass(frozen=True)
class Context(Encoding):
    """Prompt and text but for its last token: the keys and values [B, heads, S - 1, width] that each layer made of
    them. last: [B], that token, which is fed with the answer."""

    last: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def as_cache(self) -> DynamicCache:
        """For a pass that goes on from here; the tensors stay as they are."""
        return DynamicCache(zip(self.keys, self.values, strict=True))


@torch.no_grad()
def rescale_stream(model: Any, scale: float) -> None:
    """As `rpt.backbones.t5.rescale_stream`, of decoders whose norms stand before each layer and at the end. What keeps
    a norm from dividing by nothing grows with the squares that it stands beside.

    Raises:
        UsageError: the model has norms elsewhere.
    """
    config = model.config
    if config.model_type not in PRE_NORM or not getattr(config, "do_layer_norm_before", True):
        raise UsageError(
            f"backbone.stream_scale is for decoders whose norms stand before each layer, and a {config.model_type} "
            "here has others; leave it out."
        )
    embeddings, output = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings.weight.mul_(scale)
    for name, module in model.named_modules():
        part = name.rpartition(".")[2]
        if part in ON_STREAM:
            for weight in module.parameters(recurse=False):
                weight.mul_(scale)
        elif type(module).__name__.endswith("Norm") and part not in ("q_norm", "k_norm"):
            epsilon = "variance_epsilon" if hasattr(module, "variance_epsilon") else "eps"
            setattr(module, epsilon, getattr(module, epsilon) * scale**2)
    if output.weight is embeddings.weight:
        last = next(part for name, part in model.get_decoder().named_children() if name in LAST_NORM)
        shift = 1.0 if config.model_type == "gemma" else 0.0  # whose norm multiplies by 1 more than its weight
        for weight in last.parameters():
            weight.add_(shift).div_(scale).sub_(shift)


@register_family("causal")
class CausalBackbone(Writer[Context]):
    """A decoder whose weights never change. Prompt, text and answer share `backbone.max_tokens`."""

    model_types = ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "opt")
    auto_class = AutoModelForCausalLM
    rescale_stream = staticmethod(rescale_stream)
    cue = " answer:"
    padding = -1  # not every tokenizer has a padding token, and none is needed: it is masked

    def find_fault(self, config: BackboneConfig) -> str | None:
        if self.tokenizer.eos_token_id is None:
            return "its tokenizer has no end marker; name it as eos_token in tokenizer_config.json"
        asked, answered = text_tokenizer(self.tokenizer).encode([self.cue, f"{self.cue} a"])
        if answered.ids[: len(asked.ids)] != asked.ids:
            return "its tokenizer must put nothing behind a text, where the answer goes; take that out of its file"
        positions = getattr(self.model.config, "max_position_embeddings", config.max_tokens)
        if config.max_tokens > positions:
            return f"it has {positions} positions for prompt and text; give backbone.max_tokens={positions} or less"
        return None

    @property
    def embeddings(self) -> Tensor:
        """What stands for each piece at the input, [V, d]: Gemma's layer multiplies its table."""
        scale = getattr(self.model.get_input_embeddings(), "embed_scale", None)
        return super().embeddings if scale is None else super().embeddings * scale

    # Given examples

    def rows(self, examples: list[Example], task: Task, text_budget: int, cache: Path | None) -> list[list[Row]]:
        room = text_budget - self.longest_answer(task)
        if room < MIN_ROOM:
            raise UsageError(
                f"A prompt and an answer of {self.longest_answer(task)} tokens leave {room} to the text; raise "
                f"backbone.max_tokens by {MIN_ROOM - room} or more."
            )
        return super().rows(examples, task, room, cache)

    # The model itself

    def losses(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch, heads: Heads) -> Tensor:
        """As `answer_losses`, in a single pass."""
        embeds, mask, _ = self._join(prompts, prompt_mask, batch["ids"])
        fed = self._embed(batch["labels"][:, :-1])
        mask = torch.cat([mask, mask.new_ones(fed.shape[:2])], dim=1)
        logits = self._run(torch.cat([embeds, fed], dim=1), mask, batch["labels"].shape[1])
        return sum_losses(logits, batch["labels"])

    def encode(self, prompts: Tensor, prompt_mask: Tensor, ids: Tensor) -> Context:
        embeds, mask, last = self._join(prompts, prompt_mask, ids)
        cache = DynamicCache()
        self._run(embeds[:, :-1], mask[:, :-1], 1, cache)
        keys, values, *_ = zip(*cache, strict=True)
        return Context(mask[:, :-1], last, keys, values)

    def _first_fed(self, encoding: Context) -> Tensor:
        return encoding.last

    def _decode(self, encoding: Context, fed: Tensor) -> Tensor:
        mask = torch.cat([encoding.mask, torch.ones_like(fed)], dim=1)
        return self._run(self._embed(fed), mask, fed.shape[1], encoding.as_cache())

    def generate(self, encoding: Context, longest: int) -> list[str]:
        # generate() looks at the cached part of these only to see how long it is
        read = torch.cat([torch.zeros_like(encoding.mask), encoding.last[:, None]], dim=1)
        ids = self.model.generate(
            read,
            attention_mask=torch.cat([encoding.mask, torch.ones_like(encoding.last[:, None])], dim=1),
            past_key_values=encoding.as_cache(),
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
        )[:, read.shape[1] :]
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def _embed(self, ids: Tensor) -> Tensor:
        return self.model.get_input_embeddings()(ids.clamp(min=0))

    def _join(self, prompts: Tensor, prompt_mask: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings [B, S, d] of prompt and text with all padding on the left, wherever it was; their mask [B, S]; the
        last token of each text [B]. Then each row's neighbours are those that it has alone, and all texts end together.
        """
        texts = self._embed(ids)
        mask = torch.cat([prompt_mask, (ids != self.padding).to(prompt_mask.dtype)], dim=1)
        embeds = torch.cat([prompts.to(texts.dtype), texts], dim=1)
        order = mask.argsort(dim=1, stable=True)
        last = ids.gather(1, order[:, -1:] - prompts.shape[1])[:, 0]
        return embeds.gather(1, order[..., None].expand_as(embeds)), mask.gather(1, order), last

    def _run(self, embeds: Tensor, mask: Tensor, n_logits: int, cache: DynamicCache | None = None) -> Tensor:
        """Logits [B, n_logits, pieces] of the last positions.

        Args:
            embeds: [B, Q, d].
            mask: of what the cache holds and of these.
        """
        queries = embeds.shape[1]
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -queries:]
        return self.model(
            inputs_embeds=embeds,
            attention_mask=self._seen_by(queries, mask),
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=n_logits,
        ).logits

    def _seen_by(self, queries: int, mask: Tensor) -> Tensor | dict[str, Tensor]:
        """What each of the last Q positions sees, as transformers' models take it: what is not padding, up to itself;
        in layers with a sliding window the nearest of that. Padding sees itself, for a softmax over nothing is NaN."""
        keys = torch.arange(mask.shape[1], device=mask.device)
        asking = keys[-queries:, None]
        seen = (keys <= asking) & mask[:, None].bool() | (keys == asking)
        window = getattr(self.model.config, "sliding_window", None)
        near = attention_bias(seen if window is None else seen & (asking - keys < window))
        if getattr(self.model.config, "layer_types", None) is None:
            return near
        return {"full_attention": attention_bias(seen), "sliding_attention": near}
