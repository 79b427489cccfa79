"""The configuration of a run: one dataclass for each group of configs/, and `Config` for the whole."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

PROMPT_TUNING = "prompt"  # the method that all others are compared with


@dataclass
class BackboneConfig:
    name: str = MISSING  # as it stands in records
    family: str = "t5"  # which class of rpt.backbones drives it
    hub: str | None = None  # model id on the hub
    revision: str | None = None  # of the hub's model; null is its newest
    path: str | None = None  # a local folder (save_pretrained layout); wins over hub
    embedded: str | None = None  # a folder that comes with the package, under rpt/backbones
    package: str | None = None  # an installed Python package that carries it, by the name that pip knows
    max_tokens: int = 512  # prompt and text together; of a decoder the answer too
    lr: float = 0.3  # what `lr` is in prompt tuning unless it is given; 0.3 is the paper's for T5
    finetune_lr: float = 3e-4  # and in fine-tuning; 3e-4 is the paper's for T5
    head: str = "cls"  # what an encoder's head reads: cls | spans, the marked words of WiC and WSC too
    pooling: str = "cls"  # what an encoder's head reads: cls, [CLS]'s state | mean, of all states | cosine, of means
    # Words and all that is added to them times this; no output of the model changes. auto: words as long as T5's.
    stream_scale: Any = 1.0


@dataclass
class PromptConfig:
    """In YAML files, on the command line and in records the options stand beside the other keys: prompt.bottleneck."""

    name: str = MISSING  # as it stands in records
    reparameterization: str = MISSING  # a name registered in rpt.prompts
    length: int = 10  # N, soft prompt tokens; 0 is no prompt
    init: str = "vocabulary"  # vocabulary | uniform | text | labels | saved
    init_text: str | None = None  # for init=text
    init_path: str | None = None  # for init=saved: a prompt.safetensors
    options: dict[str, Any] = field(default_factory=dict)  # the reparameterization's own, e.g. its bottleneck


@dataclass
class MethodConfig:
    """Exactly one of `weights`, `adapter`, `peft` and `head_only` for what is not prompt tuning."""

    name: str = PROMPT_TUNING  # as it stands in records
    lr: float = 0.3  # what `lr` is unless it is given
    weights: str | None = None  # the backbone's own weights are trained: a regular expression that their names hold
    biases: bool = False  # a linear layer without a bias gets one of zeros first, as T5's need for BitFit
    adapter: int | None = None  # width of bottleneck adapters behind each sublayer
    peft: dict[str, Any] = field(default_factory=dict)  # a peft tuner: peft_type and the fields of its configuration
    head_only: bool = False  # nothing but an encoder's head, on the frozen backbone: a linear probe


@dataclass
class TaskConfig:
    """A task of ours needs its name alone; the other keys declare one of your own (task=custom)."""

    name: str = MISSING  # as it stands in records
    fields: list[str] = field(default_factory=list)  # the columns that are read, in this order
    labels: list[str] = field(default_factory=list)  # the labels as rows have them, or in the order of their numbers
    words: list[str] = field(default_factory=list)  # what is written for each; empty is the labels themselves
    answer: str = "label"  # the column with the label, or with the answer where there are no labels
    metric: str | None = None  # accuracy | macro_f1; of open answers exact_match | f1; null is the first of them
    template: str | None = None  # what is read, with {field} in it; null is "field: text" of each
    max_answer_tokens: int = 16  # of open answers
    shared_text: str | None = None  # the column that several rows are about: those train or are held out together
    train: str | None = None  # .jsonl or .csv, in data.dir or the current folder
    validation: str | None = None
    hub_config: str | None = None  # of data.repo, where the rows are the hub's
    hub_split: str = "validation"  # of data.repo, whose rows are reported


@dataclass
class DataConfig:
    name: str = MISSING  # hub | folder | mini
    repo: str = "aps/super_glue"  # for hub: the dataset id
    dir: str | None = None  # a folder in the official layout (BoolQ/train.jsonl, ...); wins over the hub
    shots: int | None = None  # few-shot: training rows per class; null is all
    shots_seed: int = 0  # which rows those are
    mini_seed: int = 0  # for mini: the seed of the grammars
    cache: str = "~/.cache/rpt"  # tokenised rows


@dataclass
class TrainerConfig:
    name: str = MISSING
    epochs: int = 20
    max_steps: int | None = None  # stop earlier, after so many optimizer steps
    batch_size: int = 8  # rows per forward pass
    accumulation: int = 1  # forward passes per optimizer step
    eval_batch_size: int = 64
    network_lr: float | None = None  # of the reparameterization; null is lr
    head_lr: float = 1e-2  # of an encoder's head beside a prompt or reading a cosine; with other methods it is lr
    weight_decay: float = 1e-5
    eps: float = 1e-8  # AdamW's
    adamw: str = "torch"  # torch | transformers: the published code's, which adds eps before it corrects the moments
    clip: float | None = None  # gradient norm of each run; null is no clipping
    precision: str = "auto"  # auto | fp32 | bf16 | fp16 of the frozen backbone; prompt and network stay fp32
    dropout: bool = False  # of the frozen backbone
    order: str = "grouped"  # grouped: shuffled each epoch, similar lengths together | once: seed 0, always the same
    pad_to_max: bool = False  # pad every row to backbone.max_tokens
    eval_every: int = 1  # epochs
    patience: int | None = None  # stop after so many evaluations without a better score; null is never
    decode: str = "argmax"  # argmax | generate: how a written answer is read; an encoder's head needs neither
    checkpoint_every: int = 200  # optimizer steps


@dataclass
class PackConfig:
    max_runs: int | None = None  # trained together by hydra/launcher=packed; null is what a short trial finds fastest
    max_tokens: int | None = None  # in one forward pass, padding included; null is what memory and caches allow
    processes: int | None = None  # share the sweep; null is one for each GPU, without one for each core
    graphs: bool = True  # record passes of a frozen backbone as CUDA graphs, where there is a GPU


@dataclass
class ProtocolConfig:
    name: str = MISSING  # paper | superglue: text formats, answers and headline metric
    selection: str = "reported"  # rows that choose the best checkpoint: reported (validation) | held_out (of training)
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
    lr: float = 0.3  # constant learning rate of what is trained; train.yaml takes it from the method
    seed: int = 0  # initialisation, order of rows, dropout
    plugins: list[str] = field(default_factory=list)  # modules of one's own: reparameterizations, tasks
    results: str = "results"  # records go to <results>/runs/<task>/<backbone>/<variant>/<id>
    force: bool = False  # train again although a finished record is there
    resume: str = "auto"  # auto: go on from the checkpoint of a killed run | never: start over

    @property
    def tunes_prompt(self) -> bool:
        """Whether a soft prompt is trained in front of a frozen backbone, and not the backbone or parts put into it."""
        return self.method.name == PROMPT_TUNING

    @property
    def head_has_own_lr(self) -> bool:
        """Whether an encoder's head learns at trainer.head_lr (`head_has_own_lr`)."""
        return head_has_own_lr(self.method.name, self.method.head_only, self.backbone.pooling)

    @property
    def variant(self) -> str:
        """What runs are compared by: the name of the prompt, or of the method that takes its place."""
        return self.prompt.name if self.tunes_prompt else self.method.name


def head_has_own_lr(method: str, head_only: bool, pooling: str) -> bool:
    """Whether an encoder's head learns at trainer.head_lr: beside a prompt, and where it weighs a cosine, whose two
    numbers have far to go at a backbone's rate. By itself it learns at lr."""
    return method == PROMPT_TUNING or (pooling == "cosine" and not head_only)


GROUPS: dict[str, Any] = {  # the nodes of the configuration that are groups of choices, and their classes
    f.name: f.default_factory for f in dataclasses.fields(Config) if dataclasses.is_dataclass(f.default_factory)
}
