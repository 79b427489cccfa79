"""Learning rates: chosen on held-out rows alone, for all tables and figures alike, and what limits the choice said."""

import dataclasses
import statistics

import pytest

from rpt.reports.claims import check_claims
from rpt.reports.figures import all_figures
from rpt.reports.frame import load_runs
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import Paper
from rpt.reports.rates import choose_rates
from rpt.reports.tables import all_tables

from .conftest import grid, write_record

TASK = "cb"
HELD_OUT = {0.001: 60.0, 0.01: 70.0, 0.1: 65.0}
REPORTED = {0.001: 50.0, 0.01: 40.0, 0.1: 80.0}  # the other way round: it must not decide


@pytest.fixture
def tried(tmp_path):
    """tried(held_out, reported, keep=...): table 1's runs of two prompts on CB at scale=laptop, with scores by rate."""

    def read(held_out=HELD_OUT, reported=REPORTED, keep=lambda config: True):
        small = grid("table1", "laptop")
        wanted = {(TASK, "vanilla"), (TASK, "residual")}
        jobs = {
            point: job
            for point, job in small.jobs.items()
            if (job.task.name, job.variant) in wanted and job.lr in HELD_OUT
        }
        axes = small.axes | {"task": (TASK,), "lr": tuple(map(str, HELD_OUT))}
        for config in filter(keep, jobs.values()):
            scores = dict.fromkeys(("score", "accuracy", "macro_f1"), reported[config.lr] + config.seed)
            best = {"step": 200, "select_score": held_out[config.lr] + config.seed}
            write_record(tmp_path, config, scores=scores, best=best)
        whole = dataclasses.replace(small, axes=axes, jobs=jobs)
        return GridResults.join(whole, load_runs(tmp_path))

    return read


def tables_of(results):
    return {table.name: table for table in all_tables(choose_rates(results), Paper())}


def chosen_of(results):
    rates = choose_rates(results).rates
    return list(rates[rates["chosen"]][["lr", "seeds"]].itertuples(index=False, name=None))


def cell(table, column, **at):
    (joined,) = [r for r in table.records if r["column"] == column and all(r[key] == v for key, v in at.items())]
    return joined


def test_the_held_out_score_decides_and_the_reported_one_at_that_rate_is_shown(tried):
    tables = tables_of(tried())
    shown = cell(tables["table1-laptop"], TASK, prompt="residual")
    assert (shown["mean"], shown["sd"], shown["n"]) == (41.0, 1.0, 3)
    rates = tables["table1-rates-laptop"]
    assert [text.text for text in rates.blocks[0][0]][-1] == "0.01"
    chosen = [line for line in rates.records if line["chosen"]]
    assert [(line["rate"], line["held_out"], line["seeds"], line["edge"]) for line in chosen] == [
        ("0.01", 71.0, 3, "")
    ] * 2
    assert rates.remarks[0] == "Tried: PT, Residual PT 0.001, 0.01, 0.1."
    assert rates.remarks[1] == "The head beside a prompt learns at 0.001."
    assert rates.remarks[2] == (
        "Training: at most 40 epochs, stopped after 8 without a better held-out score. "
        "Learning rate: the best of 3 on held-out rows, for each row and task."
    )


def test_rates_are_compared_over_the_seeds_that_all_of_them_have(tried):
    """One seed tries all; the others train at the chosen rate, whose mean they must not move."""
    held_out = HELD_OUT | {0.1: 69.9}
    joined = tried(held_out, keep=lambda c: c.seed == 0 or (c.lr in (0.01, 0.1) and c.seed == 1) or c.lr == 0.1)
    rates = choose_rates(joined).rates.set_index(["prompt", "lr"]).loc["vanilla"]
    assert list(rates.index[rates["chosen"]]) == ["0.01"] and set(rates["seeds"]) == {1}
    assert rates.at["0.1", "held_out"] == 69.9
    assert cell(tables_of(joined)["table1-laptop"], TASK, prompt="vanilla")["n"] == 2


