"""The typed configuration of a run, and the checks across its fields.

The YAML files under `configs/` fill these classes; Hydra refuses keys and types that are not here. What one key
alone cannot tell (a prompt longer than the backbone's room, fp16 on a CPU) is refused by `check`, before any
long work starts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from rpt.errors import UsageError
from rpt.prompts import REPARAMETERIZATIONS
from rpt.tasks import PROTOCOLS, TASKS, get_task

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
    max_tokens: int = 512  # prompt and text together
    lr: float = 0.3  # what `lr` is in prompt tuning unless it is given; 0.3 is the paper's for T5
    finetune_lr: float = 3e-4  # and in fine-tuning; 3e-4 is the paper's for T5
    head: str = "cls"  # what an encoder's head reads: cls | spans, the marked words of WiC and WSC too


@dataclass
class PromptConfig:
    name: str = MISSING  # as it stands in records
    reparameterization: str = MISSING  # a name registered in rpt.prompts; its own options stand beside these keys
    length: int = 10  # N, soft prompt tokens; 0 is no prompt
    init: str = "vocabulary"  # vocabulary | uniform | text | labels | saved
    init_text: str | None = None  # for init=text
    init_path: str | None = None  # for init=saved: a prompt.safetensors


@dataclass
class MethodConfig:
    """Exactly one of `weights`, `adapter` and `peft` for what is not prompt tuning."""

    name: str = PROMPT_TUNING  # as it stands in records
    lr: float = 0.3  # what `lr` is unless it is given
    weights: str | None = None  # the backbone's own weights are trained: a regular expression that their names hold
    biases: bool = False  # a linear layer without a bias gets one of zeros first, as T5's need for BitFit
    adapter: int | None = None  # width of bottleneck adapters behind each sublayer
    peft: dict[str, Any] = field(default_factory=dict)  # a peft tuner: peft_type and the fields of its configuration


@dataclass
class TaskConfig:
    name: str = MISSING


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
    head_lr: float = (
        1e-2  # of an encoder's head beside a prompt; lr with any other method (see configs/backbone/minilm.yaml)
    )
    weight_decay: float = 1e-5
    eps: float = 1e-8  # AdamW's
    clip: float | None = None  # gradient norm of each run; null is no clipping
    precision: str = "auto"  # auto | fp32 | bf16 | fp16 of the frozen backbone; prompt and network stay fp32
    dropout: bool = False  # of the frozen backbone
    order: str = (
        "grouped"  # grouped: reshuffled each epoch, rows of similar length together | once: seed 0, always the same
    )
    pad_to_max: bool = False  # pad every row to backbone.max_tokens
    eval_every: int = 1  # epochs
    patience: int | None = None  # stop after so many evaluations without a better score; null is never
    decode: str = "argmax"  # argmax | generate: how an answer is read from T5; an encoder's head needs neither
    checkpoint_every: int = 200  # optimizer steps


@dataclass
class PackConfig:
    max_runs: int = 16  # trained together by hydra/launcher=packed
    max_tokens: int | None = None  # in one forward pass, padding included; null is what memory and caches allow
    processes: int | None = None  # share the sweep; null is one, without a GPU one for each core


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
    results: str = "results"  # records go to <results>/runs/<task>/<backbone>/<prompt>/<id>
    force: bool = False  # train again although a finished record is there
    resume: str = "auto"  # auto: go on from the checkpoint of a killed run | never: start over

    @property
    def tunes_prompt(self) -> bool:
        """Whether a soft prompt is trained in front of a frozen backbone, and not the backbone or parts put into it."""
        return self.method.name == PROMPT_TUNING

    @property
    def trained(self) -> str:
        """What is trained, as records and tables name it: the prompt, or the method that takes its place."""
        return self.prompt.name if self.tunes_prompt else self.method.name


def config_folder() -> str:
    """The folder of the YAML files: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return str(package / "configs" if (package / "configs").is_dir() else package.parent / "configs")


