"""The dataclasses of the configuration. There is one for each group of configs/, and `Config` for the whole."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

PROMPT_TUNING = "prompt"  # the method that all others are compared with
Values = dict[str, Any]  # a configuration or a part of it as plain data, nested by group


def merge(under: Values, over: Values) -> Values:
    """The values of `over`, and those of `under` for missing keys, at every level. `under` is not changed, not even
    when the result is changed later."""
    merged = {key: merge(value, {}) if isinstance(value, dict) else value for key, value in under.items()}
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


@dataclass
class BackboneConfig:
    name: str = MISSING  # as in records
    family: str = "t5"  # which class of rpt.backbones drives it
    hub: str | None = None  # model id on the hub
    revision: str | None = None  # of the hub's model; null is its newest
    path: str | None = None  # a local folder (save_pretrained layout); wins over hub
    embedded: str | None = None  # a folder that comes with the package, under rpt/backbones
    package: str | None = None  # an installed Python package that carries it, by the name that pip knows
    max_tokens: int = 512  # prompt and text together; of a decoder the answer too
    weights: str = "auto"  # how they are kept: auto, as the precision asks | float32 | bf16 | 8bit | 4bit
    lr: float = 0.3  # what `lr` is in prompt tuning unless it is given; 0.3 is the paper's for T5
    finetune_lr: float = 3e-4  # and in fine-tuning; 3e-4 is the paper's for T5
    head: str = "cls"  # what an encoder's head reads: cls | spans, the marked words of WiC and WSC too
    pooling: str = "cls"  # what an encoder's head reads: cls, [CLS]'s state | mean, of all states | cosine, of means
    # Words and all that is added to them times this; no output of the model changes. auto: words as long as T5's.
    stream_scale: Any = 1.0


@dataclass
class PromptConfig:
    """In YAML files, on the command line and in records, options are keys like the others: prompt.bottleneck."""

    name: str = MISSING  # as in records
    reparameterization: str = MISSING  # a name registered in rpt.prompts
    length: int = 10  # N, soft prompt tokens; 0: no prompt
    init: str = "vocabulary"  # vocabulary | uniform | text | labels | saved
    init_text: str | None = None  # for init=text
    init_path: str | None = None  # for init=saved: a prompt.safetensors
    options: Values = field(default_factory=dict)  # of the reparameterization, e.g. its bottleneck


@dataclass
class MethodConfig:
    """A method other than prompt tuning has exactly one of `weights`, `adapter`, `peft` and `head_only`."""

    name: str = PROMPT_TUNING  # as in records
    lr: float = 0.3  # default of `lr`
    weights: str | None = None  # train backbone weights whose names match this regular expression
    biases: bool = False  # first add biases of zeros to linear layers without, as T5 needs for BitFit
    adapter: int | None = None  # width of the bottleneck adapter after each sublayer
    peft: Values = field(default_factory=dict)  # a peft tuner: peft_type and the fields of its configuration
    head_only: bool = False  # train only an encoder's head, on the frozen backbone: a linear probe


@dataclass
class TaskConfig:
    """A built-in task only needs its name; the other keys declare a custom task (task=custom)."""

    name: str = MISSING  # as in records
    fields: list[str] = field(default_factory=list)  # the columns to read, in this order
    labels: list[str] = field(default_factory=list)  # the labels as in the rows, or in the order of their numbers
    words: list[str] = field(default_factory=list)  # the verbalizer of each label; empty: the labels
    answer: str = "label"  # the column with the label, or with the open answer if there are no labels
    metric: str | None = None  # accuracy | macro_f1; for open answers exact_match | f1; null: the first
    template: str | None = None  # the text to read, with {field} as placeholders; null: "field: text" for each
    max_answer_tokens: int = 16  # of open answers
    shared_text: str | None = None  # a column: rows that share its text all train or are all held out
    train: str | None = None  # .jsonl or .csv, in data.dir or the current folder
    validation: str | None = None
    hub_config: str | None = None  # of data.repo, for rows from the hub
    hub_split: str = "validation"  # of data.repo: the rows to report on


@dataclass
class DataConfig:
    name: str = MISSING  # hub | folder | mini
    repo: str = "aps/super_glue"  # for hub: the dataset id
    dir: str | None = None  # a folder in the official layout (BoolQ/train.jsonl, ...); takes precedence over the hub
    shots: int | None = None  # few-shot: training rows per class; null: all
    shots_seed: int = 0  # draws those rows
    mini_seed: int = 0  # for mini: the seed of the grammars
    cache: str = "~/.cache/rpt"  # tokenised rows


@dataclass
class TrainerConfig:
    name: str = MISSING
    epochs: int = 20
    max_steps: int | None = None  # stop after this many optimizer steps
    batch_size: int = 8  # rows per forward pass
    accumulation: int = 1  # forward passes per optimizer step
    eval_batch_size: int = 64
    network_lr: float | None = None  # learning rate of the reparameterization; null: lr
    head_lr: float = 1e-2  # of an encoder's head that trains with a prompt or reads a cosine; other heads use lr
    weight_decay: float = 1e-5
    eps: float = 1e-8  # AdamW's
    adamw: str = "torch"  # torch | transformers: as in the published code, which adds eps before bias correction
    clip: float | None = None  # maximal gradient norm of each run; null: no clipping
    precision: str = "auto"  # auto | fp32 | bf16 | fp16 of the frozen backbone; prompt and network stay fp32
    dropout: bool = False  # of the frozen backbone
    gradient_checkpointing: bool = False  # compute a layer again for its backward pass: less memory, more time
    order: str = "grouped"  # grouped: shuffled each epoch, similar lengths together | once: seed 0, always the same
    pad_to_max: bool = False  # pad every row to backbone.max_tokens
    eval_every: int = 1  # epochs
    patience: int | None = None  # stop after this many evaluations without a better score; null: never
    # How to read a written answer that is a label; no effect on encoders. argmax: what greedy decoding would write |
    # generate: the same, written out | likeliest: the label whose word is most probable, even if something else is
    # written, as zero-shot scores are often given.
    decode: str = "argmax"
    checkpoint_every: int = 200  # optimizer steps


@dataclass
class SearchConfig:
    """The keys of hydra.sweeper with hydra/sweeper=optuna. It stands here and not beside the sweeper because workers of
    other launchers can import this module."""

    _target_: str = "hydra_plugins.rpt_optuna_sweeper.OptunaSweeper"
    params: Values = field(default_factory=dict)
    trials: int = 20
    batch: int = 4
    seed: int = 0
    prune: bool = True


@dataclass
class PackConfig:
    max_runs: int | None = None  # trained together by hydra/launcher=packed; null is what a short trial finds fastest
    max_tokens: int | None = None  # in one forward pass, padding included; null is what memory and caches allow
    processes: int | None = None  # share the sweep; null is one for each GPU, without one for each core
    on: str = "here"  # where packs train: here, or as jobs of an engine: local | slurm (submitit's) | ray
    prune: list[float] = field(default_factory=list)  # a search sets it: the best score must reach, by evaluation
    graphs: bool = True  # record passes of a frozen backbone as CUDA graphs, where there is a GPU


@dataclass
class ProtocolConfig:
    name: str = MISSING  # paper | superglue: text formats, answers and headline metric
    selection: str = "reported"  # rows that select the checkpoint: reported (validation) | held_out (of training)
    held_out: float = 0.1  # share of the training rows, for selection=held_out


@dataclass
class TrackingConfig:
    name: str = MISSING  # wandb | none
    project: str = "rpt"
    entity: str | None = None
    dir: str = "outputs"  # W&B's own files


@dataclass
class Config:
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    pack: PackConfig = field(default_factory=PackConfig)
    lr: float = 0.3  # constant learning rate; train.yaml sets it by the method
    seed: int = 0  # initialisation, order of rows, dropout
    plugins: list[str] = field(default_factory=list)  # the user's modules: reparameterizations, tasks, families
    results: str = "results"  # records go to <results>/runs/<task>/<backbone>/<variant>/<id>
    force: bool = False  # train again even if a record is there; a killed run, which has none yet, goes on
    resume: str = "auto"  # auto: continue from the checkpoint of a killed run | never: start over

    @property
    def tunes_prompt(self) -> bool:
        """Whether the run trains a soft prompt for a frozen backbone, not the backbone or parts inserted into it."""
        return self.method.name == PROMPT_TUNING

    @property
    def head_has_own_lr(self) -> bool:
        """Whether an encoder's head learns at trainer.head_lr (`head_has_own_lr`)."""
        return head_has_own_lr(self.method.name, self.method.head_only, self.backbone.pooling)

    @property
    def variant(self) -> str:
        """What tables compare: the name of the prompt, or of the method if it trains no prompt."""
        return self.prompt.name if self.tunes_prompt else self.method.name

    @property
    def title(self) -> str:
        """How messages name the run: "cb nano residual n10 lr0.3 seed0"."""
        length = f" n{self.prompt.length}" if self.prompt.length else ""
        return f"{self.task.name} {self.backbone.name} {self.variant}{length} lr{self.lr:g} seed{self.seed}"


def head_has_own_lr(method: str, head_only: bool, pooling: str) -> bool:
    """Whether an encoder's head learns at trainer.head_lr: if it trains with a prompt, or if it reads a cosine, whose
    two parameters learn too slowly at a backbone's learning rate. A head that trains alone learns at lr."""
    return method == PROMPT_TUNING or (pooling == "cosine" and not head_only)


GROUPS: dict[str, Any] = {  # the groups of choices and their classes
    f.name: f.default_factory for f in dataclasses.fields(Config) if dataclasses.is_dataclass(f.default_factory)
}
