"""Frozen models behind one interface. Prompts reach them only as tensors of embeddings."""

from rpt.backbones.answers import Answer, Question
from rpt.backbones.base import FAMILIES, Backbone, register_family
from rpt.backbones.bert import BertBackbone
from rpt.backbones.causal import CausalBackbone
from rpt.backbones.loading import find_family, load_backbone
from rpt.backbones.rows import Batch, Encoded, Heads, Row
from rpt.backbones.t5 import T5Backbone
from rpt.backbones.writer import Writer
