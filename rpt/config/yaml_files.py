"""The one reader of YAML, and its writer. It types values as Hydra does: 1e-3 is a number, 2026-01-01 a text."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader
from yaml.constructor import ConstructorError

from rpt.errors import UsageError

HYDRA_RESOLVERS = get_yaml_loader().yaml_implicit_resolvers  # which texts are numbers, strings or booleans


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml is ten times as fast
    yaml_implicit_resolvers = HYDRA_RESOLVERS


class _StrictLoader(_Loader):
    """Refuses repeated keys, as Hydra does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise ConstructorError(None, None, f"the key {key} is there twice", node.value[i][0].start_mark)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes texts that Hydra's reader or a plain one would not read as text."""

    yaml_implicit_resolvers = {
        first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, []), *HYDRA_RESOLVERS.get(first, [])]
        for first in {**yaml.SafeDumper.yaml_implicit_resolvers, **HYDRA_RESOLVERS}
    }


def load_yaml(text: str) -> Any:
    """The content of a YAML text.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    return yaml.load(text, _Loader)


def dump_yaml(value: object) -> str:
    """A text that `load_yaml` reads as the same value; keys stay in order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


def read_yaml(path: Path) -> Any:
    """The content of a file that a person wrote; an empty mapping if it is empty.

    Raises:
        UsageError: it is not YAML; one line with the file and the line number.
    """
    try:
        text = path.read_text("utf-8")
        return yaml.load(text, _StrictLoader) or {}
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise UsageError(_explain(path, text, error)) from error


def _explain(path: Path, text: str, error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "no YAML"
    if "end of stream" in problem:
        mark, problem = error.context_mark, f"{error.context} the file ends"  # type: ignore[attr-defined]
    if mark is None:  # a character that no YAML may hold
        return f"{path} is no YAML: {' '.join(str(error).split())}."
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    _, dollar, value = line.partition("${")
    hint = f'; put quotes around it: "${{{value.strip()}"' if dollar and '"' not in line else ""
    return f"{path}, line {mark.line + 1}: {problem}{hint}."
