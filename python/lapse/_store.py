"""Stores: events in, views of them, changes told once, upkeep and erasure."""
from __future__ import annotations

import ctypes
import datetime
import os
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, Union

from . import _arrow, _events
from ._errors import Damaged, ErasePending, NotFound, in_python
from ._lib import CALLBACKS, Handle, Raised, call, constants, declared, lib, new_struct
from ._policy import Progress, policy_of, progress_into
from ._tables import Result
from ._values import (Instant, Zone, currency_digits, encode, instant_text, number_of, optional, parse_time, to_datetime,
                      zone_arrays, zone_of)
from ._view import View

Path = Union[str, 'os.PathLike[str]']


class Counts(NamedTuple):
    """What became of the rows of one call; read is the sum of the others."""
    read: int        #: rows handed in
    accepted: int    #: stored
    duplicate: int   #: were there already
    conflict: int    #: another event under an identity that is taken; the first stays
    erased: int      #: of a customer who was forgotten
    rejected: int    #: break a rule (only with skip_bad_rows)


class Reject(NamedTuple):
    """A row that was not stored."""
    outcome: str     #: 'rejected' or 'conflict'
    line: int        #: line of a file, header = 1; number of the row of a frame, from 0
    column: str      #: as the input names it
    text: str        #: what stood there
    rule: str        #: the rule broken
    row: bytes       #: the row of a file as it stood, without its line end


class Forgotten(NamedTuple):
    """What forget() removed."""
    customers: int
    events: int      #: of theirs


class Verification(NamedTuple):
    """What verify() found."""
    ok: bool
    blocks: int
    events: int
    customers: Optional[int]                #: None when they cannot be counted
    problems: list                          #: a text for each thing that is damaged


