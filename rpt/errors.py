"""The errors that end in one line. Each message names the thing and the remedy."""


class UsageError(ValueError):
    """Something the user gave cannot be used. Shown without a traceback."""


class RecordError(ValueError):
    """A run record cannot be used; the message names the file and what is wrong with it."""


class NonFiniteLoss(RuntimeError):
    """A run's loss is infinite or not a number; the run is recorded as failed."""


ONE_LINE = (UsageError, RecordError, NonFiniteLoss)


def list_causes(error: BaseException, contexts: bool = False) -> list[BaseException]:
    """The error and what it was raised from, the outermost first, each once: beside a debugger or coverage, OmegaConf
    makes an error its own cause.

    Args:
        contexts: also those that were being handled when one was raised.
    """
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or (cause.__context__ if contexts else None)
    return found
