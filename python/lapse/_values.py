"""Instants, money, zones and names, between Python and the library."""
from __future__ import annotations

import ctypes
import datetime
import functools
from decimal import Decimal
from typing import Any, Mapping, NamedTuple, Optional, Union

from ._lib import call, constants, declared, lib

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
NEVER = -2 ** 63

#: An instant: an aware datetime; a naive one or a text without offset is a time in the zone of the store; a date is its
#: first instant there; a text is read as in event files.
Instant = Union[datetime.datetime, datetime.date, str]


def to_datetime(microseconds: int) -> datetime.datetime:
    """Aware, in UTC."""
    return EPOCH + datetime.timedelta(microseconds=microseconds)


def instant_text(value: Any) -> str:
    """A time as event files write it; without an offset when it has none."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        return value.isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    if type(value).__name__ == 'datetime64':
        return str(value)
    raise TypeError('a time is a datetime, a date or a text such as 2024-03-01T10:15:00Z, not %r' % (value,))


def encode(text: Any, what: str) -> bytes:
    """For a parameter that ends in NUL."""
    if not isinstance(text, str):
        raise TypeError('%s is a str, not %r' % (what, text))
    out = text.encode('utf-8')
    if b'\0' in out:
        raise ValueError('%s holds a NUL character' % what)
    return out


def optional(text: Any, what: str) -> Optional[bytes]:
    return None if text is None else encode(text, what)


def to_decimal(units: int, digits: int) -> Decimal:
    """Exact, with all digits: 1990, 2 is Decimal('19.90')."""
    sign = 1 if units < 0 else 0
    return Decimal((sign, tuple(map(int, str(abs(units)))), -digits))


def to_short_decimal(units: int, digits: int) -> Decimal:
    """The same without zeros at its end: Decimal('19.9')."""
    while digits > 0 and units % 10 == 0:
        units, digits = units // 10, digits - 1
    return to_decimal(units, digits)


def number_of(prefix: str, value: Any, what: str) -> int:
    """A constant by its name in lower case, or as it is: number_of('LAPSE_EVERY_', 'month', 'every')."""
    names = constants(prefix)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if value in names:
        return names[value]
    raise ValueError('%s is one of %s, not %r' % (what, ', '.join(map(repr, names)), value))


def choice(names: Mapping[str, int], value: str, what: str) -> int:
    """The number of one of these names."""
    if value not in names:
        raise ValueError('%s is one of %s, not %r' % (what, ', '.join(map(repr, names)), value))
    return names[value]


# ---- zones


class Zone(NamedTuple):
    """Offsets from UTC as the library takes them: instants in microseconds at which one begins, and seconds east."""
    name: str
    starts: tuple
    offsets: tuple


_DAY = 86400
_FIRST = -2208988800 - _DAY   # 1900-01-01 less a day
_BY_RULE = 4102444800         # 2100: then two changes a year at most, months apart
_LAST = 32503680000 + _DAY    # 3000-01-01 and a day


def _offset(tz: datetime.tzinfo, second: int) -> int:
    at = (EPOCH + datetime.timedelta(seconds=second)).astimezone(tz).utcoffset()
    assert at is not None, 'a zone without offset'
    return at.days * _DAY + at.seconds


@functools.lru_cache(maxsize=32)
def zone_of(tz: Any) -> Zone:
    """Of `Europe/Paris`, `+01:00`, `UTC`, a zoneinfo.ZoneInfo or any tzinfo: found by asking it for each day, from 1900 to
    2999 (each week from 2100 on), and halving the spans in which its offset changes. About 0.2 s for a named zone."""
    if isinstance(tz, str):
        if tz in ('UTC', 'Z'):
            tz = datetime.timezone.utc
        elif tz[:1] in '+-':
            tz = datetime.datetime.strptime(tz, '%z').tzinfo
        else:
            import zoneinfo
            tz = zoneinfo.ZoneInfo(tz)
    if not isinstance(tz, datetime.tzinfo):
        raise TypeError('a zone is a name such as Europe/Paris, an offset such as +01:00, or a tzinfo, not %r' % (tz,))
    name = getattr(tz, 'key', None) or str(tz)
    if isinstance(tz, datetime.timezone):
        offset = tz.utcoffset(None)
        return Zone('UTC' if not offset else name, (_FIRST * 1000000,), (offset.days * _DAY + offset.seconds,))
    starts, offsets = [_FIRST], [_offset(tz, _FIRST)]
    at = _FIRST
    while at < _LAST:
        begin, end = at, at + (_DAY if at < _BY_RULE else 7 * _DAY)
        after = _offset(tz, end)
        while offsets[-1] != after:  # usually one change, but there may be more
            low, high = begin, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(tz, middle) == offsets[-1] else (low, middle)
            starts.append(high)
            offsets.append(_offset(tz, high))
            begin = high
        at = end
    return Zone(name, tuple(start * 1000000 for start in starts), tuple(offsets))


def zone_arrays(zone: Optional[Zone]) -> tuple:
    """(count, starts, offsets) for a call."""
    if zone is None:
        return 0, None, None
    n = len(zone.starts)
    return n, (ctypes.c_int64 * n)(*zone.starts), (ctypes.c_int32 * n)(*zone.offsets)


#: Digits of the currencies of ISO 4217 that have not two.
_DIGITS = {0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF', 3: 'BHD IQD JOD KWD LYD OMR TND',
           4: 'CLF UYW'}


def currency_digits(currency: str) -> int:
    """Decimal digits of a currency by its code."""
    return next((digits for digits, codes in _DIGITS.items() if currency in codes.split()), 2)


# ---- functions on texts


def parse_time(text: str, zone: Any = None) -> datetime.datetime:
    """Reads a time as event files write it: `2024-03-01`, `2024-03-01T10:15:00+01:00`, `@1709288100`. Without an offset it
    is one of `zone` (UTC), and refused where that skips it or has it twice. Aware, in UTC, to the microsecond."""
    out = ctypes.c_int64()
    arrays = zone_arrays(zone_of(zone) if zone is not None else None)
    call(lib.time_parse, encode(text, 'a time'), *arrays, ctypes.byref(out))
    return to_datetime(out.value)


def format_time(value: datetime.datetime) -> str:
    """`2024-03-01T10:15:00Z`, with a fraction only when there is one."""
    if value.tzinfo is None:
        raise ValueError('a time without an offset is no instant; give it a tzinfo')
    out = ctypes.create_string_buffer(40)
    if lib.time_format((value - EPOCH) // _MICROSECOND, out, 40) != 0:
        raise ValueError('%r cannot be written as a time' % (value,))
    return out.value.decode()


def _names(prefix: str, name_of: Any) -> dict[str, int]:
    found = {}
    for constant, value in declared.CONSTANTS.items():
        name = name_of(value) if constant.startswith(prefix) else None
        if name:
            found[name.decode()] = value
    return found


#: Names of kinds of events, and the other vocabularies, with the numbers of the headers.
KINDS = _names('LAPSE_KIND_', lib.kind_name)
CHANNELS = _names('LAPSE_CHANNEL_', lib.channel_name)
PURPOSES = _names('LAPSE_PURPOSE_', lib.purpose_name)
PLATFORMS = _names('LAPSE_PLATFORM_', lib.platform_name)