class Store:
    """Events, in one file or in memory; made by lapse.open(). Any number of threads may use one."""

    def __init__(self, pointer: Any, path: Optional[str]) -> None:
        self._handle = Handle(pointer, lib.store_close, 'store')
        self.path = path
        #: decimal digits of the currency
        self.digits: int = lib.store_digits(pointer)

    def __repr__(self) -> str:
        return '<lapse.Store %s%s>' % (self.path or 'in memory', ' (closed)' if self._handle.closed else '')

    def __enter__(self) -> 'Store':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Gives it up; views and results of it stay usable."""
        self._handle.close()

    # ---- events in

    def _import(self, function: Callable, arguments: tuple, skip_bad_rows: bool, ignore_unknown: bool, negative: str,
                dry_run: bool, keep_all: bool, policy: Any, on_reject: Any, progress: Any, received_at: Any,
                settings: dict, raised: Optional[Raised] = None) -> Counts:
        options, counts = new_struct('lapse_import_options'), new_struct('lapse_counts')
        raised = raised or Raised()
        if negative not in ('reject', 'refund'):
            raise ValueError("negative is 'reject' or 'refund', not %r" % (negative,))
        for name, flag in (('SKIP_BAD_ROWS', skip_bad_rows or on_reject is not None), ('IGNORE_UNKNOWN', ignore_unknown),
                           ('NEGATIVE_REFUND', negative == 'refund'), ('DRY_RUN', dry_run), ('KEEP_ALL', keep_all)):
            options.flags |= declared.CONSTANTS['LAPSE_IMPORT_' + name] if flag else 0
        for name, value in settings.items():
            if value is not None:
                setattr(options, name, encode(value, name) if isinstance(value, str) else value)
        if received_at is not None:
            options.received_at = self.time(received_at)
        keep = [progress_into(options, progress, raised)]

        def told(_: Any, reject: Any) -> int:
            r = reject.contents
            row = Reject('conflict' if r.outcome == declared.CONSTANTS['LAPSE_ROW_CONFLICT'] else 'rejected', r.line,
                         r.column.decode('utf-8', 'replace'), r.text.decode('utf-8', 'replace'),
                         in_python(r.rule.decode('utf-8', 'replace')), ctypes.string_at(r.row, r.row_size))
            return 1 if on_reject(row) else 0
        if on_reject is not None:
            options.on_reject = CALLBACKS['lapse_reject_fn'](raised.wrap(told, 1))
            keep.append(options.on_reject)
        with self._handle as store, policy_of(policy) as settings_of_policy:
            options.policy = settings_of_policy
            call(function, store, *arguments, ctypes.byref(options), ctypes.byref(counts), raised=raised)
        return Counts(*(getattr(counts, name) for name in Counts._fields))

    def import_csv(self, source: Any, *, map: Optional[Mapping[str, str]] = None, kind: Optional[str] = None,
                   time_format: Optional[str] = None, delimiter: str = ',', name: Optional[str] = None,
                   source_name: Optional[str] = None, skip_bad_rows: bool = False, ignore_unknown: bool = False,
                   negative: str = 'reject', dry_run: bool = False, keep_all: bool = False,
                   received_at: Optional[Instant] = None, policy: Any = None, threads: int = 1,
                   on_reject: Optional[Callable[[Reject], Any]] = None, progress: Optional[Progress] = None) -> Counts:
        """Imports an event file, a path or a file open for bytes, in one durable commit; a failure stores nothing.

        map: {field: column} or {'amount': 'Quantity*UnitPrice'}. kind: of rows without one. time_format: of times, as
        '%m/%d/%Y %H:%M'. source_name: of rows without event_id where the file has no source column (the base name of the
        path). skip_bad_rows: store the good rows; on_reject, which implies it, is told of each other as a Reject.
        negative: 'refund' takes a negative order line as a refund. received_at: later events are bad rows.
        progress(bytes_read, bytes_or_-1): something true cancels. threads: to parse, sort and merge with, 1 to 64. See
        docs/events.md.
        """
        mapping = ','.join('%s=%s' % pair for pair in map.items()) if map else None
        if len(delimiter) != 1 or ord(delimiter) > 127:
            raise ValueError('a delimiter is one ASCII character, not %r' % (delimiter,))
        settings = {'map': mapping, 'kind': kind, 'time_format': time_format, 'delimiter': ord(delimiter),
                    'source': source_name, 'name': name, 'threads': threads}
        raised, keep = Raised(), None
        arguments: tuple
        if hasattr(source, 'read'):
            def read(_: Any, buffer: int, capacity: int) -> int:
                data = source.read(capacity)
                if not isinstance(data, (bytes, bytearray)):
                    raise TypeError('the file is not open for bytes: read() gave %s' % type(data).__name__)
                ctypes.memmove(buffer, bytes(data), len(data))
                return len(data)
            keep = CALLBACKS['lapse_read_fn'](raised.wrap(read, -1))
            function, arguments = lib.store_import_stream, (keep, None)
        else:
            function, arguments = lib.store_import_file, (os.fsencode(os.fspath(source)),)
        return self._import(function, arguments, skip_bad_rows, ignore_unknown, negative, dry_run, keep_all, policy,
                            on_reject, progress, received_at, settings, raised)

    def append(self, events: Any, *, map: Optional[Mapping[str, str]] = None, kind: Optional[str] = None,
               time_format: Optional[str] = None, name: Optional[str] = None, source: Optional[str] = None,
               skip_bad_rows: bool = False, ignore_unknown: bool = False, negative: str = 'reject', dry_run: bool = False,
               keep_all: bool = False, received_at: Optional[Instant] = None, policy: Any = None, threads: int = 1,
               on_reject: Optional[Callable[[Reject], Any]] = None, progress: Optional[Progress] = None) -> Counts:
        """Stores events in one durable commit; a failure stores nothing.

        events: dicts such as {'customer': 'ann', 'time': datetime, 'amount': Decimal('19.99')}, as a list or whatever
        yields them, in bounded memory; or one dict of columns, lists or NumPy arrays; or a data frame: whatever has
        __arrow_c_stream__ (polars, pyarrow, pandas with pyarrow, DuckDB results, answers of this package).

        Columns are those of an event file (docs/events.md). Amounts are in major units and exact: int, Decimal, text, or
        a double that is the nearest to a decimal with the currency's digits; other doubles are bad rows. Times: aware
        datetimes; naive ones, dates and texts without offset are of the store's zone. None, NaN and '' are missing.

        source: of rows without event_id where there is no such column; the same rows again under it are duplicates.
        Everything else as import_csv(); lines are numbers of rows, from 0, and progress is told rows.
        """
        mapping = ','.join('%s=%s' % pair for pair in map.items()) if map else None
        settings = {'map': mapping, 'kind': kind, 'time_format': time_format, 'source': source, 'name': name,
                    'threads': threads}
        raised = Raised()
        tables = _events.tables_of(events)
        if tables is None:
            capsule = events.__arrow_c_stream__()
            stream = _arrow.stream_in(capsule)
        else:
            producer = _arrow.Producer(tables, raised)
            stream = producer.stream
        return self._import(lib.store_import_arrow, (ctypes.byref(stream),), skip_bad_rows, ignore_unknown, negative, dry_run,
                            keep_all, policy, on_reject, progress, received_at, settings, raised)

    # ---- questions

    def time(self, value: Instant) -> int:
        """An instant in microseconds since 1970-01-01 UTC."""
        out = ctypes.c_int64()
        with self._handle as pointer:
            call(lib.store_time, pointer, encode(instant_text(value), 'a time'), ctypes.byref(out))
        return out.value

    def default_instant(self) -> datetime.datetime:
        """The first instant of the day after the last event. NotFound: there are no events."""
        out = ctypes.c_int64()
        with self._handle as pointer:
            call(lib.store_default_instant, pointer, ctypes.byref(out))
        return to_datetime(out.value)

    def view(self, as_of: Optional[Instant] = None) -> View:
        """The store at an instant, inclusive; at default_instant() when none is named. Cheap."""
        at = self.time(self.default_instant() if as_of is None else as_of)
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.view_open, pointer, at, ctypes.byref(out))
        return View(self, out)

    def everything(self) -> View:
        """A view of all events there are, also later ones; for history() and events(), not for answers that count days."""
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.view_open, pointer, 2 ** 63 - 1, ctypes.byref(out))
        return View(self, out)

    def info(self) -> dict[str, Any]:
        """customers, events, first_time, last_time, kind.NAME, bytes, format, zone, digits. A pass over the store."""
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.store_info, pointer, ctypes.byref(out))
        found: dict[str, Any] = dict(tuple(row) for row in Result(out))
        for name, text in found.items():
            if name in ('first_time', 'last_time'):
                found[name] = _instant(text)
            elif name != 'zone':
                found[name] = int(text) if text else None
        return found

    # ---- changes, each told once

    def advance(self, as_of: Instant, *, baseline: bool = False, adopt_policy: bool = False, limit: Optional[int] = None,
                policy: Any = None, progress: Optional[Progress] = None) -> Result:
        """What has changed since the call before, as records that are kept in the store until acknowledge() confirms them;
        those that are not confirmed come again, first, with the same seq. seq, customer, region, key, from, to,
        effective_time, cause, corrected: see docs/changes.md.

        as_of: the present instant, not before that of the last call. baseline: take the states as told, and tell nothing.
        adopt_policy: the policy may be another than that of the last call. limit: so many records at most, the first ones.
        progress(customers looked at, total or -1). BadInput: as_of goes back, or the policy is another.
        """
        options, raised, out = new_struct('lapse_advance_options'), Raised(), ctypes.c_void_p()
        for name, flag in (('BASELINE', baseline), ('ADOPT_POLICY', adopt_policy)):
            options.flags |= declared.CONSTANTS['LAPSE_ADVANCE_' + name] if flag else 0
        if limit is not None:
            options.limit = limit
        keep, at = progress_into(options, progress, raised), self.time(as_of)
        with self._handle as pointer, policy_of(policy) as settings:
            options.policy = settings
            call(lib.store_advance, pointer, at, ctypes.byref(options), ctypes.byref(out), raised=raised)
        return Result(out, keep, raised)

    def acknowledge(self, seq: int) -> None:
        """Confirms all records of advance() up to this one, durably: they are not told again. BadInput: it never was."""
        with self._handle as pointer:
            call(lib.store_acknowledge, pointer, seq)

    def acknowledged(self) -> int:
        """The seq of the last record that is confirmed; 0: none is."""
        out = ctypes.c_int64()
        with self._handle as pointer:
            call(lib.store_acknowledged, pointer, ctypes.byref(out))
        return out.value

    def next_deadline(self) -> Optional[datetime.datetime]:
        """The first instant after the last advance() at which time alone changes what was told; None: there is none."""
        out = ctypes.c_int64()
        with self._handle as pointer:
            try:
                call(lib.store_next_deadline, pointer, ctypes.byref(out))
            except NotFound:
                return None
        return to_datetime(out.value)

    # ---- upkeep

    def forget(self, customers: Union[str, Iterable[str]], *, at: Instant,
               progress: Optional[Progress] = None) -> Forgotten:
        """Removes all that the store holds of these customers, or of none of them (NotFound: one has no events). What stays
        is a keyed hash of each id with the instant: rows dated at or before it are not stored again, later ones begin a new
        customer. Copies made before are not reached; views opened before are Stale. See docs/erasure.md.

        at: the instant of the erasure, by your clock. progress(rows, total or -1). ErasePending: they are forgotten, but
        somebody reads old pages; forget([], at=...) finishes it.
        """
        names = [customers] if isinstance(customers, str) else list(customers)
        if not all(isinstance(name, str) for name in names):
            raise TypeError('customers are str, not %r' % next(name for name in names if not isinstance(name, str)))
        ids = [name.encode('utf-8') for name in names]
        offsets = (ctypes.c_int64 * (len(ids) + 1))()
        for i, name in enumerate(ids):
            offsets[i + 1] = offsets[i] + len(name)
        options, out, raised = new_struct('lapse_forget_options'), new_struct('lapse_forgotten'), Raised()
        options.at = self.time(at)
        keep = progress_into(options, progress, raised)
        try:
            with self._handle as pointer:
                call(lib.store_forget, pointer, b''.join(ids), offsets, len(ids), ctypes.byref(options), ctypes.byref(out),
                     raised=raised)
        except ErasePending as pending:
            pending.forgotten = Forgotten(out.customers, out.events)
            raise
        del keep
        return Forgotten(out.customers, out.events)

    def _upkeep(self, function: Callable, arguments: tuple, flags: int, progress: Optional[Progress], also: tuple = (),
                threads: int = 1) -> int:
        options, raised = new_struct('lapse_upkeep_options'), Raised()
        options.flags, options.threads = flags, threads
        keep = progress_into(options, progress, raised)
        with self._handle as pointer:
            before, after = arguments
            status = call(function, pointer, *before, ctypes.byref(options), *after, raised=raised, also=also)
        del keep
        return status

    def backup(self, path: Path, *, replace: bool = False, progress: Optional[Progress] = None) -> None:
        """Copies the store into a new file while it is in use. progress(rows, total)."""
        flags = declared.CONSTANTS['LAPSE_BACKUP_REPLACE'] if replace else 0
        self._upkeep(lib.store_backup, ((os.fsencode(os.fspath(path)),), ()), flags, progress)

    def compact(self, *, upgrade: bool = False, threads: int = 1, progress: Optional[Progress] = None) -> None:
        """Brings the store to its best speed, and gives free pages back. upgrade: to this library's latest format. threads: to
        merge with, 1 to 64. progress(rows, total)."""
        flags = declared.CONSTANTS['LAPSE_COMPACT_UPGRADE'] if upgrade else 0
        self._upkeep(lib.store_compact, ((), ()), flags, progress, threads=threads)

    def verify(self, *, progress: Optional[Progress] = None) -> Verification:
        """Reads and checks everything. Damage is told, not raised. A file so damaged that it cannot be opened:
        lapse.open(path, verify=True).verify()."""
        out = ctypes.c_void_p()
        damaged = constants('LAPSE_')['damaged']
        self._upkeep(lib.store_verify, ((), (ctypes.byref(out),)), 0, progress, also=(damaged,))
        result = Result(out)
        notes, found = result.notes, dict(tuple(row) for row in result)
        return Verification(found['ok'] == '1', int(found['blocks']), int(found['events']),
                            int(found['customers']) if found['customers'] else None, notes)

    def salvage(self, *, progress: Optional[Progress] = None) -> Result:
        """All events that are sound in a damaged store, as everything().events(); its notes tell what is damaged, and there
        are none when nothing is lost. Of a file that is refused: lapse.open(path, verify=True).salvage(). Damaged: nothing
        can be read, or the digits of amounts are lost, which open(digits=...) may then give."""
        out = ctypes.c_void_p()
        try:
            self._upkeep(lib.store_salvage, ((), (ctypes.byref(out),)), 0, progress)
        except Damaged:
            if not out:
                raise
        return Result(out)


def _instant(text: Optional[str]) -> Optional[datetime.datetime]:
    return parse_time(text) if text else None


def open(path: Optional[Path] = None, *, zone: Any = None, currency: Optional[str] = None, digits: Optional[int] = None,
         read_only: bool = False, must_exist: bool = False, must_be_new: bool = False, verify: bool = False,
         sync: str = 'full', timeout: float = 5.0, memory_limit: Optional[int] = None,
         key: Optional[bytes] = None) -> Store:
    """Opens the store in a file, making it when it is not there; without a path one in memory.

    zone: of a new store, decides what a day is: 'Europe/Paris', '+01:00', a zoneinfo.ZoneInfo (UTC). currency: three
    capital letters; digits: its decimals (2, or as the currency has). An existing store must agree where they are given.
    sync: what a commit waits for: 'full' the disk, 'normal', 'off'. timeout: seconds to wait for another writer.
    memory_limit: bytes for work, at least 16 MiB (256 MiB). verify: open even if damaged, for Store.verify()
    and Store.salvage() only. key: 32 bytes of a new store, kept in its file, that addresses are hashed with: stores of one
    key take each other's hashed addresses (drawn by chance; zeros in memory).
    """
    options, out = new_struct('lapse_store_options'), ctypes.c_void_p()
    for name, flag in (('READ_ONLY', read_only), ('MUST_EXIST', must_exist), ('MUST_BE_NEW', must_be_new), ('VERIFY', verify)):
        options.flags |= declared.CONSTANTS['LAPSE_STORE_' + name] if flag else 0
    if digits is None and currency is not None:
        digits = currency_digits(currency)
    for name, value in (('digits', digits), ('memory_limit', memory_limit), ('currency', optional(currency, 'currency')),
                        ('timeout_ms', round(timeout * 1000)), ('sync', number_of('LAPSE_SYNC_', sync, 'sync'))):
        if value is not None:
            setattr(options, name, value)
    if key is not None:
        size = declared.CONSTANTS['LAPSE_KEY_SIZE']
        if len(key) != size:
            raise ValueError('a key is %d bytes, not %d' % (size, len(key)))
        options.key = (ctypes.c_uint8 * size)(*key)
    found: Optional[Zone] = zone_of(zone) if zone is not None else None
    count, starts, offsets = zone_arrays(found)
    if found is not None:
        options.zone_count, options.zone_starts, options.zone_offsets = count, starts, offsets
        options.zone_name = found.name.encode('utf-8')
    text = None if path is None else os.fspath(path)
    call(lib.store_open, None if text is None else os.fsencode(text), ctypes.byref(options), ctypes.byref(out))
    return Store(out, text)
