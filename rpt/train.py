"""Train a soft prompt: Hydra configuration in, run record out.

    python -m rpt.train task=boolq prompt=residual

`--help` prints every choice; the README explains them.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from string import Template
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rpt.cli import one_line_errors, split_config_dir
from rpt.config import Config, compose, config_folder, register, to_config, use_config_folder, validate
from rpt.config.mistakes import explained_mistakes, refuse_repeated
from rpt.errors import UsageError
from rpt.training.sweep.launched import ending_with_command, ending_with_workers

SWEEP = ("-m", "--multirun")

register()
sys.path.append(str(Path(__file__).parent / "plugins"))  # Hydra looks for launchers in packages named hydra_plugins


def _outcome(job: JobReturn) -> float:
    """Of a job, without the line that Hydra writes before it raises."""
    if isinstance(job._return_value, Exception):
        raise job._return_value
    return job._return_value


JobReturn.return_value = JobReturn.return_value.getter(_outcome)  # type: ignore[method-assign,attr-defined]  # a property


def train(config: Config) -> float:
    """Run one configuration to its record and return its score; a finished record is returned as it is.

    NaN if another process is training the same run.

    Raises:
        UsageError: the configuration, the data, the backbone or a file cannot be used.
    """
    validate(config)  # `train_all` checks it again and further, but its libraries take seconds to import
    from rpt.training.sweep.sweep import train_all

    (outcome,) = train_all([config])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@hydra.main(version_base="1.3", config_path=config_folder(), config_name="train")
def _job(cfg: DictConfig) -> float:
    hydra_config = HydraConfig.get()
    is_alone = hydra_config.mode == RunMode.RUN
    # A run alone ends here: to what is raised, Hydra adds a line of its own. A sweep goes on with its other runs.
    with one_line_errors() if is_alone else nullcontext(), explained_mistakes():
        if is_alone and "experiment" in hydra_config.runtime.choices:
            raise UsageError("An experiment is a grid of runs; add -m: python -m rpt.train -m +experiment=...")
        with ending_with_command():
            return train(to_config(cfg, hydra_config.overrides.task))


def main() -> None:
    """The command line."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises instead of printing, and we say it in one line
    with one_line_errors(), explained_mistakes():
        words, folder = split_config_dir(sys.argv[1:])
        refuse_repeated(words)
        if folder is not None:
            use_config_folder(folder)
        in_order = sorted(words, key=lambda word: word not in SWEEP)  # Hydra wants its flags before the words or behind
        sys.argv[1:] = [*([] if folder is None else ["--config-dir", folder]), *in_order]
        check_flags()
        flags = {word for word in words if word.startswith("-")}
        if flags in ({"-h"}, {"--help"}):
            print(help_text([word for word in words if word not in flags]))
        else:
            is_sweep = bool(flags & set(SWEEP))
            if is_sweep:
                _check_rows(words)
            with ending_with_workers() if is_sweep else nullcontext():
                _job()


def check_flags() -> None:
    """Refuse what Hydra would end with the whole of its usage, and the flag that would unpickle a file.

    Raises:
        UsageError: naming the word.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UsageError(f"{message}; --help shows what there is.")

    parser.error = refuse  # type: ignore[method-assign]  # what argparse offers beside leaving the process
    if parser.parse_args().experimental_rerun is not None:
        raise UsageError("--experimental-rerun reads a pickle, which may run any code; give the words again instead.")


def _check_rows(words: list[str]) -> None:
    """Refuse a sweep whose rows no run will find, once: by the words that all its runs share."""
    shared = [word for word in words if "=" in word and "," not in word and not word.startswith(("-", "hydra"))]
    data = to_config(compose("train", shared)).data
    if data.name == "folder" and data.dir is None:
        raise UsageError(
            "No run has rows (data=folder, as in scale=laptop); give data.dir=FOLDER, with BoolQ/train.jsonl and so on."
        )


def help_text(words: list[str]) -> str:
    """What --help prints: the template in train.yaml, with the configuration that the words give.

    Hydra prints the same if further flags stand beside --help, but takes a second for lists that the template leaves
    out.

    Raises:
        HydraException: a word names no key or no choice.
    """
    template = compose("train", words, with_hydra=True).hydra.help.template
    return Template(template).safe_substitute(CONFIG=OmegaConf.to_yaml(compose("train", words), resolve=True))


if __name__ == "__main__":
    main()
