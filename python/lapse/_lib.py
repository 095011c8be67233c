"""The shared library and every function of its headers as ctypes sees it.

Types come from the table in _declarations.py, so that a new function of a header needs no line here. Calls let go of the
interpreter's lock, since CDLL does; a handle is kept from being freed while any thread is inside a call with it.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import glob
import os
import re
import sys
import threading
import weakref
from typing import Any, Callable, Mapping, Optional

from . import _declarations as declared
from ._errors import error_of

_NUMBERS = {'int32_t': ctypes.c_int32, 'uint32_t': ctypes.c_uint32, 'int64_t': ctypes.c_int64, 'uint64_t': ctypes.c_uint64,
            'uint8_t': ctypes.c_uint8, 'double': ctypes.c_double, 'size_t': ctypes.c_size_t}

STRUCTS: dict[str, Any] = {}
CALLBACKS: dict[str, Any] = {}


def _split(parameters: str) -> list[str]:
    """Types of `void *user, int64_t done`."""
    return [re.sub(r'\w+$', '', part.strip()).strip() for part in parameters.split(',') if part.strip() != 'void']


def c_type(text: str, sized: bool = False) -> Any:
    """The ctypes type of a C type as headers write it. `sized`: a `char *` has its length beside it, and may hold NUL."""
    function = re.fullmatch(r'(.*?) \(\*\)\((.*)\)', text)
    if function:
        return ctypes.CFUNCTYPE(c_type(function[1], True), *(c_type(kind, True) for kind in _split(function[2])))
    text = text.replace('const ', '').replace('struct ', '')
    text = declared.ALIASES.get(text, text)
    plain = re.fullmatch(r'(\w+) ?(\**)', text)
    assert plain, text
    base, stars = plain.groups()
    if base == 'void':
        return {'': None, '*': ctypes.c_void_p}.get(stars, ctypes.POINTER(ctypes.c_void_p))
    if base == 'char':
        pointer = ctypes.c_void_p if sized else ctypes.c_char_p
        return {'': ctypes.c_char, '*': pointer}.get(stars, ctypes.POINTER(ctypes.c_char_p))
    if base in declared.HANDLES:
        return ctypes.c_void_p if stars == '*' else ctypes.POINTER(ctypes.c_void_p)
    kind = _NUMBERS.get(base) or CALLBACKS.get(base) or STRUCTS[base]
    for _ in stars:
        kind = ctypes.POINTER(kind)
    return kind


class _Struct(ctypes.Structure):
    """ctypes cuts a number to the bits of its field; here it is refused, by name."""

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except TypeError as error:
            raise TypeError('%s: %s' % (name, error)) from None
        taken = getattr(self, name)
        if isinstance(value, int) and isinstance(taken, int) and taken != value:
            raise OverflowError('%s: %d is out of range' % (name, value))


def _declare() -> None:
    for name in declared.STRUCTS:
        STRUCTS[name] = type(name, (_Struct,), {'__doc__': 'As in the public headers.'})
    for name, (result, kinds) in declared.CALLBACKS.items():
        CALLBACKS[name] = ctypes.CFUNCTYPE(c_type(result, True), *(c_type(kind, True) for kind in kinds))
    left = dict(declared.STRUCTS)
    while left:  # in any order: structs hold pointers to each other, none of them another
        name, members = left.popitem()
        names = {member for member, _, _ in members}
        fields = []
        for member, kind, count in members:
            sized = bool(names & {member + '_offsets', member + '_size', member + '_validity'}) or name.startswith('Arrow')
            field = c_type(kind, sized)
            fields.append((member, field * int(count) if count else field))
        STRUCTS[name]._fields_ = fields


_declare()


class _Library:
    """Functions as attributes, without their prefix: `lib.store_open`."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError('the library has no function lapse_' + name)

    def __init__(self, path: str) -> None:
        self.path = path
        self._dll = ctypes.CDLL(path)
        missing = []
        for name, (result, kinds) in declared.FUNCTIONS.items():
            try:
                function = getattr(self._dll, name)
            except AttributeError:
                missing.append(name)
                continue
            function.restype = c_type(result)
            function.argtypes = [c_type(kind) for kind in kinds]
            setattr(self, name[len('lapse_'):], function)
        if missing:
            raise ImportError('%s is another version of lapse than this package: it lacks %s' %
                              (path, ', '.join(missing)))


