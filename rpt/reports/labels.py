"""How names are written for a reader, kind by kind: the name of an axis is the kind of its values."""

from __future__ import annotations

import numpy as np

LABELS: dict[str, dict[str, str]] = {
    "axis": {
        "prompt.init": "initialisation", "prompt.length": "tokens", "prompt.shared": "network", "lr": "learning rate",
        "backbone.stream_scale": "embeddings ×",
    },
    "backbone": {
        "t5_small": "T5-Small", "t5_base": "T5-Base", "t5_large": "T5-Large", "bert_base": "BERT-Base",
        "bert_large": "BERT-Large", "roberta_base": "RoBERTa-Base", "minilm": "MiniLM-L6", "nano_bert": "nano BERT",
        "flan_small": "Flan-T5-Small",
        "t5-base": "T5-Base", "t5-large": "T5-Large", "bert-base": "BERT-Base",  # the paper's own names
    },
    "prompt": {  # and the methods that take its place
        "none": "no prompt", "vanilla": "PT", "mlp": "PT w/ MLP", "lstm": "PT w/ LSTM", "residual": "Residual PT",
        "ptuning": "P-tuning", "finetune": "fine-tuning", "adapter": "Adapter", "adapterdrop": "AdapterDrop",
        "decomposed": "DPT", "superposition": "SuperPos", "lowrank": "LoPT-2", "hadamard": "Hadamard",
        "probe": "linear probe", "bitfit": "BitFit", "lora": "LoRA", "ia3": "(IA)³",
        "pt": "PT", "pt-mlp": "PT w/ MLP", "pt-lstm": "PT w/ LSTM", "rpt": "Residual PT",  # the paper's own names
        "ft": "fine-tuning", "ft-r": "fine-tuning", "attempt": "ATTEMPT", "spot": "SPoT",
    },
    "prompt.shared": {"True": "shared", "False": "one per token"},
    "task": {
        "boolq": "BoolQ", "cb": "CB", "copa": "COPA", "multirc": "MultiRC", "record": "ReCoRD", "rte": "RTE",
        "wic": "WiC", "wsc": "WSC",
    },
    "parameters": {"kept": "kept for inference"},
    "scale": {"paper": "the paper's scale", "laptop": "real rows, small backbones", "mini": "miniature"},
    "metric": {"macro_f1": "macro-F1", "micro_f1": "micro-F1", "exact_match": "exact match", "f1": "F1"},
}  # fmt: skip


# Before each caption at a scale that is not the paper's, and below each figure.
MINIATURE = "MINIATURE: embedded nano backbones and our own grammars; not comparable with SuperGLUE."
LAPTOP = "LAPTOP: SuperGLUE's rows and small backbones; the paper has no such runs."
WARNINGS = {"mini": MINIATURE, "laptop": LAPTOP}
FIGURE_NOTES = {
    "mini": "Miniature rows and backbone: not comparable with SuperGLUE",
    "laptop": "SuperGLUE's rows, small backbones that the paper does not have",
}
# What a reader must know of a backbone wherever its numbers stand.
BACKBONE_NOTES = {
    "flan_small": "int8 weights, trained further on titles by their maker; Flan's training saw training rows of these "
    "tasks"
}


def label(kind: str, name: str) -> str:
    """The name as a reader knows it; a name without a label is written as it is."""
    return LABELS.get(kind, {}).get(name, name)


def label_with_unit(axis: str, value: str) -> str:
    """A value of an axis that stands by itself: 10 tokens, embeddings × 0.5, a rate of 3."""
    if axis == "lr":
        return rate(value)
    if axis == "backbone.stream_scale":
        return f"{label('axis', axis)} {value}"
    return f"{value} {label('axis', axis)}" if value.isdigit() else label(axis, value)


def rate(value: str) -> str:
    """A learning rate: 0.01, 3e-4."""
    number = float(value)
    return f"{number:g}" if number >= 0.001 else np.format_float_scientific(number, trim="-", exp_digits=1)


def signed(value: float, digits: int = 1) -> str:
    """With its sign, a true minus, and no minus before zero."""
    return f"{round(value, digits) + 0.0:+,.{digits}f}".replace("-", "−")


def in_words(names: list[str]) -> str:
    """Several names in a sentence: CB, COPA and RTE."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def row_in_words(at: dict[str, str], several: bool = True) -> str:
    """A row by the values of its axes: nano PT, 10 tokens; without the backbone where there are not several."""
    named = ("backbone", "prompt") if several or len(at) == 1 else ("prompt",)
    name = " ".join(label(key, at[key]) for key in named if key in at)
    return ", ".join(
        [*filter(None, [name]), *(label_with_unit(key, at[key]) for key in at if key not in ("backbone", "prompt"))]
    )
