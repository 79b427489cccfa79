"""Soft prompts and reparameterizations (pure torch). A new one is one more module here."""

from importlib import import_module
from pkgutil import iter_modules

from rpt.prompts.initialization import from_labels, from_text, from_vocabulary, uniform
from rpt.prompts.reparameterization import REPARAMETERIZATIONS, Reparameterization, Start, register
from rpt.prompts.soft_prompt import TABLE, SoftPrompt, can_compute_together, compute_together

for _module in iter_modules(__path__):  # each registers what it defines
    import_module(f"{__name__}.{_module.name}")
