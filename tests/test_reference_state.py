"""The reference of states checked by hand: golden vectors of S 4.5, months of S 4.4, examples of the rulings one by one.

    python3 test_reference_state.py

Every example is an event file, a question and what must be answered; test_states.py puts the same to the command. A
question is an answer's name, its options, and the columns to look at (all rows, or those of one cell).
"""
import sys

sys.dont_write_bytecode = True
import reference  # noqa: E402
import reference_state as R  # noqa: E402

HEAD = 'customer,time,kind,channel,purpose,topic,ref,value,reason,endpoint,evidence,amount,platform,event_id,source\n'
COLUMNS = HEAD.strip().split(',')


def line(kind, time, customer='a', **cells):
    row = dict.fromkeys(COLUMNS, '')
    row.update(kind=kind, time=time if isinstance(time, str) else '2024-03-01T00:00:%02dZ' % time, customer=customer, **cells)
    assert set(row) == set(COLUMNS), row
    return ','.join(row[c] for c in COLUMNS) + '\n'


# ---- S 4.5, tokens as X11 to X13 mend them -----------------------------------------------------------------------------

VECTORS = '''
 -> none 0
GRANT@1 -> granted 0 single
IMPORT@1 -> granted 0 unknown
GRANT@1 WITHDRAW@2 -> withdrawn 0
WITHDRAW@2 GRANT@1 -> withdrawn 0
GRANT@1 WITHDRAW@1 -> withdrawn 0
WITHDRAW@1 IMPORT@2 -> withdrawn 0
IMPORT@2 WITHDRAW@3 -> withdrawn 0
DECLINE@1 IMPORT@2 -> declined 0
IMPORT@1 DECLINE@2 -> withdrawn 0
DECLINE@1 GRANT@2 -> granted 0 single
WITHDRAW@1 GRANT@2 -> granted 0 single
ASK@1 -> none 1
ASK@1 CONFIRM@2 -> granted 0 double
CONFIRM@1 -> none 0
ASK@1 WITHDRAW@2 CONFIRM@3 -> withdrawn 0
WITHDRAW@1 ASK@2 -> withdrawn 1
WITHDRAW@1 ASK@2 CONFIRM@3 -> granted 0 double
GRANT@1 ASK@2 -> granted 0 single
GRANT@1 DECLINE@2 -> withdrawn 0
WITHDRAW@1 GRANT@2 WITHDRAW@3 IMPORT@4 -> withdrawn 0
GRANT@1 CONFIRM@2 -> granted 0 single
GRANT@1 ASK@2 CONFIRM@3 -> granted 0 double
ASK@1 CONFIRM@2 WITHDRAW@3 CONFIRM@4 -> withdrawn 0
ASK@1 CONFIRM@2 WITHDRAW@3 ASK@4 CONFIRM@5 -> granted 0 double
ASK@1 DECLINE@2 CONFIRM@3 -> declined 0
ASK@1 DECLINE@1 CONFIRM@1 -> withdrawn 0
ASK@1 OBJECT@2 CONFIRM@3 -> withdrawn 0
ASK@1 SPAM@2 CONFIRM@3 -> withdrawn 0
ASK@1 CLOSE@2 CONFIRM@3 -> withdrawn 0
ASK@1 CONFIRM@1 -> granted 0 double
ASK@1 WITHDRAW@1 -> withdrawn 0
CONFIRM@1 ASK@2 -> none 1
DECLINE@1 ASK@2 -> declined 1
DECLINE@1 DECLINE@2 -> declined 0
DECLINE@1 WITHDRAW@2 -> withdrawn 0
WITHDRAW@1 DECLINE@2 -> withdrawn 0
GRANT@1 IMPORT@2 -> granted 0 single
IMPORT@1 GRANT@2 -> granted 0 single
IMPORT@1 ASK@2 CONFIRM@3 GRANT@4 -> granted 0 double
GRANT@1 UNVERIFIED@2 -> granted 0 single
BARE_IMPORT@1 -> none 0
ASK@1 IMPORT@2 DECLINE@3 CONFIRM@4 -> withdrawn 0
'''
WORDS = {'GRANT': ('consent.granted', {}), 'IMPORT': ('consent.imported', {'evidence': 'form'}),
         'BARE_IMPORT': ('consent.imported', {}), 'ASK': ('consent.requested', {'ref': 't'}),
         'CONFIRM': ('consent.confirmed', {'ref': 't'}), 'DECLINE': ('consent.declined', {}),
         'WITHDRAW': ('consent.withdrawn', {}), 'UNVERIFIED': ('consent.withdrawn', {'reason': 'unverified'}),
         'OBJECT': ('consent.objected', {}), 'SPAM': ('message.spam_reported', {}), 'CLOSE': ('account.closed', {})}

