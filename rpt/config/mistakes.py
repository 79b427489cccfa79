"""Hydra's complaints in one line each. They name the choices there are or the nearest key."""

from __future__ import annotations

import re
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from rpt.config.choices import known_keys, unknown_key, user_folders, wrong_type
from rpt.config.compose import quote
from rpt.config.schema import GROUPS
from rpt.config.yaml_files import read_yaml
from rpt.errors import ONE_LINE, UsageError, list_causes

# Hydra's launchers that come as packages, and our extra that installs each.
LAUNCHERS = {"joblib": "joblib", "submitit_slurm": "slurm", "submitit_local": "slurm", "ray": "ray"}


@contextmanager
def explained_mistakes() -> Iterator[None]:
    """Turn errors of Hydra into a UsageError, including those that are not of Hydra's own classes.

    Raises:
        UsageError: Hydra could not read a file, compose the configuration or make its folders.
    """
    try:
        yield
    except ONE_LINE:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(explain(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError):
        for folder in user_folders():
            for path in sorted(Path(folder).glob("**/*.yaml")):
                read_yaml(path)  # in one line, with the file and the line
        raise
    except (ValueError, TypeError, OSError) as error:
        if _raised_by_hydra(error):
            raise UsageError(explain(error)) from error
        raise


def _raised_by_hydra(error: Exception) -> bool:
    """Whether the innermost frame outside of the standard library is Hydra's, not that of code it called."""
    frames = traceback.walk_tb(error.__traceback__)
    packages = [str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame, _ in frames]
    packages = [package for package in packages if package not in sys.stdlib_module_names]
    return bool(packages) and packages[-1] in ("hydra", "omegaconf")


def explain(error: Exception) -> str:
    """One line for an error in composing a configuration."""
    if package := _missing_launcher(error):
        return package
    if isinstance(error, MissingConfigException) and error.options:
        choices = [option for option in error.options if option != "schema"]
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        return f"There is no {group}={choice}; choose one of: {', '.join(choices)}."
    if isinstance(error, OverrideParseException) and "" in str(error.override).partition("=")[2].split(","):
        return f"{error.override} has nothing beside a comma or behind its =; leave the comma out, or give a value."
    if isinstance(error, OverrideParseException) and (remedy := _quoted(error.override)):
        return remedy
    first, *causes = dict.fromkeys(map(_first_line, list_causes(error)))
    text = ": ".join((first, *causes))
    _, merging, override = first.partition("Error merging override ")
    key, _, value = override.partition("=")
    if merging and (wrong := wrong_type(key.lstrip("+"), value, ": ".join(causes))):
        return str(wrong)
    if "Ambiguous value for argument" in text or "Sweep parameters" in text:
        return f"{_ambiguous(text)} is a list of values: a sweep; add -m: python -m rpt.train -m …"
    if "override 'experiment'" in text:
        return "An experiment is added to the configuration: +experiment=NAME, with -m."
    return _explain_key(text)


def _explain_key(text: str) -> str:
    """One line for a key that Hydra could not set."""
    wrong = re.search(r"(?:Could not override|Key) '([\w.]+)'", text)
    if wrong and wrong[1].startswith("method.peft"):
        key = wrong[1] if "." in wrong[1].removeprefix("method.") else "method.peft.KEY"
        return f"method.peft takes a new key with a plus, one at a time: +{key}=VALUE."
    if not wrong:
        return f"{text.rstrip('.!')}. --help lists all keys."
    if wrong[1] in known_keys():
        group, _, _ = wrong[1].partition(".")
        return f"{wrong[1]} is no key of the chosen {group}; {group}=CHOICE --help lists the keys of a choice."
    file = re.search(r"In '(\w+)/", text)  # the message names keys of a group without the group
    return str(unknown_key(f"{file[1]}.{wrong[1]}" if file else wrong[1]))


def _first_line(error: BaseException) -> str:
    """The first line of an error; two lines if the first ends with a colon."""
    first, *rest = str(error).split("\n")
    return f"{first} {rest[0]}" if first.endswith(":") and rest else first


def parse_overrides(overrides: list[str]) -> list[Override]:
    """The overrides as Hydra parses them; they know whether they are sweeps.

    Raises:
        OverrideParseException: an override does not follow Hydra's grammar.
    """
    return OverridesParser.create().parse_overrides(overrides)


def refuse_misread(overrides: Sequence[str]) -> None:
    """Refuse what Hydra would misread silently: a key that is given twice and a list of choices, of which it would use
    only the last.

    Raises:
        UsageError: naming the override.
    """
    seen: dict[str, str] = {}
    for each in overrides:
        written, equals, value = each.partition("=")
        key = written.lstrip("+~")
        if not equals and not each.startswith("~"):
            raise UsageError(f"{each} is not of the form key=value; a list has commas and no spaces: lr=0.1,0.3")
        if each.startswith("~") and key not in GROUPS and not key.startswith(("hydra", "method.peft.")):
            raise UsageError(f"{each} removes a key that every run has; leave it out, or give a value: {key}=…")
        if key == "experiment" and re.search(r"[\[,]", value):
            raise UsageError(f"{each} has several; give one at a time: +experiment=NAME.")
        if key in GROUPS and value.startswith("["):
            several = ",".join(re.findall(r"\w+", value))
            raise UsageError(f"{each} is no choice; several are a sweep: -m {key}={several}")
        if key in seen:
            raise UsageError(f"{key} is given twice, {seen[key]} and {each}; keep one, or give a list with -m.")
        seen[key] = each


def _quoted(override: str) -> str | None:
    """How to type an override whose value needs quotes in a shell; None if quotes do not help."""
    key, _, value = override.partition("=")
    remedy = f"{key}={quote(value)}"
    try:
        parse_overrides([remedy])
    except OverrideParseException:
        return None
    return f"{key}={value} has characters that need quotes; write {shlex.quote(remedy)}"


def _ambiguous(text: str) -> str:
    override = re.search(r"'([^']*=[^']*)'", text)
    return override[1] if override else "A value with commas"


def _missing_launcher(error: Exception) -> str | None:
    """How to install the requested launcher if it is missing."""
    name = str(getattr(error, "missing_cfg_file", None) or "").removeprefix("hydra/launcher/")
    if name not in LAUNCHERS:
        return None
    return f"hydra/launcher={name} is not installed; pip install -e '.[{LAUNCHERS[name]}]'"
