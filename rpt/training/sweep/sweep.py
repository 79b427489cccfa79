"""From configurations to records. Runs that can are trained together."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import chain, starmap

from rpt.backbones.device import forget_peak_memory, keep_generators, precision_of
from rpt.config import Config, as_dict, drop_keys, hub_repos
from rpt.config.schema import Values
from rpt.errors import ONE_LINE, UsageError, list_causes
from rpt.hub import offline_unless_reachable
from rpt.records.schema import Result
from rpt.training.engine.pack import Pack
from rpt.training.run.loader import Loader
from rpt.training.run.prepare import PreparedRun, prepare_run
from rpt.training.run.run import TrainingRun
from rpt.training.sweep.memory import choose_max_tokens
from rpt.training.sweep.outcomes import PRUNED, RECORDED, SKIPPED, TRAINED, Outcome, Score
from rpt.training.sweep.pack_size import choose_max_runs
from rpt.training.sweep.preflight import check

log = logging.getLogger("rpt")
# What may differ between runs that are trained together.
MAY_DIFFER = (
    "prompt", "lr", "seed", "force", "resume", "results", "tracking",
    "data.shots", "data.shots_seed", "trainer.network_lr", "trainer.head_lr", "pack.prune",
)  # fmt: skip


def train_all(
    configs: list[Config], max_runs: int | None = 1, gpu_processes: int = 1, loader: Loader | None = None
) -> list[Outcome]:
    """Run the configurations to their records. A finished record is returned as it is.

    Args:
        max_runs: so many at most together; None is as many as a short trial finds fastest.
        gpu_processes: processes that compute on this one's GPU, itself included.
        loader: keeps the latest backbone and rows after the last run; without one they go.
    """
    sweep = Sweep(max_runs, gpu_processes, loader or Loader())
    groups: dict[str, dict[int, Config]] = defaultdict(dict)
    for number, config in enumerate(configs):
        try:
            check(config)
            groups[identify_group(config)][number] = config
        except UsageError as error:
            sweep.outcomes[number] = error
    if any(map(hub_repos, configs)):
        offline_unless_reachable()
    with keep_generators():
        for group in groups.values():
            sweep.train_group(group)
    return [sweep.outcomes[number] for number in range(len(configs))]


@cache
def loader_of(thread: int) -> Loader:
    """For the runs that a launcher gives one by one to this thread: it loads what they share once."""
    return Loader()


def identify_group(config: Config) -> str:
    """Equal for runs that can be trained together."""
    shared = as_dict(config)
    drop_keys(shared, MAY_DIFFER)
    # In a pack some runs would compute other numbers than alone: the backbone's dropout draws for all rows of a pass,
    # fp16 has one loss scale for all, and with 8 bits outliers of any row decide how all are multiplied. Other methods
    # than prompt tuning change the backbone itself.
    alone = config.trainer.dropout or precision_of(config) == "fp16" or not config.tunes_prompt
    alone = alone or config.backbone.weights == "8bit"
    width = config.prompt.length if config.trainer.pad_to_max else None  # it leaves the text the rest of max_tokens
    return json.dumps([shared, as_dict(config) if alone else None, width], sort_keys=True)


class Sweep:
    """Runs under way and what has become of the others, by their numbers.

    Args:
        max_runs: of a pack; None is as many as a short trial finds fastest.
        gpu_processes: processes that compute on this one's GPU, itself included.
        loader: has the backbone and the rows that they share.
    """

    def __init__(self, max_runs: int | None, gpu_processes: int, loader: Loader):
        self.max_runs, self.gpu_processes, self.loader = max_runs, gpu_processes, loader
        self.under_way: dict[TrainingRun, tuple[int, PreparedRun]] = {}
        self.outcomes: dict[int, Outcome] = {}

    def train_group(self, configs: dict[int, Config]) -> None:
        """Train runs that can stand in one pack."""
        forget_peak_memory()
        waiting = filter(None, starmap(self.prepare, configs.items()))  # each is prepared when it is asked for
        try:
            while (first := next(waiting, None)) is not None:  # once, or again after what ended a whole pack
                over = sum(number in self.outcomes for number in configs)
                self.train_pack(first, waiting, len(configs) - over)
        finally:  # on a signal, the runs that are saved and not over
            for run, (_, prepared) in self.under_way.items():
                run.tracker.finish(failed=True)
                prepared.record.release()
            self.under_way.clear()

    def train_pack(self, first: TrainingRun, waiting: Iterator[TrainingRun], n_runs: int) -> None:
        backbone = self.under_way[first][1].backbone
        try:
            max_tokens = choose_max_tokens(first.config, backbone, self.gpu_processes)
            max_runs = self.max_runs or choose_max_runs(first, backbone, n_runs, max_tokens)
            pack = Pack(backbone, max_runs, max_tokens, first.config.pack.graphs, self.gpu_processes)
            for run in pack.fit(chain([first], waiting)):
                self.finish(run)
        except Exception as error:  # e.g. not even one row fits the memory: it met every run of the pack
            self.fail(error, *((number, prepared, run) for run, (number, prepared) in self.under_way.items()))
            self.under_way.clear()

    def prepare(self, number: int, config: Config) -> TrainingRun | None:
        """The run, claimed and prepared. None if there is nothing to train, or it could not be prepared; the outcomes
        say why."""
        try:
            prepared = prepare_run(config, self.loader)
            claimed = prepared.claim()
        except Exception as error:  # before there is a record that could hold it; the other runs go on
            self.outcomes[number] = report_error(error, [config])
            return None
        if not claimed:
            log.info("This run is being trained already (%s is locked); skipped.", prepared.record.folder)
            self.outcomes[number] = Score(math.nan, SKIPPED, prepared.record.folder)
            return None
        try:
            result = None if config.force else prepared.record.finished()
            if result is None:
                run = prepared.start()
                self.under_way[run] = number, prepared
                return run
        except Exception as error:
            self.fail(error, (number, prepared, None))
            return None
        prepared.record.release()
        log.info("Already recorded in %s (force=true trains again).", prepared.record.place)
        self.outcomes[number] = report_score(prepared, result, RECORDED)
        return None

    def finish(self, run: TrainingRun) -> None:
        """Write the record of a run that is over; one that is given up leaves none."""
        number, prepared = self.under_way.pop(run)
        if (best := run.pruned_score) is not None:  # its checkpoint stays, for one who trains it after all
            run.say(f"{run.config.title}: given up after {run.progress.step} steps, best score {best:.2f}")
            run.tracker.finish()
            prepared.record.release()
            self.outcomes[number] = Score(best, PRUNED, prepared.record.folder)
            return
        try:
            result = prepared.finish(run)
        except Exception as error:
            self.fail(error, (number, prepared, run))
            return
        prepared.record.release()
        self.outcomes[number] = report_score(prepared, result, TRAINED)

    def fail(self, error: Exception, *met: tuple[int, PreparedRun, TrainingRun | None]) -> None:
        """End the runs that met the error; one that had not started is None."""
        for number, prepared, run in met:
            prepared.record_failure(run, error)
            prepared.record.release()
            self.outcomes[number] = error
        report_error(error, [prepared.config for _, prepared, _ in met])


def report_error(error: Exception, configs: list[Config]) -> Exception:
    """The error, once it is in the log: a sweep shows only its first one, and the traceback is lost between processes.

    The tracebacks go, its own and those of its causes: their frames hold on to a backbone and to what a pass has left
    in the device's memory.
    """
    if not isinstance(error, ONE_LINE):
        log.error("%s failed", ", ".join(config.title for config in configs), exc_info=error)
    for cause in list_causes(error, contexts=True):
        traceback.clear_frames(cause.__traceback__)
        cause.__traceback__ = None
    return error


def report_score(prepared: PreparedRun, result: Result | Values, how: str) -> Score:
    """The run's score, once it is in the log."""
    log.info(prepared.describe(result))
    return Score(result["scores"]["score"], how, prepared.record.folder)