EXAMPLES = []                                        # (name, file, answer, options, columns, rows wanted)


def example(name, rows, answer, columns, wanted, **options):
    EXAMPLES.append((name, HEAD + ''.join(rows), answer, options, columns, wanted))


for vector in VECTORS.strip('\n').split('\n'):
    steps, wanted = vector.split('->')
    rows = [line('milestone.reached', 0)]
    for step in steps.split():
        word, at = step.split('@')
        kind, cells = WORDS[word]
        rows.append(line(kind, int(at), channel='email', purpose='' if kind == 'message.spam_reported' else 'marketing', **cells))
    state, pending, *strength = wanted.split()
    printed = [] if (state, pending) == ('none', '0') else [[state, pending, ''.join(strength)]]
    example('vector ' + vector, rows, 'consent', ['state', 'pending', 'strength'], printed,
            as_of='2024-03-01T00:01:00Z', where={'channel': 'email', 'purpose': 'marketing', 'topic': ''})

# ---- C1 to C9 ------------------------------------------------------------------------------------------------------------

CELL = {'channel': 'email', 'purpose': 'marketing', 'topic': ''}
LATE = '2024-03-02'


def cells(name, rows, columns, wanted, where=CELL, as_of=LATE, **options):
    example(name, rows, 'consent', columns.split(), wanted, where=where, as_of=as_of, **options)


cells('C3 a second grant moves nothing', [
    line('consent.granted', 1, channel='email', reason='one'), line('consent.granted', 2, channel='email', reason='two')],
    'state since reason source', [['granted', '2024-03-01T00:00:01Z', 'one', '']])
cells('C3 pending without base: the request', [
    line('consent.requested', 5, channel='email', ref='t', reason='why', event_id='1', source='web')],
    'state pending since reason source', [['none', '1', '2024-03-01T00:00:05Z', 'why', 'web']])
cells('C4 since of a withdrawal and its reason', [
    line('consent.granted', 1, channel='email'), line('consent.withdrawn', 3, channel='email', reason='price'),
    line('consent.withdrawn', 4, reason='too many')], 'state since reason', [['withdrawn', '2024-03-01T00:00:03Z', 'price']])
cells('C5 strength begins anew', [
    line('consent.requested', 1, channel='email', ref='t'), line('consent.confirmed', 2, channel='email', ref='t'),
    line('consent.withdrawn', 3), line('consent.granted', 4, channel='email')], 'state strength', [['granted', 'single']])
cells('C6 evidence not asked for', [line('consent.imported', 1, channel='email')], 'state strength', [['granted', 'unknown']],
      settings={'consent.import_needs_evidence': '0'})
cells('F2 withdrawn everywhere', [line('consent.withdrawn', 1)], 'channel purpose',
      [[c, p] for c in reference.CHANNELS for p in 'marketing profiling tracking ad_audience survey'.split()], where={})
cells('C7 objected: forty cells', [line('consent.objected', 1)], 'channel purpose state',
      [[c, p, 'withdrawn'] for c in reference.CHANNELS for p in 'marketing profiling ad_audience survey'.split()], where={})
cells('C7 closed: forty cells', [line('account.closed', 1)], 'channel purpose state',
      [[c, p, 'withdrawn'] for c in reference.CHANNELS for p in 'marketing profiling ad_audience survey'.split()], where={})
