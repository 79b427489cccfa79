"""Write a trained prompt as a peft adapter.

    python -m rpt.export run=results/runs/TASK/BACKBONE/PROMPT/ID format=peft to=FOLDER

run            the folder of a finished run, with its prompt.safetensors
format         peft: PeftModel.from_pretrained puts the prompt in front of a plain transformers model, a T5 or a
               decoder; an encoder's prompt stands behind [CLS], where peft cannot put it
to             the folder to write: adapter_config.json, adapter_model.safetensors, and a model card, README.md: what
               the prompt is for, how it scored and how to use it
force          true: write over another prompt in that folder
base           what the adapter names as its base model, a hub id or a folder; left out: what the run loaded
backbone.path  where the backbone lies now, if not where the run had it from
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rpt.cli import argument, required, run_command
from rpt.config import hub_model
from rpt.errors import UsageError
from rpt.files import check_folder, write_atomically
from rpt.hub import require_repos

if TYPE_CHECKING:
    from rpt.inference.saved_run import SavedRun

FILES = ("adapter_config.json", "adapter_model.safetensors", "README.md")


@dataclass
class ExportArguments:
    run: str = required("results/runs/TASK/BACKBONE/PROMPT/ID")
    to: str = required("FOLDER")
    format: str = "peft"
    force: bool = False
    base: str | None = None
    backbone_path: str | None = argument("backbone.path", None)

    def __post_init__(self) -> None:
        if self.format != "peft":
            raise UsageError(f"format={self.format} is not known; there is peft.")


def export(arguments: ExportArguments) -> None:
    """What the command does.

    Raises:
        UsageError: a key, the record or the backbone cannot be used, peft has no equal of the prompt, or there is
            something else in the folder.
    """
    from rpt.inference.saved_run import open_saved_run  # slow to import

    run, folder = open_saved_run(arguments.run), Path(os.path.expanduser(arguments.to))
    if run.config.backbone.family == "bert":
        raise UsageError(
            f"The run of {arguments.run} has an encoder, {run.config.backbone.name}: its prompt stands behind "
            "[CLS], as in the paper, and peft puts prompts before it, so no peft adapter gives the same answers; use "
            "rpt.predict or rpt.inference.server."
        )
    check_folder(folder, "to")
    if folder.exists() and {path.name for path in folder.iterdir()} - set(FILES):
        raise UsageError(f"to={folder} holds other things; give a new folder.")
    card = folder / FILES[2]
    same = card.is_file() and f"`{run.result['id']}`" in card.read_text("utf-8", errors="replace")
    if folder.exists() and any(folder.iterdir()) and not same and not arguments.force:
        raise UsageError(f"to={folder} holds another prompt; give a new folder, or force=true to write over it.")
    if arguments.backbone_path is None:
        require_repos(hub_model(run.config.backbone).items())
    from rpt.backbones import Writer
    from rpt.inference.model_card import write_model_card
    from rpt.inference.server import load_backbone_of
    from rpt.prompts.prompt_file import save_prompt

    backbone = load_backbone_of(run, arguments.backbone_path)  # a prompt for other weights would be worth nothing
    assert isinstance(backbone, Writer)  # encoders were refused above
    base = arguments.base or backbone.model.name_or_path
    base = os.path.abspath(base) if os.path.exists(base) else base  # the card's code runs in another folder
    save_prompt(folder / FILES[1], run.prompt / backbone.stream_scale)  # for the model as others have it
    adapter_config = make_adapter_config(run, base, backbone.model.config.is_encoder_decoder)
    write_atomically(folder / FILES[0], (json.dumps(adapter_config, indent=2) + "\n").encode())
    write_atomically(folder / FILES[2], write_model_card(run, base, backbone).encode())
    print(f"{folder}: {', '.join(FILES)}", file=sys.stderr)


def make_adapter_config(run: SavedRun, base: str, has_encoder: bool) -> dict[str, str | int | bool | None]:
    """What peft needs to know."""
    return {
        "peft_type": "PROMPT_TUNING",
        "task_type": "SEQ_2_SEQ_LM" if has_encoder else "CAUSAL_LM",
        "base_model_name_or_path": base,
        "revision": run.config.backbone.revision,
        "num_virtual_tokens": len(run.prompt),
        "token_dim": run.prompt.shape[1],
        "num_transformer_submodules": 1,  # in front of the encoder alone; peft takes 2 for T5 unless it is told
        "prompt_tuning_init": "RANDOM",
        "inference_mode": True,
    }


def main() -> None:
    """The command line."""
    run_command(__doc__, ExportArguments, export)


if __name__ == "__main__":
    main()
