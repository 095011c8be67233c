"""Scores of recency, frequency and monetary value: options of the answers, frozen cuts, and scores of plain arrays."""
from __future__ import annotations

import ctypes
from array import array
from decimal import Decimal, InvalidOperation
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Union

from ._events import text_of
from ._formulas import borrowed
from ._lib import CALLBACKS, Raised, call, check, declared, lib, new_struct
from ._tables import Column
from ._values import choice, number_of, to_decimal

#: 5, or three numbers for R, F, M
Bins = Union[int, tuple, list]

_CUTS = {name: declared.CONSTANTS['LAPSE_CUTS_' + name.upper().replace('-', '_')] for name in ('quantile', 'ntile', 'rfm-r')}
_UNITS = {'d': 'day', 'm': 'month', 'y': 'year'}
#: One segment of whoever there is, for any bins.
ALL_IN_ONE = 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n'


def flag(name: str, wanted: Any) -> int:
    return declared.CONSTANTS['LAPSE_RFM_' + name] if wanted else 0


def _cut_options(bins: Bins, cuts: Union[str, 'Cuts'], nested: bool, made: Any) -> dict[str, Any]:
    r, f, m = (bins,) * 3 if isinstance(bins, int) else bins
    options: dict[str, Any] = {'bins_r': r, 'bins_f': f, 'bins_m': m, 'flags': flag('NESTED', nested), 'made': made}
    if isinstance(cuts, Cuts):
        options.update(cuts=declared.CONSTANTS['LAPSE_CUTS_FIXED'], fixed=ctypes.pointer(cuts._struct))
    else:
        options['cuts'] = choice(_CUTS, cuts, 'cuts')
    return options


def rfm_options(bins: Bins, cuts: Union[str, 'Cuts'], window: Optional[str], frequency: str, monetary: str, nested: bool,
                weights: Any, segments: Optional[str], threads: int, begin: Optional[int] = None,
                every: Optional[str] = None, made: Any = None) -> dict[str, Any]:
    """Members of lapse_rfm_options, and what keeps their memory."""
    options = _cut_options(bins, cuts, nested, made)
    options['flags'] |= (flag('FREQUENCY_DAYS', choice({'orders': 0, 'days': 1}, frequency, 'frequency')) |
                         flag('MONETARY_MEAN', choice({'sum': 0, 'mean': 1}, monetary, 'monetary')) |
                         flag('WEIGHTED', weights is not None))
    options.update({'threads': threads, 'from': begin, 'every': number_of('LAPSE_EVERY_', every or 'none', 'every')})
    if weights is not None:
        options.update(zip(('weight_r', 'weight_f', 'weight_m'), weights))
    if window is not None:
        if window[-1:] not in _UNITS or not window[:-1].isdigit():
            raise ValueError("a window is a number of days, months or years: '90d', '6m', '1y', not %r" % (window,))
        options.update(window=int(window[:-1]), window_unit=number_of('LAPSE_UNIT_', _UNITS[window[-1]], 'window'))
    if segments is not None:
        data = segments.encode('utf-8')
        options.update(segments=ctypes.create_string_buffer(data, len(data) + 1), segments_size=len(data))
    return options


def _units(amount: Any, digits: int) -> int:
    """An amount in major units as minor ones, exactly."""
    try:
        units = Decimal(text_of(amount)).scaleb(digits)
    except InvalidOperation:
        raise ValueError('an amount is a number, not %r' % (amount,)) from None
    if not units.is_finite() or units != units.to_integral_value():
        raise ValueError('%s has more decimals than the %d of the cuts' % (amount, digits))
    return int(units)


class Scores(NamedTuple):
    """Scores of customers, in the order in which they were given; high is best."""
    r: Any
    f: Any
    m: Any


