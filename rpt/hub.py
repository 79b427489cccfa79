"""Whether the hub can be reached."""

from __future__ import annotations

import logging
import os
import socket
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants, get_session, set_client_factory
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils._http import default_client_factory

from rpt.errors import UsageError

WAYS_ON = (
    "Give a local copy (data.dir=FOLDER with BoolQ/train.jsonl and so on, backbone.path=FOLDER), "
    "bring the cache of a machine that has reached it (HF_HOME=FOLDER HF_HUB_OFFLINE=1), "
    "or use the embedded miniature, which needs no network: backbone=nano data=mini"
)

FAILING, PROXY_REFUSES = 500, 407  # statuses of HTTP, the first and all above it
ANSWER = 30.0  # seconds that the hub's clients wait for the next part of an answer; by themselves they wait forever

log = logging.getLogger("rpt")


def require_repos(repos: Iterable[tuple[str, str]]) -> None:
    """Find out before anything slow whether the hub or its cache may have what is needed.

    Args:
        repos: kind and id of each: ("dataset", "aps/super_glue"), ("model", "google-t5/t5-base").

    Raises:
        UsageError: the hub is away, and nothing of one of them is in its cache.
    """
    needed = [(kind, repo) for kind, repo in repos if not os.path.isdir(repo)]  # clients take a folder for an id
    if needed:
        offline_unless_reachable()
    for kind, repo in needed if constants.HF_HUB_OFFLINE else ():
        if not _is_cached(kind, repo):
            raise UsageError(f"{_describe_absence()}, and its cache here has no {kind} {repo}. {WAYS_ON}")


def _is_asked_away() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in constants.ENV_VARS_TRUE_VALUES


def _describe_absence() -> str:
    if _is_asked_away():
        return "HF_HUB_OFFLINE is set (unset it to ask the hub)"
    return "The hub cannot be reached" + (" through the proxy of the environment (HTTPS_PROXY)" if _has_proxy() else "")


def _has_proxy() -> bool:
    """Whether requests to the hub go through a proxy."""
    endpoint, proxies = urlsplit(_address()), urllib.request.getproxies()
    is_set = bool(proxies.get(endpoint.scheme) or proxies.get("all"))
    return is_set and not urllib.request.proxy_bypass(endpoint.hostname or "")


def _address() -> str:
    return os.environ.get("HF_ENDPOINT") or constants.ENDPOINT


def _is_cached(kind: str, repo: str) -> bool:
    """Whether a client has left anything of it: `datasets` has a cache beside the hub's."""
    prepared = Path(os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME, "datasets"))
    downloaded = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo, repo_type=kind))
    return downloaded.is_dir() or (kind == "dataset" and (prepared / repo.replace("/", "___")).is_dir())


def offline_unless_reachable(timeout: float = 3.0, answer: float = 10.0) -> None:
    """Without a route to the hub, or if it does not answer, let its clients look into their cache only: they would
    retry for minutes.

    To be called before `datasets` is imported, which reads the setting once. A proxy of the environment is asked for
    the hub.

    Args:
        timeout: seconds to wait for a connection, without a proxy.
        answer: seconds to wait for an answer then.
    """
    set_client_factory(_make_client)
    if constants.HF_HUB_OFFLINE or _is_asked_away():
        return
    endpoint = urlsplit(_address())
    try:
        if not _has_proxy():
            socket.create_connection((endpoint.hostname, endpoint.port or 443), timeout).close()
        status = get_session().head(_address(), timeout=answer).status_code
        if status >= FAILING or status == PROXY_REFUSES:
            raise RuntimeError(f"status {status}")
    except Exception as error:  # each client has its own kinds
        if not isinstance(error, OSError):
            log.warning("The hub does not answer (%s); only its local cache is used.", error)
        constants.HF_HUB_OFFLINE = True  # as the environment variable of this name does when the clients are imported


def _make_client() -> Any:
    client = default_client_factory()
    client.timeout = ANSWER
    return client
