"""Several prompts over one backbone: a mixed batch answers each row as if it stood alone."""

import dataclasses
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt.config import Config, UsageError
from rpt.data import miniature
from rpt.engine.fit import accelerator_for
from rpt.predict import submission_lines
from rpt.serving import PromptServer, open_server
from rpt.tasks import PROTOCOLS, TASKS
from rpt.trained import Trained


def trained(task, protocol, length, weights="tiny"):
    config = Config()
    config.task.name, config.protocol.name, config.prompt.length = task, protocol, length
    config.trainer.precision = "fp32"
    prompt = torch.randn(length, 32, generator=torch.Generator().manual_seed(length)) * 3
    return Trained(Path(task), config, {"backbone_fingerprint": weights}, prompt)


def server_of(backbone, prompts):
    return PromptServer(backbone, accelerator_for(next(iter(prompts.values())).config), prompts)


@cache
def examples(task):
    return [example for row in miniature.rows(task, "val", 0)[:8] for example in TASKS[task].parse(row)][:8]


def assert_same(one, other):
    loose = ("probabilities", "probability")
    for field in dataclasses.fields(one):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        assert (pytest.approx(ours, rel=1e-3, abs=1e-6) if field.name in loose and ours else ours) == theirs, field.name


PROMPTS = st.tuples(st.sampled_from(list(TASKS)), st.sampled_from(PROTOCOLS), st.integers(1, 12))


@settings(max_examples=25, deadline=None)
@given(data=st.data(), prompts=st.lists(PROMPTS, min_size=2, max_size=4))
def test_a_row_in_a_mixed_batch_is_answered_as_alone(tiny_backbone, data, prompts):
    server = server_of(tiny_backbone, {str(i): trained(*prompt) for i, prompt in enumerate(prompts)})
    asked = st.tuples(st.integers(0, len(prompts) - 1), st.integers(0, 7))
    requests = [(str(i), examples(prompts[i][0])[row]) for i, row in data.draw(st.lists(asked, min_size=2, max_size=6))]
    together = server.answer(requests, batch_size=data.draw(st.integers(2, 6)))
    assert len(together) == len(requests)
    for request, answer in zip(requests, together, strict=True):
        assert_same(answer, *server.answer([request]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_kind_of_answer_and_a_submission(tiny_backbone, task, protocol):
    server, rows = server_of(tiny_backbone, {"p": trained(task, protocol, 5)}), examples(task)
    answers = server.answer([("p", example) for example in rows])
    assert [answer.idx for answer in answers] == [example.idx for example in rows]
    labels = TASKS[task].labels
    for answer in answers:
        assert (answer.label in labels) if labels else answer.label is None
        if task in ("record", "wsc"):
            assert answer.probabilities is None and 0 <= answer.probability <= 1
        else:
            assert answer.probability is None and tuple(answer.probabilities) == labels
            assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
            best = max(labels, key=answer.probabilities.get)
            assert answer.answered or answer.label == best
    assert submission_lines(TASKS[task], rows, answers)  # validated there


def test_probabilities_are_of_the_labels_words(tiny_backbone):
    """Against T5's own loss, label by label."""
    one = trained("cb", "paper", 4)
    (example,) = examples("cb")[:1]
    (answer,) = server_of(tiny_backbone, {"cb": one}).answer([("cb", example)])
    ids = torch.tensor([tiny_backbone.tokenizer(one.task.source(example, "paper"))["input_ids"]])
    embeds = torch.cat([one.prompt[None], tiny_backbone.model.get_input_embeddings()(ids)], dim=1)
    likelihoods = []
    for word in one.task.verbalizers("paper"):
        labels = torch.tensor([tiny_backbone.tokenizer(word)["input_ids"]])
        likelihoods.append(-tiny_backbone.model(inputs_embeds=embeds, labels=labels).loss * labels.shape[1])
    expected = torch.stack(likelihoods).softmax(dim=0).tolist()
    assert list(answer.probabilities.values()) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_a_row_is_parsed_without_label_and_idx(tiny_backbone):
    server = server_of(tiny_backbone, {"q": trained("boolq", "paper", 3)})
    (example,) = server.parse("q", {"passage": "Ulm is a city.", "question": "is ulm a city"})
    assert (example.idx, example.label) == (0, None)
    with pytest.raises(UsageError, match="boolq: field 'passage' is missing"):
        server.parse("q", {"question": "is ulm a city"})
    for ask in (lambda: server.parse("p", {}), lambda: server.answer([("p", example)])):
        with pytest.raises(UsageError, match="There is no prompt p; there are q"):
            ask()


def test_prompts_of_different_backbones_are_not_served_together():
    with pytest.raises(UsageError, match="boolq and rte were trained in front of different backbones"):
        open_server({"a": trained("boolq", "paper", 3), "b": trained("rte", "paper", 3, weights="others")})
