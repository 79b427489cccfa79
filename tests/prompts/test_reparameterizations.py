"""Each reparameterization against an independent computation with the same weights."""

import ast
import inspect
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PromptEncoder, PromptEncoderConfig
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

import rpt.prompts
from rpt.prompts import REPARAMETERIZATIONS, Reparameterization, SoftPrompt, Start, register
from rpt.prompts.contract import find_options

N, D, M, V = 5, 8, 3, 30
FEW = settings(max_examples=40)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def table(length: int = N, d_model: int = D) -> torch.Tensor:
    return torch.randn(length, d_model)


def perturbed(module: nn.Module) -> nn.Module:
    """LayerNorm begins with ones and zeros, which would hide a missing weight or bias."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def reference(network: nn.Module, layers: int, layer_norm: bool, token: int | None = None) -> nn.Sequential:
    """torch's own layers (down, ReLU, up, LayerNorm) with the weights of one token's network or the shared one."""
    blocks = []
    for _ in range(layers):
        blocks += [nn.Linear(D, M), nn.ReLU(), nn.Linear(M, D)]
        if layer_norm:
            blocks.append(nn.LayerNorm(D))
    expected = nn.Sequential(*blocks)
    with torch.no_grad():
        for theirs, ours in zip(expected.parameters(), network.phi.parameters(), strict=True):
            theirs.copy_(ours if token is None else ours[token])
    return expected


MLPS = pytest.mark.parametrize("name", ["mlp", "residual"])
NORMS = pytest.mark.parametrize("layer_norm", [True, False])
LAYERS = pytest.mark.parametrize("layers", [1, 2])


def start(values: torch.Tensor) -> Start:
    return Start(values, torch.randn(V, values.shape[1]))


def build(name: str, values: torch.Tensor | None = None, **options) -> Reparameterization:
    """Build it with these values as its table, and perturb all other parameters."""
    values = table() if values is None else values
    built = perturbed(REPARAMETERIZATIONS[name](start(values), **options))
    if hasattr(built, "table"):
        built.table.data = values.clone()
    return built


def test_identity_returns_the_table():
    values = table()
    assert torch.equal(build("identity", values)(), values)


@MLPS
@LAYERS
@NORMS
def test_shared_network_is_the_sequential_of_the_paper(name, layers, layer_norm):
    values = table()
    network = build(name, values, bottleneck=M, layers=layers, layer_norm=layer_norm)
    expected = reference(network, layers, layer_norm)(values) + (values if name == "residual" else 0)
    torch.testing.assert_close(network(), expected)


@MLPS
@LAYERS
@NORMS
def test_network_per_token_is_a_loop_over_tokens(name, layers, layer_norm):
    values = table()
    network = build(name, values, bottleneck=M, layers=layers, layer_norm=layer_norm, shared=False)
    expected = torch.stack([reference(network, layers, layer_norm, token=i)(values[i]) for i in range(N)])
    torch.testing.assert_close(network(), expected + (values if name == "residual" else 0))


@pytest.mark.parametrize("shared", [True, False])
def test_weights_start_as_torch_starts_them(shared):
    """The same seed gives, bit for bit, the weights of nn.Linear and nn.LayerNorm."""
    first = start(table())
    torch.manual_seed(7)
    network = REPARAMETERIZATIONS["residual"](first, bottleneck=M, shared=shared)
    torch.manual_seed(7)
    copies = 1 if shared else N
    downs = [nn.Linear(D, M) for _ in range(copies)]
    ups = [nn.Linear(M, D) for _ in range(copies)]
    modules = [*zip(downs, ups, [nn.LayerNorm(D)] * copies, strict=True)]
    expected, _ = stack_module_state([nn.Sequential(*each) for each in modules])
    for ours, theirs in zip(network.phi.parameters(), expected.values(), strict=True):
        assert torch.equal(ours, theirs[0] if shared else theirs)


@pytest.mark.parametrize("shared", [True, False])
def test_two_layers_do_not_share_weights(shared):
    parameters = list(build("mlp", bottleneck=M, layers=2, shared=shared).phi.parameters())
    assert len(parameters) == 12
    assert len({parameter.untyped_storage().data_ptr() for parameter in parameters}) == 12


@pytest.mark.parametrize("shared", [True, False])
def test_token_sees_only_itself(shared):
    network = build("residual", bottleneck=M, shared=shared)
    before = network()
    network.table.data[2] += 1.0
    unequal = (before != network()).any(dim=1)
    assert unequal.tolist() == [False, False, True, False, False]


@pytest.mark.filterwarnings("error")  # vmap warns where it has to fall back on a loop
@pytest.mark.parametrize("shared", [True, False])
def test_networks_of_several_runs_stack(shared):
    networks = [build("residual", bottleneck=M, layers=2, shared=shared) for _ in range(3)]
    stacked = vmap(lambda p, b: functional_call(networks[0], (p, b), ()))(*stack_module_state(networks))
    torch.testing.assert_close(stacked, torch.stack([network() for network in networks]))


def test_lstm_is_torch_s_lstm_with_a_head():
    values = table()
    network = build("lstm", values, dropout=0.5).eval()
    lstm = nn.LSTM(D, D // 2, num_layers=2, bidirectional=True, batch_first=True).eval()
    lstm.load_state_dict(network.lstm.state_dict())
    (first, second) = [layer for layer in network.head if isinstance(layer, nn.Linear)]
    states = lstm(values[None])[0][0]
    hidden = (states @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(network(), hidden @ second.weight.T + second.bias)


def test_lstm_drops_out_in_training_only():
    network = build("lstm", dropout=0.5)
    assert not torch.equal(network(), network())
    network.eval()
    assert torch.equal(network(), network())
    assert inspect.signature(REPARAMETERIZATIONS["lstm"]).parameters["dropout"].default == 0.05


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("mlp", {"bottleneck": 0}, "bottleneck=0.*1 or more"),
        ("residual", {"bottleneck": -4}, "bottleneck=-4.*1 or more"),
        ("residual", {"layers": 0}, "layers=0.*1 or 2"),
        ("mlp", {"layers": 3}, "layers=3.*1 or 2"),
        ("decomposed", {"bottleneck": 0}, "bottleneck=0.*1 or more"),
        ("lowrank", {"rank": 0}, "rank=0.*1 or more"),
        ("superposition", {"words": V + 1}, "words=31 cannot be sampled from 30; give 1 to 30"),
        ("lstm", {"dropout": 1.0}, "dropout=1.0.*less than 1"),
        ("lstm", {"dropout": -0.1}, "dropout=-0.1.*0 or more"),
    ],
)
def test_bad_option_is_refused_by_name(name, options, said):
    with pytest.raises(ValueError, match=said):
        SoftPrompt(start(table()), name, **options)


def test_p_tuning_is_peft_s():
    config = {"num_virtual_tokens": N, "token_dim": D, "encoder_hidden_size": D, "num_transformer_submodules": 1}
    theirs = PromptEncoder(PromptEncoderConfig(**config))
    ours = build("ptuning", theirs.embedding.weight.detach())
    theirs.mlp_head.load_state_dict(ours.mlp_head.state_dict())
    torch.testing.assert_close(ours(), theirs(torch.arange(N)))


def test_decomposed_is_a_product_that_starts_within_a_half():
    prompt = REPARAMETERIZATIONS["decomposed"](start(table(100, 64)), bottleneck=M)
    assert all(0.49 < each.abs().max() <= 0.5 for each in prompt.parameters())
    torch.testing.assert_close(prompt(), torch.einsum("nb,bd->nd", prompt.a, prompt.b))


def test_superposition_sums_words_that_stay_frozen():
    begun = start(table())
    prompt = REPARAMETERIZATIONS["superposition"](begun, words=M)
    rows = [(begun.embeddings == word).all(dim=1).nonzero().item() for word in prompt.sampled]
    assert len(set(rows)) == M and [name for name, _ in prompt.named_parameters()] == ["weights"]
    by_hand = [
        sum(weight * begun.embeddings[row] for weight, row in zip(entry, rows, strict=True)) for entry in prompt.weights
    ]
    torch.testing.assert_close(prompt(), torch.stack(by_hand))


def test_lowrank_goes_through_relu_from_a_frozen_start():
    values = table()
    prompt = build("lowrank", values, rank=M)
    prompt.first.copy_(values)
    hidden = (values @ prompt.u.weight.T).clamp(min=0)
    torch.testing.assert_close(prompt(), hidden @ prompt.v.weight.T)


@pytest.mark.parametrize("train_shared", [True, False])
def test_hadamard_begins_as_the_shared_prompt(train_shared):
    values = table()
    prompt = REPARAMETERIZATIONS["hadamard"](start(values), train_shared=train_shared)
    assert torch.equal(prompt(), values)
    perturbed(prompt)
    torch.testing.assert_close(prompt(), prompt.table * torch.outer(prompt.column[:, 0], prompt.row[0]))
    assert torch.equal(prompt.table, values) != train_shared


def test_odd_width_is_refused_by_the_lstm():
    with pytest.raises(ValueError, match="d_model=7 must be even; take another"):
        build("lstm", table(N, 7))


def test_registry_holds_ours_and_refuses_a_taken_name():
    ours = {"identity", "mlp", "residual", "lstm", "ptuning", "decomposed", "superposition", "lowrank", "hadamard"}
    assert set(REPARAMETERIZATIONS) == ours
    with pytest.raises(ValueError, match=r"'mlp' exists already; give Another"):

        @register("mlp")
        class Another(Reparameterization):
            pass


@pytest.mark.parametrize("name", sorted(REPARAMETERIZATIONS))
def test_options_can_be_read_off_the_signature(name):
    for option in find_options(name).values():
        assert option.annotation in (int, float, bool, str)
        assert type(option.default) is option.annotation


def trained(n: int, d: int, m: int, layers: int, shared: bool, layer_norm: bool) -> int:
    """Table 3b: dN + 2dm + 2d for the shared network, without the biases, which are m + d more."""
    block = 2 * d * m + m + d + 2 * d * layer_norm
    return n * d + layers * block * (1 if shared else n)


@FEW
@given(
    n=st.integers(1, 6), d=st.integers(1, 12), m=st.integers(1, 9), layers=st.sampled_from([1, 2]),
    shared=st.booleans(), layer_norm=st.booleans(), name=st.sampled_from(["mlp", "residual"]),
)  # fmt: skip
def test_parameter_count_is_the_formula(n, d, m, layers, shared, layer_norm, name):
    options = {"bottleneck": m, "layers": layers, "shared": shared, "layer_norm": layer_norm}
    prompt = SoftPrompt(start(table(n, d)), name, **options)
    assert prompt.trained_parameters == trained(n, d, m, layers, shared, layer_norm)
    assert prompt.kept_parameters == n * d
    assert prompt().shape == (n, d)


@FEW
@given(n=st.integers(1, 6), d=st.integers(1, 12), r=st.integers(1, 9))
def test_parameter_counts_of_low_rank_prompts(n, d, r):
    counts = {
        ("decomposed", "bottleneck", r): r * (n + d), ("superposition", "words", r): n * r,
        ("lowrank", "rank", r): 2 * d * r, ("hadamard", "train_shared", False): n + d,
        ("hadamard", "train_shared", True): n * d + n + d,
    }  # fmt: skip
    for (name, option, value), count in counts.items():
        prompt = SoftPrompt(start(table(n, d)), name, **{option: value})
        assert (prompt.trained_parameters, prompt.kept_parameters) == (count, n * d)


def test_defaults_are_table_3b():
    prompt = SoftPrompt(start(table(100, 768)), "residual")
    assert prompt.trained_parameters == 462_336 + 1_018
    assert prompt.kept_parameters == 76_800


def test_prompts_know_nothing_of_the_rest():
    """Pure torch, defaults of options, errors, the writing of files. This reads the source: other tests have
    imported everything."""
    folder = Path(rpt.prompts.__file__).parent
    imported = set()
    for source in folder.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(node.module)
    ours = {name for name in imported if name.split(".")[0] == "rpt"} - {
        "rpt.prompt_options",
        "rpt.files",
        "rpt.errors",
    }
    assert all(name.startswith("rpt.prompts") for name in ours)
    assert not {name.split(".")[0] for name in imported} & {"transformers", "hydra", "numpy", "pickle"}