class Cuts:
    """Thresholds of recency, frequency and monetary value, frozen: they score whoever comes later as they did those they
    were made of. Made of text, of what to_csv() wrote (read()), of a view (View.cuts()) or of arrays (of()). They go where
    rfm(), segments(), transitions() and rfm_score() take `cuts`. Equal ones are equal, and may be keys.

    text: days / orders / major units of money, '30,90,180,365/2,3,5,8/10,50,100,500', one to nine of each, ascending, equal
    ones allowed.
    digits: decimals of the currency, see Store.digits.
    """

    def __init__(self, text: str, digits: int = 2) -> None:
        self._struct = new_struct('lapse_cuts')
        data = text.encode('utf-8')
        if b'\0' in data:
            raise ValueError('cuts hold a NUL character')
        call(lib.cuts_parse, data, digits, ctypes.byref(self._struct))

    @classmethod
    def parse(cls, text: str, digits: int = 2) -> 'Cuts':
        """As Cuts(text, digits)."""
        return cls(text, digits)

    @classmethod
    def read(cls, csv: str, digits: int = 2) -> 'Cuts':
        """Of the CSV text that to_csv() and the command's --save-cuts write. BadInput: line, column, text and rule."""
        struct, data = new_struct('lapse_cuts'), csv.encode('utf-8')
        call(lib.cuts_read, data, len(data), digits, ctypes.byref(struct))
        return cls._made(struct)

    @classmethod
    def of(cls, recency: Any, frequency: Any, monetary: Any, *, bins: Bins = 5, cuts: str = 'quantile',
           digits: Optional[int] = None, threads: int = 1) -> 'Cuts':
        """Of customers in arrays, as rfm_score() takes them. cuts: 'quantile' or 'rfm-r'."""
        struct = new_struct('lapse_cuts')
        _score(recency, frequency, monetary, digits, _cut_options(bins, cuts, False, ctypes.pointer(struct)), threads, cuts)
        return cls._made(struct)

    @classmethod
    def _made(cls, struct: Any) -> 'Cuts':
        out = cls.__new__(cls)
        out._struct = struct
        return out

    @property
    def digits(self) -> int:
        """Decimals of the amounts."""
        return self._struct.digits

    @property
    def bins(self) -> tuple:
        """How many scores R, F and M have; zeros when there was nobody to make cuts of."""
        return tuple(self._struct.bins)

    def _above(self, axis: int) -> list:
        return self._struct.above[9 * axis:9 * axis + max(0, self._struct.bins[axis] - 1)]

    @property
    def recency(self) -> tuple:
        """Thresholds in days; who has more is in the next bin, of a lower score."""
        return tuple(self._above(0))

    @property
    def frequency(self) -> tuple:
        """Thresholds in orders; who has more has a higher score."""
        return tuple(self._above(1))

    @property
    def monetary(self) -> tuple:
        """Thresholds in major units, as Decimal; who has more has a higher score."""
        return tuple(to_decimal(units, self.digits) for units in self._above(2))

    def __str__(self) -> str:
        return '/'.join(','.join(map(str, axis)) for axis in (self.recency, self.frequency, self.monetary))

    def __repr__(self) -> str:
        return 'lapse.Cuts(%r, digits=%d)' % (str(self), self.digits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cuts) and bytes(self._struct) == bytes(other._struct)

    def __hash__(self) -> int:
        return hash(bytes(self._struct))

    def to_csv(self) -> str:
        """axis,bin,above: a row for each threshold. Invalid: there was nobody to make cuts of."""
        pieces: list[bytes] = []
        raised = Raised()

        def write(_: Any, data: int, size: int) -> int:
            pieces.append(ctypes.string_at(data, size))
            return 0
        call(lib.cuts_write, ctypes.byref(self._struct), CALLBACKS['lapse_write_fn'](raised.wrap(write, 1)), None, raised=raised)
        return b''.join(pieces).decode('utf-8')

    def score(self, recency_days: int, frequency: int, monetary: Any) -> Scores:
        """R, F and M of one customer, for the moment an order comes in. monetary: in major units and exact, an int,
        Decimal or text, or a double that is the nearest to a decimal with the currency's digits."""
        out = (ctypes.c_int32 * 3)()
        values = array('q', [recency_days, frequency, _units(monetary, self.digits)])  # OverflowError beyond 64 bits
        check(lib.cuts_score(ctypes.byref(self._struct), *values, out), 'there was nobody to make cuts of')
        return Scores(*out)


def _integers(values: Any, count: Optional[int], what: str) -> Any:
    """A ctypes array of int64; a NumPy array of these is not copied."""
    if isinstance(values, Column):
        values = values.integers()
    mask = getattr(values, 'mask', None)
    if mask is not None and getattr(mask, 'any', bool)():
        raise ValueError('%s has missing values' % what)
    out = borrowed(ctypes.c_int64, values)
    if out is None:
        kind = getattr(getattr(values, 'dtype', None), 'kind', 'i')
        if kind not in 'iuO':
            raise TypeError('%s are integers, not %s' % (what, values.dtype))
        listed = array('q', values.tolist() if hasattr(values, 'tolist') else values)
        out = (ctypes.c_int64 * len(listed)).from_buffer(listed)
    if count is not None and len(out) != count:
        raise ValueError('%s has %d values, not %d' % (what, len(out), count))
    return out


def _score(recency: Any, frequency: Any, monetary: Any, digits: Optional[int], options: Mapping[str, Any], threads: int,
           cuts: Any) -> list:
    values = new_struct('lapse_rfm_values')
    values.recency = days = _integers(recency, None, 'recency')
    n = values.count = len(days)
    values.frequency = _integers(frequency, n, 'frequency')
    values.monetary = _integers(monetary, n, 'monetary')
    if digits is None:
        digits = next((of.digits for of in (monetary, cuts) if isinstance(of, (Column, Cuts))), 2)
    values.digits = digits
    out = [(ctypes.c_uint8 * n)() for _ in range(3)]
    struct = new_struct('lapse_rfm_options', {**options, 'threads': threads})
    call(lib.rfm_score, ctypes.byref(values), ctypes.byref(struct), None, *out)
    return out


def rfm_score(recency: Iterable, frequency: Iterable, monetary: Iterable, *, bins: Bins = 5,
              cuts: Union[str, Cuts] = 'quantile', nested: bool = False, digits: Optional[int] = None,
              threads: int = 1) -> Scores:
    """Scores customers of your own, without a store, as View.rfm() does: R, F and M of each, as NumPy arrays of uint8 if
    recency is one, else as lists. Other threads run meanwhile.

    recency: days since the last order; frequency: orders; monetary: in minor units, as Column.numpy() gives them: NumPy
    arrays (int64 is not copied), lists of int, or columns of a table. bins, cuts, nested: as View.rfm(); 'ntile' splits ties
    in the order of the arrays. digits: decimals of a major unit, which only 'rfm-r' and `Cuts` look at (those of the
    column, or of the cuts; 2).
    """
    out = _score(recency, frequency, monetary, digits, _cut_options(bins, cuts, nested, None), threads, cuts)
    if type(recency).__module__.partition('.')[0] == 'numpy':
        import numpy
        return Scores(*(numpy.frombuffer(axis, 'u1') for axis in out))
    return Scores(*map(list, out))
