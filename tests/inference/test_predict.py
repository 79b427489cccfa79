"""A trained prompt in use: the answers are those of the record, and every mistake is named before long work."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra import compose, initialize_config_dir

from rpt import predict
from rpt.backbones import Answer
from rpt.cli import keys_of, read_arguments
from rpt.config import Config, as_dict, config_folder, to_config
from rpt.data import miniature
from rpt.errors import RecordError, UsageError
from rpt.inference.saved_run import open_saved_run, train_command
from rpt.records.run_folder import RunFolder
from rpt.tasks import TASKS, get_task
from rpt.tasks.submission import TEST_ROWS
from tests.conftest import ROOT, recorded
from tests.processes import run_script
from tests.reports.conftest import reseal
from tests.tasks.server import validate

ROWS = miniature.rows("boolq", "val", 0)


def written(folder, rows, name="rows.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def predicted(record, **keys):
    overrides = [f"{key}={value}" for key, value in ({"run": record, "precision": "fp32"} | keys).items()]
    predict.predict(read_arguments(predict.PredictArguments, overrides))


@pytest.fixture
def copy(record, tmp_path):
    """A record to be harmed."""
    return Path(shutil.copytree(record, tmp_path / "runs" / "boolq" / "nano" / "residual" / record.name))


def test_the_answers_are_the_record_s(record, tmp_path):
    output = tmp_path / "new" / "answers.jsonl"
    predicted(record, input=written(tmp_path, ROWS), output=str(output), batch_size="100")
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert [answer["idx"] for answer in answers] == [row["idx"] for row in ROWS]
    labels = TASKS["boolq"].labels
    actual = [labels.index(answer["label"]) if answer["answered"] else None for answer in answers]
    assert actual == json.loads((record / "predictions.json").read_text())["predictions"]
    assert set(answers[0]) == {"idx", "text", "label", "answered", "probabilities"}
    assert set(answers[0]["probabilities"]) == set(labels)


def test_texts_that_are_no_label_and_rows_foreign_to_the_miniature_are_counted(record, tmp_path, monkeypatch, caplog):
    foreign = [{"passage": "Ulm is a city on the Danube.", "question": "is ulm a city", "idx": 99, "label": True}]
    answers = [Answer(i, "so", "False", answered=i < 1) for i in range(4)]
    monkeypatch.setattr(predict, "answer_examples", lambda run, examples, *_: answers[: len(examples)])
    for rows, said in (
        (
            foreign + ROWS[:3],
            ["and 1 of 4 rows have words that the miniature lacks", "3 of 4 texts are no label of the"],
        ),
        (ROWS[:1], []),
    ):
        caplog.clear()
        predicted(record, input=written(tmp_path, rows), output=str(tmp_path / "answers.jsonl"))
        assert len(caplog.messages) == len(said)
        assert all(part in line for part, line in zip(said, caplog.messages, strict=True))


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"boolq"}))
def test_no_row_of_the_miniature_is_foreign_to_it(task, caplog):
    run = SimpleNamespace(task=get_task(task), result={"data": {"miniature": True}}, config=Config())
    predict.warn_of_foreign_rows(run, [e for row in miniature.rows(task, "val", 7) for e in run.task.parse(row)])
    assert not caplog.messages


def test_an_encoder_s_answers_are_the_record_s(encoder_record, tmp_path, monkeypatch):
    rows, task = miniature.rows("copa", "val", 0), get_task("copa")
    keys = {"input": written(tmp_path, rows), "batch_size": "100"}
    predicted(encoder_record, **keys, output=str(tmp_path / "answers.jsonl"))
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert set(answers[0]) == {"idx", "label", "answered", "probabilities"}
    actual = [task.labels.index(answer["label"]) for answer in answers]
    assert actual == json.loads((encoder_record / "predictions.json").read_text())["predictions"]
    monkeypatch.setitem(TEST_ROWS, "copa", len(rows))
    keys["input"] = written(tmp_path, [{key: row[key] for key in row if key != "label"} for row in rows])
    predicted(encoder_record, **keys, submission="true", output=str(tmp_path / "submission"))
    submitted = [json.loads(line) for line in (tmp_path / "submission" / "COPA.jsonl").read_text().splitlines()]
    assert submitted == [{"idx": row["idx"], "label": label} for row, label in zip(rows, actual, strict=True)]


def test_a_stream_is_answered_line_by_line(record, tmp_path, caplog):
    """Each answer is there before the next line is read, and is the one that the rows get together."""
    read, run = [], open_saved_run(record)
    bare = [{key: row[key] for key in ("passage", "question")} for row in ROWS[:3]]

    def lines():
        for line in [json.dumps(bare[0]), "", "no row", json.dumps(bare[1]), '{"passage": "a"}', json.dumps(bare[2])]:
            read.append(line)
            yield line.encode() + b"\n"

    answers, seen = [], []
    for answer in predict.answer_stream(run, predict.load_server(run, "fp32", None), lines()):
        answers.append(answer)
        seen.append(len(read))
    assert seen == [1, 3, 4, 5, 6]
    assert answers[1]["error"].startswith("standard input, line 3 is not JSON")
    assert "boolq: field 'question' is missing" in answers[3]["error"]
    predicted(record, input=written(tmp_path, bare), output=str(tmp_path / "answers.jsonl"))
    together = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    for one, other in zip([answers[0], answers[2], answers[4]], together, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], rel=1e-3)
        assert {**one, "probabilities": None} == {**other, "probabilities": None}


@pytest.mark.slow
def test_readme_commands_run(tiny, tmp_path):
    """As written, after the run that they speak of, with a small backbone: the test rows of BoolQ are thousands."""
    recorded(tmp_path / "outputs/mine", "task=boolq", "backbone=nano", tiny, "data.shots=4", "trainer.max_steps=1")
    bare = [{key: row[key] for key in ("passage", "question")} for row in ROWS[:5]]
    outputs = tmp_path / "outputs"
    written(outputs, bare)
    asked = [{"passage": "Ada has a dog.", "question": "has ada a dog", "idx": i} for i in range(TEST_ROWS["boolq"])]
    written(outputs, asked, "test.jsonl")
    (block,) = [
        b for b in re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "submission=true" in b
    ]
    done = run_script(block, tmp_path)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in (outputs / "answers.jsonl").read_text().splitlines()]
    assert [answer["idx"] for answer in answers] == [0, 1, 2, 3, 4]
    (submitted,) = (outputs / "submission").iterdir()
    assert submitted.name == "BoolQ.jsonl"
    examples = [example for row in asked for example in get_task("boolq").parse(row)]
    validate(get_task("boolq"), submitted.read_text().splitlines(), examples)
    assert len(list((outputs / "adapter").iterdir())) == 3


def test_readme_code_runs(copy, tmp_path, capsys):
    """As written, with two records for the two that it speaks of: a T5's prompt may stand before any task."""
    other = Path(shutil.copytree(copy, tmp_path / "rte"))
    config = yaml.safe_load((other / "config.yaml").read_text())
    (other / "config.yaml").write_text(yaml.safe_dump(config | {"task": {"name": "rte"}}))
    reseal(other)
    (code,) = re.findall(r"```python\n(from rpt.inference.*?)```", (ROOT / "README.md").read_text(), re.S)
    for task, folder in (("boolq", copy), ("rte", other)):
        assert f'"results/runs/{task}/..."' in code
        code = code.replace(f"results/runs/{task}/...", str(folder))
    exec(code, {})
    first, second = capsys.readouterr().out.strip().splitlines()
    assert all(label in first for label in TASKS["boolq"].labels)
    assert all(label in second for label in TASKS["rte"].labels)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"batch_size": "0"}, "batch_size=0 must be 1 or more"),
        ({"precision": "fp16"}, "choose one of: auto, fp32, bf16"),
        ({"submission": "yes"}, "submission=yes should be true or false"),
        ({"submission": "true"}, "give output=FOLDER"),
        ({"stream": "true"}, "stream=true reads standard input and writes standard output; give run=FOLDER alone"),
        ({"output": "."}, "is a folder; give a file"),
        ({"input": "nowhere.jsonl"}, "input=nowhere.jsonl cannot be read"),
        ({"input": "a\0b"}, "cannot be read"),
        ({"output": "/dev/null"}, "output=/dev/null cannot be used .it is a folder or a device.; give another"),
        ({"output": "/proc/answers.jsonl"}, "output=/proc/answers.jsonl cannot be used|output=/proc cannot be used"),
        ({"output": "x" * 300}, "output=x+ cannot be used .File name too long"),
        ({"output": "a\0b"}, "output=a.b cannot be used"),
        ({"input": "rows.jsonl", "output": "./rows.jsonl"}, "output=./rows.jsonl is the input, which it would replace"),
        ({"output": f"{__file__}/answers.jsonl"}, "output=.*test_predict.py.* cannot be used"),
        ({"backbone.path": "nowhere"}, "backbone.path=nowhere does not exist"),
    ],
)
def test_a_wrong_key_is_named(record, tmp_path, keys, message):
    with pytest.raises(UsageError, match=message):
        predicted(record, **{"input": written(tmp_path, ROWS[:1])} | keys)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"passage": "a", "question": "b"}', "", "{"], r"rows.jsonl, line 3 is not JSON"),
        (['{"passage": "a"}'], r"line 1: boolq: field 'question' is missing"),
        (["[1]"], "line 1 should be one JSON object with the fields of a row"),
        (['{"passage": "a", "question": "b", "label": "maybe"}'], "line 1: boolq: field 'label' should be one of"),
        (["", " "], "has no rows of boolq"),
    ],
)
def test_a_wrong_row_is_named(record, tmp_path, lines, message):
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    with pytest.raises(UsageError, match=message):
        predicted(record, input=str(tmp_path / "rows.jsonl"))


