"""The encoder backbone: prompts stand behind [CLS], padding changes nothing, heads read what they are said to read."""

from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpt.backbones import Row
from rpt.backbones.pooling import POOLINGS, SHARPNESS
from rpt.config import BackboneConfig
from rpt.data.sequences import encode_readings
from rpt.tasks import TASKS, Reading, get_task
from rpt.tasks.examples import starred
from tests.conftest import tiny_bert

ANYTIME = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = "red dog coat ada bought the garden".split()
PAIRS = st.lists(
    st.tuples(*[st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)] * 2), min_size=2, max_size=5
)

assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module", params=["bert", "roberta"])
def backbone(request):
    return tiny_bert(request.param)


def sequences(backbone, *texts):
    return encode_readings([Reading(pair) for pair in texts], backbone.tokenizer, 512)


def prompts(backbone, rows, n=4, seed=0):
    table = torch.randn(n, backbone.embeddings.shape[1], generator=torch.Generator().manual_seed(seed))
    return table.expand(rows, -1, -1).clone(), torch.ones(rows, n, dtype=torch.long)


def heads(backbone, rows, outputs=3, marks=0):
    generator = torch.Generator().manual_seed(1)
    width = backbone.embeddings.shape[1] * (1 + marks)
    return {
        "weight": torch.randn(rows, outputs, width, generator=generator),
        "bias": torch.randn(rows, outputs, generator=generator),
    }


def repeat_heads(heads, rows):
    return {name: value[rows] for name, value in heads.items()}


def test_token_embeddings_as_prompt_are_those_words(backbone):
    """Against the library's own positions and token types, of the plain model that is fed these tokens."""
    tokenizer, (first, second) = backbone.tokenizer, ("the dog bought a coat", "did ada")
    pieces = tokenizer("red garden", add_special_tokens=False)["input_ids"]
    batch = backbone.collate([Row((sequence,)) for sequence in sequences(backbone, (first, second))], 2)
    soft = backbone.encode(backbone.embeddings[pieces][None], torch.ones(1, 2, dtype=torch.long), batch)
    hard = tokenizer(f"red garden {first}", second, return_tensors="pt")
    if backbone.model.config.model_type == "roberta":  # it has no token types
        hard.pop("token_type_ids")
        assert (hard["input_ids"] != backbone.model.config.pad_token_id).all()  # from which it counts positions
    assert_close(soft.states, backbone.model(**hard).last_hidden_state)


@ANYTIME
@given(texts=PAIRS, extra=st.integers(0, 30), shorter=st.integers(0, 3))
def test_padding_of_texts_and_prompts_changes_no_logits(backbone, texts, extra, shorter):
    """A library regression here must turn CI red; a shorter prompt must not move its row's positions."""
    rows = [Row((sequence,)) for sequence in sequences(backbone, *texts)]
    table, mask = prompts(backbone, len(rows))
    mask[0, :shorter] = 0
    drawn = heads(backbone, len(rows))
    batch = backbone.collate(rows, 4, width=max(row.length for row in rows) + extra)
    together = backbone.logits(table, mask, batch, drawn)
    for i, row in enumerate(rows):
        first = shorter if i == 0 else 0
        alone = backbone.logits(
            table[i : i + 1, first:],
            mask[i : i + 1, first:],
            backbone.collate([row], 4 - first),
            repeat_heads(drawn, [i]),
        )
        assert_close(alone[0], together[i])


def test_masked_prompt_rows_get_no_gradient(backbone):
    rows = [Row((sequence,), 1) for sequence in sequences(backbone, ("red dog", "coat"), ("the garden", "ada"))]
    table, mask = prompts(backbone, 2, n=5)
    mask[0, :3] = 0
    table.requires_grad_()
    backbone.losses(table, mask, backbone.collate(rows, 5), heads(backbone, 2)).sum().backward()
    assert torch.equal(table.grad[0, :3], torch.zeros_like(table.grad[0, :3]))
    assert (table.grad[0, 3:].abs().sum(-1) > 0).all() and (table.grad[1].abs().sum(-1) > 0).all()
    assert all(p.grad is None and not p.requires_grad for p in backbone.model.parameters())


def test_the_loss_is_the_cross_entropy_of_the_row_s_own_head_on_cls(backbone):
    rows = [
        Row((s,), label) for s, label in zip(sequences(backbone, ("red", "dog"), ("coat", "ada")), [2, 0], strict=True)
    ]
    table, mask = prompts(backbone, 2)
    drawn = heads(backbone, 2)
    batch = backbone.collate(rows, 4)
    states = backbone.encode(table, mask, batch).states
    logits = [drawn["weight"][i] @ states[i, 0] + drawn["bias"][i] for i in range(2)]
    expected = [torch.nn.functional.cross_entropy(logits[i][None], torch.tensor([rows[i].target])) for i in range(2)]
    assert_close(backbone.losses(table, mask, batch, drawn), torch.stack(expected))


def test_the_choices_of_a_row_stand_side_by_side(backbone):
    first, second, third, fourth = sequences(backbone, ("red", "dog"), ("red", "coat"), ("ada", "dog"), ("ada", "coat"))
    table, mask = prompts(backbone, 2)
    drawn = heads(backbone, 2, outputs=1)
    batch = backbone.collate([Row((first, second)), Row((third, fourth))], 4)
    logits = backbone.logits(table, mask, batch, drawn)
    for i, pair in enumerate([(first, second), (third, fourth)]):
        for j, sequence in enumerate(pair):
            alone = backbone.logits(
                table[:1], mask[:1], backbone.collate([Row((sequence,))], 4), repeat_heads(drawn, [i])
            )
            assert_close(alone[0, 0], logits[i, j])


