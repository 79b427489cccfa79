"""Split a backbone's folder into pieces that are small enough to carry to a machine without a network, and join them.

    python scripts/carry_weights.py pack backbone=flan_small to=outputs/pieces     # the folder that rpt reads
    python scripts/carry_weights.py unpack from=outputs/pieces to=outputs/flan_small

The pieces are parts of one xz-compressed tar file, at most 40 MB each, beside a list of their SHA-256 digests. Files
are written under temporary names and renamed, so a file with its final name is complete.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from rpt.backbones.loading import find_place
from rpt.config import compose, hub_model, to_config
from rpt.config.mistakes import explained_mistakes
from rpt.errors import UsageError
from rpt.files import write_atomically

PIECE = 40_000_000  # bytes
LIST = "pieces.json"


def pack(folder: Path, to: Path) -> list[Path]:
    """Write the folder's files as pieces; returns their paths."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=1) as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, file.name, filter=_forget_owner)
    content, names = packed.getvalue(), []
    for number, start in enumerate(range(0, len(content), PIECE)):
        names.append(f"piece-{number:03}")
        write_atomically(to / names[-1], content[start : start + PIECE])
    digests = {name: hashlib.sha256((to / name).read_bytes()).hexdigest() for name in names}
    write_atomically(to / LIST, (json.dumps(digests, indent=2) + "\n").encode())
    return [to / name for name in names]


def unpack(pieces: Path, to: Path) -> Path:
    """Join the pieces to a folder.

    Raises:
        UsageError: a piece is missing or damaged, or the folder exists already.
    """
    if to.exists():
        raise UsageError(f"{to} exists already; give another folder.")
    content = b""
    for name, digest in _read_list(pieces).items():
        path = pieces / name
        piece = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(piece).hexdigest() != digest:
            raise UsageError(f"{path} is {'damaged' if piece else 'missing'}; carry it again.")
        content += piece
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(suffix=".tmp", dir=to.parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(content))) as archive:
            archive.extractall(unfinished, filter="data")
        os.rename(unfinished, to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return to


def _read_list(pieces: Path) -> dict[str, str]:
    try:
        return json.loads((pieces / LIST).read_text())
    except (OSError, ValueError):
        raise UsageError(f"{pieces} has no {LIST}; give the folder that `pack` wrote.") from None


def _forget_owner(file: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove what differs between machines, so that equal weights give equal pieces."""
    file.uid = file.gid = file.mtime = 0
    file.uname = file.gname = ""
    file.mode = 0o644
    return file


def main(arguments: list[str]) -> None:
    verb = arguments[:1]
    options = {key: value for key, _, value in (word.partition("=") for word in arguments[1:])}
    if verb == ["pack"] and options.keys() == {"backbone", "to"}:
        with explained_mistakes():
            config = to_config(compose("train", [f"backbone={options['backbone']}", "tracking=none"]))
        if hub_model(config.backbone):
            raise UsageError(f"Backbone {config.backbone.name} lies in the hub's cache and in no folder.")
        pieces = pack(Path(find_place(config.backbone)), Path(options["to"]))
        print("\n".join(f"{path} {path.stat().st_size / 1e6:.1f} MB" for path in pieces))
    elif verb == ["unpack"] and options.keys() == {"from", "to"}:
        print(unpack(Path(options["from"]), Path(options["to"])))
    else:
        raise UsageError("Give `pack backbone=NAME to=FOLDER` or `unpack from=FOLDER to=FOLDER`.")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        sys.exit(str(error))
