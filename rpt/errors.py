"""The errors that end a command in one line: each message names the thing and the remedy."""


class UsageError(ValueError):
    """Something the user gave cannot be used. Shown without a traceback."""


class RecordError(ValueError):
    """A run record cannot be used; the message names the file and what is wrong with it."""


class NonFiniteLoss(RuntimeError):
    """A run's loss is infinite or not a number; the run is recorded as failed."""


ONE_LINE = (UsageError, RecordError, NonFiniteLoss)
