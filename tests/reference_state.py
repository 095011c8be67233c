"""What `lapse` must answer about states, consents and permissions, computed a second time in the most obvious way.

Every customer and every instant is replayed from the first event. What the texts leave open is a name in CHOICES, so that
another reading can be tried by one assignment. Names of rulings (S7, C13, X12, ...) stand where the rule is applied; S 4.5
and the like are sections of the model.

A region is a function of (history, policy) that returns a dictionary of cells; STATES and CHANNEL_COLUMNS say which
column comes from where, and a column that no region fills is empty.
"""
import copy
import hashlib
import hmac
import re
import sys

sys.dont_write_bytecode = True
import reference  # noqa: E402
from reference import CHANNELS, DAY, PURPOSES, RANK, SECOND, format_time, orders_of  # noqa: E402

KEY = bytes(32)                                      # of a store in memory

DEFAULTS = {
    'engagement.risk': '90d', 'engagement.inactive': '6m', 'engagement.lost': '12m',
    'purchase.risk': '90d', 'purchase.inactive': '6m', 'purchase.lost': '12m',
    'consent.token': '60d', 'consent.import_needs_evidence': '1', 'consent.inapp_implied': '1',
    'implied.purchase': 'off', 'implied.inquiry': 'off', 'implied.channels': 'email',
    'bounce.soft': '3', 'bounce.span': '14d', 'permit.assume_endpoint': '1', 'order.zero_is_valid': '0',
    'loyalty.tier': 'off', 'loyalty.rating': 'off', 'activity.opens': '0', 'import.skew': '5min'}

# Readings of sentences that can be read in more than one way, as the library takes them.
CHOICES = {
    'address': True,              # C24: what an address withdraws reaches every customer who holds it
    'unnamed_carries': True,      # C24: also what names no address carries those that the customer holds on its channel
    'since_by_instant': True,    # C3: an instant is seen after all its events (S5), or event by event
    'pending_since': 'earliest', # C3: which of several open requests
    'tracking_objected': True,   # C17 has no exception for tracking, though an objection writes no tracking cell (C7)
    'inapp_any_purpose': False,  # S 4.8: NONE reads as IMPLIED in messages only, or for profiling etc. too
    'inapp_expired': True,       # S 4.8: the base of an expired cell is NONE, which reads as IMPLIED in-app
    'survey_topic': True,        # C11: a survey topic cell that is off is TOPIC_OFF too
    'expired_pending': True,     # C16: an open request makes an expired cell consent_pending
    'mentioned_end': False,       # C13: the removal of an address that was never added counts, as a bounce of it does
    'verified_restores': True,   # S31: endpoint.verified brings a removed endpoint back
    'implied_last_order': True,  # C4, S 4.5: of two orders in one instant the last in canonical order, or the first
    'bounce_reaches_removed': False,  # S30: "every endpoint" includes removed ones
    'unknown_printed': False,     # C13, S33: deliverability of an endpoint never heard of: unknown, or ok
    'nameless_alone': True,      # S27: an endpoint without address is printed, and asked, only where no other is known
    'session_makes_row': False,  # S27, S31: an in_app row by a session on app alone
    'usable_is_ok': True,        # C14: soft bouncing and spam reported endpoints are as good as ok
}


# ---- policy and time -------------------------------------------------------------------------------------------------

class Policy:
    def __init__(self, settings=None):
        self.text = {**DEFAULTS, **(settings or {})}

    def flag(self, name):
        return self.text[name] == '1'

    def number(self, name):
        return int(self.text[name])

    def is_off(self, name):
        return self.text[name] == 'off'

    def after(self, name, time, zone):
        """A span counted from an instant in one step (T7, T9)."""
        n, unit = re.fullmatch(r'(\d+)(d|m|y|h|min|s)', self.text[name]).groups()
        seconds = {'h': 3600, 'min': 60, 's': 1}.get(unit)
        if int(n) == 0:
            return time
        return time + int(n) * seconds * SECOND if seconds else zone.add(time, int(n), unit)


# ---- events ----------------------------------------------------------------------------------------------------------

KEYWORDS = {**dict.fromkeys(('stop stopall unsubscribe cancel end quit revoke optout opt-out remove arret td'.split() +
                             ['opt out']), 'withdraw'), 'start': 'grant', 'unstop': 'grant'}


