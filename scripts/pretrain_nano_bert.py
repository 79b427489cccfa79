"""Pre-train the nano encoder: a BERT of 2.7 million parameters for the miniature SuperGLUE.

    python scripts/pretrain_nano_bert.py --out rpt/backbones/nano_bert

It predicts masked words of running text, as BERT did (Devlin et al. 2019), and trains on supervised tasks, as T5 did,
so that a prompt can elicit them: the name of a task and its texts follow [CLS], and the state of [CLS] must predict the
answer as a word. The tasks are the eight miniature tasks and two that read the same rows but have other answers, so
that only its name identifies a task. The name stands among random words and the text begins at any position, because a
prompt takes ten or a hundred positions. The grammars draw new rows; validation rows of the miniature are excluded.

If it is killed and started again, it continues from its checkpoint.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from typing import cast

import torch
from pretrain_nano import held_out_sources
from pretraining import POOL, Recipe, main, padded
from pretraining_grammars import PRETRAINING, endless_text
from tokenizers import pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertModel, BertTokenizer, PreTrainedTokenizerFast

from rpt.data import miniature
from rpt.data.miniature.lexicon import NAMES, THINGS
from rpt.tasks import TASKS, Reading, get_task

SHARE_OF_TEXT = 0.2  # of the mixture; the rest is supervised
MASKED = 0.15
FILLERS = 10  # the maximal number of random words around a task's name
POSITIONS = 512

Batch = tuple[torch.Tensor, ...]  # ids, token types, positions, labels

Asked = tuple[str, Reading, str]  # name of the task, reading, answer as a word
TokenRow = tuple[list[int], list[int], list[int], list[int]]  # ids, token types, positions, labels (-100: none)


# ---- the mixture -----------------------------------------------------------------------------------------


def first_person(reading: Reading) -> str | None:
    """The first person in the texts."""
    tokens = " ".join(reading.texts).replace("*", "").replace(".", "").split()
    return next((word for word in tokens if word in NAMES), None)


def last_thing(reading: Reading) -> str | None:
    """The last thing in the texts."""
    tokens = " ".join(reading.texts).replace("*", "").replace(".", "").split()
    return next((word for word in reversed(tokens) if word in THINGS), None)


OTHER_TASKS = {task.__name__: task for task in (first_person, last_thing)}
SHARE_OF_OTHERS = 0.15
WEIGHTS = {  # of the supervised mixture: the more there is to learn, the more rows
    "boolq": 2.0, "cb": 0.5, "copa": 1.0, "multirc": 1.5, "record": 1.5, "rte": 2.0, "wic": 0.7, "wsc": 1.0,
}  # fmt: skip


def answer_words(name: str) -> tuple[str, ...]:
    """The words for a decision's labels; a single choice is True or False."""
    return TASKS[name].labels if TASKS[name].encoder_outputs is None else ("False", "True")


def supervised(seed: str) -> Iterator[Asked]:
    """An endless stream of rows of the mixture."""
    draw, held_out = random.Random(seed), held_out_sources()
    while True:
        (name,) = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        task = get_task(name, "bert")
        example = draw.choice(task.parse(miniature.row(name, draw, PRETRAINING)))
        if get_task(name, protocol="superglue").source(example) in held_out:
            continue
        decision = draw.choice(task.decisions(example))
        which = draw.randrange(len(decision.readings))
        reading = decision.readings[which]
        if draw.random() < SHARE_OF_OTHERS:
            other, answer = draw.choice([(other, answer_of(reading)) for other, answer_of in OTHER_TASKS.items()])
            if answer is not None:
                yield other, reading, answer
            continue
        label = decision.label if len(decision.readings) == 1 else int(decision.label == which)
        assert label is not None  # every row of the miniature has one
        yield name, reading, answer_words(name)[label]


# ---- the vocabulary --------------------------------------------------------------------------------------


def vocabulary() -> list[str]:
    """Whole words of the grammars, and single characters for everything else."""
    asked, texts = supervised("vocabulary"), endless_text("vocabulary")
    splitter, tokens = pre_tokenizers.BertPreTokenizer(), set()
    for _ in range(20_000):
        for text in (next(texts), *next(asked)[1].texts):
            tokens |= {word for word, _ in splitter.pre_tokenize_str(text.lower())}
    names = {*TASKS, *OTHER_TASKS, *(word for name in TASKS for word in answer_words(name))}
    letters = string.ascii_lowercase + string.digits
    single = {*letters, *string.punctuation}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*special, *sorted(single), *(f"##{letter}" for letter in letters), *sorted((tokens | names) - single)]


