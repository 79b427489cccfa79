"""Pre-train the nano backbone: a T5 of five million parameters for the miniature SuperGLUE.

    python scripts/pretrain_nano.py --out rpt/backbones/nano

As T5 was (Raffel et al. 2020): span corruption on running text (15 % of the tokens, mean span 3) mixed with
supervised tasks under text prefixes. The supervised ones are the eight miniature tasks in T5's own formats
(protocol "superglue") and one that shares BoolQ's fields but wants other answers. Rows come fresh from the
grammars; the miniature's validation rows are left out.

About an hour and a half on two CPU cores. It may be killed at any time and started again: it goes on from its
checkpoint.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
import torch
import torch.distributed as distributed
import torch.multiprocessing
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from rpt.data import miniature
from rpt.tasks import TASKS

SENTINELS = 32
SHARE_OF_TEXT = 0.1  # of the mixture; the rest is supervised
# A step sums the gradients of PARTS batches of equal row length, drawn at random: sorted rows save padding, but a
# step of one length alone would be a step of one task alone, and the training would swing from task to task.
BATCH, PARTS, POOL = 24, 4, 24 * 4 * 24
# AdamW; the learning rate is relative to each weight's size, as in T5's Adafactor: T5 does not scale its
# attention scores but starts from small queries, and one rate for all would saturate them. Constant, and falling to
# zero over the last quarter.
PEAK_LR, BETAS, WARMUP, DECAY = 6e-3, (0.9, 0.98), 200, 0.25

Pair = tuple[str, str]


# ---- the mixture -----------------------------------------------------------------------------------------


def squad(draw: random.Random) -> Pair:
    """Extractive questions over the same passages as BoolQ's."""
    some = miniature.facts(draw, 2)
    f = draw.choice(some)
    question, answer = draw.choice(
        [
            (f"who {f.verb[1]} the {f.thing}", f.who),
            (f"where was the {f.thing}", f.place),
            (f"what colour was the {f.thing}", f.colour),
            (f"what did {f.who} {f.verb[0]}", f.thing),
        ]
    )
    return f"squad passage: {miniature.passage(some)} question: {question}", answer


OTHER_TASKS = {task.__name__: task for task in (squad,)}
WEIGHTS = {  # of the supervised mixture: the more there is to learn, the more rows
    "boolq": 2.0, "cb": 0.5, "copa": 1.5, "multirc": 1.5, "record": 1.5, "rte": 2.0, "wic": 0.7, "wsc": 1.0,
    "squad": 1.0,
}  # fmt: skip


def held_out_sources() -> set[str]:
    """Every validation source of the miniature: the pre-training must not see them."""
    return {
        task.source(example, "superglue")
        for task in TASKS.values()
        for row in miniature.rows(task.name, "val")
        for example in task.parse(row)
    }


