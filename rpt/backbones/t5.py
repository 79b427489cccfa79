"""A frozen T5 with soft prompts in front of its encoder input.

Shapes: B rows, N prompt tokens, T text tokens, S = N + T, L answer tokens, V candidates, d model width.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from rpt.config import BackboneConfig, UsageError, backbone_source
from rpt.hub import WAYS_ON

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
NO_LABEL = -100  # fills labels to equal length and carries no loss


@dataclass(frozen=True)
class Encoding:
    """What the encoder made of prompts and texts: states [B, S, d], mask [B, S] (1 where something stands)."""

    states: Tensor
    mask: Tensor


class T5Backbone:
    """A T5 whose weights never change.

    Args:
        model: any T5ForConditionalGeneration; it is frozen here.
        tokenizer: right-padding, one end marker per text.
        fingerprint: names the weights in records.
        dropout: whether the frozen layers drop out in training.
    """

    def __init__(
        self,
        model: T5ForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        fingerprint: str,
        dropout: bool = False,
    ):
        self.model, self.tokenizer, self.fingerprint, self.dropout = model, tokenizer, fingerprint, dropout
        self.model.requires_grad_(False).eval()

    @property
    def embeddings(self) -> Tensor:
        """The input embedding table [V, d], float32."""
        return self.model.get_input_embeddings().weight.detach().float()

    @property
    def device(self) -> torch.device:
        return self.model.device

    def place(self, device: torch.device, precision: str) -> None:
        """Move to the device, and round the weights of the linear layers to where autocast would at every step.

        The output layer keeps float32: it may be the embedding table itself, which prompts start from.
        """
        self.model.to(device)
        if precision == "fp32":
            return
        output = self.model.get_output_embeddings()
        for module in self.model.modules():
            if isinstance(module, nn.Linear) and module is not output:
                module.to(DTYPES[precision])
        if (
            device.type == "cpu"
        ):  # torch's fused attention is slower than the plain one there in bf16, backward fourfold
            self.model.set_attn_implementation("eager")

    def train(self, mode: bool = True) -> None:
        """Dropout on only where it was asked for."""
        self.model.train(mode and self.dropout)

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


def load_backbone(config: BackboneConfig, dropout: bool = False) -> T5Backbone:
    """The backbone from its folder or the hub, in float32 (autocast lowers it where asked for).

    Raises:
        UsageError: it cannot be had, or is no T5.
    """
    place = {
        "path": lambda: str(Path(config.path).expanduser()),
        "embedded": lambda: str(Path(__file__).parent / config.embedded),
        "hub": lambda: config.hub,
    }[backbone_source(config)]()
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, revision=config.revision)
        model = T5ForConditionalGeneration.from_pretrained(place, revision=config.revision, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"Backbone {config.name} ({place}) cannot be loaded: {reason}\n{WAYS_ON}") from error
    if tokenizer.padding_side != "right" or tokenizer("a")["input_ids"][-1:] != [tokenizer.eos_token_id]:
        raise UsageError(
            f"The tokenizer in {place} must pad on the right and end a text with {tokenizer.eos_token}, as T5's does."
        )
    return T5Backbone(model, tokenizer, _fingerprint(model), dropout)


def _fingerprint(model: T5ForConditionalGeneration) -> str:
    """Of a sample of every weight: cheap for the largest model, and no two honest ones share it."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.flatten()[:: max(1, weight.numel() // 1024)].float().numpy().tobytes())
    return digest.hexdigest()[:16]