def test_a_submission_needs_every_idx_once(record, tmp_path):
    keys = {"submission": "true", "output": str(tmp_path / "out")}
    without = [{"passage": "a", "question": "b"}]
    with pytest.raises(UsageError, match="line 1: boolq: field 'idx' is missing"):
        predicted(record, input=written(tmp_path, without), **keys)
    with pytest.raises(UsageError, match=r"each once\. BoolQ.jsonl, line 3: example 0 is answered twice"):
        predicted(record, input=written(tmp_path, [ROWS[0], ROWS[1], ROWS[0]]), **keys)
    with pytest.raises(
        UsageError, match=r"rows.jsonl is not .* BoolQ has 3,245 test examples, and these are 300; give"
    ):
        predicted(record, input=written(tmp_path, ROWS), **keys)
    assert not (tmp_path / "out").exists()


def test_a_record_that_cannot_be_used_is_named_with_the_remedy(copy, tmp_path):
    def refused(message, error=UsageError):
        with pytest.raises(error, match=message):
            open_saved_run(copy)

    config = copy / "config.yaml"
    stored = config.read_text()
    (copy / "prompt.safetensors").rename(tmp_path / "prompt")
    refused(r"prompt.safetensors is missing .*\n  python -m rpt.train .*prompt.length=8 .*force=true")
    whole = (tmp_path / "prompt").read_bytes()
    (copy / "prompt.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused("prompt.safetensors is not as its run left it .* run its command again", RecordError)
    (copy / "prompt.safetensors").write_bytes(b"half")
    reseal(copy)
    refused("cannot be read")
    (tmp_path / "prompt").rename(copy / "prompt.safetensors")
    reseal(copy)
    config.write_text(stored.replace("seed: 0", "seed: 1"))
    refused("config.yaml is not as its run left it", RecordError)
    for old, new, message in [
        ("length: 8", "length: 9", "has 8 tokens, its run had prompt.length=9; this makes it again"),
        ("name: residual\n  reparameterization: residual\n  length: 8",
         "name: none\n  reparameterization: identity\n  length: 0", "give one with a prompt"),
        ("method:\n  name: prompt\n  lr: 0.3\n  weights: null", "method:\n  name: bitfit\n  lr: 0.3\n  weights: bias",
         "had method=bitfit, .* give a run of method=prompt"),
        ("family: t5", "family: bert", r"lacks the head .* makes it again:\n  python -m rpt.train"),
        ("  name: paper", "  name: other", "under protocol other, which this version does not have"),
    ]:  # fmt: skip
        assert old in stored
        config.write_text(stored.replace(old, new))
        reseal(copy)
        refused(message)
    for old, new, message in [
        ("length: 8", "length: 0", "config.yaml: prompt.length=0 does not fit prompt=residual"),
        ("length: 8", "length: many", "field prompt.length should be a valid integer, is 'many'"),
        ("eps: 1.0e-08", "eps: .nan", "field trainer.eps should be a finite number, is nan"),
        ("weight_decay: 1.0e-05", "weight_decay: 1.0e+300", "config.yaml: trainer.weight_decay=1e[+]300 must"),
        ("task:\n  name: boolq", "task:\n  name: ../boolq", "task.name=../boolq becomes a part of a path"),
    ]:
        assert old in stored
        config.write_text(stored.replace(old, new))
        refused(message, RecordError)
    config.write_text("a: [")
    refused("config.yaml cannot be read", RecordError)
    config.write_text(stored)
    reseal(copy)
    (copy / "result.json").unlink()
    refused("is not finished; this finishes it:\n  python -m rpt.train")
    config.unlink()
    refused("no run's record: it has no config.yaml")


def test_the_backbone_must_have_the_weights_of_training(copy, tmp_path):
    reseal(copy, backbone_fingerprint="others")
    with pytest.raises(UsageError, match=r"nano has other weights .* than the prompt was trained with \(others\)"):
        predicted(copy, input=written(tmp_path, ROWS[:1]))


def test_the_command_of_a_record_is_of_the_same_run(configure, tmp_path):
    overrides = [
        "task=cb",
        "prompt=residual",
        "prompt.bottleneck=7",
        "prompt.init=text",
        "lr=0.01",
        "protocol=superglue",
    ]
    config = configure(*overrides, 'prompt.init_text="it\'s a = b, \\"c\\""', "trainer.clip=1", "prompt.shared=false")
    stored = yaml.safe_load(yaml.safe_dump(as_dict(config)))
    folder = Path(config.results, "runs", "cb", "nano", "residual", "id")
    program, *overrides = shlex.split(train_command(stored, RunFolder(folder)))
    assert [program, *overrides[:2]] == ["python", "-m", "rpt.train"]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        assert as_dict(to_config(compose("train", overrides[2:]))) == stored
    lora = configure("method=lora", "+method.peft.lora_dropout=0.1")
    assert " +method.peft.lora_dropout=0.1" in train_command(as_dict(lora), RunFolder(folder))


def test_the_command_line_helps_and_fails_in_one_line(monkeypatch, capsys):
    def run(*overrides):
        monkeypatch.setattr(sys, "argv", ["predict", *overrides])
        predict.main()

    run("--help")
    told = capsys.readouterr().out
    assert all(f"\n{key} " in told for key in keys_of(predict.PredictArguments))
    with pytest.raises(SystemExit, match="2"):
        run("run=nowhere")
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("rpt: run=nowhere is no run's record") and len(err.splitlines()) == 1
