"""Whether the hub of models and data can be reached, and what to do if not."""

from __future__ import annotations

import os
import socket
import urllib.request
from urllib.parse import urlsplit

from huggingface_hub import constants

WAYS_ON = (
    "Give a local copy (data.dir=FOLDER with BoolQ/train.jsonl and so on, backbone.path=FOLDER), "
    "or use the embedded miniature, which needs no network: backbone=nano data=mini"
)


def offline_unless_reachable(timeout: float = 3.0) -> None:
    """Without a route to the hub, let its clients look into their cache only: they would retry for minutes.

    To be called before `datasets` is imported, which reads the setting once. Behind a proxy nothing is tried here: only
    the clients can tell.

    Args:
        timeout: seconds to wait for a connection.
    """
    if "HF_HUB_OFFLINE" in os.environ or urllib.request.getproxies():
        return
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", constants.ENDPOINT))
    try:
        socket.create_connection((endpoint.hostname, endpoint.port or 443), timeout).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True  # as the environment variable of this name does when the clients are imported
