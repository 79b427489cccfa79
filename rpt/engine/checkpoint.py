"""A run's checkpoint: one safetensors file, so that it is either whole or not there.

Tensors: the prompt's parameters, AdamW's moments, the best folded prompt. The header holds the run's progress as
JSON and a digest of the tensors.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from rpt.config import UsageError
from rpt.engine.run import Progress, Run
from rpt.files import write_atomically

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what AdamW keeps for each parameter


def save_checkpoint(run: Run, optimizer: torch.optim.Optimizer) -> None:
    """Write the run's whole state, atomically."""
    tensors = {f"parameter.{name}": value for name, value in run.soft_prompt.named_parameters()}
    for name, value in run.soft_prompt.named_parameters():
        state = optimizer.state.get(value, {})
        tensors |= {f"{moment}.{name}": state[moment] for moment in MOMENTS if moment in state}
    if run.best_prompt is not None:
        tensors["best_prompt"] = run.best_prompt
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = {"progress": json.dumps(dataclasses.asdict(run.progress)), "digest": _digest(tensors)}
    write_atomically(run.record.checkpoint_path, save(tensors, metadata=header))


def load_checkpoint(run: Run, optimizer: torch.optim.Optimizer) -> bool:
    """Bring the run back to where its checkpoint left it; False if there is none.

    Raises:
        UsageError: the file is damaged or belongs to another configuration.
    """
    path = run.record.checkpoint_path
    if not path.exists():
        return False
    tensors, progress = _read(path)
    parameters = dict(run.soft_prompt.named_parameters())
    stored = {
        name.removeprefix("parameter."): value for name, value in tensors.items() if name.startswith("parameter.")
    }
    if {n: tuple(v.shape) for n, v in stored.items()} != {n: tuple(v.shape) for n, v in parameters.items()}:
        raise UsageError(f"Checkpoint {path} is of another prompt; delete it, or start over with resume=never.")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(stored[name])
            if f"exp_avg.{name}" in tensors:
                # AdamW keeps its step count on the CPU and its moments beside the parameter.
                optimizer.state[value] = {
                    moment: tensors[f"{moment}.{name}"].to("cpu" if moment == "step" else value.device)
                    for moment in MOMENTS
                }
    run.best_prompt, run.progress = tensors.get("best_prompt"), progress
    return True


def _read(path: Path) -> tuple[dict[str, Tensor], Progress]:
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
        progress = Progress(**json.loads(header["progress"]))
        damaged = header["digest"] != _digest(tensors)
    except Exception as error:  # safetensors raises its own kinds; each means that the file is not what we wrote
        raise UsageError(
            f"Checkpoint {path} is damaged ({error}); delete it, or start over with resume=never."
        ) from error
    if damaged:
        raise UsageError(
            f"Checkpoint {path} is damaged (its digest differs); delete it, or start over with resume=never."
        )
    return tensors, progress


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