def keyword(text):
    """F3. Blanks and letters of ASCII only: the library knows no locale."""
    text = text.strip(' \t\n\v\f\r')
    return KEYWORDS.get(''.join(chr(ord(c) + 32) if 'A' <= c <= 'Z' else c for c in text))


def rank(e):
    """Rulings 9: what grants by preference or keyword has its place in the table, what ends consent that of withdrawals."""
    if e.kind == 'preference.set' and e.cells['value'] == '0':
        return RANK['consent.withdrawn']
    if e.kind == 'sms.keyword' and keyword(e.cells['reason']) != 'grant':
        return RANK['consent.withdrawn']
    return RANK[e.kind]


def order_key(e):
    rest = [e.cells[c].encode() for c in reference.COLUMNS[2:] if c not in ('source', 'event_id')]
    return (e.time, rank(e), e.source.encode(), e.id.encode(), rest)


def hash_endpoint(text, channel, key=KEY):
    """The printed form of an endpoint (F8, X15): of e-mail addresses ASCII letters are lower-cased."""
    text = text.strip(' \t')
    if text.startswith('hash:'):
        return text[:5] + text[5:].lower()
    data = text.encode()
    if channel == 'email':
        data = data.lower()
    return 'hash:' + hmac.new(key, data, hashlib.sha256).hexdigest()


def read_events(data, source, zone=reference.UTC, digits=2, key=KEY):
    events = reference.read_events(data, source, zone=zone, digits=digits)
    for e in events:
        if e.cells['endpoint']:
            e.cells['endpoint'] = hash_endpoint(e.cells['endpoint'], e.cells['channel'], key)
    return events


class History:
    """Of one customer at an instant: `own` events in canonical order, and `seen`, which holds those that an address
    brings from other customers too (C24)."""

    def __init__(self, customer, own, as_of, zone):
        self.customer, self.own, self.seen, self.as_of, self.zone = customer, own, own, as_of, zone
        self.held = {}

    def once(self, function, policy):
        """Keeps what a function answered: nothing but time is saved."""
        key = (function, id(policy))
        if key not in self.held:
            self.held[key] = function(self, policy)
        return self.held[key]


def withdraws(e):
    """C24: what speaks for an address."""
    if e.kind == 'consent.withdrawn':
        return e.cells['reason'] != 'unverified'
    return e.kind == 'message.spam_reported' or (e.kind == 'sms.keyword' and keyword(e.cells['reason']) == 'withdraw')


def held(history, e):
    """The (channel, address) pairs that are a customer's current ones at the time of an event: added or verified before,
    and not removed, replaced or uninstalled since."""
    pairs = set()
    for o in history.own:
        if (o.time, rank(o)) >= (e.time, rank(e)):
            break
        address, channel = o.cells['endpoint'], o.cells['channel']
        if o.kind in ('endpoint.changed', 'app.uninstalled') or \
                (o.kind in ('endpoint.removed', 'push.token_invalidated') and not address):
            gone = {'app.uninstalled': ('push', 'in_app'), 'push.token_invalidated': ('push',)}.get(o.kind, (channel,))
            pairs = {p for p in pairs if p[0] not in gone}
        elif o.kind == 'endpoint.removed':
            pairs.discard((channel, address))
        elif o.kind == 'push.token_invalidated':
            pairs.discard(('push', address))
        if o.kind in ('endpoint.added', 'endpoint.changed', 'endpoint.verified') and address:
            pairs.add((channel, address))
        if o.kind == 'app.installed' and address:
            pairs |= {('push', address), ('in_app', address)}
    return pairs


def carried(history, e):
    """The pairs for which an event speaks: of the address it names, or of those that its customer holds."""
    channels = ['sms'] if e.kind == 'sms.keyword' else [e.cells['channel']] if e.cells['channel'] else CHANNELS
    if e.cells['endpoint']:
        return {(channel, e.cells['endpoint']) for channel in channels}
    return {p for p in held(history, e) if p[0] in channels} if CHOICES['unnamed_carries'] else set()


