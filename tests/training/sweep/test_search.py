"""Searches with Optuna: what is searched and what is a grid, trials that are given up, and what a search leaves."""

import importlib
import itertools
import json
import math
from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from rpt.config.hydra_app import PLUGINS
from rpt.errors import UsageError
from rpt.publish import PublishArguments, publish_folders
from rpt.training.sweep.outcomes import PRUNED, TRAINED
from rpt.training.sweep.sweep import train_all
from tests import processes

pytest.importorskip("optuna")
SHORT = ["task=cb", "data.shots=4", "prompt.length=4", "trainer.eval_batch_size=128", "backbone.max_tokens=64"]
WORDS = ["prompt=vanilla,residual", "lr=tag(log,interval(0.01,1))", "prompt.bottleneck=choice(3,5)", "trainer.epochs=1"]


def test_lists_are_grids_and_ranges_are_searched():
    from rpt.training.sweep.search import Search, split_overrides

    overrides = OverridesParser.create().parse_overrides(["task=cb", *WORDS, "seed=int(interval(1,9))"])
    points, space = split_overrides(overrides)
    assert [point[:2] for point in points] == [["task=cb", "prompt=vanilla"], ["task=cb", "prompt=residual"]]
    plain, residual = (Search(point, space, 0, True) for point in points)
    assert set(plain.space) == {"lr", "seed"} and set(residual.space) == {"lr", "seed", "prompt.bottleneck"}
    first, again = residual.ask(3), Search(points[1], space, 0, True).ask(3)
    assert [each.overrides for each in first] == [each.overrides for each in again]
    assert all(0.01 <= float(each.values["lr"]) <= 1 and each.values["seed"] in "123456789" for each in first)
    with pytest.raises(UsageError, match="has nothing to search"):
        split_overrides(overrides[:1])


def test_first_trials_are_spread_over_the_space():
    from rpt.training.sweep.search import Search, split_overrides

    ranges = ["lr=tag(log,interval(0.001,10))", "prompt.init=choice(vocabulary,uniform)", "seed=choice(1,2,3,4)"]
    _, space = split_overrides(OverridesParser.create().parse_overrides(ranges))
    asked = []
    for seed in range(4):
        at_once, by_twos = (Search([], space, seed, True) for _ in range(2))
        values = [each.values for each in at_once.ask(4)]
        assert values == [each.values for _ in range(2) for each in by_twos.ask(2)]
        assert {math.floor(math.log10(float(each["lr"]))) for each in values} == {-3, -2, -1, 0}  # one in each decade
        assert sorted(each["prompt.init"] for each in values) == ["uniform", "uniform", "vocabulary", "vocabulary"]
        assert {each["seed"] for each in values} == {"1", "2", "3", "4"}
        asked.append(values)
    assert all(one != other for one, other in itertools.combinations(asked, 2))


@pytest.mark.slow
def test_later_trials_seek_where_scores_were_best():
    from rpt.training.sweep.search import Search, split_overrides

    _, space = split_overrides(OverridesParser.create().parse_overrides(["lr=tag(log,interval(0.001,10))"]))
    searches = [Search([], space, 0, True) for _ in range(2)]
    for _ in range(2):
        asked, again = (search.ask(4) for search in searches)
        assert [each.values for each in asked] == [each.values for each in again]
        distances = [abs(math.log10(float(each.values["lr"]) / 0.3)) for each in asked]
        for search, trials in zip(searches, (asked, again), strict=True):
            for each, distance in zip(trials, distances, strict=True):
                search.study.tell(each.trial, -distance)
    assert sum(distance < 1 for distance in distances) >= 3  # half of the space is as near
    assert len({each.values["lr"] for each in asked}) == 4


