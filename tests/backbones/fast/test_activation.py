"""The fused GELU gives what transformers' does, forward and backward, and takes its place in gated T5s."""

import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration
from transformers.activations import NewGELUActivation

from rpt.backbones import fast


def test_it_is_transformers_gelu_new():
    states = torch.linspace(-8, 8, 1001, dtype=torch.float64, requires_grad=True)
    ours, theirs = nn.GELU("tanh")(states), NewGELUActivation()(states)
    torch.testing.assert_close(ours, theirs)
    (gradient,) = torch.autograd.grad(ours.sum(), states)
    (wanted,) = torch.autograd.grad(theirs.sum(), states)
    torch.testing.assert_close(gradient, wanted)


def test_a_gated_t5_gets_it():
    shape = {"d_model": 16, "d_kv": 4, "d_ff": 32, "num_heads": 4, "num_layers": 1, "vocab_size": 32}
    model = T5ForConditionalGeneration(T5Config(**shape, feed_forward_proj="gated-gelu"))
    fast.install(model, None, frozen=True)
    activations = [module for module in model.modules() if isinstance(module, NewGELUActivation | nn.GELU)]
    assert [(type(each), each.approximate) for each in activations] == [(nn.GELU, "tanh")] * 2
