"""A trained prompt in use."""

from typing import Any

__all__ = ["PromptServer", "SavedRun", "open_saved_run", "open_server"]


def __getattr__(name: str) -> Any:
    """What is looked up when it is asked for: a record that cannot be used is refused without torch.

    Raises:
        AttributeError: there is no such thing.
    """
    if name in ("SavedRun", "open_saved_run"):
        from rpt.inference import saved_run

        return getattr(saved_run, name)
    if name in ("PromptServer", "open_server"):
        from rpt.inference import server

        return getattr(server, name)
    raise AttributeError(f"module 'rpt.inference' has no attribute {name!r}")
