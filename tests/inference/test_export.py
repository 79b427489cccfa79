"""An exported prompt: peft loads it without rpt, and it answers as rpt does."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rpt import export, predict
from rpt.cli import read_arguments
from rpt.errors import UsageError
from rpt.inference.model_card import write_model_card
from rpt.inference.saved_run import open_saved_run
from rpt.inference.server import load_backbone_of
from rpt.prompts.prompt_file import load_prompt
from tests.conftest import NANO, recorded

# In a process of its own, in the adapter's folder: the card's code, then its model on real rows.
STRANGER = """
import bisect, json, sys
sys.modules["rpt"] = None  # whoever imports it fails
exec(open(sys.argv[1]).read())
room, answers = int(sys.argv[3]), []

def text(row, words):
    return f"passage: {' '.join(row['passage'].strip().split(' ')[:words])} question: {row['question'].strip()}"

def shortened(row):  # as long a passage as leaves room for the question
    words = range(len(row["passage"].strip().split(" ")) + 1)
    return text(row, bisect.bisect(words, room, key=lambda n: len(tokenizer(text(row, n))["input_ids"])) - 1)

texts = [shortened(json.loads(line)) for line in open(sys.argv[2], encoding="utf-8")]
for i in range(0, len(texts), 16):
    batch = tokenizer(texts[i:i + 16], return_tensors="pt", padding=True)
    ids = model.generate(**batch, max_new_tokens=ids_longest, do_sample=False, num_beams=1)
    answers += tokenizer.batch_decode(ids, skip_special_tokens=True)
json.dump(answers, open(sys.argv[4], "w"))
"""


def exported(record, to, **keys):
    export.export(export.ExportArguments(str(record), str(to), **keys))


def predicted(record, rows, output):
    predict.predict(predict.PredictArguments(str(record), str(rows), str(output), precision="fp32"))
    return [json.loads(line)["text"] for line in output.read_text().splitlines()]


@pytest.mark.slow
def test_peft_alone_gives_the_same_answers_to_real_rows(record, shared, tmp_path):
    exported(record, tmp_path / "adapter")
    rows = tmp_path / "rows.jsonl"
    real = (shared / "superglue" / "BoolQ" / "val.jsonl").read_text(encoding="utf-8").splitlines()[:24]
    rows.write_text("\n".join(real))
    card = (tmp_path / "adapter" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.S)
    (tmp_path / "card.py").write_text(code)
    (longest,) = re.findall(r"max_new_tokens=(\d+)", code)
    room = open_saved_run(record).text_budget
    script = STRANGER.replace("ids_longest", longest)
    overrides = [tmp_path / "card.py", rows, room, tmp_path / "theirs.json"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, *map(str, overrides)],
        cwd=tmp_path / "adapter",
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ours = predicted(record, rows, tmp_path / "answers.jsonl")
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    assert len(ours) == 24 and len(set(ours)) > 1  # hardly trained, it says many things
    assert theirs == ours
    (text,) = re.findall(r'texts = \["passage: (.*?) question: (.*?)"\]', code)
    example = tmp_path / "example.jsonl"
    example.write_text(json.dumps(dict(zip(("passage", "question"), text, strict=True))))
    assert done.stdout.strip() == str(predicted(record, example, tmp_path / "answer.jsonl"))


def test_the_folder_is_a_peft_adapter(record, tmp_path):
    exported(record, tmp_path / "adapter")
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == set(export.FILES)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["num_virtual_tokens"], config["token_dim"], config["num_transformer_submodules"]) == (8, 256, 1)
    assert Path(config["base_model_name_or_path"]).samefile(NANO)
    tensors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert set(tensors) == {"prompt_embeddings"}
    assert tensors["prompt_embeddings"].equal(load_prompt(record / "prompt.safetensors"))


def test_a_prompt_beside_larger_words_is_exported_for_the_model_as_others_have_it(tmp_path):
    overrides = ["task=cb", "backbone=nano", "backbone.stream_scale=2.5", "data.shots=4", "trainer.max_steps=1"]
    record = recorded(tmp_path / "runs", *overrides, "prompt.length=3")
    exported(record, tmp_path / "adapter")
    written = load_file(tmp_path / "adapter" / "adapter_model.safetensors")["prompt_embeddings"]
    torch.testing.assert_close(written * 2.5, load_prompt(record / "prompt.safetensors"))


def test_the_card_tells_where_the_scores_come_from(record, tmp_path):
    exported(record, tmp_path / "adapter", base="someone/nano")
    card = (tmp_path / "adapter" / "README.md").read_text()
    result = json.loads((record / "result.json").read_text())
    assert f"| accuracy | {result['scores']['accuracy']:.2f} | {result['majority']['accuracy']:.2f} |" in card
    assert result["id"] in card and result["backbone_fingerprint"] in card and "Miniature scores" in card
    assert "base_model: someone/nano\n" in card and 'base = "someone/nano"' in card and "datasets:" not in card
    assert str(record) not in card and "{" not in card.split("```bibtex")[0].split("```")[-1]


def test_the_card_says_where_weights_were_quantized(record):
    run = open_saved_run(record)
    backbone = load_backbone_of(run)
    assert "bitsandbytes" not in write_model_card(run, "someone/nano", backbone)
    run.config.backbone.weights = "4bit"
    assert "trained for weights of 4 bits" in write_model_card(run, "someone/nano", backbone)


def test_an_encoder_s_prompt_is_refused(encoder_record, tmp_path):
    with pytest.raises(
        UsageError, match=r"nano_bert: its prompt stands behind \[CLS\].* use rpt.predict or rpt.inference.server"
    ):
        exported(encoder_record, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_what_cannot_be_written_is_refused(record, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    for keys, message in [
        ({"format": "onnx"}, "format=onnx is not known; there is peft"),
        ({"to": str(tmp_path / "full")}, "holds other things; give a new folder"),
        ({"to": str(tmp_path / "full" / "notes.txt")}, "notes.txt is no folder.; give another"),
        ({"to": "/proc/adapter"}, "to=/proc/adapter cannot be used"),
        ({"to": "/dev/null"}, "to=/dev/null cannot be used ./dev/null is no folder"),
        ({"to": "x" * 300}, "to=x+ cannot be used .File name too long"),
    ]:
        with pytest.raises(UsageError, match=message):
            exported(record, **{"to": tmp_path / "adapter"} | keys)
    with pytest.raises(UsageError, match="Give to=FOLDER"):
        read_arguments(export.ExportArguments, [f"run={record}"])
