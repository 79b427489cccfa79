"""The errors that end in one line. Each message names the thing and the remedy."""


class UsageError(ValueError):
    """The user gave something that cannot be used. The command shows it without a traceback."""


class RecordError(ValueError):
    """A run record cannot be used; the message names the file and what is wrong with it."""


class NonFiniteLoss(RuntimeError):
    """A run's loss or prompt is infinite or not a number; the run is recorded as failed."""


ONE_LINE = (UsageError, RecordError, NonFiniteLoss)


def first_line(error: BaseException) -> str:
    """The first line of its message; of an error without one, the name of its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def describe_error(error: BaseException) -> str:
    """Its class and its first line, for an error that may be of any class: the line alone may be a bare key."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


def list_causes(error: BaseException, contexts: bool = False) -> list[BaseException]:
    """The error and its causes, the outermost first. Each appears once: under a debugger or coverage, OmegaConf makes
    an error its own cause.

    Args:
        contexts: whether errors that were being handled when one was raised count as causes.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or (cause.__context__ if contexts else None)
    return causes
