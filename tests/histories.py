"""Random histories of valid rows (F2): small pools of everything, few instants, many ties, deadlines met and just missed.

draw() gives the rows of one batch: several histories side by side, each with customers and addresses of its own, so that
one run of the command answers for all. A focus makes kinds of one region likely; `doubts` adds what the texts do not
decide (see the list at the end), which only shows where two implementations chose differently.
"""
import random

import reference
import reference_state

US = 1
DAY = reference.DAY

# What a clock might count from: ends of months, leap days, a change of the clocks in Paris, a plain day.
STARTS = [reference.parse_time(t) for t in (
    '2023-08-31T00:00:00Z', '2023-08-31T10:15:00Z', '2023-11-30T23:59:59.999999Z', '2024-01-31T12:00:00Z',
    '2024-02-29T00:00:00Z', '2024-03-01T08:00:00Z', '2024-03-31T00:30:00Z', '2024-08-29T06:00:00Z',
    '2024-08-31T06:00:00Z', '2024-08-31T22:30:00Z', '2024-10-27T01:30:00Z', '2024-12-31T23:30:00Z')]
SPANS = ['1d', '13d', '14d', '30d', '60d', '90d', '180d', '6m', '12m', '24m', '1h']

FOCUS = {
    'token': '''consent.requested consent.requested consent.confirmed consent.confirmed consent.declined consent.withdrawn
        consent.granted consent.objected message.spam_reported account.closed consent.imported'''.split(),
    'consent': '''consent.imported consent.requested consent.requested consent.granted consent.granted consent.confirmed
        consent.confirmed consent.declined consent.withdrawn consent.withdrawn consent.objected preference.set sms.keyword
        message.spam_reported account.closed customer.registered order.placed info.requested'''.split(),
    'endpoint': '''endpoint.added endpoint.added endpoint.changed endpoint.verified endpoint.removed app.installed
        app.uninstalled push.token_invalidated session.started message.bounced message.bounced message.bounced
        message.delivered message.sent message.spam_reported suppression.added suppression.removed consent.granted
        consent.withdrawn'''.split(),
    'shared': '''endpoint.added endpoint.added endpoint.added endpoint.changed endpoint.removed endpoint.verified consent.granted
        consent.granted consent.imported consent.requested consent.confirmed consent.withdrawn consent.withdrawn
        message.spam_reported sms.keyword consent.objected consent.declined message.bounced'''.split(),
    'clock': '''visitor.seen session.started product.viewed catalog.downloaded info.requested exit.intent cart.updated
        checkout.started order.placed message.clicked message.opened message.converted referral.sent review.posted
        survey.answered case.opened case.reopened defect.reported customer.registered app.installed message.sent
        consent.granted content.viewed ad.clicked'''.split(),
    'order': '''order.placed order.placed order.placed order.refunded order.refunded order.cancelled order.delivered
        customer.registered referral.converted review.posted session.started'''.split(),
    'mixed': [kind for kind in reference.KINDS if kind not in ('customer.merged', 'customer.erased')] + ['customer.erased'],
}
WORDS = ['STOP', ' stop ', 'Opt Out', 'ARRET', 'start', 'UNSTOP', 'hello', 'stop it', '']
REASONS = ['', '', 'too many', 'price', 'bot', 'unverified']
BOUNCES = ['', 'soft', 'soft', '4.2.2', '5.2.2', 'hard', 'block', '5.1.1', '5.2.1', '5.7.1', '5.3.4', '5.6.0']
CHANNELS = ['email', 'email', 'email', 'sms', 'sms', 'push', 'in_app', 'onsite', 'ads', 'web_push', 'postal']
PURPOSES = 'profiling survey ad_audience tracking transactional service'.split()
ADDRESSED = ['email', 'email', 'sms', 'web_push']    # endpoint.*; app.* speaks of push and in_app
TAKES_ADDRESS = ('message.bounced', 'message.delivered', 'endpoint.verified', 'endpoint.removed')


class Pool:
    """One history: its customers, addresses and instants."""

    def __init__(self, rng, name, instants, raw):
        self.customers = [name + c for c in 'abc'[:rng.choice([1, 1, 2, 3])]]
        self.addresses = [('%s%d@x.org' % (name, n) if raw else 'hash:' + '%02x' % n + name.encode().hex().rjust(62, '0'))
                          for n in range(3)]
        self.instants = rng.sample(instants, min(len(instants), rng.randint(1, 6)))
        # Few cells, so that events meet in them; sometimes any.
        wide = rng.random() < 0.2
        self.channels = CHANNELS if wide else [rng.choice(CHANNELS)] * 3 + [rng.choice(CHANNELS)]
        self.purposes = ['', 'marketing'] * (1 if wide else 3) + (PURPOSES if wide else [rng.choice(PURPOSES)])
        self.topics = rng.choice([[''], ['', 'shoes'], ['', '', '', 'shoes', 'Ä']])
        self.tokens = rng.choice([['t1'], ['t1', 't1', 't2']])


