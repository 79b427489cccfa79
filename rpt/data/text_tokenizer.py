"""Tokenising texts that hold special strings. "</s>" or "[MASK]" in a text is read as the letters it is made of.

The library's option (`split_special_tokens=True`) does this for BERT but not for T5, where special strings are also
pieces of the unigram vocabulary, which matches them by itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from tokenizers import Encoding, Tokenizer, models
from transformers import ByT5Tokenizer, PreTrainedTokenizerBase

from rpt.errors import UsageError


class ByteRules:
    """byT5's rules: the special tokens come first, then a token for each byte; a text ends with the end marker."""

    def __init__(self, tokenizer: ByT5Tokenizer):
        self.offset, self.end = tokenizer.offset, tokenizer.eos_token_id

    def encode_batch(self, texts: list[str]) -> list[SimpleNamespace]:
        return [SimpleNamespace(ids=[*(byte + self.offset for byte in text.encode()), self.end]) for text in texts]


@dataclass(frozen=True)
class TextTokenizer:
    """Gives the ids of the tokenizer and its markers around a text, but no special token for a string inside of it.

    fingerprint: of the vocabulary and all rules.
    """

    rules: Any  # a Tokenizer, or ByteRules for a T5
    fingerprint: str

    def encode(self, *columns: list[str]) -> list[Encoding]:
        """The tokens of each text, or of each pair of texts if there are two columns; cuts nothing."""
        texts = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        return self.rules.encode_batch(texts)


_made: WeakKeyDictionary[PreTrainedTokenizerBase, TextTokenizer] = WeakKeyDictionary()


def text_tokenizer(tokenizer: PreTrainedTokenizerBase) -> TextTokenizer:
    """A text tokenizer with the vocabulary of `tokenizer`; it is made once.

    Raises:
        UsageError: the tokenizer is slow (written in Python).
    """
    if isinstance(tokenizer, ByT5Tokenizer):
        return TextTokenizer(ByteRules(tokenizer), f"bytes from {tokenizer.offset}")
    if not tokenizer.is_fast:
        raise UsageError(
            f"The tokenizer of {tokenizer.name_or_path} ({type(tokenizer).__name__}) is a slow one, without the "
            "offsets and rules of a tokenizer.json; give a backbone with a fast tokenizer, as T5's and BERT's are."
        )
    if tokenizer not in _made:
        stored = tokenizer.backend_tokenizer.to_str()
        _made[tokenizer] = TextTokenizer(_without_specials(stored), hashlib.sha256(stored.encode()).hexdigest()[:16])
    return _made[tokenizer]


def _without_specials(stored: str) -> Tokenizer:
    rules = Tokenizer.from_str(stored)
    rules.encode_special_tokens = True  # read their letters
    rules.no_truncation()
    rules.no_padding()
    if isinstance(rules.model, models.Unigram):
        special = {str(token) for token in rules.get_added_tokens_decoder().values() if token.special}
        model = json.loads(stored)["model"]
        # A piece with a space never matches: spaces are replaced before pieces are matched. Ids and the scores of other
        # pieces stay the same.
        pieces = [(f"special {piece}" if piece in special else piece, score) for piece, score in model["vocab"]]
        rules.model = models.Unigram(pieces, model["unk_id"], model.get("byte_fallback", False))
    return rules
