"""Why a call failed: one exception for each status of the library, all of them lapse.Error."""
from __future__ import annotations

import re
from typing import Any, Optional


class Error(Exception):
    """What the library told. str() is its message: what, where, which rule."""

    #: name of the status, as lapse_status_name() has it
    status: str = ''
    #: physical line of a file, header = 1; None without one
    line: Optional[int] = None
    #: number of the row of a batch or frame, from 0; None without one
    row: Optional[int] = None
    #: the column as the input names it, the text found, the rule broken; '' without one
    column: str = ''
    text: str = ''
    rule: str = ''


class NoMemory(Error, MemoryError):
    """An allocation failed; nothing changed."""


class Invalid(Error, ValueError):
    """An argument breaks a rule; nothing changed."""


class BadInput(Error, ValueError):
    """A file, row, id, time, number or setting was refused; nothing changed."""


class NotFound(Error, LookupError):
    """No such customer, setting, name or event."""


class Overflow(Error, OverflowError):
    """An exact result does not fit 64 bits."""


class Cancelled(Error):
    """A callback returned something true; nothing changed."""


class IOFailure(Error, OSError):
    """The operating system, or a stream, refused to read or write."""


class Damaged(Error):
    """What is stored does not match its checksum or its format."""


class Unsupported(Error):
    """The file needs a newer library."""


class Busy(Error):
    """Another writer holds the store, waited for the timeout."""


class Stale(Error):
    """What this view reads was rewritten by another process; open it again."""


class Forked(Error):
    """The handle was made before a fork."""


class ReadOnly(Error):
    """The store was opened read-only."""


class ErasePending(Error):
    """The customers are forgotten, as `forgotten` tells, but somebody still reads old pages, so bytes of theirs may lie in
    the write-ahead log; the next Store.forget() empties it, one of nobody does no more than that."""

    #: lapse.Forgotten: what went
    forgotten: Any = None


_BY_STATUS = {'no_memory': NoMemory, 'invalid': Invalid, 'bad_input': BadInput, 'not_found': NotFound,
              'overflow': Overflow, 'cancelled': Cancelled, 'io': IOFailure, 'damaged': Damaged,
              'unsupported': Unsupported, 'busy': Busy, 'stale': Stale, 'forked': Forked, 'read_only': ReadOnly,
              'erase_pending': ErasePending}


# Rules say what leads on in the words of the command; here these are arguments.
_ARGUMENTS = {'--on-error skip': 'skip_bad_rows=True', '--ignore-unknown': 'ignore_unknown=True',
              '--negative refund': "negative='refund'", '--replace': 'replace=True',
              '--map customer=COLUMN': "map={'customer': COLUMN}", '--map time=COLUMN': "map={'time': COLUMN}", '--map': 'map',
              '--kind': 'kind', '--time-format': 'time_format', '--source': 'source_name', '--digits': 'digits',
              '--segments': 'segments', '--adopt-policy': 'adopt_policy=True'}
_OPTION = re.compile('(?:%s)(?![a-z-])' % '|'.join(sorted(map(re.escape, _ARGUMENTS), key=len, reverse=True)))


def in_python(told: str) -> str:
    """What the library told, with arguments for options."""
    return _OPTION.sub(lambda option: _ARGUMENTS[option[0]], told)


def error_of(status: int, name: str, error: Any) -> Error:
    """The exception for a status and a lapse_error, which may be empty."""
    def text(value: bytes) -> str:
        return value.decode('utf-8', 'replace')

    out = _BY_STATUS.get(name, Error)(in_python(text(error.message)) or name.replace('_', ' ') or 'status %d' % status)
    out.status = name
    if error.status == status:
        out.line = error.line or None
        out.row = error.row if error.row >= 0 and error.line == 0 and error.column else None
        out.column, out.text, out.rule = in_python(text(error.column)), text(error.text), in_python(text(error.rule))
    return out
