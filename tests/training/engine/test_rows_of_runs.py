"""Values of runs are copied to their rows, and values of rows are summed by run."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from rpt.training.engine.rows_of_runs import RowsOfRuns

OF_RUN = st.lists(st.integers(0, 3), min_size=1, max_size=12)  # of runs whose last ones may have no row


@given(of_run=OF_RUN, width=st.integers(1, 3))
def test_rows_get_what_their_run_has_and_gradients_are_added_up_by_run(of_run, width):
    rows = RowsOfRuns(of_run, 4, torch.device("cpu"))
    table = torch.randn(4, 2, width, requires_grad=True)
    weights = torch.randn(len(of_run), 2, width)
    spread = rows.spread(table)
    assert torch.equal(spread, table[of_run])
    (gradient,) = torch.autograd.grad((spread * weights).sum(), table)
    wanted = torch.zeros(4, 2, width).index_add(0, torch.tensor(of_run), weights)
    torch.testing.assert_close(gradient, wanted)
    torch.testing.assert_close(rows.add_up(weights), wanted)


def test_what_is_not_finite_stays_with_its_run():
    rows = RowsOfRuns([0, 1, 0, 1], 3, torch.device("cpu"))
    added = rows.add_up(torch.tensor([1.0, torch.nan, 2.0, torch.inf]))
    assert added[0] == 3.0 and added[1].isnan() and added[2] == 0.0
