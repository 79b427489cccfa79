"""Pre-train the nano encoder: a BERT of 2.7 million parameters for the miniature SuperGLUE.

    python scripts/pretrain_nano_bert.py --out rpt/backbones/nano_bert

As BERT was (Devlin et al. 2019), by filling in masked words of running text; and, as T5 was, on supervised tasks, so
that there is something for a prompt to find: behind [CLS] stands the name of a task, then what an encoder reads for
that task, and the state of [CLS] has to predict the answer as a word. The tasks are the eight miniature ones and two
that read the same rows but want other answers, so that without its name a task cannot be told. The name stands among
random words and the text begins at any position, for a prompt takes ten positions or a hundred. Rows come fresh from
the grammars; the miniature's validation rows are left out.

It may be killed at any time and started again: it goes on from its checkpoint.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator

import torch
from pretrain_nano import held_out_sources
from pretraining import POOL, Recipe, main, padded
from tokenizers import pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertModel, BertTokenizer, PreTrainedTokenizerFast

from rpt.data import miniature
from rpt.data.miniature.lexicon import NAMES, THINGS
from rpt.data.miniature.texts import endless_text
from rpt.tasks import TASKS, Reading, get_task

SHARE_OF_TEXT = 0.2  # of the mixture; the rest is supervised
MASKED = 0.15
FILLERS = 10  # at most so many random words about a task's name
POSITIONS = 512

Asked = tuple[str, Reading, str]  # name, what is read, the answer's word
Row = tuple[list[int], list[int], list[int], list[int]]  # ids, token types, positions, labels (-100: none)


# ---- the mixture -----------------------------------------------------------------------------------------


def first_person(reading: Reading) -> str | None:
    """Who is named first."""
    words = " ".join(reading.texts).replace("*", "").replace(".", "").split()
    return next((word for word in words if word in NAMES), None)


def last_thing(reading: Reading) -> str | None:
    """Which thing is named last."""
    words = " ".join(reading.texts).replace("*", "").replace(".", "").split()
    return next((word for word in reversed(words) if word in THINGS), None)


OTHER_TASKS = {task.__name__: task for task in (first_person, last_thing)}
SHARE_OF_OTHERS = 0.15
WEIGHTS = {  # of the supervised mixture: the more there is to learn, the more rows
    "boolq": 2.0, "cb": 0.5, "copa": 1.0, "multirc": 1.5, "record": 1.5, "rte": 2.0, "wic": 0.7, "wsc": 1.0,
}  # fmt: skip


def answer_words(name: str) -> tuple[str, ...]:
    """The words for a decision's labels; a choice is judged by itself, right or wrong."""
    return TASKS[name].labels if TASKS[name].encoder_outputs is None else ("False", "True")


def supervised(seed: str) -> Iterator[Asked]:
    """Endless rows of the mixture."""
    draw, held_out = random.Random(seed), held_out_sources()
    while True:
        (name,) = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        task = get_task(name, "bert")
        example = draw.choice(task.parse(miniature.row(name, draw, miniature.PRETRAINING)))
        if get_task(name, protocol="superglue").source(example) in held_out:
            continue
        decision = draw.choice(task.decisions(example))
        which = draw.randrange(len(decision.readings))
        reading = decision.readings[which]
        if draw.random() < SHARE_OF_OTHERS:
            other, answer = draw.choice([(other, of(reading)) for other, of in OTHER_TASKS.items()])
            if answer is not None:
                yield other, reading, answer
            continue
        label = decision.label if len(decision.readings) == 1 else int(decision.label == which)
        yield name, reading, answer_words(name)[label]


# ---- the vocabulary --------------------------------------------------------------------------------------


def vocabulary() -> list[str]:
    """Whole words of the grammars; single characters for all else."""
    asked, texts = supervised("vocabulary"), endless_text("vocabulary")
    splitter, words = pre_tokenizers.BertPreTokenizer(), set()
    for _ in range(20_000):
        for text in (next(texts), *next(asked)[1].texts):
            words |= {word for word, _ in splitter.pre_tokenize_str(text.lower())}
    names = {*TASKS, *OTHER_TASKS, *(word for name in TASKS for word in answer_words(name))}
    letters = string.ascii_lowercase + string.digits
    single = {*letters, *string.punctuation}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*special, *sorted(single), *(f"##{letter}" for letter in letters), *sorted((words | names) - single)]


