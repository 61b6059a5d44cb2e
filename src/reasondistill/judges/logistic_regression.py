"""Logistic regression on shares: the share of people who found an explanation acceptable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FloatArray = NDArray[np.float64]


def fit_shares(
    x: FloatArray | csr_matrix, share: FloatArray, *, strength: float, count: FloatArray | None = None
) -> tuple[FloatArray, float]:
    """Fit each row's share by regularised logistic regression.

    Args:
        x: the features of each row, (n, D).
        share: of the people who found it acceptable, in [0, 1], (n,).
        strength: of the fit against the regularisation, scikit-learn's ``C``.
        count: the weight of each row, (n,); by default 1.

    Returns:
        Weights (D,) and bias of the logit.
    """
    from scipy.sparse import issparse, vstack
    from sklearn.linear_model import LogisticRegression

    # A share becomes two weighted rows: one for, one against.
    weight = np.concatenate([share, 1 - share]) * (1.0 if count is None else np.tile(count, 2))
    twice = vstack([x, x]).tocsr() if issparse(x) else np.concatenate([x, x])
    model = LogisticRegression(C=strength, max_iter=500).fit(
        twice, np.repeat([True, False], len(share)), sample_weight=weight
    )
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])
