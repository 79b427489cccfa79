"""Settings beside the weights that change outputs. These are values of config.json, and how the tokenizer reads
letters.

A value that models of its type have by default is passed over; any other is part of the fingerprint: the same weights
with other settings count as another backbone. generation_config.json and dropout rates are not obeyed at all.
"""

from __future__ import annotations

import hashlib
import json

from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

DROPOUT_RATES = (  # T5's, an encoder's, a decoder's
    "dropout_rate", "hidden_dropout_prob", "attention_probs_dropout_prob",
    "attn_pdrop", "embd_pdrop", "resid_pdrop", "dropout", "attention_dropout",
)  # fmt: skip
OF_DECODERS = (
    "activation_function", "hidden_act", "hidden_activation", "layer_norm_epsilon", "rms_norm_eps",
    "num_attention_heads", "num_key_value_heads", "head_dim", "rope_parameters", "layer_types", "sliding_window",
    "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx", "do_layer_norm_before",
)  # fmt: skip


def settings_suffix(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """Of a fingerprint: a digest of the settings that differ from the default; empty if none does."""
    unusual = find_unusual_settings(model, tokenizer)
    return "-" + hashlib.sha256(json.dumps(unusual, sort_keys=True).encode()).hexdigest()[:8] if unusual else ""


def find_unusual_settings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, object]:
    """The settings that differ from the default of the model's type, by name, with the values that they have."""
    if model.config.is_encoder_decoder:
        default = _default_of_t5(model)
    else:
        default = (_default_of_decoder if model.can_generate() else _default_of_encoder)(model.config)
    uncased = model.config.model_type == "bert"
    default |= {"reads_as_lower_case": uncased, "reads_without_accents": uncased}
    current = {
        "reads_as_lower_case": tokenizer("A")["input_ids"] == tokenizer("a")["input_ids"],
        "reads_without_accents": tokenizer("é")["input_ids"] == tokenizer("e")["input_ids"],
    }
    current = {name: getattr(model.config, name, None) for name in default} | current
    return {name: value for name, value in current.items() if value != default[name]}


def use_default_dropout(config: PretrainedConfig) -> None:
    """Set the rates that models of this type have by default: checkpoints hold what their last training happened to
    use, often 0."""
    default = type(config)()
    for name in DROPOUT_RATES:
        if hasattr(config, name):
            setattr(config, name, getattr(default, name))


def _default_of_t5(model: PreTrainedModel) -> dict[str, object]:
    config = model.config
    default: dict[str, object] = {
        "dense_act_fn": "gelu_new" if config.is_gated_act else "relu",
        "layer_norm_epsilon": 1e-6,
        "relative_attention_max_distance": 128,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
    }
    if config.model_type == "t5":  # T5 scales what its output layer reads where that is the embedding table
        tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        default["scale_decoder_outputs"] = tied
    return default


def _default_of_decoder(config: PretrainedConfig) -> dict[str, object]:
    default = type(config)()
    return {name: getattr(default, name) for name in OF_DECODERS if hasattr(config, name)}


def _default_of_encoder(config: PretrainedConfig) -> dict[str, object]:
    is_bert = config.model_type == "bert"
    return {
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12 if is_bert else 1e-5,
        "num_attention_heads": config.hidden_size // (32 if config.hidden_size == 384 else 64),  # 384: MiniLM's
        "pad_token_id": 0 if is_bert else 1,
        "is_decoder": False,
    }
