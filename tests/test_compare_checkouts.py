"""Two checkouts train by turns, and the best of their measures are compared."""

import sys

from scripts import compare_checkouts


def test_each_checkout_goes_first_in_turn_and_the_best_rates_count(tmp_path, monkeypatch, capsys):
    here = [(100.0, 4.0), (50.0, 2.0)]
    measures, order = {compare_checkouts.HERE: here, tmp_path: [(40.0, 5.0), (80.0, 8.0)]}, []

    def measure(checkout, overrides):
        assert overrides == ["task=cb"]
        order.append(checkout)
        return measures[checkout].pop(0)

    monkeypatch.setattr(compare_checkouts, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["compare_checkouts.py", str(tmp_path), "task=cb", "--rounds", "2"])
    compare_checkouts.main()
    assert order[:2] == order[:1:-1]
    shown = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line[3] for line in shown] == ["2.500", "0.625", "1.250"]
    assert [line[-1] for line in shown] == ["1.250", "4.000", "2.500"]