cells('C8 a spam report touches no topic', [
    line('preference.set', 1, channel='email', topic='shoes', value='1'), line('message.spam_reported', 2, channel='email')],
    'topic state', [['', 'withdrawn'], ['shoes', 'granted']], where={'channel': 'email'})
cells('C9 a withdrawal of the channel writes no topic cell', [
    line('consent.granted', 1, channel='email', topic='shoes'), line('consent.withdrawn', 2, channel='email', purpose='marketing')],
    'topic state', [['', 'withdrawn'], ['shoes', 'granted']], where={})
cells('C9 a preference without channel', [line('preference.set', 1, topic='shoes', value='0')], 'channel purpose topic state',
      [[c, 'marketing', 'shoes', 'withdrawn'] for c in reference.CHANNELS], where={})
cells('F3 STOP and START in one instant', [
    line('sms.keyword', 1, reason=' Start '), line('sms.keyword', 1, reason='StopAll')], 'channel state reason',
    [['sms', 'withdrawn', 'StopAll']], where={})
cells('F3 other words', [line('sms.keyword', 1, reason='stop it'), line('sms.keyword', 2, reason='help')], 'state', [], where={})
cells('S21 consents stay withdrawn', [
    line('consent.granted', 1, channel='email'), line('account.closed', 2), line('customer.registered', 3)], 'state',
    [['withdrawn']])
cells('C1 order of rows', [
    line('consent.granted', 1, channel=c, purpose=p, topic=t, customer=x) for c, p, t, x in (
        ('sms', 'marketing', '', 'b'), ('ads', 'marketing', '', 'B'), ('email', 'survey', '', 'b'),
        ('email', 'marketing', 'b', 'b'), ('email', 'marketing', 'a', 'b'), ('email', 'marketing', '', 'b'))],
    'customer channel purpose topic',
    [['B', 'ads', 'marketing', ''], ['b', 'email', 'marketing', ''], ['b', 'email', 'marketing', 'a'],
     ['b', 'email', 'marketing', 'b'], ['b', 'email', 'survey', ''], ['b', 'sms', 'marketing', '']], where={})

TOKEN = [line('consent.requested', '2024-03-01T10:00:00Z', channel='email', ref='t')]
for at, wanted in (('2024-04-30T10:00:00Z', '1'), ('2024-04-30T10:00:00.000001Z', None)):
    cells('C12 open to the limit, inclusive: ' + at, TOKEN, 'pending', [[wanted]] if wanted else [], as_of=at)
    cells('X13 confirmed at the limit: ' + at, TOKEN + [line('consent.confirmed', at, channel='email', ref='t')], 'state',
          [['granted']] if wanted else [], as_of='2025-01-01')
cells('C12 requested again counts from the latest', TOKEN + [
    line('consent.requested', '2024-04-01', channel='email', ref='t'), line('consent.confirmed', '2024-05-20', channel='email', ref='t')],
    'state', [['granted']], as_of='2025-01-01')
cells('X12 another cell, another token', TOKEN + [line('consent.confirmed', '2024-03-02', channel='sms', ref='t')],
      'state pending', [['none', '1']], as_of='2024-03-03')

CASL = {'implied.purchase': '24m', 'implied.inquiry': '6m'}
BOUGHT = [line('order.placed', '2022-03-01', amount='5', ref='1'), line('order.placed', '2022-05-31', amount='5', ref='2')]
for at, state, since in (('2022-04-01', 'implied', '2022-03-01'), ('2024-05-30T23:59:59.999999Z', 'implied', '2022-05-31'),
                         ('2024-05-31', 'expired', '2024-05-31')):
    cells('C2 ' + at, BOUGHT, 'state since strength', [[state, since + 'T00:00:00Z', '']], as_of=at, settings=CASL)
cells('C2 off by default', BOUGHT, 'state', [])
cells('C2 a refunded purchase implies nothing', BOUGHT[:1] + [line('order.refunded', '2022-03-02', ref='1')], 'state', [],
      as_of='2022-04-01', settings=CASL)
