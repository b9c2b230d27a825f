"""Elementary functions of one number, made of +, -, *, / and square roots only.

A mathematical library chooses its code by the CPU it finds, and two choices may differ in the last bit; these give the
same bits on every CPU. Having no branches and no calls, they also turn into vector instructions inside a row loop. The
polynomials are Chebyshev interpolations computed with 60 digits; `ln`, `exp`, `sin`, `atan2` and `acos` are right to 4
units of the last place and the powers to 1e-14, which the tests check against the standard library.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.kernels import single
from thalweg.kernels.formula import formula, with_twin

NAN, INFINITY = math.nan, math.inf
LN_10 = 2.302585092994046
LOG10_E = 0.4342944819032518
LOG2_E = 1.4426950408889634
# The logarithm of 2 in two parts: the first has 21 trailing zero bits, so that its product with an exponent is exact.
LN_2_HIGH, LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Adding and subtracting 1.5 * 2**52 rounds to an integer, half to even, and leaves that integer in the low bits.
ROUNDER = 6755399441055744.0
SMALLEST_NORMAL = 2.2250738585072014e-308
TAN_PI_8 = 0.41421356237309503
PI, PI_2, PI_4 = math.pi, 1.5707963267948966, 0.7853981633974483

_SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
_MANTISSA_BITS = np.int64(52)
_EXPONENT_BIAS = np.int64(1023)


@formula
def clamp(x: float, lowest: float, highest: float) -> float:
    """The number nearest to `x` in [lowest, highest]; NaN stays NaN."""
    raised = lowest if x < lowest else x
    return highest if raised > highest else raised


@with_twin(single.nearest)
def nearest(x: float) -> float:
    """Whole number nearest to `x`, half to even, up to 2^51 on either side of 0."""
    return x + ROUNDER - ROUNDER


@with_twin(single.ln)
def ln(x: float) -> float:
    """Natural logarithm of a finite number; NaN for 0, negative and NaN."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _SQRT_HALF_BITS) >> _MANTISSA_BITS
    mantissa = np.int64(bits - (exponent << _MANTISSA_BITS)).view(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    zz = z * z
    low = (0.666666666666667 + z * 0.39999999999899444) + zz * (0.2857142862600327 + z * 0.22222211130259878)
    high = (0.18182889455674947 + z * 0.15331710618210773) + zz * 0.14616585424888623
    power_of_2 = np.float64(exponent)
    value = power_of_2 * LN_2_HIGH + (2.0 * s + (s * z * (low + zz * zz * high) + power_of_2 * LN_2_LOW))
    return value if x >= SMALLEST_NORMAL else NAN


@formula
def log10(x: float) -> float:
    """Decimal logarithm of a finite number; NaN for 0, negative and NaN."""
    return ln(x) * LOG10_E


@with_twin(single.exp)
def exp(x: float) -> float:
    """e to the power x; 0 below -708, infinite from 709."""
    shifted = x * LOG2_E + ROUNDER
    power_of_2 = shifted - ROUNDER
    r = (x - power_of_2 * LN_2_HIGH) - power_of_2 * LN_2_LOW
    rr = r * r
    rrrr = rr * rr
    first = (0.5 + r * 0.16666666666666669) + rr * (0.04166666666662413 + r * 0.008333333333330062)
    second = (0.0013888888917213717 + r * 0.00019841269863053618) + rr * (
        2.4801521295954376e-05 + r * 2.7557268459997064e-06
    )
    third = 2.7620088445409746e-07 + r * 2.510038549551032e-08
    mantissa = 1.0 + (r + rr * (first + rrrr * (second + rrrr * third)))
    bits = np.float64(shifted).view(np.int64)
    scale = np.int64((bits + _EXPONENT_BIAS) << _MANTISSA_BITS).view(np.float64)
    value = mantissa * scale
    value = INFINITY if x >= 709.0 else value
    return 0.0 if x < -708.0 else value


@formula
def exp10(x: float) -> float:
    """10 to the power x."""
    return exp(x * LN_10)


@formula
def power(x: float, exponent: float) -> float:
    """A positive number to any power; NaN for 0, negative and NaN."""
    return exp(exponent * ln(x))


@with_twin(single.sin)
def sin(x: float) -> float:
    """Sine of an angle in radians, 0 to pi/2 on either side of 0."""
    z = x * x
    zz = z * z
    low = (-0.16666666666666666 + z * 0.008333333333333316) + zz * (
        -0.00019841269841254966 + z * 2.7557319219160833e-06
    )
    high = (-2.505210761669045e-08 + z * 1.6058977292642743e-10) + zz * (
        -7.643969663988074e-13 + z * 2.7314368769379893e-15
    )
    return x + x * z * (low + zz * zz * high)


@formula
def atan2(y: float, x: float) -> float:
    """Angle of the vector (x, y), -pi to pi; NaN where both are 0."""
    wide, tall = abs(x), abs(y)
    less = tall if tall < wide else wide
    more = wide if tall < wide else tall
    turned = less > TAN_PI_8 * more
    top = less - more if turned else less
    bottom = less + more if turned else more
    q = top / bottom
    angle = q + q * _arctangent(q * q) + (PI_4 if turned else 0.0)
    angle = PI_2 - angle if tall > wide else angle
    angle = PI - angle if x < 0.0 else angle
    return -angle if y < 0.0 else angle


@with_twin(single.arctangent)
def _arctangent(z: float) -> float:
    """(atan(q) - q) / q for z = q squared, q up to tan(pi / 8)."""
    zz = z * z
    low = (-0.3333333333333333 + z * 0.19999999999995516) + zz * (
        -0.14285714284665682 + z * 0.11111111015187018
    )
    middle = (-0.0909090457530649 + z * 0.07692183125376892) + zz * (
        -0.06664510525508936 + z * 0.05858140904866328
    )
    high = (-0.050854078345894844 + z * 0.03923044778479309) + zz * -0.019175404711104935
    return z * (low + zz * zz * (middle + zz * zz * high))


@formula
def acos(x: float) -> float:
    """Angle whose cosine is x, 0 to pi; x from -1 to 1."""
    return 2.0 * atan2(math.sqrt(1.0 - x), math.sqrt(1.0 + x))
