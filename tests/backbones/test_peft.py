"""Plain prompt tuning against peft's: the same prompt and the same batch give the same loss and gradient."""

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from transformers import T5ForConditionalGeneration

from rpt.backbones import Row
from rpt.backbones.likelihood import NO_LABEL
from rpt.data.batches import pad
from rpt.data.sequences import encode_readings
from rpt.tasks import Reading
from tests.conftest import tiny_bert, tiny_t5
from tests.decoders import tiny_decoder

N = 5
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's own, on transformers 5


def theirs_of(model, task_type, table):
    config = PromptTuningConfig(task_type=task_type, num_virtual_tokens=N, num_transformer_submodules=1)
    theirs = get_peft_model(model, config).eval()
    weight = theirs.prompt_encoder["default"].embedding.weight
    weight.data.copy_(table)
    return theirs, weight


def table_for(backbone):
    return torch.randn(N, backbone.embeddings.shape[1], generator=torch.Generator().manual_seed(0))


def test_t5():
    backbone = tiny_t5(1.0)
    table = table_for(backbone)
    rows = [
        Row((backbone.tokenizer(text)["input_ids"],), backbone.tokenizer(answer)["input_ids"])
        for text, answer in [("the dog", "true"), ("ada bought a red coat", "not_entailment"), ("a", "false")]
    ]
    ours = table.clone().requires_grad_()
    losses = backbone.losses(ours.expand(3, -1, -1), torch.ones(3, N, dtype=torch.long), backbone.collate(rows, N), {})
    loss = losses.sum() / sum(len(row.target) for row in rows)
    loss.backward()

    model = T5ForConditionalGeneration(backbone.model.config)
    model.load_state_dict(backbone.model.state_dict())
    theirs, weight = theirs_of(model, "SEQ_2_SEQ_LM", table)
    ids, labels = pad([row.sequences[0] for row in rows], 0), pad([row.target for row in rows], NO_LABEL)
    expected = theirs(input_ids=ids, attention_mask=ids.ne(0).long(), labels=labels).loss
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_decoder(kind):
    """peft, too, puts the prompt before the marker that a text may begin with."""
    backbone = tiny_decoder(kind)
    table = table_for(backbone)
    texts = ["the dog", "ada bought a red coat", "a"]
    sequences = [backbone.tokenizer(text + backbone.cue)["input_ids"] for text in texts]
    answers = backbone.encode_answers(["true", "not_entailment", "false"])
    rows = [Row((sequence,), answer) for sequence, answer in zip(sequences, answers, strict=True)]
    ours = table.clone().requires_grad_()
    losses = backbone.losses(ours.expand(3, -1, -1), torch.ones(3, N, dtype=torch.long), backbone.collate(rows, N), {})
    loss = losses.sum() / sum(map(len, answers))
    loss.backward()

    theirs, weight = theirs_of(tiny_decoder(kind).model, "CAUSAL_LM", table)
    ids = pad([[*row.sequences[0], *row.target] for row in rows], 0)
    labels = pad([[*[NO_LABEL] * len(row.sequences[0]), *row.target] for row in rows], NO_LABEL)
    mask = pad([[1] * (len(row.sequences[0]) + len(row.target)) for row in rows], 0)
    expected = theirs(input_ids=ids, attention_mask=mask, labels=labels).loss
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, weight.grad, rtol=1e-4, atol=1e-6)


def test_bert():
    """peft puts the prompt before [CLS], we behind it as the paper does. An encoder knows order by its positions alone,
    so peft's model is given a table of them in which [CLS] and prompt have changed places. It drops token types: the
    texts are single."""
    backbone = tiny_bert("bert", initializer_range=0.1)
    table, width = table_for(backbone), backbone.embeddings.shape[1]
    generator = torch.Generator().manual_seed(1)
    head = torch.randn(2, width, generator=generator), torch.randn(2, generator=generator)
    texts = ["the dog bought a red coat", "ada", "red red coat"]
    sequences = encode_readings([Reading((text,)) for text in texts], backbone.tokenizer, 512)
    labels = [0, 1, 1]
    rows = [Row((sequence,), label) for sequence, label in zip(sequences, labels, strict=True)]
    ours = table.clone().requires_grad_()
    heads = {"weight": head[0].expand(3, -1, -1), "bias": head[1].expand(3, -1)}
    loss = backbone.losses(
        ours.expand(3, -1, -1), torch.ones(3, N, dtype=torch.long), backbone.collate(rows, N), heads
    ).mean()
    loss.backward()

    other = tiny_bert("bert", initializer_range=0.1).model
    positions = other.embeddings.position_embeddings.weight.data
    positions[: N + 1] = torch.cat([positions[1 : N + 1], positions[:1]]).clone()
    theirs, weight = theirs_of(other, "FEATURE_EXTRACTION", table)
    batch = backbone.tokenizer(texts, padding=True, return_tensors="pt")
    states = theirs(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    expected = torch.nn.functional.cross_entropy(states[:, N] @ head[0].T + head[1], torch.tensor(labels))
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, weight.grad, rtol=1e-4, atol=1e-6)
