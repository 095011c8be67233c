"""Events from Python: rows as dicts, columns as lists or NumPy arrays, and whatever speaks the Arrow PyCapsule protocol,
all brought to one stream of Arrow arrays. Lists become texts as event files hold them, so that the one set of rules that
reads a file reads them too; NumPy arrays of numbers and times are handed over as they lie."""
from __future__ import annotations

import itertools
from array import array
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Iterable, Iterator, Optional

from ._arrow import Column
from ._values import datetime, instant_text

_ROWS = 16384  # of a table made of rows


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return '1' if value else '0'
    if isinstance(value, (datetime.date, datetime.datetime)):
        return instant_text(value)
    if isinstance(value, float):
        return '' if value != value else _plain(value)
    if isinstance(value, Decimal):
        return format(value, 'f') if value == value else ''
    if hasattr(value, 'item'):  # a NumPy scalar
        return instant_text(value) if type(value).__name__ == 'datetime64' else text_of(value.item())
    return str(value)


def _plain(value: float) -> str:
    """The shortest decimal that reads back, without an exponent."""
    text = repr(value)
    return format(Decimal(text), 'f') if 'e' in text else text


def text_column(name: str, values: Iterable) -> Column:
    """None is missing, and so are NaN and NaT."""
    pieces, offsets, at = [], array('q', [0]), 0
    for value in values:
        if value is not None:
            piece = text_of(value).encode('utf-8')
            pieces.append(piece)
            at += len(piece)
        offsets.append(at)
    return Column(name, 'U', len(offsets) - 1, [None, offsets, b''.join(pieces)])


def _numpy_column(name: str, values: Any) -> Column:
    """`values`: a NumPy array of one dimension, masked perhaps."""
    import numpy
    if values.ndim != 1:
        raise ValueError('column %s has %d dimensions, not 1' % (name, values.ndim))
    mask: Any = numpy.ma.getmaskarray(values) if isinstance(values, numpy.ma.MaskedArray) else None
    values = numpy.ascontiguousarray(values.data if mask is not None else values)
    kind, bits, length = values.dtype.kind, values.dtype.itemsize * 8, len(values)
    format = {('i', 8): 'c', ('i', 16): 's', ('i', 32): 'i', ('i', 64): 'l', ('u', 8): 'C', ('u', 16): 'S', ('u', 32): 'I',
              ('u', 64): 'L', ('f', 32): 'f', ('f', 64): 'g', ('b', 8): 'b'}.get((kind, bits))
    if kind == 'M':
        unit, count = numpy.datetime_data(values.dtype)
        if unit not in ('s', 'ms', 'us', 'ns') or count != 1:
            values = values.astype('M8[s]')
            unit = 's'
        format = 'ts%s:' % {'s': 's', 'ms': 'm', 'us': 'u', 'ns': 'n'}[unit]
        mask = numpy.isnat(values) if mask is None else mask | numpy.isnat(values)
    if format is None:
        items = values.tolist()
        return text_column(name, items if mask is None else (None if gone else item for item, gone in zip(items, mask)))
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder('='))
    if kind == 'b':
        values = numpy.packbits(values, bitorder='little')
    validity = numpy.packbits(~mask, bitorder='little') if mask is not None and mask.any() else None
    return Column(name, format, length, [validity, values], int(mask.sum()) if validity is not None else 0)


def _columns(columns: Mapping) -> list[Column]:
    out: list[Column] = []
    for name, values in columns.items():
        if type(values).__module__ == 'numpy' or type(values).__module__.startswith('numpy.'):
            column = _numpy_column(str(name), values)
        elif isinstance(values, str) or not hasattr(values, '__iter__'):
            raise TypeError('column %s is a list or an array of values, not %r' % (name, values))
        else:
            column = text_column(str(name), values)
        if out and column.length != out[0].length:
            raise ValueError('column %s has %d values, column %s has %d' % (out[0].name, out[0].length, name, column.length))
        out.append(column)
    if not out:
        raise ValueError('there are no columns')
    return out


def _tables_of_rows(rows: Iterator) -> Iterator[list[Column]]:
    first = next(rows, None)
    chunk = ([] if first is None else [first]) + list(itertools.islice(rows, _ROWS))
    names: list[str] = list(dict.fromkeys(name for row in chunk for name in _row(row))) or ['customer', 'time']
    known = set(names)
    while True:
        for row in chunk:
            if not known.issuperset(_row(row)):
                raise ValueError('a row has a column that the first %d rows have not: %s' %
                                 (_ROWS, ', '.join(sorted(set(row) - known))))
        yield [text_column(name, (row.get(name) for row in chunk)) for name in names]
        chunk = list(itertools.islice(rows, _ROWS))
        if not chunk:
            return


def _row(row: Any) -> Mapping:
    if not isinstance(row, Mapping):
        raise TypeError('an event is a dict such as {"customer": "ann", "time": "2024-03-01"}, not %r' % (row,))
    return row


def tables_of(events: Any) -> Optional[Iterator[list[Column]]]:
    """None: the events are a stream of their own. A frame without pyarrow is read column by column."""
    if isinstance(events, Mapping):
        return iter([_columns(events)])
    if hasattr(events, '__arrow_c_stream__'):
        return None
    if hasattr(events, 'columns') and hasattr(events, '__getitem__'):
        return iter([_columns({name: events[name].to_numpy() for name in events.columns})])
    if isinstance(events, (str, bytes)) or not hasattr(events, '__iter__'):
        raise TypeError('events are dicts, a dict of columns, or a data frame, not %r; import_csv() reads files' % (events,))
    return _tables_of_rows(iter(events))
