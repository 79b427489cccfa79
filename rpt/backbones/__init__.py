"""Frozen backbones behind one small interface; prompts reach them only as tensors of embeddings."""

from rpt.backbones.t5 import T5Backbone, load_backbone

__all__ = ["T5Backbone", "load_backbone"]
