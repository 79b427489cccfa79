"""Fine-tuning, adapters, BitFit, LoRA, (IA)³. They train the backbone itself, or parts put into it.

A method is a file in configs/method. peft implements LoRA, (IA)3 and its other tuners.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rpt.backbones import Backbone
from rpt.config import MethodConfig
from rpt.errors import UsageError

SUBLAYERS = re.compile(  # the last linear layer of each, before the residual connection: names of T5, BERT, decoders
    r"(SelfAttention\.o|DenseReluDense\.wo|DenseGatedActDense\.wo|attention\.output\.dense|\d\.output\.dense"
    r"|self_attn\.o_proj|mlp\.down_proj|attn\.c_proj|mlp\.c_proj|self_attn\.out_proj|\d\.fc2)$"
)

PEFT_CALLS = {  # options that peft implements in calls from a training loop or its model's forward; None: any value
    "peft_type": ("ADALORA", "POLY", "XLORA"),
    "init_lora_weights": ("eva", "corda", "lora_ga"),
    "use_asa": None,
    "alora_invocation_tokens": None,
    "arrow_config": None,
}
PEFT_TRAIN_MODE = ("dropout", "monteclora")  # parts of names of options that only have an effect in train mode


def make_trainable(backbone: Backbone, method: MethodConfig, seed: int) -> None:
    """Make the method's part of the backbone trainable, and list it in `backbone.trained`.

    Args:
        seed: of inserted weights.

    Raises:
        UsageError: no weight of the backbone has a matching name, or peft refuses the options.
    """
    if method.head_only:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if method.peft:
            _check_peft(method, backbone.dropout)
            backbone.model.float()  # peft gives its parameters the type of the weights beside them
            _inject_peft(backbone.model, method)
        elif method.adapter:
            _add_adapters(backbone.model, method.adapter)
        else:
            if method.biases:
                _add_biases(backbone.model)
            for name, weight in backbone.model.named_parameters():
                weight.requires_grad_(re.search(method.weights or "", name) is not None)
    backbone.trained = {name: weight for name, weight in backbone.model.named_parameters() if weight.requires_grad}
    for weight in backbone.trained.values():
        weight.data = weight.data.float()  # whatever the file has
    if not backbone.trained:
        where = f"method={method.name}: no weight of this backbone ({backbone.model.config.model_type})"
        if method.adapter:
            raise UsageError(f"{where} is known to end a sublayer, behind which an adapter goes; take another method.")
        raise UsageError(f"{where} has a name with {method.weights} in it; give another method.weights.")


def _check_peft(method: MethodConfig, train_mode: bool) -> None:
    """Refuse options that would be recorded but have no effect."""
    for option, value in method.peft.items():
        values = PEFT_CALLS.get(option, ())
        if value and (values is None or value in values):
            raise UsageError(
                f"method.peft.{option}={value} takes effect only through calls that this training loop does not make; "
                "leave it out, or take another peft tuner."
            )
        acts_in_training = any(part in option for part in PEFT_TRAIN_MODE) or (option, value) == ("peft_type", "PVERA")
        if value and acts_in_training and not train_mode:
            raise UsageError(
                f"method.peft.{option}={value} acts in train mode alone; add trainer.dropout=true, or leave it out."
            )


def _inject_peft(model: PreTrainedModel, method: MethodConfig) -> None:
    from peft import get_peft_config, inject_adapter_in_model  # slow to import

    try:
        inject_adapter_in_model(get_peft_config(dict(method.peft)), model)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"method={method.name}: peft does not take {method.peft} here ({error}).") from error


def _add_biases(model: PreTrainedModel) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer.bias is None and layer is not model.get_output_embeddings():
            layer.bias = nn.Parameter(torch.zeros(layer.out_features))


class Adapter(nn.Module):
    """h + up(ReLU(down(h))), initially the identity map (Houlsby et al. 2019): [..., d] -> [..., d]."""

    def __init__(self, width: int, bottleneck: int):
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: Tensor) -> Tensor:
        return states + self.up(torch.relu(self.down(states)))


def _add_adapters(model: PreTrainedModel, bottleneck: int) -> None:
    for name, layer in list(model.named_modules()):
        if SUBLAYERS.search(name):
            layer.adapter = Adapter(getattr(layer, "nf", None) or layer.out_features, bottleneck)  # nf: GPT-2's Conv1D
            layer.register_forward_hook(lambda layer, _, states: layer.adapter(states))
