"""Several prompts over one backbone: a mixed batch answers each row as if it stood alone."""

import dataclasses
import json
import math
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from rpt.backbones import BertBackbone, Encoded, Row, T5Backbone
from rpt.config import Config, TaskConfig
from rpt.data import miniature
from rpt.data.sequences import encode_readings
from rpt.errors import UsageError
from rpt.inference.saved_run import SavedRun
from rpt.inference.server import PromptServer, open_server
from rpt.predict import PredictArguments, predict, write_submission
from rpt.tasks import PROTOCOLS, TASKS, Example, get_task
from rpt.tasks.custom import make_task
from rpt.train import train
from tests.conftest import tiny_bert
from tests.tasks.server import validate


def trained(backbone, task, protocol="paper", length=4, head="cls", weights="tiny", stored="auto"):
    """A random prompt, with a head if the backbone needs one."""
    config, generator = Config(), torch.Generator().manual_seed(length)
    config.backbone.weights = stored
    config.task.name, config.protocol.name, config.prompt.length = task, protocol, length
    config.trainer.precision, config.backbone.head = "fp32", head
    config.backbone.family = "bert" if isinstance(backbone, BertBackbone) else "t5"
    prompt = torch.randn(length, 32, generator=generator) * 3
    new = backbone.new_head(get_task(task, config.backbone.family), config.backbone)
    shapes = {name: value.shape for name, value in new.named_parameters()} if new else {}
    drawn = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return SavedRun(Path(task), config, {"backbone_fingerprint": weights}, prompt, drawn)


def server_of(backbone, prompts):
    return PromptServer(backbone, prompts)


@cache
def examples(task, family="t5"):
    return [e for row in miniature.rows(task, "val", 0)[:8] for e in get_task(task, family).parse(row)][:8]


def assert_same(one, other):
    loose = ("probabilities", "probability")
    for field in dataclasses.fields(one):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        assert (pytest.approx(ours, rel=3e-3, abs=1e-5) if field.name in loose and ours else ours) == theirs, field.name


PROMPTS = st.tuples(
    st.sampled_from(list(TASKS)), st.sampled_from(PROTOCOLS), st.integers(1, 12), st.sampled_from(["cls", "spans"])
)
PAIRS = [task for task in TASKS if get_task(task, "bert").encoder_pairs]  # which a bi-encoder reads
BY_KIND = pytest.mark.parametrize(
    ("backbone", "encoder", "tasks"),
    [("t5", "bert", TASKS), ("bert", "bert", TASKS), ("bert", "bi-encoder", PAIRS)],
    indirect=["backbone", "encoder"],
)


@pytest.fixture(scope="module")
def encoder(request):
    return tiny_bert(pooling="cosine" if getattr(request, "param", "bert") == "bi-encoder" else "cls")


@pytest.fixture
def backbone(request, tiny_backbone, encoder):
    return {"t5": tiny_backbone, "bert": encoder}[request.param]


@BY_KIND
@settings(max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), prompts=st.lists(PROMPTS, min_size=2, max_size=4))
def test_a_row_in_a_mixed_batch_is_answered_as_alone(backbone, tasks, data, prompts):
    if tasks is PAIRS:  # whose head reads no marked words
        prompts = [(task if task in tasks else tasks[0], *rest, "cls") for task, *rest, _ in prompts]
    server = server_of(backbone, {str(i): trained(backbone, *prompt) for i, prompt in enumerate(prompts)})
    asked = data.draw(st.lists(st.tuples(st.integers(0, len(prompts) - 1), st.integers(0, 7)), min_size=2, max_size=6))
    family = server.prompts["0"].config.backbone.family
    requests = [(str(i), examples(prompts[i][0], family)[row]) for i, row in asked]
    together = server.answer(requests, batch_size=data.draw(st.integers(2, 12)))
    assert len(together) == len(requests)
    for request, answer in zip(requests, together, strict=True):
        assert_same(answer, *server.answer([request]))