LIMITS = {'token': ['consent.token'], 'consent': ['consent.token', 'implied.purchase', 'implied.inquiry'], 'endpoint': ['bounce.span'],
          'clock': ['engagement.risk', 'engagement.inactive', 'engagement.lost'],
          'order': ['purchase.risk', 'purchase.inactive', 'purchase.lost']}


def instants(rng, policy, theme):
    """One or two starts, limits of the theme counted from them, and one microsecond to either side."""
    limits = LIMITS.get(theme) or rng.choice(list(LIMITS.values()))
    spans = [policy.text[n] for n in limits if not policy.is_off(n)]
    zone, out = reference.Zone(rng.choice(['+00:00', '+05:30', 'Europe/Paris'])), []
    for start in rng.sample(STARTS, rng.randint(1, 2)):
        out.append(start)
        for _ in range(rng.randint(1, 3)):
            span = rng.choice(spans if rng.random() < 0.7 else SPANS)
            later = reference_state.Policy({'x': span}).after('x', rng.choice(out), zone)
            out.append(later + rng.choice([0, 0, 0, -US, US, DAY]))
    return sorted(set(out))


def draw_policy(rng):
    """Settings as texts; limits in order (S11)."""
    out = {}
    if rng.random() < 0.5:
        return out
    limits = {'engagement': [('7d', '14d', '30d'), ('1m', '2m', '3m'), ('30d', '1m', '1y'), ('1h', '24h', '48h'),
                             ('6m', '6m', '6m'), ('200d', '6m', '12m'), ('30min', '45min', '90min')]}
    for clock in ('engagement', 'purchase'):
        if rng.random() < 0.4:
            out.update(zip(('%s.%s' % (clock, n) for n in ('risk', 'inactive', 'lost')), rng.choice(limits['engagement'])))
    choices = {'consent.token': ['1d', '30d', '60d', '2m', '45s'], 'consent.import_needs_evidence': ['0'],
               'consent.inapp_implied': ['0'], 'implied.purchase': ['24m', '1m', '60d'], 'implied.inquiry': ['6m', '13d'],
               'implied.channels': ['email', 'sms', 'email,sms,in_app'], 'bounce.soft': ['1', '2', '3', '5'],
               'bounce.span': ['1d', '14d', '1m', '0d'], 'permit.assume_endpoint': ['0'], 'order.zero_is_valid': ['1'],
               'loyalty.rating': ['4', '4.5', '0'], 'activity.opens': ['1']}
    for name, values in choices.items():
        if rng.random() < 0.35:
            out[name] = rng.choice(values)
    return out


def draw_row(rng, pool, kind, doubts, n):
    row = dict.fromkeys(reference.COLUMNS, '')
    row.update(customer=rng.choice(pool.customers), kind=kind, time=reference.format_time(rng.choice(pool.instants)))
    reason = rng.choice(REASONS)
    if kind.startswith('order.'):
        row['ref'] = rng.choice(['', '1', '1', '2', '3'])
        row['amount'] = rng.choice(['', '0', '5', '5.00', '10', '12.34'])
        return row
    if kind.startswith(('consent.', 'message.', 'endpoint.', 'suppression.', 'preference.')):
        row['channel'] = rng.choice(pool.channels)
    if kind.startswith('consent.'):
        row['purpose'] = rng.choice(pool.purposes)
        row['topic'] = rng.choice(pool.topics)
        row['evidence'] = rng.choice(['', 'form 7', 'form 7'])
        row['ref'] = rng.choice(pool.tokens)
        row['reason'] = reason
        if kind == 'consent.withdrawn':
            row['channel'] = rng.choice([row['channel'], row['channel'], row['channel'], ''])
    if kind.startswith('endpoint.'):
        held = [c for c in pool.channels if c in ADDRESSED] or ADDRESSED
        row.update(channel=rng.choice(held), endpoint=rng.choice(pool.addresses))
    if kind in ('consent.withdrawn', 'message.spam_reported', 'message.bounced', 'message.delivered') and \
            row['channel'] in ADDRESSED and rng.random() < 0.4:
        row['endpoint'] = rng.choice(pool.addresses)
    if kind.startswith('message.'):
        row['purpose'] = rng.choice(['', 'marketing', 'transactional'])
        row['reason'] = rng.choice(BOUNCES) if kind == 'message.bounced' else reason
        row['ref'] = rng.choice(['', 'm1'])
    if kind == 'preference.set':
        row.update(topic=rng.choice(['shoes', 'Ä']), value=rng.choice(['0', '1', '1.0']), reason=reason,
                   channel=rng.choice(['', 'email', 'sms']))
    if kind == 'sms.keyword':
        row.update(reason=rng.choice(WORDS), channel=rng.choice(['', 'sms']), endpoint=rng.choice(['', '', pool.addresses[0]]))
    if kind in ('review.posted', 'survey.answered', 'points.adjusted'):
        row['value'] = rng.choice(['', '3', '4', '4.0', '5', '-1', '4.5'])
    if kind in ('session.started', 'app.installed', 'app.uninstalled'):
        row['platform'] = rng.choice(['', 'app', 'app', 'web', 'store'])
    if kind == 'customer.registered':
        row['reason'] = rng.choice(['', 'account', 'trial', 'newsletter', 'app'])
    if kind in ('account.closed', 'consent.objected', 'message.spam_reported'):
        row['reason'] = reason
    if doubts:
        doubt(rng, pool, row)
    if row['endpoint'].endswith('@x.org') and rng.random() < 0.2:
        row['endpoint'] = ' ' + row['endpoint'] + ' '
        if row['channel'] == 'email':
            row['endpoint'] = row['endpoint'].upper()
    return row