def register() -> None:
    """Put the schemas into Hydra's store."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    groups = {
        f.name: f.default_factory for f in dataclasses.fields(Config) if dataclasses.is_dataclass(f.default_factory)
    }
    for group, schema in groups.items():
        store.store(group=group, name="schema", node=schema)
    for name, node in PROMPT_CONFIGS.items():
        store.store(group="prompt", name=f"schema_{name}", node=node)


def reparameterization_options(cls: type) -> dict[str, tuple[type, Any]]:
    """The keyword-only parameters of a reparameterization: {name: (type, default)}."""
    parameters = inspect.signature(cls, eval_str=True).parameters.values()
    return {p.name: (p.annotation, p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}


def _prompt_config(cls: type) -> type:
    """A PromptConfig with the reparameterization's own options."""
    options = [(option, typ, default) for option, (typ, default) in reparameterization_options(cls).items()]
    node = dataclasses.make_dataclass(f"{cls.__name__}PromptConfig", options, bases=(PromptConfig,))
    node.__module__ = __name__
    return node


PROMPT_CONFIGS = {name: _prompt_config(cls) for name, cls in REPARAMETERIZATIONS.items()}
globals().update({node.__name__: node for node in PROMPT_CONFIGS.values()})  # other processes find them by their names


def all_prompt_options() -> list[str]:
    """Every reparameterization's own keys, as one writes them on the command line."""
    options = [option for cls in REPARAMETERIZATIONS.values() for option in reparameterization_options(cls)]
    return [f"prompt.{option}" for option in dict.fromkeys(options)]


def to_config(cfg: DictConfig, words: Sequence[str] = ()) -> Config:
    """The composed configuration as objects: `data.dir=...` means data=folder, another method than prompt tuning means
    prompt=none.

    Args:
        words: the overrides it was composed with, as far as they are known.

    Raises:
        UsageError: they want a prompt beside such a method.
    """
    config: Config = OmegaConf.to_object(cfg)
    if config.data.name == "hub" and config.data.dir is not None:
        config.data.name = "folder"
    if not config.tunes_prompt:
        wanted = [word for word in words if word.startswith("prompt") and word != "prompt=none"]
        if wanted:
            raise UsageError(f"method={config.method.name} trains no soft prompt; leave out {' '.join(wanted)}.")
        config.prompt = PromptConfig(name="none", reparameterization="identity", length=0)
    return config


def prompt_options(prompt: PromptConfig) -> dict[str, Any]:
    """The reparameterization's own options among the prompt's keys."""
    known = reparameterization_options(REPARAMETERIZATIONS[prompt.reparameterization])
    return {name: getattr(prompt, name) for name in known if hasattr(prompt, name)}


def backbone_source(backbone: BackboneConfig) -> str:
    """Where the backbone comes from: "path", "embedded", "package" or "hub", the first one that is given.

    Raises:
        UsageError: none is.
    """
    for source in ("path", "embedded", "package", "hub"):
        if getattr(backbone, source) is not None:
            return source
    raise UsageError("The backbone has neither a folder nor a hub id; give backbone.path=... or backbone.hub=...")


def precision_of(config: Config) -> str:
    """fp32, bf16 or fp16: what `auto` means on this machine, bf16 wherever it has units for it."""
    if config.trainer.precision != "auto":
        return config.trainer.precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    units = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch cannot say
    return "bf16" if units.get("amx_bf16") or units.get("avx512_bf16") else "fp32"


