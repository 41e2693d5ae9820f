"""Linear CKA: how alike two sets of features of the same cells are, whatever their channels are called.

Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network Representations Revisited", ICML 2019.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

#: Centred features that are smaller than this part of the features themselves are rounding, not signal.
_ROUNDING = 1e-12


def linear_cka(first: Floats, second: Floats) -> float | None:
    """‖YᵀX‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F) of features X, Y with every channel centred; in float64.

    It does not change when channels are rotated, reflected or reordered, nor when all are scaled by one number.
    Few examples for many channels raise it, also where nothing is shared: see ``chance_cka``.

    Args:
        first: X, (n, p): n examples, p channels.
        second: Y, (n, q), of the same examples in the same order.

    Returns:
        In [0, 1]; None where X or Y is the same for all examples, since then nothing can be said.

    Raises:
        ValueError: The two are not of the same examples.
    """
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second) or not len(first):
        raise ValueError(
            f"features of shape {first.shape} and {second.shape}; both must be (n, channels), n at least 1"
        )
    x, y = _centred(first), _centred(second)
    if x is None or y is None:
        return None
    shared = float(np.square(y.T @ x).sum())
    return shared / float(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def chance_cka(first: Floats, second: Floats, seed: int) -> float | None:
    """The same with the examples of one side shuffled: what so many examples give where nothing is shared.

    Args:
        first: (n, p).
        second: (n, q).
        seed: Seed of the shuffle.
    """
    return linear_cka(first, second[np.random.default_rng(seed).permutation(len(second))])


def _centred(features: Floats) -> npt.NDArray[np.float64] | None:
    """Centred, and of Frobenius norm 1 so that no product overflows; None where nothing varies."""
    values = np.asarray(features, dtype=np.float64)
    largest = float(np.abs(values).max(initial=0.0))
    if not np.isfinite(largest):
        raise ValueError("features hold NaN or infinity")
    if largest == 0:
        return None
    values = values / largest
    centred = values - values.mean(axis=0)
    size = float(np.linalg.norm(centred))
    return None if size <= _ROUNDING * float(np.linalg.norm(values)) else centred / size
