"""Decoders of random weights, as small as can be, and tokenizers of their kinds."""

import functools
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from rpt.backbones.causal import CausalBackbone
from rpt.data.miniature import rows
from rpt.tasks import get_task

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 512}
KINDS = {  # what each type's configuration says differently; windows are shorter than the tests' texts
    "gpt2": {},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 6},
    "qwen2": {"num_key_value_heads": 2, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 6},
    "gemma3_text": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 6, "sliding_window_pattern": 2},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt_neox": {},  # none of ours: a family of one's own
}


@functools.cache
def small_rules(beginning: bool) -> str:
    """Of a byte-level BPE that knows the words of the miniature, with or without a marker before each text."""
    rules = Tokenizer(models.BPE())
    rules.pre_tokenizer, rules.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    task = get_task("cb")
    examples = [example for row in rows("cb", "train", 0) for example in task.parse(row)]
    rules.train_from_iterator([f"{task.source(e)} answer: {task.targets(e)[0]}" for e in examples], trainer)
    if beginning:
        rules.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 0)])
    return rules.to_str()


def small_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    rules = Tokenizer.from_str(small_rules(kind not in ("gpt2", "qwen2", "qwen3")))
    return PreTrainedTokenizerFast(tokenizer_object=rules, bos_token="<s>", eos_token="</s>")


def save_decoder(kind: str, folder: Path) -> list[str]:
    """The words that put one with small weights, whose losses fall smoothly, in a published one's place."""
    backbone = tiny_decoder(kind, 0.1)
    backbone.model.save_pretrained(folder)
    backbone.tokenizer.save_pretrained(folder)
    return [f"backbone={kind}", f"backbone.path={folder}", "backbone.name=tiny"]


def tiny_decoder(kind: str, spread: float = 0.3) -> CausalBackbone:
    """Of random weights with this standard deviation."""
    torch.manual_seed(0)
    tokenizer = small_tokenizer(kind)
    shape = SHAPE | ({} if kind == "gpt2" else {"intermediate_size": 64})
    deviation = {"init_std": spread} if kind == "opt" else {"initializer_range": spread}
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    config = AutoConfig.for_model(kind, **shape | deviation | ids | {"vocab_size": len(tokenizer)} | KINDS[kind])
    return CausalBackbone(AutoModelForCausalLM.from_config(config), tokenizer, fingerprint="tiny")
