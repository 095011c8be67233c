"""Answers: results are streams of tables, tables are typed columns. Nothing is copied but what is asked for as Python
objects; columns, arrays and capsules keep the table that they show."""
from __future__ import annotations

import ctypes
import os
import threading
from array import array
from typing import Any, Iterator, Optional, Union

from . import _arrow
from ._lib import CALLBACKS, DONE, OK, STRUCTS, Handle, Raised, call, constants, declared, lib, need
from ._values import to_datetime, to_decimal, to_short_decimal

TYPES = {value: name for name, value in constants('LAPSE_TYPE_').items()}
_MONEY_INT64 = declared.CONSTANTS['LAPSE_ARROW_MONEY_INT64']


class _Memory:
    """Memory of a table, as NumPy asks for it: read-only, and the table lives while an array of it does."""

    def __init__(self, owner: Any, address: Optional[int], count: int, kind: str) -> None:
        self._owner = owner
        self.__array_interface__ = {'version': 3, 'shape': (count,), 'typestr': kind, 'data': (address, True)}


def describe(fill: Any, pointer: Any, index: int) -> Any:
    column = STRUCTS['lapse_column']()
    column.size = ctypes.sizeof(column)
    if fill(pointer, index, ctypes.byref(column)) != OK:
        raise IndexError('there is no column %d' % index)
    return column


