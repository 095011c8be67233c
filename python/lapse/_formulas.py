"""The formulas behind the answers, on plain numbers; their sources stand in the public headers."""
from __future__ import annotations

import ctypes
import math
from typing import Any, Iterable, NamedTuple, Optional

from ._lib import call, lib, new_struct
from ._tables import Result


class Rate(NamedTuple):
    """A ratio of counts."""
    numerator: int
    denominator: int
    value: Optional[float]   #: the exact quotient correctly rounded; None when the denominator is 0


def rate(numerator: int, denominator: int) -> Rate:
    """numerator / denominator; undefined, never 0, when there is nothing to divide by."""
    out = new_struct('lapse_rate')
    call(lib.rate_of, numerator, denominator, ctypes.byref(out))
    return Rate(out.numerator, out.denominator, out.value if out.defined else None)


def _double(function: Any, *args: Any) -> float:
    out = ctypes.c_double()
    call(function, *args, ctypes.byref(out))
    return out.value


def rate_convert(rate: float, length: float, other: float) -> float:
    """The rate that `rate` per `length` is per `other`: 1 - (1 - rate) ** (other / length)."""
    return _double(lib.rate_convert, rate, length, other)


def rate_hazard(rate: float, length: float) -> float:
    """The constant hazard -ln(1 - rate) / length."""
    return _double(lib.rate_hazard, rate, length)


def rate_life(rate: float, length: float) -> float:
    """Mean life length / rate."""
    return _double(lib.rate_life, rate, length)


def rate_interval(numerator: int, denominator: int, z: float = 1.959963984540054) -> tuple:
    """Wilson's score interval (lower, upper) of a rate, z standard deviations wide; 95 %."""
    lower, upper = ctypes.c_double(), ctypes.c_double()
    call(lib.rate_interval, numerator, denominator, z, ctypes.byref(lower), ctypes.byref(upper))
    return lower.value, upper.value


_DTYPES = {ctypes.c_double: 'float64', ctypes.c_uint8: 'uint8', ctypes.c_int64: 'int64'}


def borrowed(kind: Any, values: Any) -> Any:
    """The memory of a NumPy array of the type as a ctypes array, which keeps it; None of anything else."""
    dtype = getattr(values, 'dtype', None)
    if dtype is None or dtype != _DTYPES[kind] or values.ndim != 1 or not values.flags.c_contiguous:
        return None
    out = (kind * len(values)).from_address(values.ctypes.data) if len(values) else (kind * 0)()
    out.kept = values
    return out


def _array(kind: Any, values: Any, count: Optional[int], what: str) -> Any:
    """A ctypes array; a NumPy array of the type is not copied."""
    if values is None:
        return None
    out = borrowed(kind, values)
    if out is None:
        listed = [kind(value).value for value in (int(v) for v in values)] if kind is ctypes.c_uint8 else list(values)
        out = (kind * len(listed))(*listed)
    if count is not None and len(out) != count:
        raise ValueError('%s has %d values, not %d' % (what, len(out), count))
    return out


def survival_fit(time: Iterable, lost: Optional[Iterable] = None, entry: Optional[Iterable] = None,
                 weight: Optional[Iterable] = None) -> Result:
    """Kaplan-Meier and Nelson-Aalen estimates of durations: time, at_risk, lost, censored, survival, greenwood, lower,
    upper, hazard, hazard_variance. lost: true where the subject was lost at that time; all. entry: late entries; 0.
    weight: above 0; 1."""
    d, out = new_struct('lapse_durations'), ctypes.c_void_p()
    times = _array(ctypes.c_double, time, None, 'time')
    n = d.count = len(times)
    d.time = times
    d.lost = _array(ctypes.c_uint8, lost, n, 'lost')
    d.entry = _array(ctypes.c_double, entry, n, 'entry')
    d.weight = _array(ctypes.c_double, weight, n, 'weight')
    call(lib.survival_fit, ctypes.byref(d), None, ctypes.byref(out))
    return Result(out)


def survival_quantile(time: Iterable, survival: Iterable, p: float = 0.5) -> Optional[float]:
    """The first time at which survival is at most p (the median); None when it never is."""
    times = _array(ctypes.c_double, time, None, 'time')
    curve = _array(ctypes.c_double, survival, len(times), 'survival')
    out, defined = ctypes.c_double(), ctypes.c_int32()
    call(lib.survival_quantile, len(times), times, curve, p, ctypes.byref(out), ctypes.byref(defined))
    return out.value if defined.value else None


def survival_mean(time: Iterable, survival: Iterable, horizon: float, at_risk: Optional[Iterable] = None,
                  lost: Optional[Iterable] = None) -> tuple:
    """(restricted mean, its variance) up to the horizon: the area under the curve. The variance needs at_risk and lost, and
    is NaN without them."""
    times = _array(ctypes.c_double, time, None, 'time')
    n = len(times)
    mean, variance = ctypes.c_double(), ctypes.c_double(math.nan)
    known = at_risk is not None and lost is not None
    call(lib.survival_mean, n, times, _array(ctypes.c_double, survival, n, 'survival'),
         _array(ctypes.c_double, at_risk, n, 'at_risk'), _array(ctypes.c_double, lost, n, 'lost'), horizon,
         ctypes.byref(mean), ctypes.byref(variance) if known else None)
    return mean.value, variance.value