CHOICES = {
    "task.name": tuple(TASKS),
    "protocol.name": PROTOCOLS,
    "prompt.reparameterization": tuple(REPARAMETERIZATIONS),
    "prompt.init": ("vocabulary", "uniform", "text", "labels", "saved"),
    "data.name": ("hub", "folder", "mini"),
    "trainer.precision": ("auto", "fp32", "bf16", "fp16"),
    "trainer.order": ("grouped", "once"),
    "trainer.decode": ("argmax", "generate"),
    "protocol.selection": ("reported", "held_out"),
    "tracking.name": ("wandb", "none"),
    "resume": ("auto", "never"),
    "backbone.family": ("t5", "bert"),
    "backbone.head": ("cls", "spans"),
}
AT_LEAST_ONE = (
    "trainer.epochs", "trainer.max_steps", "trainer.batch_size", "trainer.accumulation", "trainer.eval_batch_size",
    "trainer.eval_every", "trainer.patience", "trainer.checkpoint_every", "data.shots", "backbone.max_tokens",
    "pack.max_runs", "pack.max_tokens", "pack.processes", "method.adapter",
)  # fmt: skip
MIN_TEXT_TOKENS = 32  # room that a prompt has to leave for the text


def check(config: Config) -> None:
    """Refuse what cannot run.

    Raises:
        UsageError: naming the key, its value and the remedy.
    """

    def value(key: str) -> Any:
        found = config
        for part in key.split("."):
            found = getattr(found, part)
        return found

    for key, allowed in CHOICES.items():
        if value(key) not in allowed:
            raise UsageError(f"{key}={value(key)} is not known; choose one of: {', '.join(allowed)}.")
    for key in AT_LEAST_ONE:
        if value(key) is not None and value(key) < 1:
            raise UsageError(f"{key}={value(key)} must be 1 or more.")
    given = [key for key in ("weights", "adapter", "peft") if value(f"method.{key}")]
    if len(given) != (not config.tunes_prompt):
        raise UsageError(
            f"method={config.method.name} has {' and '.join(given) or 'nothing'} to train; give one of method.weights, "
            f"method.adapter and method.peft, or none with method={PROMPT_TUNING}."
        )
    for key in ("lr", "trainer.network_lr", "trainer.head_lr", "trainer.clip", "trainer.eps"):
        if value(key) is not None and not 0 < value(key) < float("inf"):
            raise UsageError(f"{key}={value(key)} must be a positive number.")
    if not 0 < config.protocol.held_out < 1:
        raise UsageError(f"protocol.held_out={config.protocol.held_out} must lie between 0 and 1.")
    for key in ("trainer.weight_decay", "seed", "data.shots_seed", "data.mini_seed"):
        if value(key) < 0:
            raise UsageError(f"{key}={value(key)} must not be negative.")

    prompt, room = config.prompt, config.backbone.max_tokens - MIN_TEXT_TOKENS
    if prompt.length < 0 or (prompt.length == 0) != (prompt.name == "none"):
        raise UsageError(
            f"prompt.length={prompt.length} does not fit prompt={prompt.name}; give 1 or more, or prompt=none."
        )
    if prompt.length > room:
        raise UsageError(
            f"prompt.length={prompt.length} is longer than backbone {config.backbone.name} has room for: "
            f"prompt and text share {config.backbone.max_tokens} tokens and {MIN_TEXT_TOKENS} are kept for the text; "
            f"give prompt.length={room} or less, or raise backbone.max_tokens."
        )
    try:  # without memory, for its own checks of its options
        with torch.device("meta"):
            REPARAMETERIZATIONS[prompt.reparameterization](max(1, prompt.length), 2, **prompt_options(prompt))
    except ValueError as error:
        raise UsageError(f"prompt={prompt.name}: {error}.") from error
    if prompt.init == "text" and not prompt.init_text:
        raise UsageError('prompt.init=text needs the text: prompt.init_text="..."')
    task = get_task(config.task.name, config.backbone.family)
    if prompt.init == "labels" and task.verbalizers(config.protocol.name) is None:
        raise UsageError(
            f"prompt.init=labels needs a task with fixed labels; {config.task.name} has open answers; "
            "choose prompt.init=vocabulary or text."
        )
    if config.backbone.family == "bert" and prompt.name == "none" and config.tunes_prompt:
        raise UsageError(
            f"prompt=none has nothing to train, and without training backbone {config.backbone.name} has no head to "
            "answer with; choose prompt=vanilla, mlp, lstm or residual, or a T5: backbone=t5_base, backbone=nano."
        )
    if config.backbone.head == "spans" and not (config.backbone.family == "bert" and task.encoder_marks):
        raise UsageError(
            "backbone.head=spans needs an encoder (backbone=bert_base, …) and marked words (task=wic, task=wsc); "
            "leave it out."
        )
    if prompt.init == "saved":
        _existing(prompt.init_path, "prompt.init_path", "the prompt.safetensors of a finished run")

    if config.data.name == "folder":
        _existing(
            config.data.dir, "data.dir", "a folder in the official SuperGLUE layout, with BoolQ/train.jsonl and so on"
        )
    if config.data.name == "mini" and config.data.dir is not None:
        raise UsageError("data=mini makes its own rows; leave out either data=mini or data.dir.")
    if backbone_source(config.backbone) == "path":
        _existing(config.backbone.path, "backbone.path", "a folder as save_pretrained writes it")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("One run trains in one process; start `python -m rpt.train` plainly, one process per GPU.")
    if config.trainer.precision == "fp16" and not torch.cuda.is_available():
        raise UsageError(
            "trainer.precision=fp16 needs a CUDA device, and there is none; use trainer.precision=fp32 or bf16."
        )


