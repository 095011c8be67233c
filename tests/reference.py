"""What `lapse` must answer, computed a second time in the most obvious way.

Nothing here is fast, and nothing is shared with the library: exact fractions instead of integer tricks, dictionaries
of whole events instead of blocks of columns. It reads good files only; bad ones are the business of test_bad.py.
Names of rulings (F12, M8, R5, ...) stand where the rule is applied.
"""
import csv
import datetime
import io
import re
from collections import Counter
from fractions import Fraction

COLUMNS = ('customer time kind amount channel purpose topic platform ref value reason item quantity category price '
           'endpoint evidence source event_id').split()

# Rulings 9: the order inside one instant. Kinds on one line share a rank.
RANKS = '''visitor.seen
identity.linked
customer.registered
customer.merged
endpoint.added
endpoint.changed
endpoint.verified
endpoint.removed
app.installed
app.uninstalled
push.token_invalidated
ad.impressed
ad.clicked
content.viewed
session.started
product.viewed
catalog.downloaded
info.requested
exit.intent
cart.updated
checkout.started
order.placed
order.delivered
order.cancelled
order.refunded
message.sent
message.delivered
message.opened
message.clicked
message.converted
message.bounced
sender.blocked
consent.imported
consent.requested
consent.granted
consent.confirmed
preference.set
sms.keyword
consent.declined
consent.withdrawn consent.objected message.spam_reported account.closed
membership.trialed
membership.started
membership.renewed
membership.resumed
membership.payment_failed
membership.paused
membership.cancel_requested
membership.ended
loyalty.enrolled
points.adjusted
referral.sent
referral.converted
review.posted
milestone.reached
survey.answered
case.opened
case.reopened
case.acknowledged
case.updated
case.resolved
case.closed
defect.reported
suppression.removed
suppression.added
customer.erased
event.retracted'''.split('\n')
RANK = {kind: rank for rank, line in enumerate(RANKS) for kind in line.split()}
KINDS = list(RANK)
CHANNELS = 'email sms push web_push in_app onsite postal phone social ads'.split()
PURPOSES = 'transactional service marketing profiling tracking ad_audience survey'.split()
PLATFORMS = 'app web store'.split()

SECOND = 1_000_000
DAY = 86_400 * SECOND
EPOCH = datetime.date(1970, 1, 1).toordinal()


