"""How names are written for a reader, kind by kind: the name of an axis is the kind of its values."""

from __future__ import annotations

import numpy as np

LABELS: dict[str, dict[str, str]] = {
    "axis": {
        "prompt.init": "initialisation", "prompt.length": "tokens", "prompt.shared": "network", "lr": "learning rate",
        "backbone.stream_scale": "words times",
    },
    "backbone": {
        "t5_small": "T5-Small", "t5_base": "T5-Base", "t5_large": "T5-Large", "bert_base": "BERT-Base",
        "bert_large": "BERT-Large", "roberta_base": "RoBERTa-Base", "minilm": "MiniLM-L6", "nano_bert": "nano BERT",
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
    "metric": {"macro_f1": "macro-F1", "micro_f1": "micro-F1", "exact_match": "exact match", "f1": "F1"},
}  # fmt: skip


def label(kind: str, name: str) -> str:
    """The name as a reader knows it; a name without a label is written as it is."""
    return LABELS.get(kind, {}).get(name, name)


def label_with_unit(axis: str, value: str) -> str:
    """A value of an axis, with the axis behind it where it is a whole number: 10 tokens; a rate stands alone: 3."""
    if axis == "lr":
        return rate(value)
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
