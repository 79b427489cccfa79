"""Which cards large backbones fit: makes results/cards.md from the shapes of four published models.

    python scripts/cards.py

For any other model `python -m rpt.plan backbone=… cards=24,80` tells the same from its config.json.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from transformers import LlamaConfig, PretrainedConfig, Qwen3Config, T5Config

from rpt.files import write_atomically
from rpt.plan import plan_one

PAGE = Path(__file__).parent.parent / "results" / "cards.md"
HEAD = """# Large backbones on one card

`python scripts/cards.py` makes this page with `rpt.plan`, from the shapes of published models with weights in bf16.
Nothing of it was run on such a card: on a processor, a T5-Small takes what is told within 15 % (`tests/test_plan.py`).
Memory is that of training one prompt of 10 tokens.

Measured once, on a processor: loading 5.31 GiB of random bf16 weights of T5-3B's shape, in two shards, took at most
5.33 GiB of the host as `auto`, 6.64 as `4bit` and 10.17 as `8bit`. The 5.31 of the mapped file count in all three.
"""
T5: Any = {"vocab_size": 32128, "d_model": 1024, "d_kv": 128, "num_layers": 24, "decoder_start_token_id": 0}
MODELS: dict[str, tuple[str, PretrainedConfig]] = {  # by name: the choice whose place it takes, its config.json
    "t5_3b": ("t5_base", T5Config(**T5, d_ff=16384, num_heads=32, dtype="bfloat16")),
    "t5_11b": ("t5_base", T5Config(**T5, d_ff=65536, num_heads=128, dtype="bfloat16")),
    "llama_3_2_3b": ("llama", LlamaConfig(
        vocab_size=128256, hidden_size=3072, intermediate_size=8192, num_hidden_layers=28, num_attention_heads=24,
        num_key_value_heads=8, head_dim=128, max_position_embeddings=131072, tie_word_embeddings=True, dtype="bfloat16",
    )),
    "qwen3_8b": ("qwen", Qwen3Config(
        vocab_size=151936, hidden_size=4096, intermediate_size=12288, num_hidden_layers=36, num_attention_heads=32,
        num_key_value_heads=8, head_dim=128, max_position_embeddings=40960, dtype="bfloat16",
    )),
}  # fmt: skip


def section(name: str) -> str:
    """What is planned of one model, for cards of 24 and 80 GB."""
    choice, config = MODELS[name]
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        overrides = [f"backbone={choice}", f"backbone.path={folder}", f"backbone.name={name}", "tracking=none"]
        return f"\n```text\n{plan_one(overrides, '24,80')}\n```\n"


if __name__ == "__main__":
    write_atomically(PAGE, (HEAD + "".join(map(section, MODELS))).encode())