def doubt(rng, pool, row):
    """What no text decides: events about an address never added, or about none; app.* with an address, and addresses of
    push and in_app; withdrawals by address without channel; removal of one address from a block; other bounce codes;
    preferences with a purpose; keywords with a topic."""
    kind = row['kind']
    if kind.startswith('endpoint.') or kind in TAKES_ADDRESS or kind.startswith('suppression.'):
        row['channel'] = rng.choice(CHANNELS)
        row['endpoint'] = rng.choice(pool.addresses + [''])
    if kind in ('app.installed', 'app.uninstalled', 'push.token_invalidated', 'consent.withdrawn', 'message.spam_reported'):
        row['endpoint'] = rng.choice(pool.addresses + ['', ''])
    if kind == 'message.bounced' and rng.random() < 0.3:
        row['reason'] = rng.choice(['full', '5.0.0', '5.4.1', '5.2.3', '5.1', 'HARD'])
    if kind == 'preference.set':
        row['purpose'] = rng.choice(['', 'survey', 'profiling'])
    if kind == 'sms.keyword':
        row.update(topic=rng.choice(['', 'shoes']), channel=rng.choice(['', 'sms', 'email']))


def settle(rows):
    """Takes away addresses of which nobody has told before, so that only what the texts decide remains."""
    told = {}
    for row in rows:
        if row['kind'] in ('endpoint.added', 'endpoint.changed'):
            key = (row['customer'], row['channel'], row['endpoint'].strip().lower())
            told[key] = min(told.get(key, row['_time']), row['_time'])
    for row in rows:
        if row['kind'] in TAKES_ADDRESS and row['endpoint']:
            key = (row['customer'], row['channel'], row['endpoint'].strip().lower())
            if told.get(key, row['_time'] + 1) > row['_time']:
                if row['kind'].startswith('endpoint.'):
                    row['kind'] = 'endpoint.added'
                else:
                    row['endpoint'] = ''
    return rows


def draw(rng, count=20, doubts=False, focus=None, raw=True, policy=None):
    """Rows of `count` histories, shuffled, and instants worth asking about."""
    policy = policy or reference_state.Policy()
    theme, rows = focus or rng.choice(list(FOCUS)), []
    times = instants(rng, policy, theme)
    for n in range(count):
        pool = Pool(rng, '%02d' % n, times, raw)
        if theme == 'shared':                                # several customers, and few addresses for all of them
            pool.customers = [pool.customers[0][:-1] + c for c in 'abc']
            pool.addresses = pool.addresses[:rng.choice([1, 1, 2])]
            pool.channels = rng.choice([['email'], ['email', 'email', 'sms'], ['sms']])
        own = []
        for _ in range(rng.choice([1, 2, 3, 4, 6, 9, 14])):
            kinds = FOCUS[theme if rng.random() < 0.85 else 'mixed']
            kind = rng.choice(kinds)
            if kind == 'event.retracted' or (rng.random() < 0.03 and own):
                taken = rng.choice(own) if own else None
                if taken is None or taken['kind'] == 'event.retracted':
                    continue
                row = dict.fromkeys(reference.COLUMNS, '')
                row.update(customer=taken['customer'], kind='event.retracted', source=taken['source'],
                           ref=taken['event_id'], time=reference.format_time(rng.choice(pool.instants)))
            else:
                row = draw_row(rng, pool, kind, doubts, n)
            row['source'] = rng.choice(['', 'web', 'pos'])
            row['event_id'] = '%d-%d' % (n, len(own))
            if kind == 'event.retracted':
                row['source'] = taken['source']
            row['_time'] = reference.parse_time(row['time'])
            own.append(row)
        rows += own if doubts else settle(own)
    for row in rows:
        if row['kind'] == 'event.retracted':                 # `settle` never changes what a retraction names
            continue
        if rng.random() < 0.1:                               # some have no id
            if not any(r['kind'] == 'event.retracted' and r['ref'] == row['event_id'] for r in rows):
                row['event_id'] = ''
    rng.shuffle(rows)
    asked = [t + rng.choice([0, 0, 0, -US, US]) for t in times + times[-2:]]
    return rows, asked


def render(rows, columns=reference.COLUMNS):
    cell = lambda t: '"%s"' % t.replace('"', '""') if any(c in t for c in ',"\n\r') else t  # noqa: E731
    return '\n'.join([','.join(columns)] + [','.join(cell(row[c]) for c in columns) for row in rows]) + '\n'


def seeded(seed):
    return random.Random(seed)
