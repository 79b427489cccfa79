"""Pre-train the nano backbone: a T5 of five million parameters for the miniature SuperGLUE.

    python scripts/pretrain_nano.py --out rpt/backbones/nano

It follows T5 (Raffel et al. 2020): span corruption on running text (15 % of the tokens, mean span 3) mixed with
supervised tasks with text prefixes. The supervised tasks are the eight miniature tasks in T5's formats (protocol
"superglue"), five of them in another form than the benchmark's (pretraining_grammars.py), and a ninth with
BoolQ's passages but other answers. The grammars draw new rows; validation rows of the miniature are excluded.

It takes about an hour and a half on two CPU cores. If it is killed and started again, it continues from its checkpoint.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import cast

import sentencepiece
import torch
from pretraining import POOL, Recipe, main, padded
from pretraining_grammars import PRETRAINING, endless_text
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from rpt.backbones.t5 import rescale_stream
from rpt.data import miniature
from rpt.data.miniature.facts import facts, passage
from rpt.tasks import TASKS, get_task

SENTINELS = 32
SHARE_OF_TEXT = 0.1  # of the mixture; the rest is supervised
SCALE = 6.0  # raises the standard deviation of the embeddings from 1.65 to 9.9; the original T5's is about 10

Pair = tuple[str, str]


# ---- the mixture -----------------------------------------------------------------------------------------


def squad(draw: random.Random) -> Pair:
    """Extractive questions over the same passages as BoolQ's."""
    some = facts(draw, 2)
    f = draw.choice(some)
    question, answer = draw.choice(
        [
            (f"who {f.verb[1]} the {f.thing}", f.who),
            (f"where was the {f.thing}", f.place),
            (f"what colour was the {f.thing}", f.colour),
            (f"what did {f.who} {f.verb[0]}", f.thing),
        ]
    )
    return f"squad passage: {passage(some)} question: {question}", answer


OTHER_TASKS = {task.__name__: task for task in (squad,)}
WEIGHTS = {  # of the supervised mixture: the more there is to learn, the more rows
    "boolq": 2.0, "cb": 0.5, "copa": 1.5, "multirc": 1.5, "record": 1.5, "rte": 2.0, "wic": 0.7, "wsc": 1.0,
    "squad": 1.0,
}  # fmt: skip


def held_out_sources() -> set[str]:
    """All validation sources of the miniature, which pre-training must not see."""
    tasks = [get_task(name, protocol="superglue") for name in TASKS]
    return {
        task.source(example)
        for task in tasks
        for grammars in (miniature.GRAMMARS, PRETRAINING)
        for row in miniature.rows(task.name, "val", by=grammars)
        for example in task.parse(row)
    }


def supervised(seed: str) -> Iterator[tuple[str, Pair]]:
    """An endless stream of (task name, (source, target))."""
    draw, held_out = random.Random(seed), held_out_sources()
    while True:
        (name,) = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if name in OTHER_TASKS:
            yield name, OTHER_TASKS[name](draw)
            continue
        task = get_task(name, protocol="superglue")
        example = draw.choice(task.parse(miniature.row(name, draw, PRETRAINING)))
        targets, source = task.targets(example), task.source(example)
        if targets and source not in held_out:
            yield name, (source, draw.choice(targets))


def corrupt(tokens: list[int], draw: random.Random, first_sentinel: int, eos: int) -> tuple[list[int], list[int]]:
    """T5's span corruption: 15 % of the tokens, in spans of three on average, replaced by sentinels."""
    n_spans = max(1, round(len(tokens) * 0.15 / 3))
    source, target, at = [], [], 0
    for i, start in enumerate(sorted(draw.sample(range(len(tokens)), min(n_spans, len(tokens))))):
        if start < at:
            continue
        end = min(len(tokens), start + draw.choice([2, 3, 4]))
        source += [*tokens[at:start], first_sentinel + i]
        target += [first_sentinel + i, *tokens[start:end]]
        at = end
    return [*source, *tokens[at:], eos], [*target, eos]


# ---- the vocabulary --------------------------------------------------------------------------------------


