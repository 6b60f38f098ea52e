"""The arrays that contracts speak of, without importing numpy where nothing is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.float64]
    Array: TypeAlias = NDArray[Any]
