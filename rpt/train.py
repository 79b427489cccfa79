"""Train a soft prompt: Hydra configuration in, run record out.

    python -m rpt.train task=boolq prompt=residual

`--help` prints every choice; the README explains them.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rpt import config as configuration
from rpt.config import Config
from rpt.errors import RecordError, UsageError

configuration.register()
sys.path.append(str(Path(__file__).parent / "plugins"))  # Hydra looks for launchers in packages named hydra_plugins


def train(config: Config) -> float:
    """Run one configuration to its record and return its score; a finished record is returned as it is.

    NaN if another process is training the same run.

    Raises:
        UsageError: the configuration, the data, the backbone or a file cannot be used.
    """
    configuration.check(config)
    # Imported here so that a wrong configuration is refused before the slow libraries are loaded.
    from rpt.training.sweep import train_all

    (outcome,) = train_all([config])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@hydra.main(version_base="1.3", config_path=configuration.config_folder(), config_name="train")
def _job(cfg: DictConfig) -> float:
    hydra_config = HydraConfig.get()
    if "experiment" in hydra_config.runtime.choices and hydra_config.mode == RunMode.RUN:
        raise UsageError("An experiment is a grid of runs; add -m: python -m rpt.train -m +experiment=...")
    return train(configuration.to_config(cfg, hydra_config.overrides.task))


def main() -> None:
    """The command line: every mistake of the user's ends in one message and exit code 2, without a traceback."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises instead of printing, and we say it in one line
    try:
        _job()
    except (UsageError, RecordError) as error:
        sys.exit(_fail(str(error)))
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(_fail(configuration_mistake(error)))


def _fail(message: str) -> int:
    print(f"rpt: {message}", file=sys.stderr)
    return 2


def configuration_mistake(error: Exception) -> str:
    """Hydra's complaint in one line, with the choices there are, or the nearest existing key where a key is wrong."""
    if isinstance(error, MissingConfigException) and error.options:
        choices = [option for option in error.options if not option.startswith("schema")]
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"There is no {group}={choice}; choose one of: {', '.join(choices)}."
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    text = ": ".join(dict.fromkeys(str(cause).split("\n")[0] for cause in causes))
    wrong = re.search(r"(?:Could not override|Key) '([\w.]+)'", text)
    keys = [*_keys(dataclasses.fields(Config)), *configuration.all_prompt_options()]
    if not wrong or wrong[1] in keys:
        return f"{text}. --help lists all keys."
    near = difflib.get_close_matches(wrong[1], keys, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "--help lists all keys."
    return f"There is no key {wrong[1]}; {hint}"


def _keys(fields: tuple[dataclasses.Field, ...], prefix: str = "") -> list[str]:
    keys = []
    for field in fields:
        keys.append(prefix + field.name)
        if dataclasses.is_dataclass(field.default_factory):
            keys += _keys(dataclasses.fields(field.default_factory), f"{prefix}{field.name}.")
    return keys


if __name__ == "__main__":
    main()
