"""Prompts on disk: bit-exact, never half-written, and named when damaged."""

import os
import stat

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from rpt.errors import UsageError
from rpt.prompts.prompt_file import load_head, load_prompt, save_prompt

PROMPT = torch.linspace(-1, 1, 12).reshape(4, 3)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), n=st.integers(1, 4), d=st.integers(1, 5))
def test_round_trip_is_bit_exact(tmp_path_factory, data, n, d):
    values = st.floats(width=32, allow_nan=False, allow_infinity=False)
    prompt = torch.tensor(data.draw(st.lists(values, min_size=n * d, max_size=n * d))).reshape(n, d)
    path = tmp_path_factory.mktemp("prompts") / "prompt.safetensors"
    save_prompt(path, prompt)
    assert torch.equal(load_prompt(path).view(torch.int32), prompt.view(torch.int32))  # -0.0 is not 0.0


def test_file_is_laid_out_as_peft_s(tmp_path):
    path = tmp_path / "new" / "folder" / "prompt.safetensors"
    head = {"weight": torch.ones(2, 3, dtype=torch.float64)}
    prompt = torch.nn.Parameter(PROMPT.T.contiguous()).T  # neither contiguous nor detached
    save_prompt(path, prompt, head, {"run": "a"})
    tensors = load_file(path)
    assert set(tensors) == {"prompt_embeddings", "head.weight"}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert torch.equal(tensors["prompt_embeddings"], PROMPT)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "run": "a"}
    assert torch.equal(load_prompt(str(path)), PROMPT)
    assert load_head(str(path))["weight"].equal(torch.ones(2, 3))


def test_file_of_peft_is_read(tmp_path):
    path = tmp_path / "adapter_model.safetensors"
    save_file({"prompt_embeddings": PROMPT.bfloat16()}, path, metadata={"format": "pt"})
    assert torch.equal(load_prompt(path), PROMPT.bfloat16().float()) and load_head(path) == {}


def test_part_of_a_larger_tensor_is_saved_alone(tmp_path):
    save_prompt(tmp_path / "p", torch.cat([PROMPT, PROMPT + 1])[4:])
    assert torch.equal(load_prompt(tmp_path / "p"), PROMPT + 1)
    assert (tmp_path / "p").stat().st_size < 300


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_crash_while_saving_leaves_the_old_file(tmp_path, monkeypatch, call, error):
    path = tmp_path / "prompt.safetensors"
    save_prompt(path, PROMPT)
    before = path.read_bytes()

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(UsageError if isinstance(error, OSError) else KeyboardInterrupt):
            save_prompt(path, PROMPT + 1)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    save_prompt(path, PROMPT + 1)
    assert torch.equal(load_prompt(path), PROMPT + 1)
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_on_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    save_prompt(tmp_path / "p", PROMPT)
    assert calls == ["fsync", "replace"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "other").touch()
    save_prompt(tmp_path / "p", PROMPT)
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_loaded_prompt_outlives_its_file(tmp_path):
    """A view of the file would change, or crash the process, with the file."""
    path = tmp_path / "p"
    save_prompt(path, PROMPT)
    loaded = load_prompt(path)
    path.write_bytes(b"")
    assert torch.equal(loaded, PROMPT)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"prompt": PROMPT}, r"no 'prompt_embeddings' but \['prompt'\]"),
        ({}, r"no 'prompt_embeddings' but \[\]"),
        ({"prompt_embeddings": PROMPT[0]}, r"shape \(3,\) instead"),
        ({"prompt_embeddings": PROMPT[None]}, r"shape \(1, 4, 3\) instead"),
        ({"prompt_embeddings": PROMPT[:0]}, r"shape \(0, 3\) instead"),
        ({"prompt_embeddings": PROMPT / 0}, "not finite"),
        ({"prompt_embeddings": PROMPT * float("nan")}, "not finite"),
    ],
)
def test_file_without_a_prompt_is_named(tmp_path, tensors, said):
    path = tmp_path / "p.safetensors"
    path.write_bytes(save(tensors))
    with pytest.raises(ValueError, match=said) as error:
        load_prompt(path)
    assert str(path) in str(error.value) and "give the prompt.safetensors" in str(error.value)


def test_missing_file_and_folder_are_named(tmp_path):
    for path in (tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(ValueError, match="cannot be read") as error:
            load_prompt(path)
        assert str(path) in str(error.value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_file_is_named_or_holds_a_prompt(tmp_path_factory, data):
    """Cut short it never loads; with a byte changed it is refused, or loads as some finite prompt."""
    content = bytearray(save({"prompt_embeddings": PROMPT}, metadata={"format": "pt"}))
    cut = data.draw(st.booleans())
    at = data.draw(st.integers(0, len(content) - 1))
    if cut:
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "p.safetensors"
    path.write_bytes(content)
    try:
        prompt = load_prompt(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert not cut and prompt.dim() == 2 and prompt.isfinite().all()


def test_pickle_is_not_opened(tmp_path):
    path = tmp_path / "prompt.pt"
    torch.save({"prompt_embeddings": PROMPT}, path)
    with pytest.raises(ValueError, match="cannot be read"):
        load_prompt(path)