cells('C2 an inquiry', [line('info.requested', '2024-03-01')], 'state since', [['expired', '2024-09-01T00:00:00Z']],
      as_of='2024-09-01', settings=CASL)
cells('C2 a base other than none is never implied', BOUGHT + [line('consent.declined', '2022-06-01', channel='email')], 'state',
      [['declined']], as_of='2022-07-01', settings=CASL)

# ---- clocks and stages -------------------------------------------------------------------------------------------------


def row(name, rows, columns, wanted, as_of=LATE, **options):
    example(name, rows, 'states', columns.split(), [wanted], as_of=as_of, **options)


for start, end in (('2024-08-31', '2025-02-28'), ('2024-08-29', '2025-02-28'), ('2023-08-31', '2024-02-29')):
    seen = [line('session.started', start)]
    row('months from ' + start, seen, 'engagement engagement_since', ['inactive', end + 'T00:00:00Z'], as_of=end)
    row('a microsecond before ' + end, seen, 'engagement next_deadline', ['at_risk', end + 'T00:00:00Z'],
        as_of=reference.format_time(reference.parse_time(end) - 1))
row('000: bought six months ago, no visit since', [line('order.placed', '2024-01-15T10:00:00Z', amount='20')],
    'engagement purchase_clock', ['inactive', 'inactive'], as_of='2024-07-15T10:00:00Z')
for hours, state in ((-1, 'active'), (0, 'at_risk')):
    row('90 days and %d us' % hours, [line('product.viewed', '2024-01-01')], 'engagement', [state],
        as_of=reference.format_time(reference.parse_time('2024-03-31') + hours))
row('12 months', [line('product.viewed', '2024-02-29')], 'engagement engagement_since next_deadline',
    ['lost', '2025-02-28T00:00:00Z', ''], as_of='2025-02-28')
GAP = [line('visitor.seen', '2024-01-01'), line('visitor.seen', '2024-03-31'), line('visitor.seen', '2024-06-29T00:00:00.000001Z')]
row('S8 a gap of exactly the limit', GAP, 'engagement engagement_since', ['active', '2024-01-01T00:00:00Z'], as_of='2024-04-01')
row('S7 a deadline between begins a new run', GAP, 'engagement engagement_since', ['active', '2024-06-29T00:00:00.000001Z'],
    as_of='2024-07-01')
row('S7 new: the first event', [line('message.sent', 5, channel='email'), line('milestone.reached', 3)],
    'stage engagement engagement_since last_activity last_contact purchase_clock last_purchase next_deadline',
    ['reach', 'new', '2024-03-01T00:00:03Z', '', '', 'new', '', ''])
row('T7 the zone moves the date', [line('visitor.seen', '2024-08-30T23:30:00Z')], 'engagement_since',
    ['2025-02-27T23:30:00Z'], as_of='2025-03-01', zone='+01:00')
row('T7 the same in UTC', [line('visitor.seen', '2024-08-30T23:30:00Z')], 'engagement_since', ['2025-02-28T23:30:00Z'],
    as_of='2025-03-01')
row('X7 a refunded order is activity, not a purchase', [
    line('order.placed', '2024-01-01', ref='1', amount='5'), line('order.refunded', '2024-01-02', ref='1', amount='5')],
    'stage stage_max engagement last_activity purchase_clock last_purchase',
    ['acquisition', 'retention', 'active', '2024-01-01T00:00:00Z', 'new', ''], as_of='2024-01-03')
row('S5 refunded at its own instant leaves no mark', [
    line('order.placed', '2024-01-01', ref='1', amount='5'), line('order.refunded', '2024-01-01', ref='1', amount='5')],
    'stage stage_max', ['acquisition', 'acquisition'], as_of='2024-01-03')
row('S 4.3 refund of the only order: back to conversion', [
    line('customer.registered', '2023-12-01'), line('order.placed', '2024-01-01', ref='1', amount='5'),
    line('order.cancelled', '2024-01-02', ref='1')], 'stage stage_max', ['conversion', 'retention'], as_of='2024-01-03')
