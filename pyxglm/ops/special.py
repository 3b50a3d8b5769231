"""The error function, which NumPy does not have.

erf(x) = 2/sqrt(pi) * integral of exp(-t^2) from 0 to x

The method and the coefficients are those of FreeBSD's libm (`s_erf.c`, Sun
Microsystems 1993): four intervals, on each a rational function that differs
from erf by less than one unit in the last place. Here every interval is one
vectorised expression over the elements that fall into it.
"""

from __future__ import annotations

import numpy as np

from pyxglm.dtypes import Array

# |x| < 0.84375:         erf = x + x * P(x^2) / Q(x^2)
_P = (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
      -5.77027029648944159157e-03, -2.37630166566501626084e-05)  # fmt: skip
_Q = (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
      1.32494738004321644526e-04, -3.96022827877536812320e-06)  # fmt: skip

# 0.84375 <= |x| < 1.25: erf = ERX + P(|x| - 1) / Q(|x| - 1), ERX near erf(1)
_ERX = 8.45062911510467529297e-01
_PA = (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
       3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
       -2.16637559486879084300e-03)  # fmt: skip
_QA = (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
       1.26171219808761642112e-01, 1.36370839120290507362e-02,
       1.19844998467991074170e-02)  # fmt: skip

# |x| >= 1.25:           erf = 1 - exp(-x^2 - 0.5625 + R(1/x^2) / S(1/x^2)) / |x|
# with one pair of polynomials up to 1/0.35 and another beyond.
_RA = (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01,
       -6.23753324503260060396e01, -1.62396669462573470355e02, -1.84605092906711035994e02,
       -8.12874355063065934246e01, -9.81432934416914548592e00)  # fmt: skip
_SA = (1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02,
       6.45387271733267880336e02, 4.29008140027567833386e02, 1.08635005541779435134e02,
       6.57024977031928170135e00, -6.04244152148580987438e-02)  # fmt: skip
_RB = (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01,
       -1.60636384855821916062e02, -6.37566443368389627722e02, -1.02509513161107724954e03,
       -4.83519191608651397019e02)  # fmt: skip
_SB = (1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03,
       3.19985821950859553908e03, 2.55305040643316442583e03, 4.74528541206955367215e02,
       -2.24409524465858183362e01)  # fmt: skip


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Evaluate the polynomial c0 + c1 x + c2 x^2 and so on."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _tail(x: Array, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> Array:
    """Return erfc(x) = exp(-x^2 - 0.5625 + R/S) / x for x >= 1.25."""
    inverse_square = 1.0 / (x * x)
    ratio = _horner(inverse_square, numerator) / _horner(inverse_square, denominator)
    # (s_erf.c splits x so that x^2 does not round. That matters to erfc alone: here the
    # result, at most 0.08, is subtracted from 1.)
    erfc: Array = np.exp(-x * x - 0.5625 + ratio) / x
    return erfc


def erf(x: Array) -> Array:
    """Error function of every element, in the dtype of `x`.

    Computed in float64 whatever the dtype (float32 results are correctly
    rounded but for rare double roundings). Odd, so erf(-0.0) is -0.0; NaN
    stays NaN.

    >>> erf(np.array([0.0, 0.5, 1.0, 2.0, -np.inf]))
    array([ 0.        ,  0.52049988,  0.84270079,  0.99532227, -1.        ])
    """
    signed = np.asarray(x, dtype=np.float64)
    size = np.abs(signed).reshape(-1)
    result = np.where(np.isnan(size), size, 1.0)  # beyond 6, erf rounds to 1

    near = size < 0.84375
    square = size[near] ** 2
    result[near] = size[near] + size[near] * (_horner(square, _P) / _horner(square, _Q))

    middle = (size >= 0.84375) & (size < 1.25)
    offset = size[middle] - 1.0
    result[middle] = _ERX + _horner(offset, _PA) / _horner(offset, _QA)

    far = (size >= 1.25) & (size < 1 / 0.35)
    result[far] = 1.0 - _tail(size[far], _RA, _SA)
    farther = (size >= 1 / 0.35) & (size < 6)
    result[farther] = 1.0 - _tail(size[farther], _RB, _SB)
    return np.copysign(result.reshape(signed.shape), signed).astype(x.dtype, copy=False)
