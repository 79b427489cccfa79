"""A hub that cannot be reached, or accepts connections and never answers, is not waited for."""

import socket
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants, get_session
from huggingface_hub.utils import close_session

from rpt.errors import UsageError
from rpt.hub import ANSWER, offline_unless_reachable, require_repos
from rpt.train import main


@pytest.fixture(autouse=True)
def online(monkeypatch):
    """No proxy, and what is set here is forgotten."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)
    close_session()
    yield
    close_session()


@pytest.fixture
def silent():
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def accept():
            with suppress(OSError):
                while True:
                    taken.append(server.accept())

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_one_that_never_answers_is_not_waited_for(monkeypatch, silent, caplog):
    monkeypatch.setenv("HF_ENDPOINT", silent)
    began = time.monotonic()
    offline_unless_reachable(answer=0.2)
    assert constants.HF_HUB_OFFLINE and time.monotonic() - began < 20
    assert "does not answer" in caplog.text and "only its local cache is used" in caplog.text


def test_one_that_answers_is_used_and_no_request_waits_forever(monkeypatch):
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(404)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    offline_unless_reachable()
    server.shutdown()
    server.server_close()
    assert not constants.HF_HUB_OFFLINE and get_session().timeout.read == ANSWER
    close_session()  # the clients make a new one after an error
    assert get_session().timeout.read == ANSWER


def test_what_an_absent_hub_has_left_in_its_caches_is_not_refused(monkeypatch, tmp_path):
    (tmp_path / "hub/models--google-t5--t5-base").mkdir(parents=True)
    (tmp_path / "prepared/aps___super_glue").mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    require_repos([("dataset", "aps/super_glue"), ("model", "google-t5/t5-base"), ("dataset", str(tmp_path))])
    with pytest.raises(UsageError, match="its cache here has no model google-t5/t5-large"):
        require_repos([("model", "google-t5/t5-large")])


@pytest.fixture
def proxy(monkeypatch):
    """Sets a proxy that answers any request with a status, and returns what it was asked for."""
    servers = []

    def answering(status):
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                asked.append(self.path)
                self.send_response(status)
                self.end_headers()

        asked, server = [], HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setattr(urllib.request, "getproxies", lambda: {"http": f"http://127.0.0.1:{server.server_port}"})
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
        return asked

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "away"), [(200, False), (503, True), (407, True)])
def test_behind_a_proxy_the_hub_is_asked_through_it(monkeypatch, tmp_path, proxy, status, away):
    asked = proxy(status)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    if away:
        with pytest.raises(
            UsageError, match=r"cannot be reached through the proxy .* \(data.dir=FOLDER .*HF_HUB_OFFLINE"
        ):
            require_repos([("model", "google-t5/t5-base")])
    else:
        require_repos([("model", "google-t5/t5-base")])
    assert away == constants.HF_HUB_OFFLINE and asked == ["http://hub.invalid/"]


def test_a_command_names_the_ways_on(monkeypatch, silent, tmp_path, capsys):
    monkeypatch.setattr(offline_unless_reachable, "__defaults__", (3.0, 0.2))  # seconds that it waits
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # which `main` would set for good
    monkeypatch.setenv("HF_ENDPOINT", silent)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["train", "task=boolq", "prompt=residual"])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert all(way in said for way in ("data.dir=", "backbone.path=", "backbone=nano data=mini"))