row('S6 advocacy', [line('order.placed', '2024-01-01', amount='5'), line('referral.converted', '2024-01-02')], 'stage',
    ['loyalty'], as_of='2024-01-03')
row('S6 advocacy of one who never bought', [line('referral.converted', '2024-01-02')], 'stage', ['reach'], as_of='2024-01-03')
RATED = [line('order.placed', '2024-01-01', amount='5'), line('review.posted', '2024-01-02', value='4.5')]
row('S6 rating off', RATED, 'stage', ['retention'], as_of='2024-01-03')
row('S6 rating on', RATED, 'stage', ['loyalty'], as_of='2024-01-03', settings={'loyalty.rating': '4.5'})
row('X8 an inquiry is contact, and a visit', [line('info.requested', 5)], 'stage engagement last_activity last_contact',
    ['acquisition', 'new', '', '2024-03-01T00:00:05Z'])
row('F4 bots do not act', [line('message.clicked', 5, channel='email', reason='bot')], 'engagement last_contact', ['new', ''])
row('opens', [line('message.opened', 5, channel='email')], 'engagement', ['new'])
row('opens by policy', [line('message.opened', 5, channel='email')], 'engagement last_contact',
    ['active', '2024-03-01T00:00:05Z'], settings={'activity.opens': '1'})
row('M12 free goods', [line('order.placed', 5, amount='0')], 'stage purchase_clock', ['acquisition', 'new'])
row('M12 free goods by policy', [line('order.placed', 5, amount='0')], 'stage purchase_clock', ['retention', 'active'],
    settings={'order.zero_is_valid': '1'})
row('X9 an order without amount', [line('order.placed', 5)], 'stage', ['retention'])
row('S9 the earlier of two clocks', [line('order.placed', '2024-01-01', amount='5'), line('visitor.seen', '2024-02-01')],
    'next_deadline', ['2024-03-31T00:00:00Z'], as_of='2024-02-02')
row('S21 opened again', [line('account.closed', 1), line('customer.registered', 2)], 'account', ['open'])
row('S21 not in the same instant', [line('account.closed', 1), line('customer.registered', 1)], 'account', ['closed'])
row('X4 erased', [line('customer.erased', 1), line('customer.registered', 2)], 'account rights', ['erased', 'erased'])
row('S22 objected', [line('consent.objected', 1), line('consent.granted', 2, channel='email')], 'rights', ['objected'])
row('S22 lifted', [line('consent.objected', 1), line('consent.granted', 2, channel='sms', purpose='profiling')], 'rights', ['none'])
row('S22, X11 a confirmation without request lifts nothing',
    [line('consent.objected', 1), line('consent.confirmed', 2, channel='sms', purpose='profiling', ref='t')], 'rights', ['objected'])
row('S25 and later regions', [line('milestone.reached', 1)], 'membership case identity tier cart account rights',
    ['', '', '', '', '', 'open', 'none'])
row('S11 limits that cross: the latest state counts', [line('visitor.seen', '2024-02-01')], 'engagement engagement_since next_deadline',
    ['inactive', '2024-08-01T00:00:00Z', '2025-02-01T00:00:00Z'], as_of='2024-08-02', settings={'engagement.risk': '190d'})

# ---- endpoints and the gate ------------------------------------------------------------------------------------------------

HASH = 'hash:' + '0123456789abcdef' * 4
OTHER = 'hash:' + 'f' * 64
ADDED = line('endpoint.added', '2024-01-01', channel='email', endpoint=HASH)
OK = [ADDED, line('consent.granted', '2024-01-01', channel='email')]


def soft(*days):
    return [line('message.bounced', '2024-02-%02d' % d if isinstance(d, int) else d, channel='email', reason='soft') for d in days]


def end(name, rows, wanted, where=None, as_of='2024-12-01', **options):
    example(name, rows, 'channels', ['channel', 'endpoint', 'deliverability'], wanted, where=where or {}, as_of=as_of, **options)


def reached(name, rows, state, **more):
    end(name, [ADDED] + rows, [['email', '0123456789abcdef', state]], **more)


