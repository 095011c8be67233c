"""Stores, views of them at an instant, the policy, and all that is asked of them."""
from __future__ import annotations

import ctypes
import datetime
import os
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional, Union

from . import _arrow, _events
from ._lib import CALLBACKS, Handle, Raised, call, check, constants, declared, lib, new_struct
from ._tables import Result
from ._values import (CHANNELS, NEVER, PURPOSES, Instant, Zone, currency_digits, encode, instant_text, number_of,
                      optional, parse_time, to_datetime, zone_arrays, zone_of)

Progress = Callable[[int, int], Any]
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


class Decision(NamedTuple):
    """What the gate says of one customer, channel and purpose."""
    decision: str                           #: 'allow', 'deny' or 'defer'
    reason: Optional[str]                   #: the first that holds, None when allowed
    reasons: tuple                          #: all, in the order of the gate
    until: Optional[datetime.datetime]      #: when it will be allowed if nothing else happens, as far as it is known

    @property
    def allowed(self) -> bool:
        return self.decision == 'allow'


class Verification(NamedTuple):
    """What verify() found."""
    ok: bool
    blocks: int
    events: int
    customers: Optional[int]                #: None when they cannot be counted
    problems: list                          #: a text for each thing that is damaged


def _progress(struct: Any, progress: Optional[Progress], raised: Raised) -> Any:
    if progress is None:
        return None
    def told(_: Any, done: int, total: int) -> int:
        return 1 if progress(done, total) else 0
    struct.on_progress = CALLBACKS['lapse_progress_fn'](raised.wrap(told, 1))
    return struct.on_progress


class Policy:
    """Every threshold and rule as named settings: policy['purchase.lost'] = '12m'. Iterates over names; list() has
    defaults, units and origins. Wherever a policy is asked for, a dict of settings does too, and None are the defaults."""

    def __init__(self, settings: Optional[Mapping[str, Any]] = None) -> None:
        out = ctypes.c_void_p()
        check(lib.policy_new(None, ctypes.byref(out)))
        self._handle = Handle(out, lib.policy_free, 'policy')
        for name, value in (settings or {}).items():
            self[name] = value

    @classmethod
    def parse(cls, text: str) -> 'Policy':
        """Of `name = value` lines; # begins a comment."""
        policy, data = cls(), text.encode('utf-8')
        with policy._handle as pointer:
            call(lib.policy_parse, pointer, data, len(data))
        return policy

    def __setitem__(self, name: str, value: Any) -> None:
        with self._handle as pointer:
            call(lib.policy_set, pointer, encode(name, 'a setting'), encode(str(value), name))

    def __getitem__(self, name: str) -> str:
        out = ctypes.c_char_p()
        with self._handle as pointer:
            status = lib.policy_get(pointer, encode(name, 'a setting'), ctypes.byref(out))
            check(status, 'there is no setting %s' % name)
            return (out.value or b'').decode()

    def list(self) -> Result:
        """name, value, default, unit, origin."""
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.policy_list, pointer, ctypes.byref(out))
        return Result(out)

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self.list())

    def __repr__(self) -> str:
        set_ = ('%r: %r' % (row['name'], row['value']) for row in self.list() if row['value'] != row['default'])
        return 'lapse.Policy({%s})' % ', '.join(set_)


def _policy(policy: Any) -> Any:
    """A handle to be entered; of NULL for the defaults."""
    if policy is None:
        return Handle(None, lambda _: None, 'policy')
    return (policy if isinstance(policy, Policy) else Policy(policy))._handle


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
        keep = [_progress(options, progress, raised)]

        def told(_: Any, reject: Any) -> int:
            r = reject.contents
            row = Reject('conflict' if r.outcome == declared.CONSTANTS['LAPSE_ROW_CONFLICT'] else 'rejected', r.line,
                         r.column.decode('utf-8', 'replace'), r.text.decode('utf-8', 'replace'),
                         r.rule.decode('utf-8', 'replace'), ctypes.string_at(r.row, r.row_size))
            return 1 if on_reject(row) else 0
        if on_reject is not None:
            options.on_reject = CALLBACKS['lapse_reject_fn'](raised.wrap(told, 1))
            keep.append(options.on_reject)
        with self._handle as store, _policy(policy) as settings_of_policy:
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
        progress(bytes_read, bytes_or_-1): something true cancels. See docs/events.md.
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

    def view(self, as_of: Optional[Instant] = None) -> 'View':
        """The store at an instant, inclusive; at default_instant() when none is named. Cheap."""
        at = self.time(self.default_instant() if as_of is None else as_of)
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.view_open, pointer, at, ctypes.byref(out))
        return View(self, out)

    def everything(self) -> 'View':
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

    # ---- upkeep

    def _upkeep(self, function: Callable, arguments: tuple, flags: int, progress: Optional[Progress], also: tuple = ()) -> int:
        options, raised = new_struct('lapse_upkeep_options'), Raised()
        options.flags = flags
        keep = _progress(options, progress, raised)
        with self._handle as pointer:
            before, after = arguments
            status = call(function, pointer, *before, ctypes.byref(options), *after, raised=raised, also=also)
        del keep
        return status

    def backup(self, path: Path, *, replace: bool = False, progress: Optional[Progress] = None) -> None:
        """Copies the store into a new file while it is in use. progress(rows, total)."""
        flags = declared.CONSTANTS['LAPSE_BACKUP_REPLACE'] if replace else 0
        self._upkeep(lib.store_backup, ((os.fsencode(os.fspath(path)),), ()), flags, progress)

    def compact(self, *, upgrade: bool = False, progress: Optional[Progress] = None) -> None:
        """Brings the store to its best speed, and gives free pages back. upgrade: to this library's latest format."""
        self._upkeep(lib.store_compact, ((), ()), declared.CONSTANTS['LAPSE_COMPACT_UPGRADE'] if upgrade else 0, progress)

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


