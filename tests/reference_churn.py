"""What `churn`, `cohorts`, `survival` and `gaps` must answer, computed a second time in the most obvious way: the state of
a customer at an instant is worked out anew from the events up to it, at every instant at which anything can change.

Names of rulings (H2, S8, T7, ...) stand where the rule is applied.
"""
import datetime
import math
from fractions import Fraction

from reference import DAY, EPOCH, SECOND, format_double, format_time, orders_of

ACTIVITY = set('visitor.seen session.started product.viewed catalog.downloaded exit.intent cart.updated checkout.started '
               'order.placed message.clicked referral.sent review.posted survey.answered'.split())
Z95 = 1.959963984540054


class Clock:
    """`limits`: risk, inactive and lost as (n, unit) of the basis."""

    def __init__(self, zone, basis='purchase', lost='lost', limits=((90, 'd'), (6, 'm'), (12, 'm')), opens=False,
                 zero_is_valid=False):
        self.zone, self.basis, self.opens, self.zero_is_valid = zone, basis, opens, zero_is_valid
        self.limits = limits[1:] if lost == 'inactive' else limits[2:]            # H18; S11: the latest that has passed

    def events(self, events):
        """Instants that move the clock, of events that are visible."""
        if self.basis == 'purchase':
            return sorted(o.time for o in orders_of(events, self.zero_is_valid)[0] if o.valid)
        return sorted(e.time for e in events
                      if (e.kind in ACTIVITY and not (e.kind == 'message.clicked' and e.cells['reason'] == 'bot'))  # F4
                      or (self.opens and e.kind == 'message.opened'))

    def deadline(self, last):
        return min(self.zone.add(last, n, unit) for n, unit in self.limits)       # T7

    def state(self, history, time):
        """H2: by the events up to `time`, as known then."""
        moves = self.events(visible(history, time))
        if not moves:
            return 'new'
        return 'lost' if time >= self.deadline(moves[-1]) else 'here'             # inclusive


def visible(history, time):
    events = [e for e in history if e.time <= time]
    gone = {(e.source, e.ref) for e in events if e.kind == 'event.retracted'}
    return [e for e in events if e.kind == 'event.retracted' or not e.id or (e.source, e.id) not in gone]


def histories(store):
    customers = {}
    for e in store.events():
        customers.setdefault(e.customer, []).append(e)
    return customers


def move_date(zone, time, days):
    moved = zone.local(time) + days * DAY
    return (zone.instants(moved) or [moved - zone.offset(moved - DAY) * SECOND])[0]


def tiles(zone, start, end, every):
    """H11."""
    ends, k = [start], 1
    while every:
        if every in ('day', 'week'):
            at = move_date(zone, start, k * (7 if every == 'week' else 1))
        else:
            at = zone.add(start, k * {'month': 1, 'quarter': 3, 'year': 12}[every], 'm')
        at = max(at, ends[-1])
        if at >= end:
            break
        ends.append(at)
        k += 1
    return list(zip(ends, ends[1:] + [end]))


def changes(clock, history, start, end):
    """(instant, from, to) of every change of the state in (start, end]."""
    times = {e.time for e in history}
    times |= {clock.deadline(t) for t in times}
    found, state = [], clock.state(history, start)
    for time in sorted(t for t in times if start < t <= end):
        now = clock.state(history, time)
        if now != state:
            found.append((time, state, now))
        state = now
    return found


MEASURES = ('churn retention flow_churn reactivation_rate net_loss average_base_churn at_start at_end lost_end_state '
            'lost_flow reactivated new').split()