reached('S27', [], 'ok')
reached('S 4.6 soft', soft(1), 'soft_bouncing')
reached('S32 three in exactly 14 days', soft(1, 2, 15), 'soft_bouncing')
reached('S32 three in more', soft(1, 2, '2024-02-15T00:00:00.000001Z'), 'hard_bounced')
reached('S32 two in more', soft(1, 20), 'soft_bouncing')
reached('S 4.6 delivered ends the run', soft(1, 2) + [line('message.delivered', '2024-02-03', channel='email')] + soft(25), 'soft_bouncing')
reached('S 4.6 delivered does not lift a hard bounce', [line('message.bounced', 1, channel='email', reason='hard'),
                                                       line('message.delivered', 2, channel='email')], 'hard_bounced')
for code, state in (('5.1.1', 'hard_bounced'), ('5.1.10', 'hard_bounced'), ('5.2.1', 'hard_bounced'), ('5.2.2', 'soft_bouncing'),
                    ('4.4.7', 'soft_bouncing'), ('5.7.1', 'ok'), ('block', 'ok'), ('5.3.4', 'ok'), ('5.6.3', 'ok'), ('', 'soft_bouncing')):
    reached('S 4.6 code ' + code, [line('message.bounced', 1, channel='email', reason=code)], state)
BOUNCED = line('message.bounced', 1, channel='email', reason='hard', endpoint=HASH)
reached('verified', [BOUNCED, line('endpoint.verified', 2, channel='email', endpoint=HASH)], 'ok')
reached('S34 suppression.removed', [BOUNCED, line('suppression.removed', 2, channel='email')], 'ok')
reached('S33 facts are independent', [BOUNCED, line('suppression.added', 2, channel='email')], 'manual_block')
reached('S33 the bounce is still there', [line('message.spam_reported', 0, channel='email'), BOUNCED,
                                         line('consent.granted', 2, channel='email')], 'hard_bounced')
reached('spam', [line('message.spam_reported', 0, channel='email')], 'spam_reported')
reached('X19 a later grant lifts a spam report', [line('message.spam_reported', 0, channel='email'),
                                                 line('consent.granted', 2, channel='email')], 'ok')
reached('the same instant does not', [line('message.spam_reported', 0, channel='email'),
                                      line('consent.granted', 0, channel='email')], 'spam_reported')
reached('removed', [line('endpoint.removed', 1, channel='email', endpoint=HASH)], 'no_endpoint')
end('S35 changed replaces', [ADDED, line('endpoint.changed', 1, channel='email', endpoint=OTHER)],
    [['email', '0123456789abcdef', 'no_endpoint'], ['email', 'f' * 16, 'ok']])
end('S31 an app', [line('app.installed', 1)], [['push', '', 'ok'], ['in_app', '', 'ok']])
end('uninstalled', [line('app.installed', 1), line('app.uninstalled', 2)], [['push', '', 'no_endpoint'], ['in_app', '', 'no_endpoint']])
end('a token lost', [line('app.installed', 1), line('push.token_invalidated', 2)], [['push', '', 'no_endpoint'], ['in_app', '', 'ok']])
end('installed again', [line('app.installed', 1), line('app.uninstalled', 2), line('app.installed', 3)],
    [['push', '', 'ok'], ['in_app', '', 'ok']])
end('S27, S33 messages without an endpoint', [line('message.sent', 1, channel='sms')], [['sms', '', 'ok']])
end('S27 bounces without an endpoint', [line('message.bounced', 1, channel='sms', reason='hard')], [['sms', '', 'hard_bounced']])
end('S27 order', [line('endpoint.added', 1, channel='sms', endpoint=HASH), line('endpoint.added', 1, channel='email', endpoint=OTHER), ADDED],
    [['email', '0123456789abcdef', 'ok'], ['email', 'f' * 16, 'ok'], ['sms', '0123456789abcdef', 'ok']])


def asks(name, rows, reasons, purpose='marketing', channel='email', customer='a', as_of='2024-12-01', **options):
    example(name, rows, 'permit', ['channel', 'decision', 'reason', 'reasons', 'until'],
            [[channel, 'deny' if reasons else 'allow', reasons.split('|')[0], reasons, '']],
            purpose=purpose, channel=channel, customer=customer, as_of=as_of, **options)