def histories(store, as_of):
    found = {}
    for customer, events in store.visible(as_of).items():
        found[customer] = History(customer, sorted(events, key=order_key), as_of, store.zone)
    if CHOICES['address']:
        for h in found.values():
            for e in filter(withdraws, h.own):
                for other in found.values():
                    common = held(other, e) & carried(h, e) if other is not h else ()
                    for channel in sorted({channel for channel, _ in common}):
                        crossed = copy.copy(e)                       # it is about the channel of the address alone
                        crossed.cells = {**e.cells, 'channel': channel}
                        other.seen = other.seen + [crossed]
        for h in found.values():
            h.seen = sorted(h.seen, key=order_key)
    return [found[customer] for customer in sorted(found, key=str.encode)]


# ---- orders, stage, account, rights ------------------------------------------------------------------------------------

# Rulings 9: v own visit, a activity, c contact only.
VISITS = set('''visitor.seen app.installed session.started product.viewed catalog.downloaded info.requested exit.intent
cart.updated checkout.started order.placed referral.sent review.posted'''.split())
ACTIVITIES = set('''visitor.seen session.started product.viewed catalog.downloaded exit.intent cart.updated checkout.started
order.placed message.clicked referral.sent review.posted survey.answered'''.split())
CONTACTS = set('customer.registered info.requested case.opened case.reopened defect.reported'.split())


def is_activity(e, policy):
    if e.kind == 'message.clicked':
        return e.cells['reason'] != 'bot'                                           # F4
    return e.kind in ACTIVITIES or (e.kind == 'message.opened' and policy.flag('activity.opens'))


def valid_orders(events, policy):
    """(time, first line) of each valid order, by time; events are in canonical order."""
    firsts, seen = [], set()
    for n, e in enumerate(events):
        if e.kind == 'order.placed' and (not e.ref or e.ref not in seen):
            firsts.append(e)
            seen.add(e.ref)
    orders, _ = orders_of(events, policy.flag('order.zero_is_valid'))
    assert len(firsts) == len(orders)
    return [(o.time, first) for o, first in zip(orders, firsts) if o.valid]


STAGES = 'reach acquisition conversion retention loyalty'.split()


def stage_now(events, policy):
    """S 4.3."""
    if valid_orders(events, policy):
        advocate = any(e.kind == 'referral.converted' for e in events)              # S6
        if not policy.is_off('loyalty.rating'):
            least = reference.parse_decimal(policy.text['loyalty.rating'])
            advocate |= any(e.kind == 'review.posted' and e.cells['value'] and
                            reference.parse_decimal(e.cells['value']) >= least for e in events)
        return 'loyalty' if advocate else 'retention'
    if any(e.kind == 'customer.registered' for e in events):                        # S4
        return 'conversion'
    return 'acquisition' if any(e.kind in VISITS for e in events) else 'reach'      # S2, S3


def stage(h, policy):
    """S5: the mark is the highest stage at any instant, each seen after all its events."""
    marks = [stage_now([o for o in h.own if o.time <= time], policy) for time in sorted({e.time for e in h.own})]
    return {'stage': marks[-1], 'stage_max': max(marks, key=STAGES.index)}


def account(h, policy):
    """S 4.7, S21."""
    state = 'open'
    for e in h.own:
        if state == 'erased' or e.kind == 'customer.erased':
            state = 'erased'
        elif e.kind == 'account.closed':
            state = 'closed'
        elif e.kind == 'customer.registered':
            state = 'open'
    return {'account': state}


def rights(h, policy):
    """X4, S22: a confirmation lifts an objection only if it counts (X11)."""
    if any(e.kind == 'customer.erased' for e in h.own):
        return {'rights': 'erased'}
    objected = granted = -1
    _, grants = h.once(consents, policy)
    for n, e in enumerate(h.seen):
        if e.kind == 'consent.objected':
            objected = n
        if e.kind in ('consent.granted', 'consent.confirmed') and any(
                key[1] == 'profiling' and not key[2] for key in grants.get(n, ())):
            granted = n
    return {'rights': 'objected' if objected > granted else 'none'}


# ---- the two clocks ----------------------------------------------------------------------------------------------------