def churn(store, clock, start, end, every=None):
    """Also returns the counts of each tile, for whoever wants to balance the books."""
    held = [(h, changes(clock, h, start, end), clock.state(h, start)) for h in histories(store).values()]
    rows, books = [], []
    for t0, t1 in tiles(clock.zone, start, end, every):
        n = dict.fromkeys(MEASURES, 0)
        lost_start = returned = 0
        for history, turns, first in held:
            at = [turn[2] for turn in turns if turn[0] <= t0][-1:] or [first]
            then = [turn[2] for turn in turns if turn[0] <= t1][-1:] or [first]
            assert at == [clock.state(history, t0)] and then == [clock.state(history, t1)]
            inside = [turn[1:] for turn in turns if t0 < turn[0] <= t1]
            n['at_start'] += at == ['here']
            n['at_end'] += then == ['here']
            n['lost_end_state'] += at == ['here'] and then != ['here']
            n['lost_flow'] += sum(a == 'here' for a, _ in inside)
            n['reactivated'] += inside.count(('lost', 'here'))
            n['new'] += inside.count(('new', 'here'))
            lost_start += at == ['lost']
            returned += at == ['lost'] and ('lost', 'here') in inside
        s, e, lost = n['at_start'], n['at_end'], n['lost_end_state']
        rates = [(lost, s), (s - lost, s), (n['lost_flow'], s), (returned, lost_start), (s - e, s),
                 (lost, Fraction(s + e, 2))]
        for name, rate in zip(MEASURES, rates):
            rows.append([name, str(rate[0]), format_double(float(rate[1])),
                         format_double(float(Fraction(rate[0]) / rate[1])) if rate[1] else ''])
        rows += [[name, str(n[name]), '', str(n[name])] for name in MEASURES[6:]]
        if every:
            for row in rows[-12:]:
                row[:0] = [format_time(t0), format_time(t1)]
        books.append((n, lost_start, returned))
    return [(['from', 'to'] if every else []) + ['measure', 'numerator', 'denominator', 'value']] + rows, books


# ---- cohorts -----------------------------------------------------------------------------------------------------------

def date_of(day):
    return datetime.date.fromordinal(day + EPOCH)


def period(day, every):
    date = date_of(day)
    if every in ('day', 'week'):
        return day if every == 'day' else (day + 3) // 7                          # Monday 1969-12-29 began week 0
    return (date.year * 12 + date.month - 1) // {'month': 1, 'quarter': 3, 'year': 12}[every]