asks('allow', OK, '')
asks('C13 never heard of', OK[1:], '')
asks('C13 not assumed', OK[1:], 'no_endpoint', settings={'permit.assume_endpoint': '0'})
asks('K15 nobody', OK, 'consent_none', customer='nobody')
asks('K15 nobody, transactional', OK, '', customer='nobody', purpose='transactional')
asks('the mask', [line('message.bounced', 1, channel='email', reason='hard'), line('account.closed', 2)],
     'hard_bounced|account_closed|consent_withdrawn')
asks('C15 transactional', [line('message.bounced', 1, channel='email', reason='hard'), line('account.closed', 2)], 'hard_bounced',
     purpose='transactional')
asks('I9 transactional while unsubscribed', OK + [line('consent.withdrawn', 1), line('message.spam_reported', 2, channel='email')],
     '', purpose='service')
asks('spam', OK + [line('message.spam_reported', 2, channel='email')], 'spam_reported|consent_withdrawn')
asks('C16 pending', [line('consent.requested', 1, channel='email', ref='t')], 'consent_pending', as_of=LATE)
asks('C16 declined and asked again', [line('consent.declined', 1, channel='email'), line('consent.requested', 2, channel='email', ref='t')],
     'consent_declined', as_of=LATE)
asks('C17 objected', OK + [line('consent.objected', 1)], 'objected|consent_withdrawn')
asks('C17 granted since', OK + [line('consent.objected', 1), line('consent.granted', 2, channel='email')], '')
asks('C17 granted in the same instant', OK + [line('consent.objected', 1), line('consent.granted', 1, channel='email')],
     'objected|consent_withdrawn')
asks('C18 closed and granted since', OK + [line('account.closed', 1), line('consent.granted', 2, channel='email')], 'account_closed')
asks('S 4.8 in-app', [line('milestone.reached', 1)], '', channel='in_app')
asks('S 4.8 in-app by policy', [line('milestone.reached', 1)], 'consent_none', channel='in_app', settings={'consent.inapp_implied': '0'})
asks('S 4.8 onsite', [line('consent.declined', 1, channel='onsite')], 'consent_declined', channel='onsite')
asks('I7 asking in-app changes nothing', [line('consent.requested', 1, channel='in_app', ref='t')], '', channel='in_app', as_of=LATE)
asks('C13 in-app by a session', [line('session.started', 1, platform='app')], '', channel='in_app', settings={'permit.assume_endpoint': '0'})
asks('C13 in-app by a session on the web', [line('session.started', 1)], 'no_endpoint', channel='in_app', settings={'permit.assume_endpoint': '0'})
asks('C13 uninstalled', [line('session.started', 1, platform='app'), line('app.uninstalled', 2)], 'no_endpoint', channel='in_app')
asks('C2 implied', BOUGHT, '', as_of='2023-01-01', settings=CASL)
asks('C26 expired', BOUGHT, 'consent_expired', settings=CASL)
TOPICS = OK + [line('preference.set', 1, channel='email', topic='shoes', value='0')]
asks('C10 no topic asked', TOPICS, '')
asks('C9 topic off', TOPICS, 'topic_off', topic='shoes')
asks('C9 another topic', TOPICS, '', topic='hats')
asks('C9 a topic alone grants nothing', [line('preference.set', 1, channel='email', topic='shoes', value='1')], 'consent_none', topic='shoes')
asks('C11 survey asks marketing', OK, '', purpose='survey')
asks('C11 survey withdrawn', OK + [line('consent.withdrawn', 1, channel='email', purpose='survey')], 'consent_withdrawn', purpose='survey')
asks('C11 survey granted', [line('consent.granted', 1, channel='email', purpose='survey')], 'consent_none', purpose='survey')
asks('C23 ads', [line('consent.granted', 1, channel='ads', purpose='ad_audience')], '', purpose='ad_audience', channel='ads')
asks('C23 no endpoint steps', [line('consent.granted', 1, channel='email', purpose='profiling'), line('suppression.added', 2, channel='email')],
     '', purpose='profiling')
