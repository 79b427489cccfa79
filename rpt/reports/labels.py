"""How names and numbers are written. The names stand in labels.yaml."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rpt.config.yaml_files import load_yaml

LABELS: dict[str, dict[str, str]] = load_yaml(Path(__file__).with_name("labels.yaml").read_text("utf-8"))


def label(kind: str, name: str) -> str:
    """Write a name as a reader knows it; a name without a label stays as it is."""
    return LABELS.get(kind, {}).get(name, name)


def label_with_unit(axis: str, value: str) -> str:
    """Write a value of an axis so that it can stand alone: 10 tokens, embeddings × 0.5, a rate of 3."""
    if axis == "lr":
        return rate(value)
    if axis == "backbone.stream_scale":
        return f"{label('axis', axis)} {value}"
    return f"{value} {label('axis', axis)}" if value.isdigit() else label(axis, value)


def rate(value: str) -> str:
    """Write a learning rate: 0.01, 3e-4."""
    number = float(value)
    return f"{number:g}" if number >= 0.001 else np.format_float_scientific(number, trim="-", exp_digits=1)


def signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign: a true minus, and no minus before zero."""
    return f"{round(value, digits) + 0.0:+,.{digits}f}".replace("-", "−")


def in_words(names: list[str]) -> str:
    """List names in a sentence: CB, COPA and RTE."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def row_in_words(at: dict[str, str], several: bool = True) -> str:
    """Name a row by the values of its axes: nano PT, 10 tokens; without the backbone unless there are several."""
    named = ("backbone", "prompt") if several or len(at) == 1 else ("prompt",)
    name = " ".join(label(key, at[key]) for key in named if key in at)
    others = [label_with_unit(key, value) for key, value in at.items() if key not in ("backbone", "prompt")]
    return ", ".join(filter(None, [name, *others]))