def _existing(path: str | None, key: str, what: str) -> None:
    if path is None or not Path(path).expanduser().exists():
        raise UsageError(f"{key}={path} does not exist; give {what}.")


# What does not change a run's numbers, or stands in the fingerprints instead, and so is no part of its identity.
OUTSIDE_IDENTITY = (
    "tracking", "results", "force", "resume", "data.name", "data.repo", "data.dir", "data.cache", "data.mini_seed",
    "backbone.hub", "backbone.revision", "backbone.path", "backbone.embedded", "backbone.package", "backbone.lr",
    "backbone.finetune_lr", "method.lr", "trainer.name", "trainer.precision", "trainer.eval_batch_size",
    "trainer.checkpoint_every", "pack",
)  # fmt: skip
OF_ENCODERS = ("backbone.head", "trainer.head_lr")  # part of an encoder's runs alone


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """What of a configuration decides a run's numbers, but for the rows and the weights.

    Args:
        config: as `dataclasses.asdict` gives it, or as a record's config.yaml holds it; a key that came later than the
            record has its default.
    """
    reparameterization = REPARAMETERIZATIONS.get(config["prompt"]["reparameterization"])
    options = reparameterization_options(reparameterization) if reparameterization else {}
    kept = _filled(config, dataclasses.asdict(Config()) | {"prompt": dataclasses.asdict(PromptConfig())})
    kept["prompt"] = {name: default for name, (_, default) in options.items()} | kept["prompt"]
    of_others = () if kept["backbone"]["family"] == "bert" else OF_ENCODERS
    if kept["method"]["name"] == PROMPT_TUNING:  # whose runs are older than the key
        of_others = (*of_others, "method")
    for key in (*OUTSIDE_IDENTITY, *of_others):
        *parents, last = key.split(".")
        inner = kept
        for parent in parents:
            inner = inner[parent]
        inner.pop(last)
    return kept


def _filled(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    merged = defaults | given
    return {
        key: _filled(value, defaults[key]) if isinstance(value, dict) and isinstance(defaults.get(key), dict) else value
        for key, value in merged.items()
    }


def run_id(config: Config, rows: str, weights: str) -> str:
    """A short name that is equal for two runs exactly when they compute the same thing.

    Args:
        rows: fingerprint of the data.
        weights: fingerprint of the backbone.
    """
    identity = settings(dataclasses.asdict(config))
    identity |= {"rows": rows, "weights": weights, "precision": precision_of(config)}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    shots = f"-k{config.data.shots}" if config.data.shots else ""
    return f"n{config.prompt.length}-lr{config.lr:g}{shots}-seed{config.seed}-{digest}"
