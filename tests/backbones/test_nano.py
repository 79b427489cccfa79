"""The embedded T5 has the scale of the original one, so that a learning rate means for it what it means for T5."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import T5Config, T5ForConditionalGeneration

import rpt.backbones
from rpt.backbones.t5 import rescale_stream


@pytest.mark.parametrize("tied", [True, False])
def test_rescaling_changes_no_output(tied):
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2}
    model = T5ForConditionalGeneration(T5Config(**sizes, tie_word_embeddings=tied, decoder_start_token_id=0)).eval()
    scaled = copy.deepcopy(model)
    rescale_stream(scaled, 6.0)
    ids, labels = torch.randint(3, 50, (4, 20)), torch.randint(3, 50, (4, 5))
    prompt = torch.randn(4, 3, 32)
    with torch.no_grad():
        before, after = (
            entry(inputs_embeds=torch.cat([size * prompt, entry.get_input_embeddings()(ids)], dim=1), labels=labels)
            for entry, size in ((model, 1), (scaled, 6))  # a prompt is words too
        )
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-5, atol=1e-5 if tied else 5e-5)
    torch.testing.assert_close(after.loss, before.loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scaled.shared.weight, 6 * model.shared.weight)


def test_the_stored_embeddings_have_the_deviation_of_t5():
    weights = load_file(Path(rpt.backbones.__file__).parent / "nano" / "model.safetensors")
    assert 9 < weights["shared.weight"].float().std() < 11
