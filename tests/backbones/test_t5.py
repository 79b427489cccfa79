"""The T5 backbone: padding changes nothing, prompts get the right gradients, the argmax rule is generation."""

import copy
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.modeling_outputs import BaseModelOutput

from rpt.backbones.likelihood import NO_LABEL, sum_gaps
from rpt.data.batches import pad

ANYTIME = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.lists(st.text("abc defghi.,", min_size=1, max_size=60), min_size=2, max_size=5)

assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)


def prompts(backbone, rows, n=4, seed=0):
    table = torch.randn(n, backbone.embeddings.shape[1], generator=torch.Generator().manual_seed(seed))
    return table.expand(rows, -1, -1).clone(), torch.ones(rows, n, dtype=torch.long)


def tokens(backbone, texts):
    return backbone.tokenizer(list(texts))["input_ids"]


@pytest.fixture(scope="module")
def exact_backbone(tiny_backbone):
    """In float64: random weights as large as these make of float32's last bits one part in a thousand."""
    exact = copy.deepcopy(tiny_backbone)
    exact.model.double()
    return exact


@ANYTIME
@given(texts=TEXTS, extra=st.integers(1, 40))
def test_padding_changes_neither_loss_nor_generation(exact_backbone, texts, extra):
    """A library regression here must turn CI red."""
    ids, labels = tokens(exact_backbone, texts), pad(tokens(exact_backbone, ["true" for _ in texts]), NO_LABEL)
    table, mask = prompts(exact_backbone, len(texts))
    wide = pad(ids, 0, max(map(len, ids)) + extra)
    together = exact_backbone.encode(table, mask, wide)
    losses, answers = exact_backbone.answer_losses(together, labels), exact_backbone.generate(together, 5)
    for i, row in enumerate(ids):
        alone = exact_backbone.encode(table[i : i + 1], mask[i : i + 1], pad([row], 0))
        assert_close(exact_backbone.answer_losses(alone, labels[i : i + 1])[0], losses[i])
        assert exact_backbone.generate(alone, 5) == [answers[i]]


@ANYTIME
@given(texts=TEXTS)
def test_no_gap_to_the_greedy_answer_but_its_own(exact_backbone, texts):
    pieces = tokens(exact_backbone, ["true", "not_entailment"])
    encoding = exact_backbone.encode(*prompts(exact_backbone, len(texts)), pad(tokens(exact_backbone, texts), 0))
    states = BaseModelOutput(last_hidden_state=encoding.states)
    greedy = exact_backbone.model.generate(
        encoder_outputs=states, attention_mask=encoding.mask, max_new_tokens=4, do_sample=False
    )
    candidates = [*pieces, *(row[1:][row[1:] != 0].tolist() for row in greedy)]
    hits = exact_backbone.argmax_is(encoding, candidates)
    for column, candidate in enumerate(candidates):
        labels = torch.tensor([candidate] * len(texts))
        gaps = sum_gaps(exact_backbone.feed(encoding, labels), labels)
        assert ((gaps < 1e-6) == hits[:, column]).all() and (gaps >= 0).all()
    assert hits.any(dim=1).all()


def test_extra_label_padding_changes_no_loss(tiny_backbone):
    ids = pad(tokens(tiny_backbone, ["a b", "c d e"]), 0)
    encoding = tiny_backbone.encode(*prompts(tiny_backbone, 2), ids)
    answers = tokens(tiny_backbone, ["true", "not_entailment"])
    narrow, wide = pad(answers, NO_LABEL), pad(answers, NO_LABEL, 20)
    assert_close(tiny_backbone.answer_losses(encoding, narrow), tiny_backbone.answer_losses(encoding, wide))


def test_losses_are_the_library_s_own(tiny_backbone):
    ids, labels = pad(tokens(tiny_backbone, ["a b c"]), 0), pad(tokens(tiny_backbone, ["entailment"]), NO_LABEL)
    table, mask = prompts(tiny_backbone, 1)
    embeds = torch.cat([table, tiny_backbone.model.shared(ids)], dim=1)
    theirs = tiny_backbone.model(inputs_embeds=embeds, labels=labels).loss * labels.numel()
    ours = tiny_backbone.answer_losses(tiny_backbone.encode(table, mask, ids), labels)
    assert_close(ours[0], theirs)


