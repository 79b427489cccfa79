"""A finished run opened. It has the folded prompt, the head, and what they were trained for."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from rpt.config import GROUPS, Config, compose, validate_settings
from rpt.data import task_for
from rpt.data.plugins import load_plugins
from rpt.errors import RecordError, UsageError
from rpt.records.checks import check_config
from rpt.records.run_folder import RunFolder
from rpt.records.schema import flatten
from rpt.tasks import PROTOCOLS, TASKS, Task

if TYPE_CHECKING:
    from torch import Tensor, device

log = logging.getLogger("rpt")


@dataclass(frozen=True)
class SavedRun:
    """A run's prompt.

    folder: its record. config: of the run, without the reparameterization's own options: they are folded away.
    result: what result.json holds. prompt: [N, d], folded. head: an encoder's, its parameters by name; empty for T5.
    """

    folder: Path
    config: Config
    result: dict[str, Any]
    prompt: Tensor
    head: dict[str, Tensor] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        return task_for(self.config)

    @property
    def backbone_fingerprint(self) -> str:
        """Of the weights that the prompt was trained in front of."""
        return self.result["backbone_fingerprint"]

    @property
    def text_budget(self) -> int:
        """How many tokens of text stand behind the prompt at most."""
        return self.config.backbone.max_tokens - len(self.prompt)

    def to(self, where: device) -> SavedRun:
        """The same with prompt and head on that device."""
        head = {name: value.to(where) for name, value in self.head.items()}
        return dataclasses.replace(self, prompt=self.prompt.to(where), head=head)


def open_saved_run(folder: str | Path) -> SavedRun:
    """The prompt of a record, and its head.

    Raises:
        UsageError: this is no record of a finished run, or it lacks its prompt or head; with what makes them.
        RecordError: its result.json cannot be read.
    """
    record = RunFolder(Path(os.path.expanduser(folder)))
    stored = _read_config(record)
    if stored is None:
        raise UsageError(
            f"run={folder} is no run's record: it has no config.yaml; give a folder "
            "results/runs/TASK/BACKBONE/PROMPT/ID."
        )
    result = record.finished()
    if result is None:
        raise UsageError(f"The run of {folder} is not finished; this finishes it:\n  {train_command(stored, record)}")
    record.check_files(result, *(path for path in (record.config_path,) if path.exists()))
    config = _fill(Config, stored)
    load_plugins(config.plugins)
    _check_usable(config, record, folder)
    again = f"this makes it again:\n  {train_command(stored, record, force=True)}"
    if not record.prompt_path.is_file():
        raise UsageError(f"{record.prompt_path} is missing (a repository's records leave it out); {again}")
    record.check_files(result, record.prompt_path)
    if "digests" not in result:
        log.warning("%s is beside no result.json: it may not be as its run left it.", record.prompt_path)
    from rpt.prompts.prompt_file import load_head, load_prompt  # torch is slow to import: what is refused needs none

    try:
        prompt, head = load_prompt(record.prompt_path), load_head(record.prompt_path)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    if len(prompt) != config.prompt.length:
        raise UsageError(
            f"{record.prompt_path} has {len(prompt)} tokens, its run had prompt.length={config.prompt.length}; {again}"
        )
    if config.backbone.family == "bert" and not head:
        raise UsageError(f"{record.prompt_path} lacks the head that an encoder answers with; {again}")
    return SavedRun(record.folder, config, result, prompt, head)


def _check_usable(config: Config, record: RunFolder, folder: str | Path) -> None:
    """Refuse a run of a task that is not known, or one that leaves no prompt.

    Raises:
        UsageError: it is such a run.
    """
    if (config.task.name not in TASKS and not config.task.fields) or config.protocol.name not in PROTOCOLS:
        raise UsageError(
            f"{record.config_path} is of task {config.task.name} under protocol {config.protocol.name}, "
            "which this version does not have."
        )
    if not config.tunes_prompt:
        raise UsageError(
            f"The run of {folder} had method={config.method.name}, which changes the backbone's weights and "
            "leaves no prompt; give a run of method=prompt."
        )
    if config.prompt.length == 0:
        raise UsageError(f"The run of {folder} had prompt=none, the backbone alone; give one with a prompt.")


def train_command(stored: dict[str, Any], record: RunFolder, force: bool = False) -> str:
    """The command that trains this run, from what its config.yaml holds: the groups, and what differs from them."""
    from hydra.errors import HydraException  # slow to import

    words = [f"{group}={stored[group]['name']}" for group in GROUPS if "name" in stored.get(group, {})]
    try:
        container: Any = OmegaConf.to_container(compose("train", words), resolve=True)
        composed = flatten(container)
    except HydraException:  # a group's choice of one's own that is no longer there
        return f"python -m rpt.train {' '.join(words)}, with what else {record.config_path} says"
    flat = flatten(stored)
    if record.folder.parts[-5:-4] == ("runs",):
        flat["results"] = str(record.folder.parents[4])  # where the record is now
    flat["force"] = force
    if flat.get("data.name") == "folder" and "data.dir" not in flat:  # a published run does not tell where it was
        words.append("data.dir=FOLDER")
    words += [_write_override(key, value) for key, value in flat.items() if value != composed.get(key)]
    return " ".join(["python -m rpt.train", *words])


def _read_config(record: RunFolder) -> dict[str, Any] | None:
    """The run's configuration, checked as train checks it; None where there is none."""
    stored = record.config()
    if stored is not None:
        check_config(stored, record.config_path)
        try:
            validate_settings(_fill(Config, stored))
        except UsageError as error:
            raise RecordError(f"{record.config_path}: {error} Restore it or run its command again.") from error
    return stored


def _fill(cls: type, values: dict[str, Any]) -> Any:
    """The dataclass with the values that it has fields for; a field that came later than the record has its default."""
    groups: dict[str, Any] = {f.name: f.default_factory for f in dataclasses.fields(cls)}
    return cls(
        **{
            name: _fill(groups[name], value) if dataclasses.is_dataclass(groups[name]) else value
            for name, value in values.items()
            if name in groups
        }
    )


def _write_override(key: str, value: Any) -> str:
    """An override as one types it in a shell."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w./~-]+", value)
    return shlex.quote(f"{key}={value if plain else json.dumps(value, ensure_ascii=False)}")