def new_tokenizer() -> PreTrainedTokenizerFast:
    """BERT's own rules, uncased."""
    return BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary())}, model_max_length=POSITIONS)


# ---- the model and its rows ------------------------------------------------------------------------------


class NanoBert(Recipe):
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

    def pool(self, number: int, draw: random.Random) -> list[Row]:
        asked, texts = supervised(f"pre-training {number}"), endless_text(f"pre-training {number}")
        n_text = int(POOL * SHARE_OF_TEXT)
        rows = [self.masked(next(texts), draw) for _ in range(n_text)]
        return rows + [self.asked(*next(asked), draw) for _ in range(POOL - n_text)]

    def masked(self, text: str, draw: random.Random) -> Row:
        """15 % of the words are to be told: of these 80 % masked, 10 % replaced, 10 % as they are."""
        ids = self.tokenizer(text)["input_ids"]
        labels = [-100] * len(ids)
        inner = range(1, len(ids) - 1)
        for i in draw.sample(inner, max(1, round(MASKED * len(inner)))):
            labels[i] = ids[i]
            ids[i] = draw.choices([self.tokenizer.mask_token_id, self.any_word(draw), ids[i]], [8, 1, 1])[0]
        start = self.shift(len(ids), draw)
        return ids, [0] * len(ids), [0, *range(start + 1, start + len(ids))], labels

    def asked(self, name: str, reading: Reading, answer: str, draw: random.Random) -> Row:
        """[CLS], the name among some random words, the texts; [CLS] has to tell the answer."""
        encoded = self.tokenizer(*reading.texts)
        ids, types = encoded["input_ids"], encoded["token_type_ids"]
        words = [self.any_word(draw) for _ in range(draw.randint(0, FILLERS))]
        words.insert(draw.randint(0, len(words)), self.tokenizer.convert_tokens_to_ids(name))
        ids, types = [ids[0], *words, *ids[1:]], [0, *[0] * len(words), *types[1:]]
        start = self.shift(len(ids), draw) + 1 + len(words)
        positions = [*range(1 + len(words)), *range(start, start + len(ids) - 1 - len(words))]
        label = self.tokenizer.convert_tokens_to_ids(answer if answer in self.tokenizer.vocab else answer.lower())
        return ids, types, positions, [label, *[-100] * (len(ids) - 1)]

    def any_word(self, draw: random.Random) -> int:
        return draw.randrange(5, len(self.tokenizer))  # no special token

    @staticmethod
    def shift(length: int, draw: random.Random) -> int:
        """How many positions are left out in front of a text."""
        return draw.randint(0, POSITIONS - length) if draw.random() < 0.5 else 0

    def batch(self, rows: list[Row]) -> tuple[torch.Tensor, ...]:
        return tuple(
            padded(list(column), fill) for column, fill in zip(zip(*rows, strict=True), (0, 0, 0, -100), strict=True)
        )

    def logits(self, model: BertModel, batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the states predict where there is a label, and the labels. The embedding table is the output layer, with
        nothing between: what a head shall read off a state has to stand in it."""
        ids, types, positions, labels = batch
        states = model(
            input_ids=ids, attention_mask=ids.ne(0).long(), token_type_ids=types, position_ids=positions
        ).last_hidden_state
        told = labels.ne(-100)
        return states[told] @ model.get_input_embeddings().weight.T, labels[told]

    def loss(self, model: BertModel, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        logits, labels = self.logits(model, batch)
        return cross_entropy(logits.float(), labels)

    def scores(self, model: BertModel) -> dict[str, float]:
        draw, asked, by_task = random.Random("evaluation"), supervised("evaluation"), {}
        for name, reading, answer in (next(asked) for _ in range(1000)):
            by_task.setdefault(name, []).append(self.asked(name, reading, answer, draw))
        scores = {}
        for name, rows in sorted(by_task.items()):
            logits, labels = self.logits(model, self.batch(rows))
            scores[name] = round(100 * (logits.argmax(-1) == labels).float().mean().item(), 1)
        return scores


if __name__ == "__main__":
    main(NanoBert, __doc__)
