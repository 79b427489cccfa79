"""The configuration (no torch): its classes, how Hydra composes it, what is refused, which run it stands for.

Nothing here needs torch, rows or a device; rpt.training.sweep.preflight runs the checks that do.
"""

from rpt.config.choices import config_folder, use_config_folder
from rpt.config.compose import compose, register, to_config
from rpt.config.identity import as_dict, drop_keys, run_id, settings
from rpt.config.schema import (
    GROUPS,
    PROMPT_TUNING,
    BackboneConfig,
    Config,
    DataConfig,
    MethodConfig,
    PromptConfig,
    ProtocolConfig,
    TaskConfig,
    TrackingConfig,
    TrainerConfig,
)
from rpt.config.validate import (
    PRECISIONS_OF_USE,
    backbone_source,
    check_choice,
    find_idle,
    hub_model,
    hub_repos,
    is_name,
    validate,
    validate_settings,
)