def first_day(number, every):
    if every in ('day', 'week'):
        return number if every == 'day' else number * 7 - 3
    months = number * {'month': 1, 'quarter': 3, 'year': 12}[every]
    return datetime.date(months // 12, months % 12 + 1, 1).toordinal() - EPOCH


def label(number, every):
    date = date_of(first_day(number, every))
    if every == 'week':
        return '%d-W%02d' % date.isocalendar()[:2]
    return {'day': '%d-%02d-%02d' % (date.year, date.month, date.day), 'month': '%d-%02d' % (date.year, date.month),
            'quarter': '%d-Q%d' % (date.year, date.month // 3 + 1), 'year': '%d' % date.year}[every]


def cohorts(store, as_of, every='month', zero_is_valid=False):
    """H13, H14."""
    rows = [['cohort', 'period', 'size', 'active', 'retained', 'retained_unbounded']]
    if as_of is None:
        return rows
    clock, members = Clock(store.zone, zero_is_valid=zero_is_valid), {}
    for events in store.visible(as_of).values():
        orders = clock.events(events)
        if orders:
            periods = [period(store.zone.day(t), every) for t in orders]
            members.setdefault(periods[0], []).append(periods)
    for cohort in sorted(members):
        size, k = len(members[cohort]), 0
        while store.zone.first_of_day(first_day(cohort + k, every)) < as_of:
            active = sum(cohort + k in periods for periods in members[cohort])
            later = sum(max(periods) >= cohort + k for periods in members[cohort])
            rows.append([label(cohort, every), str(k), str(size), str(active), format_double(active / size),
                         format_double(later / size)])
            k += 1
    return rows


# ---- survival ------------------------------------------------------------------------------------------------------------

def subjects(store, clock, as_of):
    """(days, lost) of each (H15)."""
    found = []
    for events in store.visible(as_of).values():
        moves = clock.events(events)
        if not moves:
            continue
        end, lost = as_of, False
        for this, following in zip(moves, moves[1:] + [None]):
            deadline = clock.deadline(this)
            if deadline < following if following is not None else deadline <= as_of:   # S8
                end, lost = deadline, True
                break
        found.append((max(store.zone.day(end) - store.zone.day(moves[0]), 0), lost))
    return found


def survival(found, hazard=False):
    """H16, with exact fractions as long as they last: a row has cells, or floats where the library has doubles."""
    rows = [['time', 'at_risk', 'lost', 'censored', 'survival', 'lower', 'upper'] +
            (['hazard', 'hazard_lower', 'hazard_upper'] if hazard else [])]
    s, greenwood, h, v = Fraction(1), Fraction(0), Fraction(0), Fraction(0)
    for day in sorted({day for day, _ in found}):
        n = sum(d >= day for d, _ in found)
        lost = found.count((day, True))
        s *= 1 - Fraction(lost, n)
        greenwood += Fraction(lost, n * (n - lost)) if lost < n else 0
        h += Fraction(lost, n)
        v += Fraction(lost, n * n)
        limits = [1.0, 1.0] if s == 1 else ['', '']
        if 0 < s < 1:
            log = math.log(s)
            width = Z95 * math.sqrt(greenwood) / -log
            limits = [math.exp(log * math.exp(width)), math.exp(log * math.exp(-width))]
        rows.append([str(day), str(n), str(lost), str(found.count((day, False))), float(s)] + limits)
        if hazard:
            width = Z95 * math.sqrt(v) / float(h) if h else 0
            rows[-1] += [float(h), float(h) * math.exp(-width), float(h) * math.exp(width)]
    return rows


def summary(found, horizon=None):
    rows = ['subjects lost censored median horizon restricted_mean restricted_mean_error'.split()]
    if not found:
        return rows
    end = max(day for day, _ in found) if horizon is None else horizon
    times = sorted({day for day, lost in found if lost})

    def at(time):
        s = Fraction(1)
        for t in times:
            if t <= time:
                s *= 1 - Fraction(found.count((t, True)), sum(d >= t for d, _ in found))
        return s

    area = [sum(at(day) for day in range(t, end)) for t in [0] + times]           # from each time to the horizon
    variance = Fraction(0)
    for t, rest in zip(times, area[1:]):
        n, lost = sum(d >= t for d, _ in found), found.count((t, True))
        if lost < n:
            variance += rest ** 2 * Fraction(lost, n * (n - lost))
    median = [t for t in times if at(t) <= Fraction(1, 2)][:1]
    rows.append([str(len(found)), str(sum(lost for _, lost in found)), str(sum(not lost for _, lost in found)),
                 str(median[0]) if median else '', str(end), float(area[0]), math.sqrt(variance)])
    return rows


# ---- gaps ------------------------------------------------------------------------------------------------------------------

USUAL = [Fraction(p, 100) for p in (10, 25, 40, 50, 60, 75, 80, 90, 95, 99)]


def gaps(store, as_of, quantiles=USUAL, method='nearest_rank', by_days=False, zero_is_valid=False):
    found = []
    for events in store.visible(as_of).values() if as_of is not None else ():
        days = [store.zone.day(t) for t in Clock(store.zone, zero_is_valid=zero_is_valid).events(events)]
        found += [max(b - a, 0) for a, b in zip(days, days[1:])]
    found = sorted(gap for gap in found if gap or not by_days)
    rows = [['method', 'quantile', 'gaps', 'days']]
    for p in quantiles if found else ():
        if method == 'linear':
            h = (len(found) - 1) * p
            low = found[int(h)]
            value = low + (h - int(h)) * (found[min(int(h) + 1, len(found) - 1)] - low)
        else:
            value = found[math.ceil(p * len(found)) - 1]
        rows.append([method, format_double(float(p)), str(len(found)), format_double(float(value))])
    return rows