def test_a_wider_head_reads_the_marked_words(backbone):
    reading = starred(["the red dog bought a coat"], [(0, 4, 11), (0, 21, 25)])
    (sequence,) = encode_readings([reading], backbone.tokenizer, 512)
    table, mask = prompts(backbone, 1, n=3)
    batch = backbone.collate([Row((sequence,))], 3)
    (states,) = backbone.encode(table, mask, batch).states
    # [CLS], 3 of the prompt, the * red dog * bought a * coat * .
    features = torch.cat([states[0], states[6:8].mean(dim=0), states[states.shape[0] - 3]])
    drawn = heads(backbone, 1, marks=2)
    assert_close(backbone.logits(table, mask, batch, drawn)[0], drawn["weight"][0] @ features + drawn["bias"][0])


def test_pooling_by_the_mean_reads_the_text_and_not_the_prompt():
    """Of a row alone, and beside a longer one with a longer prompt."""
    backbone = tiny_bert(pooling="mean")
    short, long = sequences(backbone, ("red dog", "coat"), ("the red dog bought a coat", "ada"))
    table, mask = prompts(backbone, 2)
    mask[0, :2] = 0
    drawn = heads(backbone, 2)
    plain = backbone.encode(table, mask, backbone.collate([Row((short,)), Row((long,))], 4)).states
    logits = backbone.logits(table, mask, backbone.collate([Row((short,)), Row((long,))], 4), drawn)
    for i, text in enumerate((short, long)):
        mean = torch.cat([plain[i, :1], plain[i, 5 : 4 + len(text)]]).mean(dim=0)
        assert_close(logits[i], drawn["weight"][i] @ mean + drawn["bias"][i])
    alone = backbone.logits(table[:1, 2:], mask[:1, 2:], backbone.collate([Row((short,))], 2), repeat_heads(drawn, [0]))
    assert_close(alone[0], logits[0])


def test_pooling_by_the_cosine_compares_two_texts_each_read_alone():
    """Each behind the prompt, beside longer ones and a longer prompt."""
    backbone, by_mean = tiny_bert(pooling="cosine"), tiny_bert(pooling="mean")
    texts = [("red dog", "coat"), ("the red dog bought a coat", "ada")]
    table, mask = prompts(backbone, 2)
    mask[0, :2] = 0

    def state(i, text):
        (alone,) = encode_readings([Reading((text,))], backbone.tokenizer, 512)
        first = 2 if i == 0 else 0
        batch = by_mean.collate([Row((alone,))], 4 - first)
        return by_mean.read(table[i : i + 1, first:], mask[i : i + 1, first:], batch).pooled[0]

    states = [[state(i, text) for text in pair] for i, pair in enumerate(texts)]
    drawn = {name: value[..., :1] if name == "weight" else value for name, value in heads(backbone, 2).items()}
    rows = [Row(tuple(encode_readings([*Reading(pair).apart()], backbone.tokenizer, 512))) for pair in texts]
    batch = backbone.collate(rows, 4)
    assert batch["ids"].shape[1] > batch["second_ids"].shape[1]  # each side is padded by itself
    logits = backbone.logits(table, mask, batch, drawn)
    for i, (u, v) in enumerate(states):
        cosine = u @ v / (u.norm() * v.norm())
        assert_close(logits[i], SHARPNESS * (drawn["weight"][i, :, 0] * cosine + drawn["bias"][i]))


def test_the_fingerprint_tells_how_states_are_pooled():
    """As published records have it: nothing is added for [CLS]."""
    assert [tiny_bert(pooling=name).fingerprint for name in POOLINGS] == ["tiny", "tiny-mean", "tiny-cosine"]


def test_heads_fit_their_tasks(backbone):
    d = backbone.embeddings.shape[1]
    for name in TASKS:
        task = get_task(name, "bert")
        head = backbone.new_head(task, BackboneConfig(head="cls"))
        assert tuple(head.weight.shape) == ({"cb": 3, "copa": 1}.get(name, 2), d)
        assert (head.bias is None) == (name == "copa")  # what is added to both choices tells nothing
        assert backbone.new_head(task, BackboneConfig(head="spans")).in_features == d * (1 + task.encoder_marks)


def test_bf16_lowers_the_layers_and_nothing_that_a_prompt_starts_from():
    backbone = tiny_bert()
    rows = [Row((sequence,), 1) for sequence in sequences(backbone, ("red dog", "coat"), ("the garden", "ada"))]
    table, mask = prompts(backbone, 2)
    drawn = heads(backbone, 2)
    batch = backbone.collate(rows, 4)
    exact = backbone.losses(table, mask, batch, drawn)
    backbone.place(torch.device("cpu"), "bf16")
    assert backbone.model.encoder.layer[0].output.dense.weight.dtype == torch.bfloat16
    assert backbone.model.get_input_embeddings().weight.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        lowered = backbone.losses(table, mask, batch, drawn)
    assert lowered.dtype == torch.float32
    torch.testing.assert_close(lowered, exact, rtol=0.1, atol=0.1)
