"""The sections of a run's page, in their order: each takes the run and gives HTML, or nothing to show."""

from collections.abc import Callable

from uninas_evo.report.run import Run
from uninas_evo.report.sections.ancestry import ancestry
from uninas_evo.report.sections.devices import devices
from uninas_evo.report.sections.drawing import drawing
from uninas_evo.report.sections.edits import edits
from uninas_evo.report.sections.evaluations import evaluations
from uninas_evo.report.sections.failures import failures
from uninas_evo.report.sections.files import files
from uninas_evo.report.sections.front import front
from uninas_evo.report.sections.headline import headline
from uninas_evo.report.sections.importances import importances
from uninas_evo.report.sections.noise import noise
from uninas_evo.report.sections.progress import progress
from uninas_evo.report.sections.reproducibility import reproducibility
from uninas_evo.report.sections.settings import settings
from uninas_evo.report.sections.shared_weights import shared_weights
from uninas_evo.report.sections.sizes import sizes
from uninas_evo.report.sections.trainings import trainings

SECTIONS: tuple[Callable[[Run], str], ...] = (
    headline,
    progress,
    sizes,
    front,
    noise,
    importances,
    evaluations,
    drawing,
    shared_weights,
    trainings,
    ancestry,
    edits,
    failures,
    devices,
    reproducibility,
    settings,
    files,
)