def deadlines(clock, last, policy, zone):
    """In the order of the states that begin at them."""
    return [(name, policy.after('%s.%s' % (clock, limit), last, zone))
            for name, limit in (('at_risk', 'risk'), ('inactive', 'inactive'), ('lost', 'lost'))]


def clock_at(clock, last, as_of, policy, zone):
    """State, its deadline (None while active or new), and the next instant at which the state is another."""
    if last is None:
        return 'new', None, None
    ends = deadlines(clock, last, policy, zone)

    def at(instant):
        return ([('active', None)] + [(name, end) for name, end in ends if end <= instant])[-1]      # S11

    state, since = at(as_of)
    coming = [end for _, end in ends if end > as_of and at(end)[0] != state]
    return state, since, min(coming, default=None)


def engagement(h, policy):
    """S 4.4, S7, S8."""
    times = [e.time for e in h.own if is_activity(e, policy)]
    last = max(times, default=None)
    state, since, coming = clock_at('engagement', last, h.as_of, policy, h.zone)
    if state == 'new':
        since = h.own[0].time
    elif state == 'active':
        times.sort()
        since = times[0]
        for one, next_one in zip(times, times[1:]):
            if any(one < end < next_one for _, end in deadlines('engagement', one, policy, h.zone)):
                since = next_one
    contacts = [e.time for e in h.own if e.kind in CONTACTS or is_activity(e, policy)]              # S12
    return {'engagement': state, 'engagement_since': since, 'deadline': coming, 'last_activity': last,
            'last_contact': max(contacts, default=None)}


def purchase(h, policy):
    """S10."""
    last = max((time for time, _ in valid_orders(h.own, policy)), default=None)
    state, _, coming = clock_at('purchase', last, h.as_of, policy, h.zone)
    return {'purchase_clock': state, 'last_purchase': last, 'deadline': coming}


# ---- consent -----------------------------------------------------------------------------------------------------------

REACHED = 'marketing profiling ad_audience survey'.split()                          # C7
LEFT = 'marketing profiling tracking ad_audience survey'.split()                    # F2
VERBS = {'consent.imported': 'import', 'consent.requested': 'request', 'consent.granted': 'grant',
         'consent.confirmed': 'confirm', 'consent.declined': 'decline'}


def acts(e):
    """(cell, verb) for every cell that an event reaches."""
    channel, purpose, topic = e.cells['channel'], e.cells['purpose'], e.cells['topic']
    channels = [channel] if channel else CHANNELS
    if e.kind in VERBS:
        return [((channel, purpose or 'marketing', topic), VERBS[e.kind])]
    if e.kind == 'consent.withdrawn':
        if e.cells['reason'] == 'unverified':                                       # F4
            return []
        return [((c, p, topic), 'withdraw') for c in channels for p in ([purpose] if purpose else LEFT)]
    if e.kind in ('consent.objected', 'account.closed'):
        return [((c, p, ''), 'withdraw') for c in CHANNELS for p in REACHED]
    if e.kind == 'message.spam_reported':
        return [((channel, 'marketing', ''), 'withdraw')]                           # C8
    if e.kind == 'preference.set':                                                  # C9
        verb = 'grant' if e.cells['value'] == '1' else 'withdraw'
        return [((c, purpose or 'marketing', topic), verb) for c in channels]
    if e.kind == 'sms.keyword' and keyword(e.cells['reason']):
        return [(('sms', 'marketing', ''), keyword(e.cells['reason']))]
    return []


STRENGTHS = {'import': 'unknown', 'grant': 'single', 'confirm': 'double'}