def test_vocabulary_rows_as_prompt_are_those_words(tiny_backbone):
    """A prompt made of token embeddings is the same as writing these tokens in front."""
    pieces, text = tokens(tiny_backbone, ["red dog"])[0][:-1], tokens(tiny_backbone, ["a blue cat"])[0]
    labels = pad(tokens(tiny_backbone, ["true"]), NO_LABEL)
    table = tiny_backbone.embeddings[pieces][None]
    soft = tiny_backbone.encode(table, torch.ones(1, len(pieces), dtype=torch.long), pad([text], 0))
    none = torch.empty(1, 0, table.shape[-1]), torch.empty(1, 0, dtype=torch.long)
    hard = tiny_backbone.encode(*none, pad([[*pieces, *text]], 0))
    assert_close(tiny_backbone.answer_losses(soft, labels), tiny_backbone.answer_losses(hard, labels))


def test_masked_prompt_rows_get_no_gradient_and_change_nothing(tiny_backbone):
    ids, labels = pad(tokens(tiny_backbone, ["a b", "c d e f"]), 0), pad(tokens(tiny_backbone, ["true"] * 2), NO_LABEL)
    table, mask = prompts(tiny_backbone, 2, n=5)
    mask[0, :3] = 0  # the first row's own prompt has two tokens
    table.requires_grad_()
    losses = tiny_backbone.answer_losses(tiny_backbone.encode(table, mask, ids), labels)
    losses.sum().backward()
    assert torch.equal(table.grad[0, :3], torch.zeros_like(table.grad[0, :3]))
    assert (table.grad[0, 3:].abs().sum(-1) > 0).all() and (table.grad[1].abs().sum(-1) > 0).all()
    alone = tiny_backbone.encode(table[:1, 3:], mask[:1, 3:], ids[:1, :])
    assert_close(tiny_backbone.answer_losses(alone, labels[:1])[0], losses[0])


def test_the_backbone_is_frozen(tiny_backbone):
    before = {name: weight.clone() for name, weight in tiny_backbone.model.state_dict().items()}
    table, mask = prompts(tiny_backbone, 2)
    table.requires_grad_()
    ids, labels = pad(tokens(tiny_backbone, ["a", "b"]), 0), pad(tokens(tiny_backbone, ["true"] * 2), NO_LABEL)
    tiny_backbone.answer_losses(tiny_backbone.encode(table, mask, ids), labels).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in tiny_backbone.model.parameters())
    assert all(torch.equal(before[name], weight) for name, weight in tiny_backbone.model.state_dict().items())


@pytest.mark.parametrize("seed", range(4))
def test_argmax_rule_is_generation(tiny_backbone, seed):
    """For every candidate that greedy decoding could give: the rule says yes exactly for what generate() writes."""
    generator = torch.Generator().manual_seed(seed)
    rows = [[*torch.randint(3, 200, (n,), generator=generator).tolist(), 1] for n in (3, 9, 17, 30, 5, 12)]
    table, mask = prompts(tiny_backbone, len(rows), seed=seed)
    encoding = tiny_backbone.encode(table * 3, mask, pad(rows, 0))
    length = 4
    generated = tiny_backbone.model.generate(
        inputs_embeds=torch.cat([table * 3, tiny_backbone.model.shared(pad(rows, 0))], dim=1),
        attention_mask=encoding.mask,
        max_new_tokens=length,
        do_sample=False,
    )[:, 1:]
    written = [row[: row.index(1) + 1] if 1 in row else row for row in generated.tolist()]
    decoys = [[7, 1], [9, 9, 1], [*written[0][:-1], 5]]
    decoys += [[*written[0][:2], 5, 1], [*written[1][:1], 5, 1], [*written[1][:1], 6, 1]]
    for candidates in ([*written, *decoys], [*decoys, *reversed(written)]):  # which one is guessed first is not told
        candidates = [list(c) for c in dict.fromkeys(map(tuple, candidates))]
        hits = tiny_backbone.argmax_is(encoding, candidates)
        for i, answer in enumerate(written):
            for j, candidate in enumerate(candidates):
                assert hits[i, j].item() == (candidate == answer[: len(candidate)]), (candidate, answer)


def test_dropout_only_where_asked_for(tiny_backbone):
    tiny_backbone.train()
    assert not tiny_backbone.model.training
