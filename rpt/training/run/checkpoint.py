"""A run's tensors on disk. Its checkpoint and, of another method than prompt tuning, what it trained.

A checkpoint is one safetensors file, so it is either complete or missing. It holds the trained parameters, AdamW's
moments, and the best folded prompt, head and weights; its header holds the run's progress as JSON and a digest of the
tensors.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from rpt.errors import UsageError
from rpt.files import write_atomically
from rpt.prompts.prompt_file import HEAD
from rpt.training.run.progress import Progress
from rpt.training.run.run import WEIGHTS, TrainingRun, read_losses


def save_checkpoint(run: TrainingRun) -> None:
    """Write the complete state of the run, atomically."""
    read_losses([run])
    tensors: dict[str, Tensor] = {f"parameter.{name}": value for name, value in run.parameters.items()}
    tensors |= {f"{moment}.{name}": value for name, moments in run.moments.items() for moment, value in moments.items()}
    if run.best_prompt is not None:
        tensors["best_prompt"] = run.best_prompt
    tensors |= {f"best_head.{name}": value for name, value in run.best_head.items()}
    tensors |= {f"best_weight.{name}": value for name, value in run.best_weights.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = {"progress": json.dumps(dataclasses.asdict(run.progress)), "digest": _digest_tensors(tensors)}
    write_atomically(run.record.checkpoint_path, save(tensors, metadata=header))


def load_checkpoint(run: TrainingRun) -> bool:
    """Restore the run from its checkpoint; False if there is none.

    Raises:
        UsageError: the file is damaged or belongs to another configuration.
    """
    path = run.record.checkpoint_path
    if not path.exists():
        return False
    tensors, run.progress = _read_checkpoint(path)
    run.best_prompt = tensors.pop("best_prompt", None)
    stored: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        kind, _, name = key.partition(".")
        stored[kind][name] = value
    run.best_head, run.best_weights = stored.pop("best_head", {}), stored.pop("best_weight", {})
    values, parameters = stored.pop("parameter", {}), run.parameters
    if {n: tuple(v.shape) for n, v in values.items()} != {n: tuple(v.shape) for n, v in parameters.items()}:
        raise UsageError(f"Checkpoint {path} belongs to another prompt; delete it, or start over with resume=never.")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(values[name])
            run.moments[name] = {moment: tensors[name] for moment, tensors in stored.items() if name in tensors}
    return True


def save_weights(run: TrainingRun) -> None:
    """Write the best head and backbone weights of a run that trains no prompt."""
    head = {f"{HEAD}{name}": value for name, value in run.best_head.items()}
    weights = {f"{WEIGHTS}{name}": value.contiguous() for name, value in run.best_weights.items()}
    write_atomically(run.record.weights_path, save(head | weights, metadata={"format": "pt"}))


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Progress]:
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
        progress = json.loads(header["progress"])
        if header["digest"] != _digest_tensors(tensors):
            raise ValueError("its digest differs")
    except Exception as error:  # safetensors has its own errors; each means that the file is damaged
        raise UsageError(
            f"Checkpoint {path} is damaged ({error}); delete it, or start over with resume=never."
        ) from error
    unknown = progress.keys() - {field.name for field in dataclasses.fields(Progress)}
    if unknown:
        raise UsageError(
            f"Checkpoint {path} is from another version of rpt: it has {', '.join(sorted(unknown))}; continue with "
            "that version, or start over with resume=never."
        )
    return tensors, Progress(**progress)


def _digest_tensors(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