def supervised(seed: str) -> Iterator[tuple[str, Pair]]:
    """Endless (task name, (source, target))."""
    draw, held_out = random.Random(seed), held_out_sources()
    while True:
        (name,) = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if name in OTHER_TASKS:
            yield name, OTHER_TASKS[name](draw)
            continue
        task = TASKS[name]
        example = draw.choice(task.parse(miniature.row(name, draw)))
        targets, source = task.targets(example, "superglue"), task.source(example, "superglue")
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
    pairs, texts = supervised("vocabulary"), miniature.endless_text("vocabulary")
    corpus = [next(texts) for _ in range(20_000)] + [" ".join(next(pairs)[1]) for _ in range(20_000)]
    # The published formats of the prompts, and the field names of all tasks, are words it should know.
    for task in TASKS.values():
        for row in miniature.rows(task.name, "train"):
            for example in task.parse(row):
                corpus += [task.source(example, "paper"), *task.targets(example, "paper")]
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=trained, model_type="unigram", vocab_size=2000,
        hard_vocab_limit=False, byte_fallback=True, character_coverage=1.0, normalization_rule_name="identity",
        required_chars="".join(map(chr, range(33, 127))), pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        num_threads=1, minloglevel=2,
    )  # fmt: skip
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
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        additional_special_tokens=[f"<extra_id_{i}>" for i in range(SENTINELS)], model_max_length=512,
    )  # fmt: skip
    for text in corpus[:: len(corpus) // 200]:
        assert fast(text)["input_ids"] == [*pieces.encode(text), 1], text
    return fast


# ---- the model -------------------------------------------------------------------------------------------


def new_model(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """An untrained T5 of the nano's shape."""
    config = T5Config(
        vocab_size=len(tokenizer), d_model=256, d_kv=64, d_ff=1024, num_heads=4, num_layers=3,
        num_decoder_layers=2, dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
        n_positions=512,
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


# ---- training --------------------------------------------------------------------------------------------


def steps(tokenizer: PreTrainedTokenizerFast, start: int) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Steps from `start` on, each PARTS batches (source [B, S], labels [B, T]); a function of the step alone."""
    per_pool = POOL // (BATCH * PARTS)
    first_sentinel, eos = tokenizer.convert_tokens_to_ids("<extra_id_0>"), tokenizer.eos_token_id
    for pool in range(start // per_pool, 10**9):
        draw = random.Random(f"pre-training pool {pool}")
        pairs, texts = supervised(f"pre-training {pool}"), miniature.endless_text(f"pre-training {pool}")
        n_text = int(POOL * SHARE_OF_TEXT)
        running = tokenizer([next(texts) for _ in range(n_text)], add_special_tokens=False)["input_ids"]
        rows = [corrupt(tokens, draw, first_sentinel, eos) for tokens in running]
        chosen = [next(pairs)[1] for _ in range(POOL - n_text)]
        sources = tokenizer([source for source, _ in chosen])["input_ids"]
        rows += list(zip(sources, tokenizer([target for _, target in chosen])["input_ids"], strict=True))
        rows.sort(key=lambda row: len(row[0]))
        groups = [rows[i : i + BATCH] for i in range(0, POOL, BATCH)]
        draw.shuffle(groups)
        for i in range(start % per_pool if pool == start // per_pool else 0, per_pool):
            parts = groups[i * PARTS : (i + 1) * PARTS]
            yield [(padded([s for s, _ in part], 0), padded([t for _, t in part], -100)) for part in parts]


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


@torch.no_grad()
def exact_match(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """Per cent of about 100 held-out rows a task whose whole target is the argmax at every position."""
    model.eval()
    pairs, by_task = supervised("evaluation"), {}
    for name, pair in (next(pairs) for _ in range(1000)):
        by_task.setdefault(name, []).append(pair)
    scores = {}
    for name, some in sorted(by_task.items()):
        sources = padded(tokenizer([source for source, _ in some])["input_ids"], 0)
        labels = padded(tokenizer([target for _, target in some])["input_ids"], -100)
        logits = model(input_ids=sources, attention_mask=sources.ne(0), labels=labels).logits
        right = ((logits.argmax(-1) == labels) | labels.eq(-100)).all(-1)
        scores[name] = round(100 * right.float().mean().item(), 1)
    model.train()
    return scores


def save(path: Path, model: T5ForConditionalGeneration, optimizer: torch.optim.AdamW, step: int) -> None:
    """The whole training state in one file, atomically."""
    tensors = {}
    for name, value in model.named_parameters():
        state = optimizer.state[value]
        parts = {"model": value, "exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]}
        tensors |= {f"{part}.{name}": tensor.detach().contiguous() for part, tensor in parts.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"step": str(step)})
    os.replace(temporary, path)


@torch.no_grad()
def load(path: Path, model: T5ForConditionalGeneration, optimizer: torch.optim.AdamW) -> int:
    """Restore what save() wrote; returns the step."""
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
    tensors = load_file(path)
    for name, value in model.named_parameters():
        value.copy_(tensors[f"model.{name}"])
        moments = {key: tensors[f"{key}.{name}"] for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[value] = {"step": torch.tensor(float(step)), **moments}
    return step


def pretrain(rank: int, options: argparse.Namespace) -> None:
    """One of the processes; each takes its share of a step's batches, and their gradients are averaged."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=options.processes, init_method=options.meeting_point)
    torch.manual_seed(options.seed)
    tokenizer = train_tokenizer()
    model = new_model(tokenizer).train()
    groups = [{"params": [p], "size": p.detach().square().mean().sqrt().item()} for p in model.parameters()]
    optimizer = torch.optim.AdamW(groups, betas=BETAS, weight_decay=0.0, fused=True)
    checkpoint = options.work / "checkpoint.safetensors"
    step = load(checkpoint, model, optimizer) if checkpoint.exists() else 0
    if rank == 0:
        n_parameters = sum(p.numel() for p in model.parameters())
        print(f"{n_parameters:,} parameters, {len(tokenizer)} pieces, from step {step}", flush=True)

    mean, began = 0.0, time.time()
    bar = tqdm(total=options.steps, initial=step, desc="nano", mininterval=10, disable=rank > 0)
    for parts in steps(tokenizer, step):
        if step >= options.steps:
            break
        falling = min(1.0, (options.steps - step) / (DECAY * options.steps))
        for group in optimizer.param_groups:
            group["lr"] = group["size"] * PEAK_LR * min(1.0, (step + 1) / WARMUP) * falling
        loss = 0.0
        for sources, labels in parts[rank :: options.processes]:
            with torch.autocast("cpu", torch.bfloat16):
                part = model(input_ids=sources, attention_mask=sources.ne(0), labels=labels).loss / PARTS
            part.backward()
            loss += part.item() * options.processes
        gradients = parameters_to_vector([p.grad for p in model.parameters()])
        distributed.all_reduce(gradients)
        vector_to_parameters(gradients, [p.grad for p in model.parameters()])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        mean = loss if mean == 0.0 else 0.98 * mean + 0.02 * loss
        bar.update()
        bar.set_postfix(loss=f"{mean:.3f}", refresh=False)
        if rank == 0 and (step % options.eval_every == 0 or step == options.steps):
            save(checkpoint, model, optimizer, step)
            line = {"step": step, "loss": round(mean, 4), "minutes": round((time.time() - began) / 60, 1)}
            line |= exact_match(model, tokenizer)
            with (options.work / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            bar.write(json.dumps(line))
    bar.close()
    distributed.barrier()
    if rank == 0:
        # Stored in bfloat16: half the bytes, and the rounding is far below what a prompt can feel.
        model.eval().to(torch.bfloat16).save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)
        for file in options.out.iterdir():
            file.chmod(0o644)  # the library writes weights for their owner alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished backbone")
    parser.add_argument("--work", type=Path, default=Path("nano-pretraining"), help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=15_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--eval-every", type=int, default=250)
    # At this size two processes of one thread do twice the work of one process of two threads.
    parser.add_argument("--processes", type=int, default=2, choices=(1, 2, 4), help="at most one per core")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        options.meeting_point = f"file://{folder}/meet"
        torch.multiprocessing.spawn(pretrain, (options,), nprocs=options.processes)


if __name__ == "__main__":
    main()
