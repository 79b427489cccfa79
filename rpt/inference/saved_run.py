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

from rpt.config import GROUPS, Config, compose, validate_settings
from rpt.config.compose import to_values
from rpt.config.schema import Values
from rpt.data import task_for
from rpt.data.plugins import load_plugins
from rpt.errors import RecordError, UsageError
from rpt.records.checks import check_config
from rpt.records.run_folder import RunFolder
from rpt.records.schema import Result, flatten
from rpt.tasks import PROTOCOLS, TASKS, Task

if TYPE_CHECKING:
    from torch import Tensor, device

log = logging.getLogger("rpt")


@dataclass(frozen=True)
class SavedRun:
    """A finished run with its prompt.

    folder: of its record. config: without the options of the reparameterization, which folding made obsolete. result:
    the content of result.json. prompt: [N, d], folded. head: parameters of an encoder's head by name; empty for T5.
    """

    folder: Path
    config: Config
    result: Result
    prompt: Tensor
    head: dict[str, Tensor] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        return task_for(self.config)

    @property
    def backbone_fingerprint(self) -> str:
        """Of the backbone's weights that the prompt was trained for."""
        return self.result["backbone_fingerprint"]

    @property
    def text_budget(self) -> int:
        """The maximal number of text tokens behind the prompt."""
        return self.config.backbone.max_tokens - len(self.prompt)

    def to(self, target: device) -> SavedRun:
        """A copy with prompt and head on the device."""
        head = {name: value.to(target) for name, value in self.head.items()}
        return dataclasses.replace(self, prompt=self.prompt.to(target), head=head)


def open_saved_run(folder: str | Path) -> SavedRun:
    """Open the record of a finished run, with its prompt and head.

    Raises:
        UsageError: this is not the record of a finished run, or its prompt or head is missing; the message has the
            command that makes them.
        RecordError: its result.json cannot be read.
    """
    record = RunFolder(Path(os.path.expanduser(folder)))
    stored = _read_config(record)
    if stored is None:
        raise UsageError(
            f"run={folder} is no run's record: it has no config.yaml; give a folder "
            "results/runs/TASK/BACKBONE/PROMPT/ID."
        )
    result: Any = record.finished()
    if result is None:
        raise UsageError(f"The run of {folder} is not finished; this finishes it:\n  {train_command(stored, record)}")
    record.check_files(result, *(path for path in (record.config_path,) if path.exists()))
    config = _fill(stored)
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
    """Refuse a run of an unknown task, and a run without a prompt.

    Raises:
        UsageError: naming the reason.
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


def train_command(stored: Values, record: RunFolder, force: bool = False) -> str:
    """The command that trains this run, from what its config.yaml holds: the groups, and what differs from them."""
    from hydra.errors import HydraException  # slow to import

    overrides = [f"{group}={stored[group]['name']}" for group in GROUPS if "name" in stored.get(group, {})]
    try:
        composed = flatten(to_values(compose("train", overrides)))
    except HydraException:  # a choice from a file of the user that no longer exists
        return f"python -m rpt.train {' '.join(overrides)}, with the other values in {record.config_path}"
    flat = flatten(stored)
    if record.folder.parts[-5:-4] == ("runs",):
        flat["results"] = str(record.folder.parents[4])  # the record's present place
    flat["force"] = force
    if flat.get("data.name") == "folder" and "data.dir" not in flat:  # published runs do not have it
        overrides.append("data.dir=FOLDER")
    changed = {key: value for key, value in flat.items() if value != composed.get(key)}
    overrides += [_write_override("+" * (key not in composed) + key, value) for key, value in changed.items()]
    return " ".join(["python -m rpt.train", *overrides])


def _read_config(record: RunFolder) -> Values | None:
    """The run's configuration, validated as by rpt.train; None if it is missing."""
    stored = record.config()
    if stored is not None:
        check_config(stored, record.config_path)
        try:
            validate_settings(_fill(stored))
        except UsageError as error:
            raise RecordError(f"{record.config_path}: {error} Restore it or run its command again.") from error
    return stored


def _fill(stored: Values) -> Config:
    """The configuration with the stored values; a field that is newer than the record has its default."""
    known = {name: value for name, value in stored.items() if name in {f.name for f in dataclasses.fields(Config)}}
    for group, cls in GROUPS.items():
        fields = {f.name for f in dataclasses.fields(cls)}
        if group in known:
            known[group] = cls(**{key: value for key, value in known[group].items() if key in fields})
    return Config(**known)


def _write_override(key: str, value: object) -> str:
    """An override as it is typed in a shell."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w./~-]+", value)
    return shlex.quote(f"{key}={value if plain else json.dumps(value, ensure_ascii=False)}")