def _instant(text: Optional[str]) -> Optional[datetime.datetime]:
    return parse_time(text) if text else None


_BASIS = {name: declared.CONSTANTS['LAPSE_CHURN_' + name.upper()] for name in ('purchase', 'activity')}
_LOST = {name: declared.CONSTANTS['LAPSE_CHURN_' + name.upper()] for name in ('lost', 'inactive')}
_UNITS = {'d': 'day', 'm': 'month', 'y': 'year'}


def _choice(names: Mapping[str, int], value: str, what: str) -> int:
    if value not in names:
        raise ValueError('%s is one of %s, not %r' % (what, ', '.join(map(repr, names)), value))
    return names[value]


class View:
    """A store at an instant: immutable, for any number of threads. Answers are Results; their columns are those of the
    command of the same name, customers in the bytewise order of their ids."""

    def __init__(self, store: Store, pointer: Any) -> None:
        self._handle = Handle(pointer, lib.view_close, 'view')
        self._store = store
        at = lib.view_as_of(pointer)
        #: the instant, aware, in UTC; None for everything()
        self.as_of: Optional[datetime.datetime] = to_datetime(at) if at < 2 ** 62 else None

    def __repr__(self) -> str:
        return '<lapse.View as of %s>' % (self.as_of.isoformat() if self.as_of else 'all events',)

    def __enter__(self) -> 'View':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Frees it; results of it stay usable."""
        self._handle.close()

    def _answer(self, function: Callable, struct: str, policy: Any, progress: Optional[Progress], options: Mapping) -> Result:
        o, raised, out = new_struct(struct), Raised(), ctypes.c_void_p()
        for name, value in options.items():
            if value is not None:
                setattr(o, name, value)
        keep = (_progress(o, progress, raised), options)
        with self._handle as pointer, _policy(policy) as settings:
            o.policy = settings
            call(function, pointer, ctypes.byref(o), ctypes.byref(out), raised=raised)
        return Result(out, keep, raised)

    def _rfm(self, function: Callable, bins: Any, window: Optional[str], frequency: str, monetary: str, nested: bool,
             weights: Any, segments: Optional[str], policy: Any, threads: int, progress: Optional[Progress]) -> Result:
        flag = {name: declared.CONSTANTS['LAPSE_RFM_' + name] for name in
                ('FREQUENCY_DAYS', 'MONETARY_MEAN', 'NESTED', 'WEIGHTED')}
        options: dict[str, Any] = {'threads': threads}
        options['flags'] = (_choice({'orders': 0, 'days': flag['FREQUENCY_DAYS']}, frequency, 'frequency') |
                            _choice({'sum': 0, 'mean': flag['MONETARY_MEAN']}, monetary, 'monetary') |
                            (flag['NESTED'] if nested else 0) | (flag['WEIGHTED'] if weights is not None else 0))
        r, f, m = (bins,) * 3 if isinstance(bins, int) else bins
        options.update(bins_r=r, bins_f=f, bins_m=m)
        if weights is not None:
            options.update(zip(('weight_r', 'weight_f', 'weight_m'), weights))
        if window is not None:
            if window[-1:] not in _UNITS or not window[:-1].isdigit():
                raise ValueError("a window is a number of days, months or years: '90d', '6m', '1y', not %r" % (window,))
            options.update(window=int(window[:-1]), window_unit=number_of('LAPSE_UNIT_', _UNITS[window[-1]], 'window'))
        if segments is not None:
            data = segments.encode('utf-8')
            buffer = ctypes.create_string_buffer(data, len(data) + 1)
            options.update(segments=ctypes.addressof(buffer), segments_size=len(data))
        return self._answer(function, 'lapse_rfm_options', policy, progress, options)

    def rfm(self, *, bins: Any = 5, window: Optional[str] = None, frequency: str = 'orders', monetary: str = 'sum',
            nested: bool = False, weights: Any = None, segments: Optional[str] = None, policy: Any = None, threads: int = 1,
            progress: Optional[Progress] = None) -> Result:
        """Recency, frequency, monetary value, scores and segment of each customer with a valid order: customer, last_order,
        recency_days (calendar days in the store's zone), frequency, monetary (money), r, f, m, score, segment [, weighted].

        bins: 2 to 10, or three of them for R, F, M. window: '90d', '6m', '1y' before the instant; all orders. frequency:
        'orders' or 'days' with one. monetary: 'sum' or 'mean' per order. nested: cut F within R, M within both. weights:
        three, for a column `weighted`. segments: a table as CSV text; needed with bins other than 5. Who objected to
        profiling has no row.
        """
        return self._rfm(lib.view_rfm, bins, window, frequency, monetary, nested, weights, segments, policy, threads, progress)

    def segments(self, *, bins: Any = 5, window: Optional[str] = None, frequency: str = 'orders', monetary: str = 'sum',
                 nested: bool = False, weights: Any = None, segments: Optional[str] = None, policy: Any = None,
                 threads: int = 1, progress: Optional[Progress] = None) -> Result:
        """rfm() summed up by segment: segment, customers, orders, monetary, customer_share, monetary_share,
        mean_recency_days, mean_frequency, mean_monetary. Options as rfm()."""
        return self._rfm(lib.view_segments, bins, window, frequency, monetary, nested, weights, segments, policy, threads,
                         progress)

    def _churn(self, function: Callable, policy: Any, progress: Any, **options: Any) -> Result:
        return self._answer(function, 'lapse_churn_options', policy, progress, options)

    def churn(self, begin: Instant, *, basis: str = 'purchase', lost: str = 'lost', every: Optional[str] = None,
              policy: Any = None, threads: int = 1, progress: Optional[Progress] = None) -> Result:
        """Churn from `begin` to the view's instant: measure, numerator, denominator, value (missing when undefined).

        basis: 'purchase' or 'activity'. lost: a customer is lost as 'lost' or already as 'inactive'. every: 'day', 'week',
        'month', 'quarter', 'year' gives these rows for each such period, with first columns from, to."""
        return self._churn(lib.view_churn, policy, progress, threads=threads, basis=_choice(_BASIS, basis, 'basis'),
                           lost=_choice(_LOST, lost, 'lost'), every=number_of('LAPSE_EVERY_', every or 'none', 'every'),
                           **{'from': self._store.time(begin)})

    def cohorts(self, every: str = 'month', *, policy: Any = None, threads: int = 1,
                progress: Optional[Progress] = None) -> Result:
        """Customers by the period of their first order, and who came back: cohort, period, size, active, retained,
        retained_unbounded."""
        return self._churn(lib.view_cohorts, policy, progress, threads=threads, every=number_of('LAPSE_EVERY_', every, 'every'))

    def survival(self, *, basis: str = 'purchase', lost: str = 'lost', hazard: bool = False, summary: bool = False,
                 horizon: Optional[int] = None, policy: Any = None, threads: int = 1,
                 progress: Optional[Progress] = None) -> Result:
        """How long customers stay (Kaplan-Meier, calendar days): time, at_risk, lost, censored, survival, lower, upper
        [, hazard, hazard_lower, hazard_upper]; or as a summary one row with median and restricted mean up to `horizon`."""
        flags = ((declared.CONSTANTS['LAPSE_SURVIVAL_HAZARD'] if hazard else 0) |
                 (declared.CONSTANTS['LAPSE_SURVIVAL_SUMMARY'] if summary else 0))
        return self._churn(lib.view_survival, policy, progress, threads=threads, flags=flags, horizon=horizon,
                           basis=_choice(_BASIS, basis, 'basis'), lost=_choice(_LOST, lost, 'lost'))

    def gaps(self, quantiles: Optional[list] = None, *, linear: bool = False, policy: Any = None, threads: int = 1,
             progress: Optional[Progress] = None) -> Result:
        """Calendar days between orders of a customer: method, quantile, gaps, days. quantiles: from above 0 to 1, to
        millionths; ten usual ones. linear: interpolated (type 7), not the nearest rank."""
        options: dict[str, Any] = {}
        if quantiles is not None:
            millionths = [round(q * 1000000) for q in quantiles]
            options.update(quantiles=(ctypes.c_int32 * len(millionths))(*millionths), quantile_count=len(millionths))
        return self._churn(lib.view_gaps, policy, progress, threads=threads,
                           flags=declared.CONSTANTS['LAPSE_GAPS_LINEAR'] if linear else 0, **options)

    def _state(self, function: Callable, customer: Optional[str], policy: Any, threads: int, progress: Any) -> Result:
        return self._answer(function, 'lapse_state_options', policy, progress,
                            {'customer': optional(customer, 'customer'), 'threads': threads})

    def states(self, customer: Optional[str] = None, *, policy: Any = None, threads: int = 1,
               progress: Optional[Progress] = None) -> Result:
        """Where each customer with an event stands: customer, stage, stage_max, engagement, engagement_since,
        next_deadline, purchase_clock, last_purchase, last_activity, last_contact, membership, case, identity, tier, cart,
        account, rights. customer: that one only."""
        return self._state(lib.view_states, customer, policy, threads, progress)

    def channels(self, customer: Optional[str] = None, *, policy: Any = None, threads: int = 1,
                 progress: Optional[Progress] = None) -> Result:
        """Endpoints: customer, channel, endpoint, deliverability, responsiveness, last_engaged, sends_since."""
        return self._state(lib.view_channels, customer, policy, threads, progress)

    def consent(self, customer: Optional[str] = None, *, policy: Any = None, threads: int = 1,
                progress: Optional[Progress] = None) -> Result:
        """Cells of consent that are not none: customer, channel, purpose, topic, state, pending, strength, since, reason,
        source."""
        return self._state(lib.view_consent, customer, policy, threads, progress)

    def permit(self, purpose: str, *, channel: Optional[str] = None, customer: Optional[str] = None,
               topic: Optional[str] = None, policy: Any = None, threads: int = 1,
               progress: Optional[Progress] = None) -> Result:
        """Who may be contacted for a purpose: customer, channel, purpose, decision, reason, reasons, until."""
        return self._answer(lib.view_permit, 'lapse_permit_options', policy, progress, {
            'customer': optional(customer, 'customer'), 'topic': optional(topic, 'topic'), 'threads': threads,
            'channel': _choice(CHANNELS, channel, 'channel') if channel else 0,
            'purpose': _choice(PURPOSES, purpose, 'purpose')})

    def permit_one(self, customer: str, channel: str, purpose: str, topic: Optional[str] = None, *,
                   policy: Any = None) -> Decision:
        """May this customer be contacted by this channel, for this purpose? As the row of permit()."""
        out = new_struct('lapse_decision')
        with self._handle as pointer, _policy(policy) as settings:
            call(lib.view_permit_one, pointer, settings, encode(customer, 'customer'), _choice(CHANNELS, channel, 'channel'),
                 _choice(PURPOSES, purpose, 'purpose'), optional(topic, 'topic'), ctypes.byref(out))
        names = [lib.reason_name(number) for number in range(64) if out.reasons >> number & 1]
        return Decision(lib.decision_name(out.decision).decode(),
                        lib.reason_name(out.reason).decode() if out.reason else None,
                        tuple(name.decode() for name in names if name),
                        None if out.until == NEVER else to_datetime(out.until))

    def history(self, customer: str) -> Result:
        """The events of one customer, in order; all columns of an event file. NotFound: there are none."""
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.view_history, pointer, encode(customer, 'customer'), ctypes.byref(out))
        return Result(out)

    def events(self) -> Result:
        """All events; imported again, by append() or as CSV, they make an equal store."""
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.view_events, pointer, ctypes.byref(out))
        return Result(out)


def open(path: Optional[Path] = None, *, zone: Any = None, currency: Optional[str] = None, digits: Optional[int] = None,
         read_only: bool = False, must_exist: bool = False, must_be_new: bool = False, verify: bool = False,
         sync: str = 'full', timeout: float = 5.0, memory_limit: Optional[int] = None) -> Store:
    """Opens the store in a file, making it when it is not there; without a path one in memory.

    zone: of a new store, decides what a day is: 'Europe/Paris', '+01:00', a zoneinfo.ZoneInfo (UTC). currency: three
    capital letters; digits: its decimals (2, or as the currency has). An existing store must agree where they are given.
    sync: what a commit waits for: 'full' the disk, 'normal', 'off'. timeout: seconds to wait for another writer.
    memory_limit: bytes for work, at least 16 MiB (256 MiB). verify: open even if damaged, for Store.verify() only.
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
    found: Optional[Zone] = zone_of(zone) if zone is not None else None
    count, starts, offsets = zone_arrays(found)
    if found is not None:
        options.zone_count, options.zone_starts, options.zone_offsets = count, starts, offsets
        options.zone_name = found.name.encode('utf-8')
    text = None if path is None else os.fspath(path)
    call(lib.store_open, None if text is None else os.fsencode(text), ctypes.byref(options), ctypes.byref(out))
    return Store(out, text)


__all__ = ['Counts', 'Decision', 'Policy', 'Reject', 'Store', 'Verification', 'View', 'open']
