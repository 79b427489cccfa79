"""Imported by the process of which tests fork commands: what Hydra prepares once, each fork has."""

from submitit.core.core import Job

from rpt.config import compose, to_config
from rpt.config.hydra_app import set_up

Job._results_timeout_s = 0  # submitit waits a quarter of a minute for a dead job's results: a disk may be slow
set_up()
to_config(compose("train", []))