def test_tasks_of_one_name_are_told_apart(tiny_backbone):
    """Two users may each declare a task `reviews`."""
    prompts = {"one": trained(tiny_backbone, "cb"), "other": trained(tiny_backbone, "cb")}
    for labels, run in zip((["bad", "good"], ["no", "maybe", "yes"]), prompts.values(), strict=True):
        run.config.task = TaskConfig(name="reviews", fields=["text"], labels=labels)
    server = server_of(tiny_backbone, prompts)
    requests = [(name, *server.parse(name, {"text": "A cake."})) for name in prompts]
    together = server.answer(requests)
    assert [list(answer.probabilities) for answer in together] == [["bad", "good"], ["no", "maybe", "yes"]]
    for request, answer in zip(requests, together, strict=True):
        assert_same(answer, *server.answer([request]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_kind_of_answer_and_a_submission(tiny_backbone, task, protocol):
    server, rows = server_of(tiny_backbone, {"p": trained(tiny_backbone, task, protocol)}), examples(task)
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
            assert answer.label == max(labels, key=answer.probabilities.get)
    validate(get_task(task), write_submission(get_task(task), rows, answers), rows)


@pytest.mark.parametrize(
    ("encoder", "task"), [*product(["bert"], TASKS), *product(["bi-encoder"], PAIRS)], indirect=["encoder"]
)
def test_an_encoder_s_answers_are_its_predictions(encoder, task):
    """They are the softmax that training uses; the most probable label (ReCoRD: entity) is the answer."""
    one, rows = trained(encoder, task), examples(task, "bert")
    server = server_of(encoder, {"p": one})
    answers = server.answer([("p", example) for example in rows], batch_size=16)
    encoded = Encoded(one.task, rows, encoder.rows(rows, one.task, one.text_budget, None))
    predictions = encoder.predict(one.prompt, one.head, encoded)()
    for example, answer, prediction in zip(rows, answers, predictions, strict=True):
        if task == "record":
            chosen, candidates = (prediction, None), example.fields["entities"]
        else:
            chosen, candidates = (None, one.task.labels[prediction]), one.task.labels
        assert (answer.text, answer.label) == chosen and answer.answered and answer.probability is None
        assert tuple(answer.probabilities) == candidates
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert max(answer.probabilities, key=answer.probabilities.get) in chosen
    validate(one.task, write_submission(one.task, rows, answers), rows)


def test_probabilities_are_of_the_labels_words(tiny_backbone):
    """Compared with T5's logits, label by label: each token's logit minus the highest one in its place."""
    one = trained(tiny_backbone, "cb")
    (example,) = examples("cb")[:1]
    (answer,) = server_of(tiny_backbone, {"cb": one}).answer([("cb", example)])
    ids = torch.tensor([tiny_backbone.tokenizer(one.task.source(example))["input_ids"]])
    embeds = torch.cat([one.prompt[None], tiny_backbone.model.get_input_embeddings()(ids)], dim=1)
    gaps = []
    for word in one.task.verbalizers:
        labels = torch.tensor([tiny_backbone.tokenizer(word)["input_ids"]])
        logits = tiny_backbone.model(inputs_embeds=embeds, labels=labels).logits[0]
        gaps.append(sum(each.max() - each[token] for each, token in zip(logits, labels[0], strict=True)))
    expected = (-torch.stack(gaps)).softmax(dim=0).tolist()
    assert list(answer.probabilities.values()) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_a_label_never_contradicts_its_probabilities(tiny_backbone, monkeypatch):
    """ "good" is written, for its first token is the likeliest, though "bad" as a whole has the larger likelihood."""
    one = trained(tiny_backbone, "cb")
    one.config.task = TaskConfig(name="reviews", fields=["text"], labels=["bad", "good"])
    (b, ad, end), (g, ood, _) = (tiny_backbone.tokenizer(word)["input_ids"] for word in ("bad", "good"))
    shares = {b: {ad: 0.95, 9: 0.05}, g: {ood: 0.6, 9: 0.4}, ad: {end: 1.0}, ood: {end: 1.0}}  # by the token before

    def decode(encoding, fed):
        logits = torch.full((*fed.shape, len(tiny_backbone.embeddings)), -50.0)
        for row, column in product(range(fed.shape[0]), range(fed.shape[1])):
            for token, share in shares.get(fed[row, column].item(), {g: 0.5, b: 0.45, 9: 0.05}).items():
                logits[row, column, token] = math.log(share)
        return logits

    monkeypatch.setattr(tiny_backbone, "_decode", decode)
    monkeypatch.setattr(tiny_backbone, "generate", lambda encoding, longest: ["good"])
    server = server_of(tiny_backbone, {"p": one})
    (answer,) = server.answer([("p", *server.parse("p", {"text": "A cake."}))])
    assert (answer.text, answer.label, answer.answered) == ("good", "good", True)
    assert answer.probabilities == pytest.approx({"bad": 0.45 / 0.95, "good": 0.5 / 0.95})
    monkeypatch.setattr(tiny_backbone, "generate", lambda encoding, longest: ["Bad"])  # a label in another spelling
    (answer,) = server.answer([("p", *server.parse("p", {"text": "A cake."}))])
    assert (answer.text, answer.label) == ("Bad", "bad") and answer.probabilities["bad"] >= answer.probabilities["good"]


@pytest.mark.parametrize("task", ["cb", "copa", "record", "wic"])
def test_probabilities_are_of_what_an_encoder_chooses_from(encoder, task):
    """Each reading alone: the classes of one, COPA's two scores, the odds of ReCoRD's entities."""
    one, (example, *_) = trained(encoder, task, head="spans"), examples(task, "bert")
    (answer,) = server_of(encoder, {"p": one}).answer([("p", example)])
    prompt, mask = one.prompt[None], torch.ones(1, len(one.prompt), dtype=torch.long)
    head = {name: value[None] for name, value in one.head.items()}
    readings = [reading for decision in one.task.decisions(example) for reading in decision.readings]
    sequences = encode_readings(readings, encoder.tokenizer, one.text_budget)
    outputs = [
        encoder.logits(prompt, mask, encoder.collate([Row((sequence,))], len(one.prompt)), head)[0]
        for sequence in sequences
    ]
    if task == "record":
        odds = torch.stack([(yes - no).exp() for no, yes in outputs])
        expected = odds / odds.sum()
    else:
        expected = torch.cat(outputs).softmax(dim=0)
    assert list(answer.probabilities.values()) == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-6)


def test_a_row_is_parsed_without_label_and_idx(tiny_backbone):
    server = server_of(tiny_backbone, {"q": trained(tiny_backbone, "boolq")})
    (example,) = server.parse("q", {"passage": "Ulm is a city.", "question": "is ulm a city"})
    assert (example.idx, example.label) == (0, None)
    with pytest.raises(UsageError, match="boolq: field 'passage' is missing"):
        server.parse("q", {"question": "is ulm a city"})
    for ask in (lambda: server.parse("p", {}), lambda: server.answer([("p", example)])):
        with pytest.raises(UsageError, match="There is no prompt p; there are q"):
            ask()


@pytest.mark.parametrize("other", [{"weights": "others"}, {"stored": "8bit"}])
def test_prompts_of_different_backbones_are_not_served_together(tiny_backbone, other):
    runs = {"a": trained(tiny_backbone, "boolq"), "b": trained(tiny_backbone, "rte", **other)}
    with pytest.raises(UsageError, match="boolq and rte were trained for different backbones"):
        open_server(runs)


def test_weights_in_bf16_are_not_computed_in_float32(tiny_backbone):
    with pytest.raises(UsageError, match="precision=fp32 is not for a run with backbone.weights=bf16; leave it out"):
        open_server({"a": trained(tiny_backbone, "boolq", stored="bf16")}, precision="fp32")


def test_words_that_the_vocabulary_lacks_letters_of_are_refused(shared):
    """T5's has no Chinese: both words would be its unknown piece, and one label."""
    backbone = T5Backbone.__new__(T5Backbone)
    backbone.tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "t5-tokenizer")
    rows = [Example({"text": "A cake."}, 0, idx=0)]
    for first, second in ("是否", "{}"):
        with pytest.raises(UsageError, match=f"cannot write '{first}' for label a, it comes back as ''; give words"):
            backbone.rows(rows, make_task("chosen", ("text",), ("a", "b"), (first, second)), 100, None)
    assert backbone.rows(rows, make_task("chosen", ("text",), ("+", "-")), 100, None)


