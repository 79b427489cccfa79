"""The decoders: padding changes nothing, every type sees what it sees by itself, the argmax rule is generation."""

from functools import cache, partial

import pytest
import torch

from rpt.backbones import Row
from rpt.backbones.causal import PRE_NORM, rescale_stream
from rpt.backbones.likelihood import NO_LABEL, sum_gaps
from rpt.data.batches import pad
from tests.decoders import KINDS, tiny_decoder

TEXTS = ["a", "the dog barked at a very old and tired cat", "premise: it rains hypothesis: it is wet", "ada ran"]
assert_close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4)
loaded = cache(tiny_decoder)


def rows_of(backbone):
    answers = backbone.encode_answers(["true", "entailment", "false", "no"])
    texts = [backbone.tokenizer(text + backbone.cue)["input_ids"] for text in TEXTS]
    return [Row((text,), answer, terms=len(answer)) for text, answer in zip(texts, answers, strict=True)]


def prompts_of(backbone, n=4):
    """A row's own prompt is as long as its number says, at the right end."""
    table = torch.randn(len(TEXTS), n, backbone.embeddings.shape[1], generator=torch.Generator().manual_seed(0))
    mask = torch.arange(n) >= n - torch.tensor([[4], [2], [3], [0]])
    return table * backbone.embeddings.std(), mask.long()


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_gives_the_losses_and_answers_that_it_gives_a_row_alone(kind):
    """By the library, without padding or masks of ours; windows are shorter than the texts."""
    backbone = loaded(kind)
    rows, (prompts, mask) = rows_of(backbone), prompts_of(backbone)
    batch = backbone.collate(rows, prompts.shape[1])
    together = backbone.losses(prompts, mask, batch, {})
    encoding = backbone.encode(prompts, mask, batch["ids"])
    assert_close(backbone.answer_losses(encoding, batch["labels"]), together)
    answers = backbone.generate(encoding, 6)
    for i, row in enumerate(rows):
        ids = torch.tensor([[*row.sequences[0], *row.target]])
        unmasked = prompts[i : i + 1, mask[i].bool()]
        embeds = torch.cat([unmasked, backbone.model.get_input_embeddings()(ids)], dim=1)
        labels = torch.tensor([[*[NO_LABEL] * (embeds.shape[1] - row.terms), *row.target]])
        alone = backbone.model(inputs_embeds=embeds, labels=labels).loss * row.terms
        assert_close(alone, together[i])
        assert_close(backbone.embeddings[ids], backbone.model.get_input_embeddings()(ids))
        written = backbone.model.generate(inputs_embeds=embeds[:, : -row.terms], max_new_tokens=6, do_sample=False)
        assert backbone.tokenizer.decode(written[0], skip_special_tokens=True).strip() == answers[i]
    assert len(set(answers)) > 1 or "gemma" in kind  # whose random weights write the cue's last token again and again


@pytest.mark.parametrize("kind", PRE_NORM)
@pytest.mark.parametrize("scale", [64.0, 3.7])
def test_the_stream_rescaled_leaves_every_output_equal(kind, scale):
    """Where the output layer is the embedding table, as GPT-2's is, and where it is not, as Llama's."""
    plain, scaled = tiny_decoder(kind), tiny_decoder(kind)
    rescale_stream(scaled.model, scale)
    rows, (prompts, mask) = rows_of(plain), prompts_of(plain)
    losses = [each.losses(prompts * s, mask, each.collate(rows, 4), {}) for each, s in ((plain, 1), (scaled, scale))]
    assert_close(*losses)
    assert_close(scaled.embeddings, plain.embeddings * scale)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_padding_on_either_side_changes_no_number(kind):
    backbone = loaded(kind)
    rows, (prompts, mask) = rows_of(backbone), prompts_of(backbone)
    candidates = backbone.encode_answers(["true", "false"])
    seen = []
    for side in ("right", "left", "wide"):
        backbone.tokenizer.padding_side = side.replace("wide", "right")
        batch = backbone.collate(rows, prompts.shape[1], width=60 if side == "wide" else None)
        if side == "left":
            texts = [row.sequences[0] for row in rows]
            widest = max(map(len, texts))
            batch["ids"] = torch.tensor([[*[backbone.padding] * (widest - len(text)), *text] for text in texts])
        unmasked = prompts.clone().requires_grad_()
        losses = backbone.losses(unmasked, mask, batch, {})
        losses.sum().backward()
        encoding = backbone.encode(prompts, mask, batch["ids"])
        labels = pad(candidates[:1] * len(rows), NO_LABEL)
        seen.append((losses, unmasked.grad, sum_gaps(backbone.feed(encoding, labels), labels)))
    for others in seen[1:]:
        for one, other in zip(seen[0], others, strict=True):
            assert_close(one, other)
    assert not seen[0][1][mask == 0].any() and seen[0][1][mask == 1].abs().sum(-1).all()


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_argmax_rule_is_generation(kind):
    """For every candidate that greedy decoding could give: the rule says yes exactly for what is generated."""
    backbone = loaded(kind)
    rows, (prompts, mask) = rows_of(backbone), prompts_of(backbone)
    encoding = backbone.encode(prompts, mask, backbone.collate(rows, prompts.shape[1])["ids"])
    length, end = 4, backbone.tokenizer.eos_token_id
    unmasked = [backbone.encode(prompts[i : i + 1, m.bool()], m[m == 1][None], torch.tensor(row.sequences))
           for i, (m, row) in enumerate(zip(mask, rows, strict=True))]  # fmt: skip
    written = []
    for each in unmasked:
        answer = []
        while len(answer) < length and answer[-1:] != [end]:
            fed = torch.tensor([[each.last.item(), *answer]])
            answer.append(backbone._decode(each, fed)[0, -1].argmax().item())
        written.append(answer)
    texts = [backbone.tokenizer.decode(answer, skip_special_tokens=True).strip() for answer in written]
    assert texts == backbone.generate(encoding, length)
    decoys = [[7, end], [9, 9, end], [*written[0][:-1], 5], [*written[0][:2], 5, end], [*written[1][:1], 5, end]]
    candidates = [list(c) for c in dict.fromkeys(map(tuple, [*decoys, *written]))]
    hits = backbone.argmax_is(encoding, candidates)
    for i, answer in enumerate(written):
        for j, candidate in enumerate(candidates):
            assert hits[i, j].item() == (candidate == answer[: len(candidate)]), (candidate, answer)
