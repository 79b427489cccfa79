"""T5 behind the interface. Soft prompts stand in front of its encoder input.

Shapes: B rows, N prompt tokens, T text tokens, S = N + T, L answer tokens, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM
from transformers.modeling_outputs import BaseModelOutput

from rpt.backbones.base import attention_bias, register_family
from rpt.backbones.encoding import Encoding
from rpt.backbones.writer import Writer
from rpt.config import BackboneConfig


@dataclass(frozen=True)
class States(Encoding):
    """What the encoder made of prompts and texts: states [B, S, d]."""

    states: Tensor


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


@register_family("t5")
class T5Backbone(Writer[States]):
    """A T5 whose weights never change; it reads a source and writes its answer. One end marker per text."""

    model_types = ("t5", "mt5")
    auto_class = AutoModelForSeq2SeqLM  # also of gated layers and an output layer of its own (v1.1)
    rescale_stream = staticmethod(rescale_stream)

    def find_fault(self, config: BackboneConfig) -> str | None:
        tokenizer = self.tokenizer
        if tokenizer.padding_side != "right" or tokenizer("a")["input_ids"][-1:] != [tokenizer.eos_token_id]:
            return f"its tokenizer must pad on the right and end a text with {tokenizer.eos_token}, as T5's does"
        if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
            return "its tokenizer needs a padding token that is not the end marker, as T5's <pad>"
        if self.model.config.decoder_start_token_id is None:
            return "its config.json has no decoder_start_token_id, the token that answers start with; T5's is 0"
        return None

    @property
    def padding(self) -> int:
        return self.tokenizer.pad_token_id

    # The model itself

    def encode(self, prompts: Tensor, prompt_mask: Tensor, ids: Tensor) -> States:
        """Run the encoder. It knows only relative positions, so it sees a shorter prompt, which stands next to its
        text, as without the padding."""
        texts = self.model.get_input_embeddings()(ids)
        mask = torch.cat([prompt_mask, ids.ne(self.padding).to(prompt_mask.dtype)], dim=1)
        embeds = torch.cat([prompts.to(texts.dtype), texts], dim=1)
        states = self.model.get_encoder()(inputs_embeds=embeds, attention_mask=attention_bias(mask)).last_hidden_state
        return States(mask, states)

    def generate(self, encoding: States, longest: int) -> list[str]:
        ids = self.model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoding.states),
            attention_mask=encoding.mask,
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
        )
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True)

    def _first_fed(self, encoding: States) -> Tensor:
        """T5 starts its answers with the padding token."""
        return torch.full((len(encoding.mask),), self.model.config.decoder_start_token_id, device=self.device)

    def _decode(self, encoding: States, fed: Tensor) -> Tensor:
        causal = torch.ones(fed.shape[1], fed.shape[1], dtype=torch.bool, device=self.device).tril()
        return self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoding.states),
            attention_mask=attention_bias(encoding.mask),
            decoder_input_ids=fed,
            decoder_attention_mask=attention_bias(causal[None]).expand(len(fed), -1, -1, -1),
            use_cache=False,
        ).logits
