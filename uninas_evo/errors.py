"""The exceptions of the library: one tree, so that one `except UninasEvoError` catches a user's every mistake.

UninasEvoError
├── GenomeError       (ValueError)    a genome's text, JSON or structure is wrong
├── SpaceError        (ValueError)    a space cannot do what is asked of it, or a decision is wrong
├── BudgetError       (ValueError)    a budget that nothing can satisfy, or a start outside its budget
├── RunFileError      (ValueError)    a run file, or an option of a strategy or problem, is wrong
├── JournalError      (RuntimeError)  a run folder cannot be read, replayed, or is in use
├── ObjectiveError    (ValueError)    an objective that does not exist or does not fit its strategy
├── StrategyError     (RuntimeError)  a strategy was told results out of order, or an operator broke its contract
├── ProxyError        (RuntimeError)  a proxy cannot score this module
├── PredictorError    (ValueError)    a predictor has nothing to learn from, or nothing that fits
├── PoolError         (RuntimeError)  the workers cannot be started
│   └── SourceError                   a worker found another version of the user's code than the run began with
├── DataError         (ValueError)    data for training, or a table of a benchmark, is missing or wrong
├── TrainingError     (RuntimeError)  training diverged or cannot go on
└── MissingExtraError (ImportError)   an optional package is not installed

Every message says what is wrong, the rule, the value received, and the fix.
"""

from __future__ import annotations


class UninasEvoError(Exception):
    """The root of all errors that a user can cause or fix."""


class GenomeError(UninasEvoError, ValueError):
    """A genome's text, JSON or structure is wrong."""


class SpaceError(UninasEvoError, ValueError):
    """A space cannot do what is asked of it, or one of its decisions is wrong."""


class BudgetError(UninasEvoError, ValueError):
    """A budget that nothing can satisfy, or a start network outside its budget."""


class RunFileError(UninasEvoError, ValueError):
    """A run file, or an option of a strategy or problem, is wrong."""


class JournalError(UninasEvoError, RuntimeError):
    """A run folder cannot be read, replayed, or is in use by another process."""


class ObjectiveError(UninasEvoError, ValueError):
    """An objective that does not exist or does not fit its strategy."""


class StrategyError(UninasEvoError, RuntimeError):
    """A strategy was told results out of order, or one of its operators broke its contract."""


class ProxyError(UninasEvoError, RuntimeError):
    """A proxy cannot score this module."""


class PredictorError(UninasEvoError, ValueError):
    """A predictor has nothing to learn from, or nothing that fits."""


class PoolError(UninasEvoError, RuntimeError):
    """The workers cannot be started."""


class SourceError(PoolError):
    """A worker found another version of the user's code than the run began with."""


class DataError(UninasEvoError, ValueError):
    """Data for training, or a benchmark's table, is missing or wrong."""


class TrainingError(UninasEvoError, RuntimeError):
    """Training diverged or cannot go on."""


class MissingExtraError(UninasEvoError, ImportError):
    """An optional package is not installed; the message holds the install command."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"the package {package!r} is needed here and is not installed; "
            f'install it with: pip install "uninas-evo[{extra}]"'
        )