def test_a_trial_is_given_up_below_the_median_of_the_others():
    from rpt.training.sweep.search import Search

    search = Search([], {}, 0, True)
    search.curves = [[10.0, 50.0, 50.0, 50.0], [20.0, 30.0], [30.0, 70.0, 70.0, 70.0]]
    assert search.find_bar() == []
    search.curves.append([40.0, 60.0, 60.0, 90.0])
    assert search.find_bar() == [0.0, 55.0, 55.0, 60.0]
    search.curves = [[200 / 3]] * 4
    assert search.find_bar() == [200 / 3]  # as good as the others is not below them
    search.prune = False
    assert search.find_bar() == []


def test_no_trial_may_choose_by_the_rows_that_are_reported(monkeypatch):
    monkeypatch.syspath_prepend(PLUGINS)
    sweeper_module = importlib.import_module("hydra_plugins.rpt_optuna_sweeper")
    sweeper = sweeper_module.OptunaSweeper(OmegaConf.create(), trials=4, batch=4, seed=0, prune=True)
    sweeper.config = sweeper.launcher = None  # which trains nothing
    sweeper.loader = SimpleNamespace(
        load_sweep_config=lambda _, overrides: OmegaConf.from_dotlist([each for each in overrides if "." in each])
    )
    for selection in ("held_out,reported", "choice(held_out,reported)"):
        with pytest.raises(UsageError, match=r"give protocol\.selection=held_out"):
            sweeper.sweep(["lr=interval(1,2)", f"protocol.selection={selection}"])


@pytest.mark.slow
def test_a_run_that_is_given_up_makes_room_and_can_go_on(configure, tiny, tmp_path):
    short = [*SHORT, tiny, "trainer.epochs=3", f"results={tmp_path}"]
    behind = configure(*short, "pack.prune=[0.0,100.0]")
    outcomes = train_all([behind, configure(*short, "seed=1")], 1)
    assert [outcome.how for outcome in outcomes] == [PRUNED, TRAINED]
    (checkpoint,) = tmp_path.rglob("checkpoint.safetensors")
    assert len((checkpoint.parent / "metrics.jsonl").read_text().splitlines()) == 2
    assert [outcome.how for outcome in train_all([behind])] == [PRUNED]
    (trained,) = train_all([configure(*short)])
    assert (trained.how, trained.folder) == (TRAINED, checkpoint.parent) and not checkpoint.exists()
    assert len((trained.folder / "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_a_search_leaves_its_trials_and_finds_them_again(miniature, tiny, tmp_path):
    places = [word for word in miniature if not word.startswith("results=")]
    search = ["hydra/sweeper=optuna", "hydra.sweeper.trials=3", "hydra.sweeper.batch=2", "pack.max_runs=4"]
    arguments = [
        "-m",
        "hydra/launcher=packed",
        "pack.processes=1",
        *search,
        *places,
        tiny,
        *SHORT,
        *WORDS,
        "results=out",
    ]
    refused = processes.start("rpt.train", arguments, tmp_path).wait(240)
    assert refused.returncode == 2 and "give protocol.selection=held_out" in refused.stderr, refused
    arguments.append("protocol.selection=held_out")
    done = processes.start("rpt.train", arguments, tmp_path).wait(240)
    files = sorted((tmp_path / "out" / "searches").iterdir())
    assert done.returncode == 0 and "best on held-out rows" in done.stdout and len(files) == 2, done
    residual, plain = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    assert len(residual) == len(plain) == 3 and {line["state"] for line in plain} == {"finished"}
    assert "prompt.bottleneck" in residual[0]["values"] and "prompt.bottleneck" not in plain[0]["values"]
    before = [file.read_text() for file in files]
    again = processes.start("rpt.train", arguments, tmp_path).wait(240)
    assert again.returncode == 0 and ": 0 trained" in again.stdout, again
    assert [file.read_text() for file in files] == before
    shown = processes.start("rpt.results", ["out"], tmp_path).wait(240)
    assert shown.returncode == 0 and "Trials of cb nano residual, seed 0, the best first:" in shown.stdout, shown
    assert (tmp_path / "out" / "searches.md").exists()
    publish_folders(PublishArguments(str(tmp_path / "out"), str(tmp_path / "to")))
    assert [(tmp_path / "to" / "searches" / file.name).read_text() for file in files] == before