def new_tokenizer() -> PreTrainedTokenizerFast:
    """BERT's rules, uncased."""
    return BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary())}, model_max_length=POSITIONS)


# ---- the model and its rows ------------------------------------------------------------------------------


class NanoBert(Recipe[BertModel, TokenRow, Batch]):
    name, steps = "nano_bert", 15_000
    peak_lr = 1e-3

    def new_tokenizer(self) -> PreTrainedTokenizerFast:
        return new_tokenizer()

    def new_model(self) -> BertModel:
        config = BertConfig(
            vocab_size=len(self.tokenizer),
            hidden_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=1024,
            max_position_embeddings=POSITIONS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=0,
        )
        return BertModel(config, add_pooling_layer=False)

    def pool(self, number: int, draw: random.Random) -> list[TokenRow]:
        asked, texts = supervised(f"pre-training {number}"), endless_text(f"pre-training {number}")
        n_text = int(POOL * SHARE_OF_TEXT)
        rows = [self.masked(next(texts), draw) for _ in range(n_text)]
        return rows + [self.asked(*next(asked), draw) for _ in range(POOL - n_text)]

    def masked(self, text: str, draw: random.Random) -> TokenRow:
        """Predict 15 % of the words: 80 % of these are masked, 10 % replaced, 10 % unchanged."""
        ids = self.tokenizer(text)["input_ids"]
        labels = [-100] * len(ids)
        inner = range(1, len(ids) - 1)
        for i in draw.sample(inner, max(1, round(MASKED * len(inner)))):
            labels[i] = ids[i]
            ids[i] = draw.choices([self.tokenizer.mask_token_id, self.any_word(draw), ids[i]], [8, 1, 1])[0]
        start = self.shift(len(ids), draw)
        return ids, [0] * len(ids), [0, *range(start + 1, start + len(ids))], labels

    def asked(self, name: str, reading: Reading, answer: str, draw: random.Random) -> TokenRow:
        """[CLS], the name among random words, the texts; [CLS] must predict the answer."""
        encoded = self.tokenizer(*reading.texts)
        ids, types = encoded["input_ids"], encoded["token_type_ids"]
        tokens = [self.any_word(draw) for _ in range(draw.randint(0, FILLERS))]
        tokens.insert(draw.randint(0, len(tokens)), self.token_id(name))
        ids, types = [ids[0], *tokens, *ids[1:]], [0, *[0] * len(tokens), *types[1:]]
        start = self.shift(len(ids), draw) + 1 + len(tokens)
        positions = [*range(1 + len(tokens)), *range(start, start + len(ids) - 1 - len(tokens))]
        label = self.token_id(answer if answer in self.tokenizer.vocab else answer.lower())
        return ids, types, positions, [label, *[-100] * (len(ids) - 1)]

    def token_id(self, token: str) -> int:
        return cast(int, self.tokenizer.convert_tokens_to_ids(token))

    def any_word(self, draw: random.Random) -> int:
        return draw.randrange(5, len(self.tokenizer))  # skips special tokens

    @staticmethod
    def shift(length: int, draw: random.Random) -> int:
        """How many positions to skip in front of a text."""
        return draw.randint(0, POSITIONS - length) if draw.random() < 0.5 else 0

    def batch(self, rows: list[TokenRow]) -> Batch:
        return tuple(
            padded(list(column), fill) for column, fill in zip(zip(*rows, strict=True), (0, 0, 0, -100), strict=True)
        )

    def logits(self, model: BertModel, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits at positions with labels, and the labels. The embedding table is the only output layer, so that
        the states themselves contain what a head reads."""
        ids, types, positions, labels = batch
        states = model(
            input_ids=ids, attention_mask=ids.ne(0).long(), token_type_ids=types, position_ids=positions
        ).last_hidden_state
        told = labels.ne(-100)
        return states[told] @ model.get_input_embeddings().weight.T, labels[told]

    def loss(self, model: BertModel, batch: Batch) -> torch.Tensor:
        logits, labels = self.logits(model, batch)
        return cross_entropy(logits.float(), labels)

    def scores(self, model: BertModel) -> dict[str, float]:
        draw, asked = random.Random("evaluation"), supervised("evaluation")
        by_task: dict[str, list[TokenRow]] = {}
        for name, reading, answer in (next(asked) for _ in range(1000)):
            by_task.setdefault(name, []).append(self.asked(name, reading, answer, draw))
        scores = {}
        for name, rows in sorted(by_task.items()):
            logits, labels = self.logits(model, self.batch(rows))
            scores[name] = round(100 * (logits.argmax(-1) == labels).float().mean().item(), 1)
        return scores


if __name__ == "__main__":
    main(NanoBert, __doc__)
