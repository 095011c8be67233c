"""The Arrow PyCapsule protocol: structs handed over in capsules, and streams made of Python's own columns.

https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
"""
from __future__ import annotations

import ctypes
from typing import Any, Iterator, Optional

from ._lib import STRUCTS

Schema, Array, Stream = STRUCTS['ArrowSchema'], STRUCTS['ArrowArray'], STRUCTS['ArrowArrayStream']
_NAMES = {Schema: b'arrow_schema', Array: b'arrow_array', Stream: b'arrow_array_stream'}

_api = ctypes.pythonapi
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(('PyCapsule_New', _api))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(('PyCapsule_GetPointer', _api))
# In a destructor the capsule has no owner any more, and must not get one: it goes by its address.
_dying_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(('PyCapsule_GetName', _api))
_dying_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(('PyCapsule_GetPointer', _api))

#: Structs that a capsule has, by address, and what must live as long.
_live: dict[int, tuple] = {}


@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
def _destroy(capsule: int) -> None:
    struct, _ = _live.pop(_dying_pointer(capsule, _dying_name(capsule)))
    if struct.release:
        struct.release(ctypes.byref(struct))


def capsule_of(struct: Any, keep: Any = None) -> Any:
    """A capsule that owns a filled struct, and releases it unless its consumer has taken it."""
    address = ctypes.addressof(struct)
    _live[address] = (struct, keep)
    return _new(address, _NAMES[type(struct)], ctypes.cast(_destroy, ctypes.c_void_p))


def stream_in(capsule: Any) -> Any:
    """The stream that a capsule holds."""
    return Stream.from_address(_pointer(capsule, _NAMES[Stream]))


# ---- streams of our own, for columns that know no Arrow


class Column:
    """Values as Arrow lays them out: a format, buffers (None, or objects whose memory is kept), missing values."""

    def __init__(self, name: str, format: str, length: int, buffers: list, missing: int = 0) -> None:
        self.name, self.format, self.length, self.buffers, self.missing = name, format, length, buffers, missing


def _address(buffer: Any) -> Optional[int]:
    if buffer is None:
        return None
    if isinstance(buffer, bytes):
        return ctypes.cast(ctypes.c_char_p(buffer), ctypes.c_void_p).value
    if hasattr(buffer, 'buffer_info'):  # array.array
        return buffer.buffer_info()[0]
    return buffer.ctypes.data           # a NumPy array


_FIELDS = {kind: dict(kind._fields_) for kind in (Schema, Array, Stream)}
_no_schema, _no_array, _no_stream = (_FIELDS[kind]['release'] for kind in (Schema, Array, Stream))


@_no_schema
def _release_schema(schema: Any) -> None:
    schema.contents.release = _no_schema()


@_no_array
def _release_array(array: Any) -> None:
    array.contents.release = _no_array()


class Producer:
    """A stream of tables, each a list of Columns of the same names and formats. `stream` is good until the producer goes;
    all that it hands out is used up within the call that it is handed to. What making a table raises is kept in `raised`."""

    def __init__(self, tables: Iterator, raised: Any) -> None:
        self._tables, self._raised = tables, raised
        self._next: Optional[list] = None
        self._kept: list = []
        fields = _FIELDS[Stream]
        self.stream = Stream(fields['get_schema'](raised.wrap(self._get_schema, 5)),
                             fields['get_next'](raised.wrap(self._get_next, 5)),
                             fields['get_last_error'](lambda stream: None), fields['release'](self._release))

    def _release(self, stream: Any) -> None:
        stream.contents.release = _no_stream()

    def _get_schema(self, _: Any, out: Any) -> int:
        self._next = next(self._tables)
        names = [column.name.encode('utf-8') for column in self._next]
        formats = [column.format.encode() for column in self._next]
        children = (Schema * len(names))()
        for child, name, format in zip(children, names, formats):
            child.format, child.name, child.flags, child.release = _text(format), _text(name), 2, _release_schema
        out.contents.format, out.contents.name = _text(b'+s'), _text(b'')
        out.contents.n_children, out.contents.children = len(names), _pointers(children)
        out.contents.release = _release_schema
        self._kept.append((names, formats, children, out.contents.children))
        return 0

    def _get_next(self, _: Any, out: Any) -> int:
        columns = self._next if self._next is not None else next(self._tables, None)
        self._next = None
        if columns is None:
            return 0
        children = (Array * len(columns))()
        keep: list = [columns, children]
        for child, column in zip(children, columns):
            buffers = (ctypes.c_void_p * len(column.buffers))(*map(_address, column.buffers))
            keep.append(buffers)
            child.length, child.null_count, child.n_buffers = column.length, column.missing, len(column.buffers)
            child.buffers = ctypes.cast(buffers, type(child.buffers))
            child.release = _release_array
        nothing = (ctypes.c_void_p * 1)()
        array = out.contents
        array.length = columns[0].length if columns else 0
        array.n_buffers, array.buffers = 1, ctypes.cast(nothing, type(array.buffers))
        array.n_children, array.children = len(columns), _pointers(children)
        # Its memory goes when it is released, so that a long stream needs that of a few tables only.
        array.release = self._keep([keep, nothing, array.children])
        return 0

    def _keep(self, what: list) -> Any:
        self._kept.append(what)

        def release(array: Any) -> None:
            array.contents.release = _no_array()
            what.clear()
        function = _no_array(release)
        self._kept.append(function)
        return function


def _text(data: bytes) -> Any:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p)


def _pointers(children: Any) -> Any:
    kind = type(children)._type_
    return ctypes.cast((ctypes.POINTER(kind) * max(1, len(children)))(*map(ctypes.pointer, children)),
                       ctypes.POINTER(ctypes.POINTER(kind)))