class Column:
    """One column of a table. Its items are int, float, str, Decimal (money and decimals, exact), aware datetime, or None
    for a missing value.

    `name`; `type`: int64, double, string, time, money, decimal; `digits` of money and decimals; `missing`: how many values
    are missing.
    """

    __slots__ = ('_table', '_column', 'name', 'type', 'digits', 'missing')

    def __init__(self, table: Handle, column: Any) -> None:
        self._table, self._column = table, column
        self.name: str = column.name.decode('utf-8')
        self.type: str = TYPES[column.type]
        self.digits: int = column.digits
        self.missing: int = column.missing

    def __len__(self) -> int:
        return self._column.rows

    def __repr__(self) -> str:
        return '<lapse.Column %s: %s, %d rows, %d missing>' % (self.name, self.type, len(self), self.missing)

    def _raw(self, kind: Any, pointer: Any, count: int) -> Any:
        return (kind * count).from_address(ctypes.cast(pointer, ctypes.c_void_p).value)

    def _slice(self, start: int, stop: int) -> list:
        column, n = self._column, stop - start
        if n <= 0:
            return []
        if self.type == 'string':
            offsets = self._raw(ctypes.c_int64, column.offsets, stop + 1)[start:stop + 1]
            text = ctypes.string_at(column.data + offsets[0], offsets[-1] - offsets[0])
            first = offsets[0]
            out: list = [text[a - first:b - first].decode('utf-8') for a, b in zip(offsets, offsets[1:])]
        else:
            kind = ctypes.c_double if self.type == 'double' else ctypes.c_int64
            out = self._raw(kind, column.data, stop)[start:stop]
            if self.type == 'time':
                out = list(map(to_datetime, out))
            elif self.type in ('money', 'decimal'):
                of = to_decimal if self.type == 'money' else to_short_decimal
                out = [of(units, self.digits) for units in out]
        if self.missing:
            bits = self._raw(ctypes.c_uint8, column.validity, (stop + 7) // 8)
            for i in range(start, stop):
                if not bits[i >> 3] >> (i & 7) & 1:
                    out[i - start] = None
        return out

    def __getitem__(self, index: Union[int, slice]) -> Any:
        with self._table:
            if isinstance(index, slice):
                start, stop, step = index.indices(len(self))
                return self._slice(start, stop) if step == 1 else self._slice(0, len(self))[index]
            at = index + len(self) if index < 0 else index
            if not 0 <= at < len(self):
                raise IndexError('row %d of %d' % (index, len(self)))
            return self._slice(at, at + 1)[0]

    def __iter__(self) -> Iterator:
        for start in range(0, len(self), 4096):
            yield from self[start:start + 4096]

    def to_list(self) -> list:
        """All items as Python objects."""
        return self[:]

    def integers(self) -> array:
        """A copy of the numbers of a column of int64, times (microseconds), money or decimals (units of 10**-digits), as an
        array.array('q'). ValueError: some are missing, or they are none."""
        if self.missing or self.type in ('string', 'double'):
            raise ValueError('column %s, %s, %d missing, is none of integers' % (self.name, self.type, self.missing))
        out = array('q')
        with self._table:
            out.frombytes(bytes(self._raw(ctypes.c_int64, self._column.data, len(self))) if len(self) else b'')
        return out

    def numpy(self) -> Any:
        """The column as a NumPy array. Numbers are the table's own memory, read-only, without a copy: int64, float64, times
        as datetime64[us] in UTC, money and decimals as int64 in units of 10**-digits. With missing values it is a masked
        array of the same memory. Strings become an array of objects, which is a copy."""
        numpy = need('numpy', 'Column.numpy()')
        if self.type == 'string':
            return numpy.array(self.to_list(), dtype=object)
        kind = {'double': '<f8', 'time': '<M8[us]'}.get(self.type, '<i8')
        with self._table:
            # The table can be closed while arrays of it live: they are one more owner of it.
            if len(self) == 0:
                return numpy.empty(0, kind)
            lib.table_retain(self._table._pointer)
            keep = Handle(self._table._pointer, lib.table_release, 'table')
            data = numpy.asarray(_Memory(keep, ctypes.cast(self._column.data, ctypes.c_void_p).value, len(self), kind))
            if not self.missing:
                return data
            bits = numpy.asarray(_Memory(keep, ctypes.cast(self._column.validity, ctypes.c_void_p).value,
                                         (len(self) + 7) // 8, '|u1'))
            mask = numpy.unpackbits(bits, bitorder='little', count=len(self)) == 0
        return numpy.ma.MaskedArray(data, mask)


class Row(tuple):
    """A row: a tuple whose items have names too, row['segment'] or row.segment."""

    __slots__ = ()
    columns: tuple = ()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            try:
                return tuple.__getitem__(self, self.columns.index(key))
            except ValueError:
                raise KeyError(key) from None
        return tuple.__getitem__(self, key)

    def __getattr__(self, name: str) -> Any:
        try:
            return tuple.__getitem__(self, self.columns.index(name))
        except ValueError:
            raise AttributeError(name) from None

    def asdict(self) -> dict:
        """{column: value}."""
        return dict(zip(self.columns, self))

    def __repr__(self) -> str:
        return 'Row(%s)' % ', '.join('%s=%r' % pair for pair in zip(self.columns, self))


class Table:
    """Columns of equal length: table['monetary'], table.columns, len(table), rows by iteration. Any thread may read it.

    Every consumer of the Arrow PyCapsule protocol takes it: pyarrow.table(t), polars.DataFrame(t), duckdb's FROM t."""

    def __init__(self, pointer: Any) -> None:
        self._handle = Handle(pointer, lib.table_release, 'table')
        self._columns = [Column(self._handle, describe(lib.table_column, pointer, i))
                         for i in range(lib.table_columns(pointer))]
        self._rows: int = lib.table_rows(pointer)
        #: names, in order
        self.columns: list[str] = [column.name for column in self._columns]

    def __len__(self) -> int:
        return self._rows

    def __repr__(self) -> str:
        return '<lapse.Table %d rows: %s>' % (len(self), ', '.join(self.columns))

    def __getitem__(self, name: Union[str, int]) -> Column:
        if isinstance(name, int):
            return self._columns[name]
        try:
            return self._columns[self.columns.index(name)]
        except ValueError:
            raise KeyError('there is no column %r; there are %s' % (name, ', '.join(self.columns))) from None

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[Row]:
        kind = type('Row', (Row,), {'__slots__': (), 'columns': tuple(self.columns)})
        for start in range(0, len(self), 4096):
            for row in zip(*(column[start:start + 4096] for column in self._columns)):
                yield kind(row)

    def to_dict(self) -> dict[str, list]:
        """{column: items}."""
        return {column.name: column.to_list() for column in self._columns}

    def to_numpy(self) -> dict:
        """{column: Column.numpy()}."""
        return {column.name: column.numpy() for column in self._columns}

    def to_pandas(self, money: str = 'float') -> Any:
        """A pandas.DataFrame: times as datetime64[us, UTC]; money and decimals as `money` says: 'float', the nearest
        double, from which amounts of up to 15 digits come back exactly; 'decimal', Decimal objects; 'units', int64 in units
        of 10**-digits. Missing numbers are NaN, or NA in a column of integers. Strings go through pyarrow where there is
        one, which is faster."""
        pandas = need('pandas', 'Table.to_pandas()')
        if money not in ('float', 'decimal', 'units'):
            raise ValueError("money is 'float', 'decimal' or 'units', not %r" % (money,))
        return pandas.DataFrame({column.name: _series(pandas, column, money) for column in self._columns})

    def to_polars(self) -> Any:
        """A polars.DataFrame; money is a Decimal column there."""
        return need('polars', 'Table.to_polars()').DataFrame(self)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        stream = _arrow.Stream()
        with self._handle as pointer:
            call(lib.table_stream, pointer, 0, ctypes.byref(stream))
        return _arrow.capsule_of(stream)

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple:
        schema, array = _arrow.Schema(), _arrow.Array()
        with self._handle as pointer:
            call(lib.table_export, pointer, 0, ctypes.byref(schema), ctypes.byref(array))
        return _arrow.capsule_of(schema), _arrow.capsule_of(array)

    def __arrow_c_schema__(self) -> Any:
        schema = _arrow.Schema()
        with self._handle as pointer:
            call(lib.table_export, pointer, 0, ctypes.byref(schema), None)
        return _arrow.capsule_of(schema)

    def close(self) -> None:
        """Frees it now; arrays made of it live on."""
        self._handle.close()


def _series(pandas: Any, column: Column, money: str) -> Any:
    if column.type == 'string':
        try:
            import pyarrow
        except ImportError:
            return column.to_list()
        return pyarrow.array(_OneColumn(column)).to_pandas()
    data = column.numpy()
    values, mask = (data.data, data.mask) if column.missing else (data, None)
    if column.type == 'time':
        series = pandas.Series(values)
        return (series if mask is None else series.mask(mask)).dt.tz_localize('UTC')
    if column.type in ('money', 'decimal') and money != 'units':
        if money == 'decimal':
            return pandas.Series(column.to_list(), dtype=object)
        values = values / 10.0 ** column.digits
    series = pandas.Series(values)
    if mask is None:
        return series
    return series.mask(mask) if series.dtype.kind == 'f' else series.astype('Int64').mask(mask)


class _OneColumn:
    """One column as an Arrow array, for consumers of those."""

    def __init__(self, column: Column) -> None:
        self._column = column

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple:
        schema, array = _arrow.Schema(), _arrow.Array()
        with self._column._table as pointer:
            index = lib.table_find(pointer, self._column.name.encode('utf-8'))
            call(lib.table_export, pointer, 0, ctypes.byref(schema), ctypes.byref(array))
        out = []
        for whole in (schema, array):
            one = type(whole)()
            child = whole.children[index].contents
            ctypes.memmove(ctypes.byref(one), ctypes.byref(child), ctypes.sizeof(one))
            child.release = type(child.release)()  # moved out
            whole.release(ctypes.byref(whole))
            out.append(_arrow.capsule_of(one))
        return tuple(out)


class Result:
    """An answer: rows by iteration, or once as one of: parts(), table(), to_csv(), to_pandas(), to_polars(), or whatever
    takes the Arrow PyCapsule protocol, pyarrow.table(r) and polars.DataFrame(r) among them. It is worked out as it is
    read, and read once. `columns` are the names; `notes` what a person should be told beside the rows."""

    def __init__(self, pointer: Any, keep: Any = None, raised: Optional[Raised] = None) -> None:
        self._handle: Optional[Handle] = Handle(pointer, lib.result_free, 'result')
        self._keep, self._raised = keep, raised
        self._lock = threading.Lock()  # one thread at a time
        self._started = False
        self._money = [describe(lib.result_column, pointer, i) for i in range(lib.result_columns(pointer))]
        self.columns: list[str] = [column.name.decode('utf-8') for column in self._money]
        self.notes: list[str] = [lib.result_note(pointer, i).decode('utf-8') for i in range(lib.result_notes(pointer))]

    def __repr__(self) -> str:
        return '<lapse.Result: %s%s>' % (', '.join(self.columns), '' if self._handle else ' (read)')

    def _take(self) -> Handle:
        with self._lock:
            if self._handle is None or self._started:
                raise ValueError('this answer has been read; ask for it again, or keep its table()')
            self._started = True
            return self._handle

    def parts(self) -> Iterator[Table]:
        """Tables of at most 65,536 rows each."""
        handle = self._take()
        return self._parts(handle)

    def _parts(self, handle: Handle) -> Iterator[Table]:
        while True:
            out = ctypes.c_void_p()
            with self._lock, handle as pointer:
                status = call(lib.result_next, pointer, ctypes.byref(out), raised=self._raised, also=(DONE,))
            if status == DONE:
                self.close()
                return
            yield Table(out)

    def __iter__(self) -> Iterator[Row]:
        for part in self.parts():
            yield from part

    def table(self) -> Table:
        """All of it as one table, with the memory that this needs."""
        out = ctypes.c_void_p()
        with self._take() as pointer, self._lock:
            call(lib.result_collect, pointer, ctypes.byref(out), raised=self._raised)
        self.close()
        return Table(out)

    def to_csv(self, target: Any = None) -> Optional[str]:
        """Writes it as CSV to a path or to a file open for bytes; without either it is returned as text."""
        pieces: list[bytes] = []
        raised = self._raised or Raised()
        if target is None:
            put = pieces.append
        elif hasattr(target, 'write'):
            put = target.write
        else:
            with open(os.fspath(target), 'wb') as file:
                self.to_csv(file)
            return None

        def write(_: Any, data: int, size: int) -> int:
            put(ctypes.string_at(data, size))
            return 0

        with self._take() as pointer, self._lock:
            call(lib.result_write_csv, pointer, CALLBACKS['lapse_write_fn'](raised.wrap(write, 1)), None, raised=raised)
        self.close()
        return b''.join(pieces).decode('utf-8') if target is None else None

    def to_dict(self) -> dict[str, list]:
        """{column: items}."""
        return self.table().to_dict()

    def to_numpy(self) -> dict:
        """{column: array}, see Column.numpy()."""
        return self.table().to_numpy()

    def to_pandas(self, money: str = 'float') -> Any:
        """See Table.to_pandas()."""
        return self.table().to_pandas(money)

    def to_polars(self) -> Any:
        """A polars.DataFrame; money is a Decimal column there."""
        return need('polars', 'Result.to_polars()').DataFrame(self)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        stream = _arrow.Stream()
        with self._take() as pointer, self._lock:
            call(lib.result_export, pointer, 0, ctypes.byref(stream))
        handle, self._handle = self._handle, None
        assert handle is not None
        handle._free.detach()  # it belongs to the stream now
        return _arrow.capsule_of(stream, self._keep)

    def __arrow_c_schema__(self) -> Any:
        schema = _arrow.Schema()
        if self._handle is None:
            raise ValueError('this answer has been read; ask for it again, or keep its table()')
        with self._handle as pointer:
            call(lib.result_schema, pointer, 0, ctypes.byref(schema))
        return _arrow.capsule_of(schema)

    def close(self) -> None:
        """Frees it; tables made of it live on."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    def __enter__(self) -> 'Result':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

