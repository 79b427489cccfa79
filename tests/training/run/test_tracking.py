"""W&B without a key: each job of a sweep has its own offline run, also in packs. Errors of W&B do not end training."""

import json
import logging
from types import SimpleNamespace

import pytest
import wandb
from wandb.sdk.mailbox import MailboxClosedError

from rpt.errors import UsageError
from rpt.train import train
from rpt.training.run import tracking
from rpt.training.sweep.sweep import train_all

WORDS = ["task=cb", "tracking=wandb", "data.shots=8", "trainer.max_steps=2"]


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_NAME", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    tracking._log_in.cache_clear()
    wandb.teardown()  # it reads its settings once
    yield
    wandb.teardown()
    tracking._log_in.cache_clear()


class Run:
    """A W&B run whose process has died."""

    summary: dict = {}

    def write_logs(self, _):
        raise ConnectionResetError("its process\nis gone")

    log = write_logs


@pytest.mark.parametrize(
    ("login", "errors", "modes", "said"),
    [
        ("AuthenticationError", [None], ["offline"], "no login (no such key): runs are tracked offline"),
        (
            True,
            ["CommError", None],
            ["online", "offline"],
            "cannot be reached (no network): this run is tracked off",
        ),
        (
            True,
            ["WandbCoreNotAvailableError"],
            ["online"],
            "cannot be started (no network): this run is not tracked",
        ),
        (False, [MailboxClosedError], ["offline"], "cannot be started (no network): this run is not tracked"),
        (False, ["Error"], ["offline"], "cannot be started (no network): this run is not tracked"),
        (False, [None], ["offline"], "W&B stopped (its process is gone); the run goes on without it"),
    ],
)
def test_what_wandb_cannot_do_is_said_and_the_run_goes_on(
    configure, tmp_path, monkeypatch, caplog, login, errors, modes, said
):
    tried, left = [], list(errors)

    def log_in(**_):
        if isinstance(login, str):
            raise getattr(wandb.errors, login)("no such key.")
        return login

    def init(mode, **_):
        tried.append(mode)
        error = left.pop(0)
        if error:
            raise (getattr(wandb.errors, error) if isinstance(error, str) else error)("no\nnetwork")
        return Run()

    monkeypatch.setattr(wandb, "login", log_in)
    monkeypatch.setattr(wandb, "init", init)
    with caplog.at_level(logging.WARNING):
        assert train(configure(*WORDS, f"tracking.dir={tmp_path}")) > 0
    warnings = [record.getMessage() for record in caplog.records if "W&B" in record.getMessage()]
    assert tried == modes and said in warnings[0]


def test_a_run_is_found_by_its_group_tags_and_id_and_has_its_floor(configure, tiny, tmp_path, monkeypatch):
    passed, written, nothing = [], [], lambda *_, **__: None
    run = SimpleNamespace(summary={}, log=nothing, write_logs=written.append, finish=nothing)
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    monkeypatch.setattr(wandb, "init", lambda **options: passed.append(options) or run)
    train(configure(*WORDS, tiny, "lr=0.1", f"tracking.dir={tmp_path}"))
    (options,), (path,) = passed, tmp_path.rglob("result.json")
    result = json.loads(path.read_text())
    assert options["group"] == "cb nano residual" and options["tags"] == [
        "cb",
        "nano",
        "residual",
        "paper",
        "miniature",
    ]
    assert options["config"]["run_id"] == path.parent.name == result["id"] and options["config"]["lr"] == 0.1
    assert run.summary == result["scores"] | {"majority": result["majority"]["score"]}
    assert options["settings"].console == "off"  # of the process, whose lines are those of all its runs
    lines = (path.parent / "console.log").read_text()
    assert all(text in lines for text in written) and written[0].startswith("cb nano residual n10 lr0.1 seed0: ")


@pytest.mark.parametrize("overrides", [["tracking.project=a/b"], ['tracking.project="?"']])
def test_a_project_that_wandb_does_not_take_is_refused_in_one_line(configure, tmp_path, overrides):
    with pytest.raises(UsageError, match=r"tracking.project=\S+, .*W&B says Invalid project name .*; give others, or"):
        train(configure(*WORDS, f"tracking.dir={tmp_path}", *overrides))
    assert not list(tmp_path.rglob("result.json"))


TITLE = "boolq nano residual n10 lr0.3 seed0"


@pytest.mark.parametrize(
    ("variables", "overrides", "expected"),
    [
        ({"WANDB_MODE": "disabled"}, [], None),
        ({"file": "disabled"}, [], None),
        ({"file": "offline"}, [], ("offline", "rpt", TITLE)),
        ({"WANDB_MODE": "offline"}, [], ("offline", "rpt", TITLE)),
        ({"WANDB_MODE": "dryrun", "WANDB_NAME": "mine"}, [], ("offline", "rpt", "mine")),
        ({"WANDB_PROJECT": "theirs"}, [], ("online", "theirs", TITLE)),
        ({"WANDB_PROJECT": "theirs"}, ["tracking.project=ours"], ("online", "ours", TITLE)),
        ({"WANDB_MODE": "", "WANDB_PROJECT": "", "WANDB_NAME": ""}, [], ("online", "rpt", TITLE)),
    ],
)
def test_variables_of_wandb_are_heeded(configure, tmp_path, monkeypatch, caplog, variables, overrides, expected):
    begun, asked = [], []
    always = {"WANDB_DIR": str(tmp_path), "WANDB_RUN_GROUP": "all of mine", "WANDB_TAGS": "one of mine"}

    def init(mode, project, name, dir, group, tags, **_):
        begun.append((mode, project, name))
        assert (dir, group, tags[-1]) == (str(tmp_path), "all of mine", "one of mine")
        return Run()

    monkeypatch.setattr(wandb, "login", lambda **_: asked.append(True) or True)
    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.chdir(tmp_path)
    if "file" in variables:  # what `wandb disabled` writes
        (tmp_path / "wandb").mkdir()
        (tmp_path / "wandb/settings").write_text(f"[default]\nmode = {variables['file']}\n")
    for name, value in (variables | always).items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.INFO):
        tracking.start_tracker(configure("tracking=wandb", *overrides), None, "id")
    assert begun == ([] if expected is None else [expected])
    assert bool(asked) == (expected is not None and expected[0] == "online") and "no key" not in caplog.text


def test_a_mode_that_wandb_does_not_take_is_refused_in_one_line(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "nowhere")
    with pytest.raises(
        UsageError, match="W&B refuses its variables .*mode.* 'online', 'offline'.*; mend them, or"
    ) as no:
        tracking.start_tracker(configure("tracking=wandb", f"tracking.dir={tmp_path}"), None, "id")
    assert "\n" not in str(no.value)


@pytest.mark.slow
@pytest.mark.parametrize("together", [1, 2])
def test_every_job_is_an_offline_run_of_its_own(configure, tiny, tmp_path, together):
    overrides, seeds = [*WORDS, tiny, f"tracking.dir={tmp_path}"], range(together + 1)
    outcomes = train_all([configure(*overrides, f"seed={seed}") for seed in seeds], together)
    assert all(isinstance(outcome, float) for outcome in outcomes)
    tracked = list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    consoles = [*tracked, *tmp_path.rglob("console.log")]
    ended = [f"cb nano residual n10 lr0.3 seed{seed}: score".encode() for seed in seeds]
    assert len(tracked) == len(seeds) and len(consoles) == 2 * len(seeds)
    for console in consoles:  # has the lines of its run alone
        assert sum(line in console.read_bytes() for line in ended) == 1
