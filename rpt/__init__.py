"""Residual Prompt Tuning, reproduced on SuperGLUE. `python -m rpt` lists the commands."""


def __getattr__(name: str) -> str:
    """`rpt.__version__`, looked up when it is asked for: no command has to wait for it."""
    if name != "__version__":
        raise AttributeError(f"module 'rpt' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rpt")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unknown"
