"""The prompt in training: gradients, folding, groups, precision."""

import pytest
import torch

from rpt.prompts import REPARAMETERIZATIONS, SoftPrompt, Start

N, D, V = 5, 8, 30
SMALL = {"mlp": {"bottleneck": 3}, "residual": {"bottleneck": 3}, "superposition": {"words": 7}}
EVERY = pytest.mark.parametrize("name", sorted(REPARAMETERIZATIONS))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def soft_prompt(name: str, **options) -> SoftPrompt:
    return SoftPrompt(Start(torch.randn(N, D), torch.randn(V, D)), name, **SMALL.get(name, {}), **options)


def test_table_is_a_copy_in_float32():
    values = torch.randn(N, D, dtype=torch.bfloat16)
    before = values.clone()
    table = SoftPrompt(Start(values, torch.zeros(V, D)), "identity").reparameterization.table
    with torch.no_grad():
        table.add_(1.0)
    assert torch.equal(values, before)
    assert torch.equal(table, before.float() + 1.0)
    same_type = torch.zeros(N, D)
    SoftPrompt(Start(same_type, torch.zeros(V, D)), "identity").reparameterization.table.data.add_(1.0)
    assert not same_type.any()


@EVERY
def test_everything_trained_is_float32_whatever_the_default(name):
    torch.set_default_dtype(torch.bfloat16)
    try:
        prompt = soft_prompt(name)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {parameter.dtype for parameter in prompt.parameters()} == {torch.float32}


@EVERY
def test_autocast_rounds_nothing(name):
    prompt = soft_prompt(name).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = prompt()
        assert torch.is_autocast_enabled("cpu")
    assert inside.dtype is torch.float32
    assert torch.equal(inside, prompt())


@EVERY
def test_fold_is_the_forward_pass_in_eval_mode(name):
    prompt = soft_prompt(name)
    folded = prompt.fold()
    assert prompt.training and all(module.training for module in prompt.modules())
    prompt.eval()
    torch.testing.assert_close(folded, prompt())  # not equal: without gradients the LSTM takes another kernel
    assert torch.equal(folded, prompt.fold()) and not prompt.training
    assert folded.dtype is torch.float32 and not folded.requires_grad


def test_fold_ignores_dropout():
    prompt = soft_prompt("lstm", dropout=0.9)
    assert not torch.equal(prompt(), prompt())
    assert torch.equal(prompt.fold(), prompt.fold())


@EVERY
def test_folded_prompt_is_its_own(name):
    """Training continues after folding; the folded prompt must not change with it."""
    prompt = soft_prompt(name)
    folded = prompt.fold()
    before = folded.clone()
    with torch.no_grad():
        for parameter in prompt.parameters():
            parameter.add_(1.0)
    assert torch.equal(folded, before)


def test_fold_restores_the_mode_after_an_error(monkeypatch):
    prompt = soft_prompt("identity")
    monkeypatch.setattr(type(prompt.reparameterization), "forward", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prompt.fold()
    assert prompt.training


@EVERY
@pytest.mark.parametrize("shared", [True, False])
def test_gradients_reach_everything_trained(name, shared):
    prompt = soft_prompt(name, **({"shared": shared} if name in ("mlp", "residual") else {}))
    (prompt() * torch.randn(N, D)).sum().backward()
    for key, parameter in prompt.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


def test_identity_trains_the_table_alone():
    prompt = soft_prompt("identity")
    assert prompt.trained_parameters == prompt.kept_parameters == N * D


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'resid' is unknown; choose one of: .*residual"):
        soft_prompt("resid")


@pytest.mark.parametrize("shape", [(D,), (0, D), (1, N, D)])
def test_table_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"give \[N, d\]"):
        SoftPrompt(Start(torch.zeros(shape), torch.zeros(V, D)), "identity")
