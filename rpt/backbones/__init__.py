"""Frozen models behind one interface. Prompts reach them only as tensors of embeddings."""

from rpt.backbones.answers import Answer, Question
from rpt.backbones.base import Backbone
from rpt.backbones.bert import BertBackbone
from rpt.backbones.loading import FAMILIES, load_backbone
from rpt.backbones.rows import Batch, Encoded, Heads, Prediction, Row
from rpt.backbones.t5 import T5Backbone

__all__ = [
    "FAMILIES",
    "Answer",
    "Backbone",
    "Batch",
    "BertBackbone",
    "Encoded",
    "Heads",
    "Prediction",
    "Question",
    "Row",
    "T5Backbone",
    "load_backbone",
]