class Cell:
    def __init__(self):
        self.base, self.tokens = 'none', {}
        self.steps = []                              # (event, base before, base after, strength given)

    def act(self, e, verb, policy, zone):
        """The table of S 4.5. True: a grant or a confirmation that counts."""
        before, counts = self.base, True
        if verb == 'import':
            counts = before == 'none' and bool(e.cells['evidence'] or not policy.flag('consent.import_needs_evidence'))
        elif verb == 'confirm':
            request = self.tokens.get(e.ref)                                        # X11, X13
            counts = request is not None and e.time <= policy.after('consent.token', request.time, zone)
            if counts:
                del self.tokens[e.ref]                                              # X12
        if verb == 'request':
            self.tokens[e.ref] = e                                                  # C12
            return False
        if not counts:
            return False
        if verb in STRENGTHS:
            self.base = 'granted'
        else:
            self.tokens.clear()                                                     # X12
            self.base = 'declined' if verb == 'decline' and before in ('none', 'declined') else 'withdrawn'
        self.steps.append((e, before, self.base, STRENGTHS.get(verb)))
        return verb in ('grant', 'confirm')

    def began(self):
        """The step with which the base state began, and all that came with and after it."""
        n = len(self.steps)
        while n > 0 and self.steps[n - 1][2] == self.base:
            n -= 1
        run = self.steps[n:]
        if CHOICES['since_by_instant']:
            # A state that an instant interrupts but does not end has not been broken.
            times = sorted({step[0].time for step in self.steps}, reverse=True)
            first = times[0]
            for time in times:
                if [step for step in self.steps if step[0].time <= time][-1][2] != self.base:
                    break
                first = time
            there = [step for step in self.steps if step[0].time == first]
            m = len(there)
            while m > 0 and there[m - 1][2] == self.base:
                m -= 1
            start = self.steps.index(there[m])
            run = self.steps[start:]
        return run[0][0], run

    def open_requests(self, as_of, policy, zone):
        return [e for e in self.tokens.values() if as_of <= policy.after('consent.token', e.time, zone)]


def fold_consent(events, policy, zone):
    """Cells, and for each place in the history the cells it granted or confirmed."""
    cells, grants = {}, {}
    for n, e in enumerate(events):
        for key, verb in acts(e):
            if cells.setdefault(key, Cell()).act(e, verb, policy, zone):
                grants.setdefault(n, []).append(key)
    return cells, grants


def consents(h, policy):
    return fold_consent(h.seen, policy, h.zone)


def implied(h, channel, policy):
    """C2: state, since, event; None if nothing implies consent on that channel."""
    if channel not in policy.text['implied.channels'].split(','):
        return None
    found = []
    if not policy.is_off('implied.purchase'):
        found += [(policy.after('implied.purchase', time, h.zone), time, e) for time, e in valid_orders(h.own, policy)]
        if not CHOICES['implied_last_order']:
            found = [f for n, f in enumerate(found) if f[1] not in [g[1] for g in found[:n]]]
    if not policy.is_off('implied.inquiry'):
        found += [(policy.after('implied.inquiry', e.time, h.zone), e.time, e) for e in h.own if e.kind == 'info.requested']
    if not found:
        return None
    end, time, e = max(found, key=lambda f: (f[0], f[1], order_key(f[2])))          # S 4.5: the last one
    return ('implied', time, e) if h.as_of < end else ('expired', end, None)


def consent_cells(h, policy):
    """Every cell that is printed (C1): key -> state, pending, strength, since, reason, source."""
    cells, out = dict(h.once(consents, policy)[0]), {}
    for channel in CHANNELS:
        if implied(h, channel, policy):
            cells.setdefault((channel, 'marketing', ''), Cell())
    for key, cell in cells.items():
        channel, purpose, topic = key
        requests = cell.open_requests(h.as_of, policy, h.zone) if cell.base != 'granted' else []     # C12
        derived = implied(h, channel, policy) if cell.base == 'none' and purpose == 'marketing' and not topic else None
        strength, event = '', None
        if cell.base != 'none':
            state, (event, run) = cell.base, cell.began()
            since = event.time
            if state == 'granted':                                                  # C5
                strength = max((step[3] for step in run), key=['unknown', 'single', 'double'].index)
        elif derived:
            state, since, event = derived
        elif requests:
            pick = min if CHOICES['pending_since'] == 'earliest' else max
            state, event = 'none', pick(requests, key=order_key)                    # C3
            since = event.time
        else:
            continue
        out[key] = (state, '1' if requests else '0', strength, since,
                    event.cells['reason'] if event else '', event.cells['source'] if event else '')
    return out


# ---- endpoints ---------------------------------------------------------------------------------------------------------

NEED_NONE = ('onsite', 'social', 'ads')                                             # C13


class Endpoint:
    """S33: independent facts. `known` by S31; one that events only mention is not known."""

    def __init__(self):
        self.known = self.removed = self.hard = False
        self.soft, self.added = [], -1               # times of the soft run; place in the history