@pytest.mark.parametrize(("backbone", "labels"), [("nano", "[bad,good]"), ("nano", "[]"), ("nano_bert", "[bad,good]")])
def test_a_task_of_one_s_own_is_served_and_predicted(configure, tmp_path, backbone, labels):
    """With labels and with open answers; its files of rows may be gone."""
    rows = [{"text": "A warm cake.", "label": "good"}, {"text": "Cold soup.", "label": "bad"}]
    for split, changed in (("train", ""), ("validation", " Fresh.")):
        written = [json.dumps(row | {"text": row["text"] + changed}) for row in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(written))
    overrides = [f"data.dir={tmp_path}", "task.name=meals", "task.fields=[text]", f"task.labels={labels}"]
    files = [f"task.{split}={split}.jsonl" for split in ("train", "validation")]
    train(configure("task=custom", "data=folder", f"backbone={backbone}", "trainer.max_steps=2", *overrides, *files))
    (folder,) = (path.parent for path in tmp_path.rglob("result.json"))
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").unlink()
    server = open_server({"meals": folder})
    asked = [example for row in rows for example in server.parse("meals", {"text": row["text"]})]
    answers = server.answer([("meals", example) for example in asked])
    assert len(answers) == 2
    for answer in answers:
        if labels == "[]":
            assert isinstance(answer.text, str) and not answer.probabilities
        else:
            assert answer.label in ("bad", "good") and sum(answer.probabilities.values()) == pytest.approx(1)
    with pytest.raises(UsageError, match="meals: field 'text'"):
        server.parse("meals", {"words": "none"})
    (tmp_path / "asked.jsonl").write_text("".join(f"{json.dumps({'text': row['text']})}\n" for row in rows))
    predict(PredictArguments(str(folder), str(tmp_path / "asked.jsonl"), str(tmp_path / "answers")))
    predicted = [json.loads(line) for line in (tmp_path / "answers").read_text().splitlines()]
    assert [line.get("label") for line in predicted] == [answer.label for answer in answers]
