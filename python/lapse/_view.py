"""Views of a store at an instant, and all that is asked of them."""
from __future__ import annotations

import ctypes
import datetime
from typing import Any, Callable, Mapping, NamedTuple, Optional, Union

from ._lib import Handle, Raised, call, declared, lib, new_struct
from ._policy import Progress, policy_of, progress_into
from ._rfm import ALL_IN_ONE, Bins, Cuts, rfm_options
from ._tables import Result
from ._values import CHANNELS, NEVER, PURPOSES, Instant, choice, encode, number_of, optional, to_datetime


class Decision(NamedTuple):
    """What the gate says of one customer, channel and purpose."""
    decision: str                           #: 'allow', 'deny' or 'defer'
    reason: Optional[str]                   #: the first that holds, None when allowed
    reasons: tuple                          #: all, in the order of the gate
    until: Optional[datetime.datetime]      #: when it will be allowed if nothing else happens, as far as it is known

    @property
    def allowed(self) -> bool:
        return self.decision == 'allow'


_BASIS = {name: declared.CONSTANTS['LAPSE_CHURN_' + name.upper()] for name in ('purchase', 'activity')}
_LOST = {name: declared.CONSTANTS['LAPSE_CHURN_' + name.upper()] for name in ('lost', 'inactive')}


class View:
    """A store at an instant: immutable, for any number of threads. Answers are Results; their columns are those of the
    command of the same name, customers in the bytewise order of their ids."""

    def __init__(self, store: Any, pointer: Any) -> None:
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
        o, raised, out = new_struct(struct, options), Raised(), ctypes.c_void_p()
        keep = (progress_into(o, progress, raised), options)
        with self._handle as pointer, policy_of(policy) as settings:
            o.policy = settings
            call(function, pointer, ctypes.byref(o), ctypes.byref(out), raised=raised)
        return Result(out, keep, raised)

    def _begin(self, begin: Optional[Instant]) -> Optional[int]:
        return None if begin is None else self._store.time(begin)

    def rfm(self, *, bins: Bins = 5, cuts: Union[str, Cuts] = 'quantile', window: Optional[str] = None,
            frequency: str = 'orders', monetary: str = 'sum', nested: bool = False, weights: Any = None,
            segments: Optional[str] = None, every: Optional[str] = None, begin: Optional[Instant] = None, policy: Any = None,
            threads: int = 1, progress: Optional[Progress] = None) -> Result:
        """Recency, frequency, monetary value, scores and segment of each customer with a valid order: customer, last_order,
        recency_days (calendar days in the store's zone), frequency, monetary (money), r, f, m, score, segment [, weighted].

        bins: 2 to 10, or three of them for R, F, M. cuts: 'quantile', equal values share a score; 'ntile', bins of equal
        size as in SQL, ties split by id; 'rfm-r', as the R package rfm; or frozen `Cuts`, whose bins then count. window:
        '90d', '6m', '1y' before the instant; all orders. frequency: 'orders' or 'days' with one. monetary: 'sum' or 'mean'
        per order. nested: cut F within R, M within both. weights: three, for a column `weighted`. segments: a table as CSV
        text; needed with bins other than 5. every: 'day', 'week', 'month', 'quarter', 'year' answers as of the first
        instant of each after `begin` and up to the view's, with a first column as_of. Who objected to profiling has no row.
        """
        return self._answer(lib.view_rfm, 'lapse_rfm_options', policy, progress, rfm_options(
            bins, cuts, window, frequency, monetary, nested, weights, segments, threads, self._begin(begin), every))

    def segments(self, *, bins: Bins = 5, cuts: Union[str, Cuts] = 'quantile', window: Optional[str] = None,
                 frequency: str = 'orders', monetary: str = 'sum', nested: bool = False, weights: Any = None,
                 segments: Optional[str] = None, every: Optional[str] = None, begin: Optional[Instant] = None,
                 policy: Any = None, threads: int = 1, progress: Optional[Progress] = None) -> Result:
        """rfm() summed up by segment: [as_of,] segment, customers, orders, monetary, customer_share, monetary_share,
        mean_recency_days, mean_frequency, mean_monetary. Options as rfm()."""
        return self._answer(lib.view_segments, 'lapse_rfm_options', policy, progress, rfm_options(
            bins, cuts, window, frequency, monetary, nested, weights, segments, threads, self._begin(begin), every))

    def transitions(self, begin: Instant, *, bins: Bins = 5, cuts: Union[str, Cuts] = 'quantile',
                    window: Optional[str] = None, frequency: str = 'orders', monetary: str = 'sum', nested: bool = False,
                    segments: Optional[str] = None, policy: Any = None, threads: int = 1,
                    progress: Optional[Progress] = None) -> Result:
        """How many customers were in one segment at `begin` and are in another at the view's instant: from, to, customers.
        Pairs that occur; '(absent)' has no row in rfm() there. Cuts are made at each instant of the customers it has; with
        frozen `Cuts` only the customer can have moved. Options as rfm()."""
        return self._answer(lib.view_transitions, 'lapse_rfm_options', policy, progress, rfm_options(
            bins, cuts, window, frequency, monetary, nested, None, segments, threads, self._begin(begin)))

    def cuts(self, *, bins: Bins = 5, cuts: Union[str, Cuts] = 'quantile', window: Optional[str] = None,
             frequency: str = 'orders', monetary: str = 'sum', policy: Any = None, threads: int = 1,
             progress: Optional[Progress] = None) -> Cuts:
        """The thresholds that rfm() with these options scores by, to be kept and given back as `cuts`. Not of 'ntile',
        which has none."""
        made = new_struct('lapse_cuts')
        self._answer(lib.view_segments, 'lapse_rfm_options', policy, progress, rfm_options(
            bins, cuts, window, frequency, monetary, False, None, ALL_IN_ONE, threads, made=ctypes.pointer(made))).close()
        return Cuts._made(made)

    def _churn(self, function: Callable, policy: Any, progress: Any, **options: Any) -> Result:
        return self._answer(function, 'lapse_churn_options', policy, progress, options)

    def churn(self, begin: Instant, *, basis: str = 'purchase', lost: str = 'lost', every: Optional[str] = None,
              policy: Any = None, threads: int = 1, progress: Optional[Progress] = None) -> Result:
        """Churn from `begin` to the view's instant: measure, numerator, denominator, value (missing when undefined).

        basis: 'purchase' or 'activity'. lost: a customer is lost as 'lost' or already as 'inactive'. every: 'day', 'week',
        'month', 'quarter', 'year' gives these rows for each such period, with first columns from, to."""
        return self._churn(lib.view_churn, policy, progress, threads=threads, basis=choice(_BASIS, basis, 'basis'),
                           lost=choice(_LOST, lost, 'lost'), every=number_of('LAPSE_EVERY_', every or 'none', 'every'),
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
                           basis=choice(_BASIS, basis, 'basis'), lost=choice(_LOST, lost, 'lost'))

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
            'channel': choice(CHANNELS, channel, 'channel') if channel else 0,
            'purpose': choice(PURPOSES, purpose, 'purpose')})

    def permit_one(self, customer: str, channel: str, purpose: str, topic: Optional[str] = None, *,
                   policy: Any = None) -> Decision:
        """May this customer be contacted by this channel, for this purpose? As the row of permit()."""
        out = new_struct('lapse_decision')
        with self._handle as pointer, policy_of(policy) as settings:
            call(lib.view_permit_one, pointer, settings, encode(customer, 'customer'), choice(CHANNELS, channel, 'channel'),
                 choice(PURPOSES, purpose, 'purpose'), optional(topic, 'topic'), ctypes.byref(out))
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