class Channel:
    def __init__(self, name):
        self.name, self.records, self.manual, self.spam = name, {}, False, False
        self.messages = self.session = False

    def record(self, h):
        return self.records.setdefault(h, Endpoint())

    def targets(self, h):
        """S30: without an address every endpoint of the channel. Where none is known, what names an address concerns the
        one unknown endpoint too: hosts that send no endpoint events still name addresses in bounces."""
        if not h:
            return list(self.records.values()) or [self.record('')]
        return [self.record(h)] + ([] if self.known() else [self.record('')])

    def ended(self, h):
        if h and not CHOICES['mentioned_end'] and not (h in self.records and self.records[h].known):
            return []
        return self.targets(h)

    def known(self):
        """An app makes push known without naming an endpoint: it stands for itself only where no other is known."""
        named = {h: r for h, r in self.records.items() if h and r.known and CHOICES['nameless_alone']}
        return named or {h: r for h, r in self.records.items() if r.known}

    def exists(self, r):
        return r.known or self.session or self.name in NEED_NONE

    def deliverability(self, r):
        facts = (('manual_block', self.manual), ('hard_bounced', r.hard), ('no_endpoint', r.removed),
                 ('spam_reported', self.spam), ('soft_bouncing', bool(r.soft)),
                 ('unknown', not self.exists(r) and CHOICES['unknown_printed']), ('ok', True))
        return next(name for name, is_so in facts if is_so)

    def rows(self):
        """S27."""
        if self.known():
            return [(h[5:21], self.deliverability(r)) for h, r in sorted(self.known().items())]
        if self.messages or (self.session and CHOICES['session_makes_row']):
            return [('', self.deliverability(self.records.get('', Endpoint())))]
        return []

    def best(self, records):
        """C14."""
        good = (lambda r: not (r.hard or r.removed or self.manual)) if CHOICES['usable_is_ok'] else (
            lambda r: self.deliverability(r) in ('ok', 'unknown'))
        return next((r for r in records if good(r)), None) or max(records, key=lambda r: r.added)

    def denials(self, policy):
        r = self.best(list(self.known().values()) or [self.records.get('', Endpoint())])
        out = set()
        if self.name not in NEED_NONE and (r.removed or not (self.exists(r) or policy.flag('permit.assume_endpoint'))):
            out.add('no_endpoint')
        if r.hard:
            out.add('hard_bounced')
        if self.manual:
            out.add('manual_block')
        return out


def bounce(reason):
    """F1, S 4.6. None: says nothing about the address."""
    if reason in ('', 'soft'):
        return 'soft'
    if reason in ('hard', 'block'):
        return 'hard' if reason == 'hard' else None
    code = re.fullmatch(r'([245])\.(\d{1,3})\.(\d{1,3})', reason)
    if code:
        one, two, three = map(int, code.groups())
        if one == 5 and (two == 1 or (two, three) == (2, 1)):
            return 'hard'
        if one == 5 and (two in (6, 7) or (two, three) == (3, 4)):
            return None
        if one == 2:
            return None
    return 'soft'


