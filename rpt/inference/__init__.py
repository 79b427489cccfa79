"""A trained prompt in use."""

from rpt.inference.saved_run import SavedRun, open_saved_run
from rpt.inference.server import PromptServer, open_server

__all__ = ["PromptServer", "SavedRun", "open_saved_run", "open_server"]
