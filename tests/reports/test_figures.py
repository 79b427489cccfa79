"""Figures: the same bytes each time, labelled axes, nothing for nothing."""

import dataclasses
import io
import os
import subprocess
import sys

import pytest
from matplotlib import pyplot as plt
from PIL import Image

from rpt.reports.figures import all_figures
from rpt.reports.figures.style import STYLES, style_of
from rpt.reports.paper import Paper

OTHERS = ("table1", "figure3", "figure6")


@pytest.mark.parametrize("name", ["figure4", *(pytest.param(item, marks=pytest.mark.slow) for item in OTHERS)])
def test_labelled_legible_and_the_same_bytes_each_time(study, name, drawn):
    few = study(name, keep=lambda c: c.seed < 2)
    (plot,), (again,) = (all_figures(few, Paper(), svg=True) for _ in range(2))
    assert plot == again
    assert plot.name == ("table1-bars-mini" if name == "table1" else f"{name}-mini")
    assert plot.caption.startswith("MINIATURE") and b"<dc:date>" not in plot.images["svg"]
    image = Image.open(io.BytesIO(plot.images["png"]))
    assert image.width >= 1000 and image.height >= 500 and "Software" not in image.info
    for ax in drawn[0].axes:
        assert ax.get_ylabel().endswith(("(%)", "token)"))
        assert ax.get_title() or ax.get_xlabel()
    assert not plt.get_fignums()


def test_the_papers_curves_stand_only_at_the_papers_scale(study, drawn):
    keep = {"keep": lambda c: c.seed == 0}
    (real,), (miniature,) = (all_figures(study("figure4", scale, **keep), Paper()) for scale in ("paper", "mini"))
    labels = [[line.get_label() for line in figure.axes[0].lines] for figure in drawn]
    assert "paper (approx.)" in labels[0] and "paper (approx.)" not in labels[1]
    assert "approximate" in real.caption and "approximate" not in miniature.caption
    average = drawn[0].axes[-1]
    assert "paper (approx.)" not in [line.get_label() for line in average.lines]


def test_no_figure_without_a_record(study):
    assert all_figures(study("figure6", keep=lambda c: False), Paper()) == []


def test_a_figure_with_holes_is_drawn(study):
    (plot,) = all_figures(study("table1", keep=lambda c: c.task.name == "cb" and c.prompt.name == "mlp"), Paper())
    assert plot.images["png"] and "svg" not in plot.images  # which is made on demand


def test_a_figure_of_rates_has_the_majority_class_and_a_legend_outside(study, drawn):
    all_figures(study("figure4", keep=lambda c: c.seed < 2), Paper())
    (figure,) = drawn
    (floor,) = [line for line in figure.axes[0].lines if line.get_label() == "majority class"]
    assert set(floor.get_ydata()) == {48.0}
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "prompt" and figure.axes[0].get_legend() is None
    colors = {line.get_label(): line.get_color() for line in figure.axes[0].lines}
    assert (colors["PT"], colors["Residual PT"]) == (STYLES["vanilla"][0], STYLES["residual"][0])


def test_a_seed_that_stops_makes_no_jump(study, drawn):
    joined = study("figure3", keep=lambda c: c.prompt.name == "residual")
    stopped = [history[:12] if seed == 1 else history for seed, history in
               zip(joined.runs["seed"], joined.runs["history"], strict=True)]  # fmt: skip
    (plot,) = all_figures(dataclasses.replace(joined, runs=joined.runs.assign(history=stopped)), Paper())
    means = [line for line in drawn[0].axes[0].lines if line.get_label() == "Residual PT"]
    assert [max(line.get_xdata()) for line in means] == [12.0] and means[0].get_markevery() == 2
    assert max(max(line.get_xdata()) for line in drawn[0].axes[0].lines) == 20.0
    assert "until the first seed stops" in plot.caption


def test_bars_leave_out_tasks_without_prompts_and_mark_single_seeds(study, drawn):
    def keep(config):
        return config.task.name in ("boolq", "cb") and (config.task.name == "cb" or config.seed == 0)

    (plot,) = all_figures(study("table1", keep=lambda c: c.backbone.name == "nano" and keep(c)), Paper())
    (ax,) = drawn[0].axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["BoolQ", "CB"]
    assert [text.get_text() for text in ax.texts] == ["1 seed"] * 5  # of BoolQ: four prompts and fine-tuning
    assert "Left out, no prompt has runs: COPA, WSC, average." in plot.caption


def test_every_method_has_its_own_colour():
    assert len({color for color, _, _ in STYLES.values()}) == len(STYLES)
    assert style_of("residual", ("other", "residual")) == STYLES["residual"]


def test_plotting_settings_of_the_user_change_nothing(study):
    few = study("figure4", keep=lambda c: c.seed == 0)
    plain = all_figures(few, Paper())
    with plt.rc_context({"text.usetex": True, "axes.facecolor": "black", "figure.figsize": (3, 3)}):
        assert all_figures(few, Paper()) == plain


def test_a_notebook_s_backend_is_not_looked_for(tmp_path):
    (tmp_path / "matplotlibrc").write_text("backend: TkAgg\ntext.usetex: True\ninteractive: True\n")
    places = {"MPLBACKEND": "module://no_such_package.backend_inline", "MATPLOTLIBRC": str(tmp_path)}
    code = "import rpt.reports.figures, matplotlib; print(matplotlib.get_backend())"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | places, capture_output=True, text=True)
    assert done.stdout.lower() == "agg\n", done
