"""Frozen backbones behind one small interface; prompts reach them only as tensors of embeddings."""

from rpt.backbones.base import DTYPES, Backbone, Encoded, Heads, Prediction, Row
from rpt.backbones.bert import BertBackbone
from rpt.backbones.loading import FAMILIES, load_backbone
from rpt.backbones.t5 import T5Backbone

__all__ = [
    "DTYPES",
    "FAMILIES",
    "Backbone",
    "BertBackbone",
    "Encoded",
    "Heads",
    "Prediction",
    "Row",
    "T5Backbone",
    "load_backbone",
]