def _candidates() -> list[str]:
    """LAPSE_LIBRARY; the library in this package; that of the system."""
    named = os.environ.get('LAPSE_LIBRARY')
    if named:
        return [named]
    here = os.path.dirname(os.path.abspath(__file__))
    found = sorted(path for end in ('so*', 'dylib', 'dll') for path in glob.glob(os.path.join(here, 'liblapse*.' + end)))
    system = ctypes.util.find_library('lapse')
    plain = {'darwin': 'liblapse.0.dylib', 'win32': 'lapse-0.dll'}.get(sys.platform, 'liblapse.so.0')
    return found + ([system] if system else []) + [plain]


def _load() -> _Library:
    reasons = []
    for path in _candidates():
        try:
            return _Library(path)
        except OSError as problem:
            reasons.append(str(problem))
    raise ImportError('the lapse library was not found (%s); install it, or set LAPSE_LIBRARY to its path' %
                      '; '.join(reasons))


lib = _load()


def constants(prefix: str) -> dict[str, int]:
    """Constants of the headers by the rest of their names in lower case: constants('LAPSE_EVERY_')['month']."""
    return {name[len(prefix):].lower(): value for name, value in declared.CONSTANTS.items() if name.startswith(prefix)}


STATUS = {value: name for name, value in constants('LAPSE_').items()
          if name in 'ok done no_memory invalid bad_input not_found overflow cancelled io damaged unsupported busy stale '
                     'forked read_only erase_pending'.split()}
OK, DONE = 0, 1


class Raised:
    """Keeps what a callback raised until the call that it was made in has come back."""

    def __init__(self) -> None:
        self.exception: Optional[BaseException] = None

    def wrap(self, function: Callable, failed: int) -> Callable:
        def guarded(*args):
            try:
                return function(*args)
            except BaseException as problem:  # whatever it is goes to whoever made the call
                self.exception = problem
                return failed
        return guarded


def call(function: Callable, *args: Any, raised: Optional[Raised] = None, also: tuple = ()) -> int:
    """Calls a function whose last parameter is a lapse_error, and raises what it tells. Statuses in `also` are returned."""
    error = STRUCTS['lapse_error']()
    error.size = ctypes.sizeof(error)
    status = function(*args, ctypes.byref(error))
    if raised is not None and raised.exception is not None:
        exception, raised.exception = raised.exception, None
        raise exception
    if status != OK and status not in also:
        raise error_of(status, STATUS.get(status, ''), error)
    return status


def check(status: int, message: str = '') -> None:
    """Raises for the status of a function that has no lapse_error."""
    if status != OK:
        error = STRUCTS['lapse_error']()
        error.message = message.encode('utf-8')
        raise error_of(status, STATUS.get(status, ''), error)


def new_struct(name: str, members: Optional[Mapping[str, Any]] = None) -> Any:
    """A size-first struct, filled by its _init function where there is one, and then with those members that are not None.
    A string buffer is a pointer in it, and must be kept."""
    struct = STRUCTS[name]()
    init = getattr(lib, name[len('lapse_'):] + '_init', None)
    if init is None:
        struct.size = ctypes.sizeof(struct)
    elif init(ctypes.byref(struct), ctypes.sizeof(struct)) != OK:
        raise ImportError('%s is another version of lapse than this package: %s' % (lib.path, name))
    for member, value in (members or {}).items():
        if value is not None:
            setattr(struct, member, ctypes.addressof(value) if hasattr(value, 'raw') else value)
    return struct


class Handle:
    """An opaque pointer, freed once: when nobody has it any more, or by close(), and then when no call is inside.

        with handle as pointer: ...
    """

    def __init__(self, pointer: Any, free: Callable, what: str) -> None:
        self._pointer, self._what = pointer, what
        self._users, self._closed = 0, False
        self._lock = threading.Lock()
        self._free = weakref.finalize(self, free, pointer)

    def __enter__(self) -> Any:
        with self._lock:
            if self._closed:
                raise ValueError('this %s is closed' % self._what)
            self._users += 1
        return self._pointer

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            self._users -= 1
            free = self._closed and self._users == 0
        if free:
            self._free()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            free = self._users == 0
        if free:
            self._free()

    @property
    def closed(self) -> bool:
        return self._closed


def need(package: str, what: str) -> Any:
    """Imports a package that only `what` needs."""
    try:
        return __import__(package)
    except ImportError:
        raise ImportError('%s needs %s, which is not installed: pip install %s' % (what, package, package)) from None

