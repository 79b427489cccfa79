"""The commit in a record is that of the code that made it, or none."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rpt.records import environment


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A new repository, and the module as if it lay in it."""
    folder = tmp_path / "checkout"
    (folder / "site").mkdir(parents=True)
    file = Path(shutil.copy(environment.__file__, folder / "site"))
    (folder / "README").write_text("of something else")
    git(folder, "init", "-q")
    git(folder, "add", "README")
    git(folder, "commit", "-qm", "first")
    monkeypatch.setattr(environment, "__file__", str(file))
    return folder


def git(folder, *options):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_checkout_that_does_not_track_the_code_is_not_its_commit(checkout):
    assert environment.environment()["commit"] is None
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "second")
    commit = git(checkout, "rev-parse", "HEAD")
    assert environment.environment()["commit"] == commit
    (checkout / "README").write_text("changed")
    assert environment.environment()["commit"] == f"{commit}+changes"


def test_variables_of_git_name_no_other_repository(checkout, monkeypatch):
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "second")
    commit = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert environment.environment()["commit"] == commit


@pytest.mark.parametrize("fault", ["refuses", "is not there"])
def test_where_git_gives_no_answer_the_commit_is_unknown(checkout, monkeypatch, fault):
    def run(command, **options):
        if fault == "is not there":
            raise FileNotFoundError(command[0])
        raise subprocess.CalledProcessError(128, command, stderr="fatal: detected dubious ownership in repository")

    monkeypatch.setattr(subprocess, "run", run)
    assert environment.environment()["commit"] is None