def fold_endpoints(events, policy, zone, grants=None):
    channels = {name: Channel(name) for name in CHANNELS}
    for n, e in enumerate(events):
        address, kind = e.cells['endpoint'], e.kind
        c = channels.get(e.cells['channel'])
        if kind in ('endpoint.added', 'endpoint.changed'):
            if kind == 'endpoint.changed':                                          # S35
                for r in c.records.values():
                    r.removed = True
            r = c.record(address)
            r.known, r.removed, r.added = True, False, n
        elif kind == 'endpoint.verified':
            for r in [c.record(address)] if address else c.targets(''):
                if not r.known:
                    r.known, r.removed, r.added = True, False, n                    # S31
                if CHOICES['verified_restores']:
                    r.removed = False
                if r.hard:
                    r.hard, r.soft = False, []
        elif kind == 'endpoint.removed':
            for r in c.ended(address):
                r.removed = True
        elif kind == 'app.installed':                                               # S31, S 4.6
            for name in ('push', 'in_app'):
                for r in channels[name].records.values():
                    r.removed = False
                r = channels[name].record(address)
                r.known, r.removed, r.added = True, False, n
        elif kind == 'app.uninstalled':
            for name in ('push', 'in_app'):
                for r in channels[name].targets(''):
                    r.removed = True
            channels['in_app'].session = False
        elif kind == 'push.token_invalidated':
            for r in channels['push'].ended(address):
                r.removed = True
        elif kind == 'session.started' and e.cells['platform'] == 'app':            # C13
            channels['in_app'].session = True
            for r in channels['in_app'].records.values():
                r.removed = False
        elif kind == 'suppression.added':                                           # S34
            c.manual = True
        elif kind == 'suppression.removed':
            c.manual = False
            for r in c.targets(address):
                r.hard, r.soft = False, []
        if kind.startswith('message.'):
            c.messages = True
        if kind == 'message.bounced' and bounce(e.cells['reason']):
            for r in c.targets(address):
                if r.removed and r.known and not address and not CHOICES['bounce_reaches_removed']:
                    continue
                if bounce(e.cells['reason']) == 'hard':
                    r.hard = True
                elif not r.hard:
                    r.soft.append(e.time)                                           # S32
                    if len(r.soft) >= policy.number('bounce.soft') and \
                            e.time > policy.after('bounce.span', r.soft[0], zone):
                        r.hard = True
        elif kind == 'message.delivered':
            for r in c.targets(address):
                r.soft = []
        elif kind == 'message.spam_reported':
            c.spam = True
        for key in (grants or {}).get(n, ()):
            if key[1:] == ('marketing', ''):                                        # S 4.6, X19
                channels[key[0]].spam = False
    return channels


def endpoints(h, policy):
    _, grants = h.once(consents, policy)
    return fold_endpoints(h.seen, policy, h.zone, grants)


# ---- the gate ----------------------------------------------------------------------------------------------------------

GATE = ('erased no_endpoint hard_bounced manual_block account_closed objected spam_reported consent_none consent_declined '
        'consent_pending consent_expired consent_withdrawn topic_off').split()
ALWAYS = {'erased', 'no_endpoint', 'hard_bounced', 'manual_block'}                  # C15


def cell_denial(h, channel, purpose, policy, printed):
    """The reason a channel cell gives, or None."""
    cells, _ = h.once(consents, policy)
    base = cells[(channel, purpose, '')].base if (channel, purpose, '') in cells else 'none'
    if base == 'granted':
        return None
    if base != 'none':
        return 'consent_' + base
    state, pending = printed.get((channel, purpose, ''), ('none', '0'))[:2]
    if channel in ('in_app', 'onsite') and policy.flag('consent.inapp_implied') and (
            purpose == 'marketing' or CHOICES['inapp_any_purpose']) and (
            state != 'expired' or CHOICES['inapp_expired']):                        # S 4.8
        return None
    if state == 'implied':
        return None
    if pending == '1' and (state == 'none' or CHOICES['expired_pending']):
        return 'consent_pending'                                                    # C16
    return 'consent_' + state                                                       # none, or expired (C26)


def gate(h, channel, purpose, topic, policy):
    """All reasons, in the order of S 4.8."""
    printed = h.once(consent_cells, policy)
    reasons = set()
    if h.once(rights, policy)['rights'] == 'erased':
        reasons.add('erased')
    if purpose not in ('profiling', 'tracking', 'ad_audience'):                     # C23
        reasons |= h.once(endpoints, policy)[channel].denials(policy)
    asked = 'marketing' if purpose == 'survey' else purpose                         # C11
    if h.once(account, policy)['account'] == 'closed':                                   # C18
        reasons.add('account_closed')
    objection = grant = -1
    _, grants = h.once(consents, policy)
    for n, e in enumerate(h.seen):
        if e.kind == 'consent.objected':
            objection = n
        if (channel, asked, '') in grants.get(n, ()):
            grant = n
    if objection > grant and (asked != 'tracking' or CHOICES['tracking_objected']):  # C17
        reasons.add('objected')
    if asked == 'marketing' and h.once(endpoints, policy)[channel].spam:
        reasons.add('spam_reported')
    reasons.add(cell_denial(h, channel, asked, policy, printed))
    off = ('declined', 'withdrawn')
    if purpose == 'survey' and printed.get((channel, 'survey', ''), [None])[0] in off:
        reasons.add('consent_' + printed[(channel, 'survey', '')][0])
    if topic:
        for p in {asked, purpose} if CHOICES['survey_topic'] else {asked}:
            if printed.get((channel, p, topic), [None])[0] in off:
                reasons.add('topic_off')                                            # C9, C10
    reasons.discard(None)
    if purpose in ('transactional', 'service'):
        reasons &= ALWAYS
    return [r for r in GATE if r in reasons]