class Zone:
    """A fixed offset such as +01:00, or a name of the machine's zone data."""

    def __init__(self, name='+00:00'):
        fixed = re.fullmatch(r'([+-])(\d\d):(\d\d)', name)
        if fixed:
            sign = -1 if fixed[1] == '-' else 1
            self.fixed, self.info = sign * (int(fixed[2]) * 3600 + int(fixed[3]) * 60), None
        else:
            import zoneinfo
            self.fixed, self.info = None, zoneinfo.ZoneInfo(name)

    def offset(self, time):
        """Seconds east of UTC at an instant."""
        if self.info is None:
            return self.fixed
        there = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=time)
        return int(there.astimezone(self.info).utcoffset().total_seconds())

    def local(self, time):
        return time + self.offset(time) * SECOND

    def instants(self, local):
        """All instants at which the wall clock shows `local`: none, one or two, earliest first."""
        offsets = {self.offset(local + shift * DAY) for shift in (-1, 0, 1)}
        return sorted(local - o * SECOND for o in offsets if self.offset(local - o * SECOND) == o)

    def day(self, time):
        return self.local(time) // DAY

    def first_of_day(self, day):
        found = self.instants(day * DAY)
        if found:
            return found[0]
        low, high = day * DAY - DAY, day * DAY + DAY      # midnight is skipped: the first instant after it
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.local(middle) >= day * DAY else (middle, high)
        return high

    def add(self, time, n, unit):
        """T7: `d` is 86 400 s; `m` and `y` move the date, keep the time of day, clamp to the month's end."""
        if unit == 'd':
            return time + n * DAY
        local = self.local(time)
        date = datetime.date.fromordinal(local // DAY + EPOCH)
        months = date.year * 12 + date.month - 1 + n * (12 if unit == 'y' else 1)
        year, month = months // 12, months % 12 + 1
        last = (datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(days=1)).day
        moved = days(year, month, min(date.day, last)) * DAY + local % DAY
        return (self.instants(moved) or [moved - self.offset(moved - DAY) * SECOND])[0]


UTC = Zone()


def days(year, month, day):
    return datetime.date(year, month, day).toordinal() - EPOCH


# ---- texts to numbers and back -----------------------------------------------------------------------------------

def micros(fraction):
    return int((fraction or '').ljust(6, '0'))


def parse_time(text, zone=UTC):
    """T2. A date alone is its first instant in the zone."""
    epoch = re.fullmatch(r'@(-?)(\d+)(?:\.(\d{1,6}))?', text)
    if epoch:
        value = int(epoch[2]) * SECOND + micros(epoch[3])
        return -value if epoch[1] else value
    date = re.fullmatch(r'(\d{4})-(\d\d)-(\d\d)', text)
    if date:
        return zone.first_of_day(days(*map(int, date.groups())))
    m = re.fullmatch(r'(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?', text)
    if not m:
        raise ValueError(text)
    local = days(int(m[1]), int(m[2]), int(m[3])) * DAY
    local += (int(m[4]) * 3600 + int(m[5]) * 60 + int(m[6] or 0)) * SECOND + micros(m[7])
    return from_local(local, m[8], zone)


def from_local(local, offset, zone):
    if offset:
        offset = '+00:00' if offset == 'Z' else offset
        shift = int(offset[1:3]) * 3600 + int(offset[-2:]) * 60
        return local - (-shift if offset[0] == '-' else shift) * SECOND
    found = zone.instants(local)
    if len(found) != 1:
        raise ValueError('skipped or ambiguous local time')
    return found[0]


MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split()


def parse_time_format(text, form, zone=UTC):
    """T3."""
    patterns = {'Y': r'(?P<Y>\d{4})', 'y': r'(?P<y>\d\d)', 'b': r'(?P<b>[A-Za-z]{3})',
                'z': r'(?P<z>Z|[+-]\d\d:?\d\d)', 'S': r'(?P<S>\d{1,2})(?:\.(?P<f>\d{1,6}))?'}
    patterns.update({c: r'(?P<%s>\d{1,2})' % c for c in 'mdHM'})
    pattern = re.sub(r'%(.)|(.)', lambda m: patterns[m[1]] if m[1] else re.escape(m[2]), form)
    g = re.fullmatch(pattern, text).groupdict()
    if g.get('Y'):
        year = int(g['Y'])
    else:
        year = int(g['y']) + (1900 if int(g['y']) >= 69 else 2000)
    month = MONTHS.index(g['b'].lower()) + 1 if g.get('b') else int(g['m'])
    local = days(year, month, int(g['d'])) * DAY
    if 'H' not in g and 'M' not in g and 'S' not in g and not g.get('z'):
        return zone.first_of_day(local // DAY)
    local += (int(g.get('H') or 0) * 3600 + int(g.get('M') or 0) * 60 + int(g.get('S') or 0)) * SECOND
    return from_local(local + micros(g.get('f')), g.get('z'), zone)


def format_time(time):
    local, fraction = divmod(time, SECOND)
    day, second = divmod(local, 86_400)
    text = '%sT%02d:%02d:%02d' % (datetime.date.fromordinal(day + EPOCH).isoformat(), second // 3600,
                                  second // 60 % 60, second % 60)
    return text + ('.%06d' % fraction).rstrip('0') + 'Z' if fraction else text + 'Z'


def parse_decimal(text):
    """M1; as an exact fraction."""
    if not re.fullmatch(r'-?[0-9]+(\.[0-9]+)?', text):
        raise ValueError(text)
    return Fraction(text)


def minor_units(amount, digits):
    scaled = amount * 10 ** digits
    if scaled.denominator != 1:
        raise ValueError('too many digits')
    return scaled.numerator


def format_money(minor, digits):
    sign, text = '-' if minor < 0 else '', str(abs(minor)).rjust(digits + 1, '0')
    return sign + (text[:-digits] + '.' + text[-digits:] if digits else text)


def format_decimal(value):
    """The shortest decimal of a fraction that is one."""
    digits = 0
    while (value * 10 ** digits).denominator != 1:
        digits += 1
    return format_money((value * 10 ** digits).numerator, digits)


def format_double(value):
    """Shortest form that reads back (K14), no exponent."""
    text = repr(float(value))
    if 'e' in text or text.endswith('.0'):
        text = format_decimal(Fraction(text))
    return text


def half_even(numerator, denominator):
    return round(Fraction(numerator, denominator))


# ---- event files ---------------------------------------------------------------------------------------------------

class Event:
    """`cells` holds the printed form of every column: equal events have equal cells (F12, F30)."""

    def __init__(self, time, amount, cells):
        self.time, self.amount, self.cells = time, amount, cells
        self.customer, self.kind, self.ref = cells['customer'], cells['kind'], cells['ref']
        self.source, self.id = cells['source'], cells['event_id']

    def content(self):
        return tuple(self.cells[c] for c in COLUMNS if c not in ('source', 'event_id'))

    def rank(self):
        # S37: what a preference or a keyword says decides on which side of consent it stands.
        if self.kind == 'preference.set':
            return RANK['consent.granted' if self.cells['value'] == '1' else 'consent.withdrawn']
        if self.kind == 'sms.keyword':
            start = self.cells['reason'].strip().lower() in ('start', 'unstop')
            return RANK['consent.granted' if start else 'consent.withdrawn']
        return RANK[self.kind]

    def key(self):
        """Canonical order (rulings 9), within the customer."""
        rest = [self.cells[c].encode() for c in COLUMNS[2:] if c not in ('source', 'event_id')]
        return (self.customer.encode(), self.time, self.rank(), self.source.encode(), self.id.encode(), rest)


def parse_map(text):
    return dict(part.split('=', 1) for part in text.split(',')) if text else {}


def read_events(data, source, zone=UTC, digits=2, kind='order.placed', negative='reject', delimiter=',', map=None,
                time_format=None):
    """Events of a good file, in the order of its rows. `source` is that of rows without event_id if the file has no
    such column (F10)."""
    text = data.decode('utf-8')
    reader = csv.reader(io.StringIO(text[1:] if text[:1] == '\ufeff' else text, newline=''), delimiter=delimiter,
                        strict=True)
    header = next(reader)
    targets = parse_map(map)
    named = {name for expression in targets.values() for name in expression.split('*')}
    targets.update({name: name for name in header if name not in named})          # F27
    events = []
    for fields in reader:
        if not fields:
            continue                                                              # F17
        row = dict(zip(header, fields))
        assert len(fields) == len(header), fields
        cells = dict.fromkeys(COLUMNS, '')
        amount = None
        for target, expression in targets.items():
            if target not in COLUMNS:
                continue                                                          # --ignore-unknown
            factors = [row[name] for name in expression.split('*')]
            if target == 'amount':
                if all(factors):                                                  # M3: a factor is missing
                    product = Fraction(1)
                    for factor in factors:
                        product *= parse_decimal(factor)
                    amount = minor_units(product, digits)
            else:
                cells[target] = factors[0]
        cells['kind'] = cells['kind'] or kind
        order_line = cells['kind'] == 'order.placed'
        if amount is not None and amount < 0:
            assert negative == 'refund' and cells['kind'] in ('order.placed', 'order.refunded')
            amount, cells['kind'] = -amount, 'order.refunded'                     # C 1, M5, M15
        cells['amount'] = '' if amount is None else format_money(amount, digits)
        time = parse_time_format(cells['time'], time_format, zone) if time_format else parse_time(cells['time'], zone)
        cells['time'] = format_time(time)
        if cells['price']:
            cells['price'] = format_money(minor_units(parse_decimal(cells['price']), digits), digits)
        if cells['quantity']:
            quantity = parse_decimal(cells['quantity'])
            assert quantity >= 0 or (negative == 'refund' and order_line)
            cells['quantity'] = format_decimal(abs(quantity))                     # F29
        if cells['value']:
            cells['value'] = format_decimal(parse_decimal(cells['value']))
        if not cells['event_id'] and 'source' not in targets:
            cells['source'] = source
        events.append(Event(time, amount, cells))
    return events


class Store:
    def __init__(self, zone='+00:00', digits=2):
        self.zone, self.digits = Zone(zone), digits
        self.by_id, self.by_content = {}, {}

    def import_events(self, events):
        """One import call; returns read, accepted, duplicate, conflict (F10 to F15, X5, X6)."""
        accepted = duplicate = conflict = 0
        call = Counter()
        for e in events:
            if e.id:
                held = self.by_id.setdefault((e.source, e.id), e)
                if held is e:
                    accepted += 1
                elif held.content() == e.content():
                    duplicate += 1
                else:
                    conflict += 1
            else:
                key = (e.source, e.content())
                call[key] += 1
                held = self.by_content.setdefault(key, [])
                if call[key] > len(held):
                    held.append(e)
                    accepted += 1
                else:
                    duplicate += 1
        return len(events), accepted, duplicate, conflict

    def events(self):
        everything = list(self.by_id.values()) + [e for held in self.by_content.values() for e in held]
        return sorted(everything, key=Event.key)

    def default_instant(self):
        """T6: the first instant of the day after the last event of any kind."""
        last = max((e.time for e in self.events()), default=None)
        return None if last is None else self.zone.first_of_day(self.zone.day(last) + 1)

    def export(self):
        events = self.events()
        # K5; but an empty source that is part of an identity must come back as one (C 2: imports to an equal store).
        kept = {'customer', 'time', 'kind'} | ({'source'} if any(not e.source and not e.id for e in events) else set())
        used = [c for c in COLUMNS if c in kept or any(e.cells[c] for e in events)]
        return [used] + [[e.cells[c] for c in used] for e in events]

    def history(self, customer):
        return [COLUMNS] + [[e.cells[c] for c in COLUMNS] for e in self.events() if e.customer == customer]

    def visible(self, as_of):
        """Events of each customer at an instant, without those taken back by then."""
        customers = {}
        for e in self.events():
            if e.time <= as_of:
                customers.setdefault(e.customer, []).append(e)
        for customer, events in customers.items():
            gone = {(e.source, e.ref) for e in events if e.kind == 'event.retracted'}
            customers[customer] = [e for e in events if not (e.id and (e.source, e.id) in gone
                                                             and e.kind != 'event.retracted')]
        return customers


# ---- orders ----------------------------------------------------------------------------------------------------------

class Order:
    def __init__(self, lines, cancelled, refunds, zero_is_valid):
        known = [line.amount for line in lines if line.amount is not None]
        self.time = min(line.time for line in lines)                              # M9
        gross = sum(known)                                                        # M10
        back = sum(refund.amount for refund in refunds if refund.amount is not None)
        whole = cancelled or any(refund.amount is None for refund in refunds)     # M6, M7
        self.net = gross - back
        if whole:
            self.valid = False
        elif not known:
            self.valid = back == 0                                                # M11
        else:
            self.valid = self.net > 0 or (zero_is_valid and gross == 0 and back == 0)   # M12, M13


def orders_of(events, zero_is_valid=False):
    """Orders of one customer, and the refunds of unknown orders. The set counts, not its order in time (M8)."""
    lines, refunds, cancelled, unknown = {}, {}, set(), []
    for n, e in enumerate(events):
        if e.kind == 'order.placed':
            lines.setdefault(e.ref or n, []).append(e)                            # M14
        elif e.kind == 'order.cancelled' and e.ref:
            cancelled.add(e.ref)
    for e in events:
        if e.kind == 'order.refunded':
            if e.ref and e.ref in lines:
                refunds.setdefault(e.ref, []).append(e)
            elif e.amount is not None:
                unknown.append(e)
    orders = [Order(held, ref in cancelled, refunds.get(ref, []), zero_is_valid) for ref, held in lines.items()]
    return orders, unknown


def has_rights_against(events):
    """X1, S22: erased, or objected without a later grant of profiling. Events come in canonical order."""
    objected = False
    for e in events:
        if e.kind == 'customer.erased':
            return True
        if e.kind == 'consent.objected':
            objected = True
        elif e.kind == 'consent.granted' and e.cells['purpose'] == 'profiling':
            objected = False
    return objected


# ---- scores ----------------------------------------------------------------------------------------------------------

def quantiles(values, n):
    """Type 7 at i/n, exactly (R5)."""
    x, cuts = sorted(values), []
    for i in range(1, n):
        h = Fraction((len(x) - 1) * i, n)
        k = h.numerator // h.denominator
        cuts.append(x[k] + (h - k) * (x[min(k + 1, len(x) - 1)] - x[k]))
    return cuts


def ntile(count, n):
    """SQL: bins of `count` rows in order, the first ones longer by one (R8)."""
    return [1 + k for k in range(n) for _ in range(count // n + (k < count % n))]


def bins_of(values, n, rule='quantile', unit=1, best_is_low=False):
    """Scores of values, which come in the order that splits ties. A list instead of a rule: its thresholds."""
    if rule == 'ntile':
        order = sorted(range(len(values)), key=lambda i: -values[i] if best_is_low else values[i])   # stable: R9
        return [bin for _, bin in sorted(zip(order, ntile(len(values), n)))]
    if rule == 'rfm-r':                                                           # R6
        cuts = [cut + unit for cut in quantiles(values, n)]
        bins = [1 + sum(cut <= value for cut in cuts) for value in values]
    else:
        cuts = quantiles(values, n) if rule == 'quantile' else rule
        bins = [1 + sum(cut < value for cut in cuts) for value in values]
    return [n + 1 - b for b in bins] if best_is_low else bins


DEFAULT_SEGMENTS = [
    ('hibernating', 1, 2, 1, 2), ('at risk', 1, 2, 3, 4), ("can't lose", 1, 2, 5, 5), ('about to sleep', 3, 3, 1, 2),
    ('need attention', 3, 3, 3, 3), ('loyal customers', 3, 4, 4, 5), ('promising', 4, 4, 1, 1),
    ('new customers', 5, 5, 1, 1), ('potential loyalists', 4, 5, 2, 3), ('champions', 5, 5, 4, 5)]
DEFAULT_SEGMENTS = [(name, (a, b, c, d, None, None)) for name, a, b, c, d in DEFAULT_SEGMENTS]


def read_segments(text):
    rows = list(csv.DictReader(io.StringIO(text)))
    bounds = 'r_min r_max f_min f_max m_min m_max'.split()
    return [(row['segment'], tuple(int(row[b]) if row[b] else None for b in bounds)) for row in rows]


def segment_of(table, scores):
    for name, bounds in table:
        inside = [(low is None or low <= s) and (high is None or s <= high)
                  for s, low, high in zip(scores, bounds[::2], bounds[1::2])]
        if all(inside):
            return name
    return '(none)'


class Scored:
    pass


def score(store, as_of=None, bins=(5, 5, 5), window=None, frequency='orders', monetary='sum', nested=False,
          weights=None, segments=None, zero_is_valid=False, cuts='quantile'):
    """One Scored a customer of the answer, ordered by id; how many were left out (X1). `cuts` is a rule, or `fixed:` and
    its thresholds (R10)."""
    as_of = store.default_instant() if as_of is None else as_of
    if as_of is None:
        return [], 0
    zone, found, left_out = store.zone, [], 0
    start = None
    if window:
        start = zone.add(as_of, -int(window[:-1]), window[-1])                    # R1
    for customer, events in store.visible(as_of).items():
        orders, unknown = orders_of(events, zero_is_valid)
        orders = [o for o in orders if o.valid and (start is None or o.time > start)]
        if not orders:
            continue
        if has_rights_against(events):
            left_out += 1
            continue
        s = Scored()
        s.customer, s.orders = customer, len(orders)
        s.last = max(o.time for o in orders)                                      # R22
        s.recency = zone.day(as_of) - zone.day(s.last)
        s.frequency = len({zone.day(o.time) for o in orders}) if frequency == 'days' else len(orders)
        s.monetary = sum(o.net for o in orders)
        s.monetary -= sum(e.amount for e in unknown if start is None or e.time > start)   # R2
        if monetary == 'mean':
            s.monetary = half_even(s.monetary, len(orders))                       # R3
        found.append(s)
    found.sort(key=lambda s: s.customer.encode())
    minor = 10 ** store.digits
    rules = [cuts] * 3
    if cuts.startswith('fixed:'):
        rules = [[Fraction(text) for text in axis.split(',')] for axis in cuts[6:].split('/')]
        rules[2] = [cut * minor for cut in rules[2]]
        bins = [len(rule) + 1 for rule in rules]
    br, bf, bm = bins

    def cut(axis, name, rule, n, unit, groups):
        for key in sorted({groups(s) for s in found}):
            group = [s for s in found if groups(s) == key]
            for s, b in zip(group, bins_of([getattr(s, axis) for s in group], n, rule, unit, name == 'r')):
                setattr(s, name, b)

    cut('recency', 'r', rules[0], br, 1, lambda s: 0)
    cut('frequency', 'f', rules[1], bf, 1, (lambda s: s.r) if nested else (lambda s: 0))
    cut('monetary', 'm', rules[2], bm, minor, (lambda s: (s.r, s.f)) if nested else (lambda s: 0))
    for s in found:
        s.score = ('-' if 10 in bins else '').join(map(str, (s.r, s.f, s.m)))     # R14
        s.segment = segment_of(segments or DEFAULT_SEGMENTS, (s.r, s.f, s.m))
        s.weighted = sum(a * b for a, b in zip((s.r, s.f, s.m), weights or (0, 0, 0)))
    return found, left_out


def rfm(store, **options):
    header = 'customer last_order recency_days frequency monetary r f m score segment'.split()
    rows = []
    for s in score(store, **options)[0]:
        rows.append([s.customer, format_time(s.last), str(s.recency), str(s.frequency),
                     format_money(s.monetary, store.digits), str(s.r), str(s.f), str(s.m), s.score, s.segment])
        if options.get('weights'):
            rows[-1].append(str(s.weighted))
    return [header + (['weighted'] if options.get('weights') else [])] + rows


def segments(store, **options):
    """R18."""
    header = ('segment customers orders monetary customer_share monetary_share mean_recency_days mean_frequency '
              'mean_monetary').split()
    found, _ = score(store, **options)
    names = list(dict.fromkeys(name for name, _ in options.get('segments') or DEFAULT_SEGMENTS))
    if any(s.segment == '(none)' for s in found):
        names.append('(none)')
    total = sum(s.monetary for s in found)
    rows = []
    for name in names:
        group = [s for s in found if s.segment == name]
        n, money = len(group), sum(s.monetary for s in group)
        rows.append([name, str(n), str(sum(s.orders for s in group)), format_money(money, store.digits),
                     format_double(n / len(found)) if found else '',
                     format_double(money / total) if total > 0 else '',
                     format_double(sum(s.recency for s in group) / n) if n else '',
                     format_double(sum(s.frequency for s in group) / n) if n else '',
                     format_money(half_even(money, n), store.digits) if n else ''])
    return [header] + rows


def transitions(store, start, end, **options):
    """R19, X14."""
    at = [{s.customer: s.segment for s in score(store, as_of=t, **options)[0]} for t in (start, end)]
    names = list(dict.fromkeys(name for name, _ in options.get('segments') or DEFAULT_SEGMENTS)) + ['(none)', '(absent)']
    pairs = Counter((at[0].get(c, '(absent)'), at[1].get(c, '(absent)')) for c in set(at[0]) | set(at[1]))
    pairs = sorted(pairs.items(), key=lambda item: (names.index(item[0][0]), names.index(item[0][1])))
    return [['from', 'to', 'customers']] + [[a, b, str(n)] for (a, b), n in pairs]


def first_instants(store, unit, start, end):
    """Of each period of the calendar, those in (start, end]."""
    firsts = {'day': lambda d: True, 'week': lambda d: d.weekday() == 0, 'month': lambda d: d.day == 1,
              'quarter': lambda d: d.day == 1 and d.month % 3 == 1, 'year': lambda d: d.day == d.month == 1}
    found = []
    for day in range(store.zone.day(start) - 1, store.zone.day(end) + 2):
        t = store.zone.first_of_day(day)
        if firsts[unit](datetime.date.fromordinal(day + EPOCH)) and start < t <= end:
            found.append(t)
    return found


def every(store, answer, unit, start, end, **options):
    """`rfm` or `segments` as of each first instant, in one table."""
    tables = [(t, answer(store, as_of=t, **options)) for t in first_instants(store, unit, start, end)]
    header = answer(Store(), **options)[0]
    return [['as_of'] + header] + [[format_time(t)] + row for t, table in tables for row in table[1:]]