def test_a_method_with_more_runs_does_not_choose_better(tried):
    """Figure 4 has all seeds at all rates, of two methods alone: in table 1 they choose by the seeds of the others."""
    alone = tried(keep=lambda c: c.prompt.name == "vanilla")
    assert chosen_of(alone) == [("0.01", 3)]
    beside = tried(keep=lambda c: c.prompt.name == "residual" and (c.seed == 0 or c.lr == 0.01))
    assert chosen_of(beside) == [("0.01", 1)] * 2


def test_of_equals_the_lowest_and_an_edge_is_said(tried):
    tables = tables_of(tried(dict.fromkeys(HELD_OUT, 60.0)))
    assert [line[-1].text for line in tables["table1-rates-laptop"].blocks[0]] == ["0.001 (edge)"] * 2
    assert "2 of the 2 chosen rates lie at the edge of their grid." in tables["table1-laptop"].remarks


def test_fewer_rates_are_said_and_what_cannot_be_compared_is_left_out(tried):
    joined = tried(keep=lambda c: c.lr < 0.1 if c.prompt.name == "vanilla" else c.seed == round(100 * c.lr))
    tables = tables_of(joined)
    remarks = tables["table1-laptop"].remarks
    assert "Only 2 of 3 rates recorded: PT (CB); Residual PT (CB)." in remarks
    apart = "Left out, because no seed has a run at each recorded rate: Residual PT (CB)."
    assert apart in remarks and cell(tables["table1-laptop"], TASK, prompt="residual")["mean"] is None
    assert [line[-1].text for line in tables["table1-rates-laptop"].blocks[0]] == ["0.01 (2 of 3)", ""]


def test_other_numbers_of_rates_are_said(tried):
    joined = tried()
    selected = {point: c for point, c in joined.experiment.jobs.items() if c.prompt.name == "residual" or c.lr < 0.1}
    uneven = dataclasses.replace(joined, experiment=dataclasses.replace(joined.experiment, jobs=selected))
    uneven = dataclasses.replace(uneven, runs=joined.runs[joined.runs.index.isin(list(selected))])
    remarks = tables_of(uneven)["table1-laptop"].remarks
    assert "The grid does not have the same number of rates for every row." in remarks
    assert remarks[-1].endswith("Learning rate: the best of 2 or 3 on held-out rows, for each row and task.")


def test_bars_significance_and_claims_stand_on_the_chosen_rates(tried, drawn):
    joined = choose_rates(tried())
    (plot,) = all_figures(joined, Paper())
    assert plot.caption.startswith("LAPTOP. Table 1 as bars.")
    heights = [bar.get_height() for bar in drawn[0].axes[0].patches]
    assert heights == [41.0, 41.0]
    plain = joined.at({"backbone": "minilm", "prompt": "vanilla", "task": TASK})
    assert statistics.fmean(plain["scores.score"]) == 41.0
    line, *_ = check_claims([joined], [], Paper())
    (judged,) = line.judgements["laptop"]
    assert (judged.verdict, judged.backbone, judged.seeds) == ("within the spread", "minilm", 3)
    assert str(judged.larger) == str(judged.smaller) == "41.0 ± 1.0"
    assert line.judgements["mini"] == line.judgements["paper"] == [] and line.theirs == {}
    compared = tables_of(tried())["table1-significance-laptop"]
    assert [record["seeds"] for record in compared.records] == [3]


def test_a_grid_about_the_rate_keeps_it_and_so_does_one_without_held_out_rows(study):
    about = study("figure4", "laptop", keep=lambda c: c.seed == 9)
    assert len(about.experiment.axes["lr"]) == 6 and choose_rates(about) is about
    reported = study("table6", keep=lambda c: c.seed == 9)
    axes = reported.experiment.axes | {"lr": ("0.1", "0.3")}
    jobs = {(*point, rate): job for point, job in reported.experiment.jobs.items() for rate in axes["lr"]}
    several = dataclasses.replace(reported, experiment=dataclasses.replace(reported.experiment, axes=axes, jobs=jobs))
    assert choose_rates(several) is several