def train_tokenizer() -> PreTrainedTokenizerFast:
    """A sentencepiece unigram vocabulary with byte fallback, T5's special pieces first, sentinels last."""
    pairs, texts = supervised("vocabulary"), endless_text("vocabulary")
    corpus = [next(texts) for _ in range(20_000)] + [" ".join(next(pairs)[1]) for _ in range(20_000)]
    # Include the published formats of the prompts and the field names of all tasks.
    for task in map(get_task, TASKS):
        for row in miniature.rows(task.name, "train", by=PRETRAINING):
            for example in task.parse(row):
                corpus += [task.source(example), *task.targets(example)]
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=trained,
        model_type="unigram",
        vocab_size=2000,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        required_chars="".join(map(chr, range(33, 127))),
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=[f"<extra_id_{i}>" for i in range(SENTINELS)],
        model_max_length=512,
    )
    for text in corpus[:: len(corpus) // 200]:
        assert fast(text)["input_ids"] == [*pieces.encode(text), 1], text
    return fast


# ---- the model and its rows ------------------------------------------------------------------------------

TokenPair = tuple[list[int], list[int]]  # source, target
Batch = tuple[torch.Tensor, torch.Tensor]  # sources [B, S], labels [B, T]


class NanoT5(Recipe[T5ForConditionalGeneration, TokenPair, Batch]):
    name, steps = "nano", 15_000
    peak_lr = 6e-3

    def size(self, parameter: torch.Tensor) -> float:
        """As in T5's Adafactor, the learning rate is relative to the scale of a weight: T5 does not scale attention
        scores but begins with small queries, and one rate for all weights would saturate them."""
        return parameter.square().mean().sqrt().item()

    def new_tokenizer(self) -> PreTrainedTokenizerFast:
        return train_tokenizer()

    def new_model(self) -> T5ForConditionalGeneration:
        config = T5Config(  # type: ignore[call-arg]  # it takes more than it declares
            vocab_size=len(self.tokenizer),
            d_model=256,
            d_kv=64,
            d_ff=1024,
            num_heads=4,
            num_layers=3,
            num_decoder_layers=2,
            dropout_rate=0.0,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
            n_positions=512,
        )
        return T5ForConditionalGeneration(config)

    def finish(self, model: T5ForConditionalGeneration) -> None:
        rescale_stream(model, SCALE)
        super().finish(model)

    def pool(self, number: int, draw: random.Random) -> list[TokenPair]:
        tokenizer = self.tokenizer
        first_sentinel, eos = cast(int, tokenizer.convert_tokens_to_ids("<extra_id_0>")), tokenizer.eos_token_id
        pairs, texts = supervised(f"pre-training {number}"), endless_text(f"pre-training {number}")
        n_text = int(POOL * SHARE_OF_TEXT)
        running = tokenizer([next(texts) for _ in range(n_text)], add_special_tokens=False)["input_ids"]
        rows = [corrupt(tokens, draw, first_sentinel, eos) for tokens in running]
        chosen = [next(pairs)[1] for _ in range(POOL - n_text)]
        sources = tokenizer([source for source, _ in chosen])["input_ids"]
        return rows + list(zip(sources, tokenizer([target for _, target in chosen])["input_ids"], strict=True))

    def batch(self, rows: list[TokenPair]) -> Batch:
        return padded([source for source, _ in rows], 0), padded([target for _, target in rows], -100)

    def loss(self, model: T5ForConditionalGeneration, batch: Batch) -> torch.Tensor:
        sources, labels = batch
        return model(input_ids=sources, attention_mask=sources.ne(0), labels=labels).loss

    def scores(self, model: T5ForConditionalGeneration) -> dict[str, float]:
        """Exact match on about 100 rows a task: the argmax is right at every position of the target."""
        pairs = supervised("evaluation")
        by_task: dict[str, list[TokenPair]] = {}
        for name, (source, target) in (next(pairs) for _ in range(1000)):
            row = (self.tokenizer(source)["input_ids"], self.tokenizer(target)["input_ids"])
            by_task.setdefault(name, []).append(row)
        scores = {}
        for name, rows in sorted(by_task.items()):
            sources, labels = self.batch(rows)
            logits = model(input_ids=sources, attention_mask=sources.ne(0), labels=labels).logits
            right = ((logits.argmax(-1) == labels) | labels.eq(-100)).all(-1)
            scores[name] = round(100 * right.float().mean().item(), 1)
        return scores


if __name__ == "__main__":
    main(NanoT5, __doc__)