asks('X4 erased', [line('customer.erased', 1)], 'erased|consent_none')
asks('C14 one that works is enough', OK + [BOUNCED, line('endpoint.added', 2, channel='email', endpoint=OTHER)], '')
asks('C14 else the last one added', OK + [line('endpoint.added', 1, channel='email', endpoint=OTHER), BOUNCED,
                                         line('endpoint.removed', 3, channel='email', endpoint=OTHER)], 'no_endpoint')
BOTH = OK + [line('endpoint.added', '2024-01-01', channel='email', endpoint=HASH, customer='b'),
             line('consent.granted', '2024-01-01', channel='email', customer='b')]
if R.CHOICES['address']:
    asks('C24 the withdrawal of one',
         BOTH + [line('consent.withdrawn', 1, channel='email', endpoint=HASH, customer='b')], 'consent_withdrawn')
    asks('C24 the spam report of one',
         BOTH + [line('message.spam_reported', 1, channel='email', endpoint=HASH, customer='b')],
         'spam_reported|consent_withdrawn')
asks('C24 of who holds it, named or not', BOTH + [line('consent.withdrawn', 1, channel='email', customer='b')],
     'consent_withdrawn' if R.CHOICES['address'] and R.CHOICES['unnamed_carries'] else '')
asks('C24 on that channel', BOTH + [line('consent.withdrawn', 1, channel='sms', endpoint=HASH, customer='b')], '')
asks('C24 not an objection', BOTH + [line('consent.objected', 1, customer='b')], '')
asks('C24 lifted by a grant', BOTH + [line('consent.withdrawn', 1, channel='email', endpoint=HASH, customer='b'),
                                      line('consent.granted', 2, channel='email')], '')
asks('C24 not one who had it once', BOTH + [
    line('endpoint.changed', 0, channel='email', endpoint=OTHER),
    line('consent.withdrawn', 1, channel='email', endpoint=HASH, customer='b')], '')
asks('C24 not one who gets it later', [line('consent.granted', '2024-01-01', channel='email')] + BOTH[2:] + [
    line('consent.withdrawn', 1, channel='email', endpoint=HASH, customer='b'),
    line('endpoint.added', 2, channel='email', endpoint=HASH)], '')
example('C21 ten channels', OK, 'permit', ['channel'], [[c] for c in reference.CHANNELS], purpose='marketing', as_of=LATE)
example('C23 ads alone', OK, 'permit', ['channel'], [['ads']], purpose='profiling', as_of=LATE)


# ---- asking ------------------------------------------------------------------------------------------------------------------

def answer_of(data, answer, options):
    """What the reference says to an example, header and rows."""
    options = dict(options)
    store = reference.Store(options.pop('zone', '+00:00'))
    store.import_events(R.read_events(data.encode(), 'file', zone=store.zone))
    policy = R.Policy(options.pop('settings', None))
    as_of = reference.parse_time(options.pop('as_of'), store.zone)
    options.pop('where', None)
    return {'states': R.states, 'channels': R.channels, 'consent': R.consent, 'permit': R.permit}[answer](
        store, as_of=as_of, policy=policy, **options)


def chosen(table, columns, where):
    """The columns of an example in the rows it is about."""
    head = table[0]
    rows = [dict(zip(head, row)) for row in table[1:]]
    return [[row[c] for c in columns] for row in rows if all(row[c] == value for c, value in (where or {}).items())]


def check():
    failed = 0
    for name, data, answer, options, columns, wanted in EXAMPLES:
        got = chosen(answer_of(data, answer, options), columns, options.get('where'))
        if got != wanted:
            failed += 1
            print('FAILED: %s\n  got      %s\n  expected %s' % (name, got, wanted))
    print('%d passed, %d failed, 0 skipped' % (len(EXAMPLES) - failed, failed))
    return failed


if __name__ == '__main__':
    sys.exit(1 if check() else 0)