# ---- answers -----------------------------------------------------------------------------------------------------------

STATES = {'stage': (stage, 'stage'), 'stage_max': (stage, 'stage_max'), 'engagement': (engagement, 'engagement'),
          'engagement_since': (engagement, 'engagement_since'), 'next_deadline': None,
          'purchase_clock': (purchase, 'purchase_clock'), 'last_purchase': (purchase, 'last_purchase'),
          'last_activity': (engagement, 'last_activity'), 'last_contact': (engagement, 'last_contact'),
          'membership': None, 'case': None, 'identity': None, 'tier': None, 'cart': None,
          'account': (account, 'account'), 'rights': (rights, 'rights')}
TIMED = [engagement, purchase]                       # regions whose `deadline` is part of next_deadline (S9)
CHANNEL_COLUMNS = 'customer channel endpoint deliverability responsiveness last_engaged sends_since'.split()


def text(value):
    return '' if value is None else format_time(value) if isinstance(value, int) else value


class View:
    """A store at an instant, for several answers."""

    def __init__(self, store, as_of=None):
        self.zone = store.zone
        self.as_of = store.default_instant() if as_of is None else as_of
        self.histories = [] if self.as_of is None else histories(store, self.as_of)


def prepare(store, as_of, policy):
    view = store if isinstance(store, View) else View(store, as_of)
    return view.histories, policy or Policy()


def states(store, as_of=None, policy=None):
    rows = [['customer'] + list(STATES)]
    found, policy = prepare(store, as_of, policy)
    for h in found:
        cells = {region: region(h, policy) for region in (stage, engagement, purchase, account, rights)}
        ends = [cells[region]['deadline'] for region in TIMED if cells[region]['deadline'] is not None]
        row = {column: cells[of[0]][of[1]] for column, of in STATES.items() if of}
        row['next_deadline'] = min(ends, default=None)
        rows.append([h.customer] + [text(row.get(column)) for column in STATES])
    return rows


def channels(store, as_of=None, policy=None):
    rows = [CHANNEL_COLUMNS]
    found, policy = prepare(store, as_of, policy)
    for h in found:
        of = h.once(endpoints, policy)
        for name in CHANNELS:
            rows += [[h.customer, name, endpoint, state, '', '', ''] for endpoint, state in of[name].rows()]
    return rows


def consent(store, as_of=None, policy=None):
    rows = ['customer channel purpose topic state pending strength since reason source'.split()]
    found, policy = prepare(store, as_of, policy)
    for h in found:
        cells = h.once(consent_cells, policy)
        for key in sorted(cells, key=lambda k: (CHANNELS.index(k[0]), PURPOSES.index(k[1]), k[2].encode())):
            rows.append([h.customer, *key] + [text(value) for value in cells[key]])
    return rows


def permit(store, purpose, channel=None, topic=None, customer=None, as_of=None, policy=None):
    rows = ['customer channel purpose decision reason reasons until'.split()]
    view = store if isinstance(store, View) else View(store, as_of)
    found, policy = prepare(view, None, policy)
    if customer is not None:
        found = [h for h in found if h.customer == customer] or [
            History(customer, [], view.as_of, view.zone)]                           # K15
        if view.as_of is None:                                                      # T6
            found = []
    for h in found:
        if channel:
            asked = [channel]
        else:
            asked = ['ads'] if purpose in ('profiling', 'tracking', 'ad_audience') else CHANNELS     # C21, C23
        for c in asked:
            reasons = gate(h, c, purpose, topic, policy)
            rows.append([h.customer, c, purpose, 'deny' if reasons else 'allow', reasons[0] if reasons else '',
                         '|'.join(reasons), ''])                                     # C20
    return rows
