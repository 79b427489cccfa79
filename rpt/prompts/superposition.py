"""SuperPos-Prompt: sums of frozen word embeddings. SadraeiJavaeri et al. 2024, arXiv 2406.05279.

Shapes: N prompt tokens, V vocabulary, d model width, m sampled words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rpt.prompt_options import SuperpositionOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("superposition")
class Superposition(Reparameterization):
    """P' = W E: each token is a weighted sum, without a softmax, of the same m frozen word embeddings E [m, d].

    The run's seed samples the words without replacement. W [N, m] is trained: N m parameters. Its initialisation is our
    choice: normal with variance 1 / m, so that a prompt token begins about as long as a word embedding. `prompt.init`
    has no effect.

    Args:
        words: m; the paper finds no gain beyond 128.

    Raises:
        ValueError: words below 1, or more than the vocabulary has.
    """

    sampled: Tensor

    def __init__(self, start: Start, *, words: int = SuperpositionOptions.words):
        super().__init__(start)
        vocabulary = len(start.embeddings)
        if not 1 <= words <= vocabulary:
            raise ValueError(f"words={words} cannot be sampled from {vocabulary:,}; give 1 to {vocabulary}")
        sampled = torch.randperm(vocabulary)[:words].to(start.embeddings.device)
        self.register_buffer("sampled", start.embeddings[sampled].float())
        self.weights = nn.Parameter(torch.randn(start.length, words) / words**0.5)

    def forward(self) -> Tensor:
        return self.weights @ self.sampled
