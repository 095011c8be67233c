"""The whole journey through the command, from event file to scores and back to a file.

    python3 test_journey.py LAPSE [part of a name ...]

Every answer is compared, cell by cell as text, with tests/reference.py; then the same events go in shuffled, doubled,
cut in pieces, by several threads, through a store and back out again, and nothing may change. LAPSE_DATA names a
folder with the public data sets (default ../shared/data beside the project); without it those cases are skipped.
"""
import csv
import os
import random
import re
import shlex
import sys

sys.dont_write_bytecode = True
import reference  # noqa: E402
from harness import CUSTOMERS, Skip, compare, csv_rows, lapse, meaning, new_store, read, same, suite, words  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get('LAPSE_DATA') or os.path.join(HERE, '..', '..', 'shared', 'data')


# ---- public data -----------------------------------------------------------------------------------------------------

PUBLIC = {
    'rfm_orders.csv': [
        {}, {'as_of': '2006-12-31'}, {'as_of': '2006-01-01'}, {'as_of': '2005-06-30T12:00:00.5+02:00'},
        {'as_of': '2006-12-31', 'window': '1y'}, {'as_of': '2006-08-31', 'window': '6m', 'monetary': 'mean'},
        {'as_of': '2006-12-31', 'window': '90d', 'frequency': 'days'}, {'nested': True},
        {'nested': True, 'bins': (5, 5, 3), 'weights': (100, 10, 1)}, {'bins': (10, 10, 10), 'segments': 'ten'},
        {'bins': (3, 4, 7), 'segments': 'grid', 'monetary': 'mean'}, {'bins': (2, 2, 2), 'segments': 'all'},
        {'frequency': 'days', 'weights': (7, 0, 3)}, {'as_of': '2001-01-01'}, {'cuts': 'ntile'},
        {'cuts': 'rfm-r', 'as_of': '2006-06-01'}, {'cuts': 'ntile', 'nested': True, 'bins': (5, 5, 10)},
        {'cuts': 'rfm-r', 'nested': True}, {'cuts': 'fixed:30,90,180,365/2,3,5,8/10,50,100,500'}],
    'cdnow_sample.csv': [
        {}, {'as_of': '1997-09-30'}, {'as_of': '1998-07-01', 'monetary': 'mean'}, {'frequency': 'days', 'nested': True},
        {'as_of': '1998-03-31', 'window': '13m'}, {'window': '1y', 'bins': (5, 5, 10), 'weights': (1, 2, 3)},
        {'zero_is_valid': 1}, {'as_of': '1997-01-02', 'segments': 'grid'}, {'bins': (5, 10, 5), 'segments': 'all'}],
    'cdnow_master.csv': [
        {}, {'as_of': '1998-01-01', 'nested': True, 'weights': (100, 10, 1)},
        {'monetary': 'mean', 'frequency': 'days', 'window': '1y', 'bins': (5, 5, 10)}],
}
held_public = {}


def public(name):
    path = os.path.join(DATA, name)
    if not os.path.exists(path):
        raise Skip('%s is not in %s (LAPSE_DATA)' % (name, DATA))
    if name not in held_public:
        held = reference.Store()
        held.import_events(reference.read_events(read(path), name))
        held_public[name] = held
    return path, held_public[name]


def public_case(name, options):
    path, held = public(name)
    compare(held, path, options)


def cases_of_public_data():
    for name, cases in PUBLIC.items():
        for options in cases:
            suite.run('%s %s' % (name, options), public_case, name, options)


def case_rfm_orders_agrees_with_the_published_vignette():
    """Raw values from the command; cuts as the R package `rfm` 0.3.0 makes them (type-7 quantiles plus 1, closed below),
    worked out here; results as its vignette prints them."""
    path, _ = public('rfm_orders.csv')
    rows = lapse('rfm', path, '--as-of', '2006-12-31', '--format', 'csv').rows()[1:]
    assert len(rows) == 995
    axes = {'recency': [int(row[2]) for row in rows], 'frequency': [int(row[3]) for row in rows],
            'monetary': [reference.minor_units(reference.parse_decimal(row[4]), 0) for row in rows]}
    assert sum(axes['monetary']) == 464158
    published = {'recency': ([115, 181, '297.4', 482], [197, 200, 199, 199, 200]),
                 'frequency': ([4, 5, 6, 8], [268, 187, 176, 244, 120]),
                 'monetary': (['255.8', 382, '506.4', 666], [200, 200, 198, 202, 195])}
    scores = {}
    for axis, (bounds, sizes) in published.items():
        cuts = [cut + 1 for cut in reference.quantiles(axes[axis], 5)]
        assert cuts == [reference.Fraction(b) for b in bounds], (axis, cuts)
        bins = [1 + sum(cut <= value for cut in cuts) for value in axes[axis]]
        scores[axis] = [6 - b for b in bins] if axis == 'recency' else bins
        assert [scores[axis].count(n) for n in range(1, 6)] == sizes, axis
    of = {row[0]: ''.join(str(scores[axis][n]) for axis in published) for n, row in enumerate(rows)}
    for customer, score in (("Abbey O'Reilly", '343'), ('Add Senger', '412'), ('Aden Lesch', '323'),
                            ('Aden Murphy', '544'), ('Admiral Senger', '433'), ("Agness O'Keefe", '555'),
                            ('Ailene Hermann', '355'), ('Aiyanna Bruen', '321')):
        assert of[customer] == score, customer


def case_cdnow_facts():
    """Fader and Hardie's counts of the CDNOW sample and master."""
    path, _ = public('cdnow_sample.csv')
    store = new_store('cdnow')
    assert lapse.counts(store, path) == [(6919, 6919, 0, 0, 0, 0)]
    info = dict(lapse('info', store, '--format', 'csv').rows()[1:])
    assert (info['customers'], info['events'], info['kind.order.placed']) == ('2357', '6919', '6919'), info
    rows = lapse('rfm', store, '--set', 'order.zero_is_valid=1', '--frequency', 'days', '--format', 'csv').rows()[1:]
    assert len(rows) == 2357
    assert sum(int(row[3]) for row in rows) == 6696
    assert sum(reference.minor_units(reference.parse_decimal(row[4]), 2) for row in rows) == 24409194
    rows = lapse('rfm', store, '--set', 'order.zero_is_valid=1', '--frequency', 'days', '--as-of', '1997-09-30',
                 '--format', 'csv').rows()[1:]
    repeats = [int(row[3]) - 1 for row in rows]
    assert (repeats.count(0), len(rows) - repeats.count(0), sum(repeats)) == (1411, 946, 2457)
    path, _ = public('cdnow_master.csv')
    store = new_store('master')
    assert lapse.counts(store, path, '--threads', '3') == [(69659, 69659, 0, 0, 0, 0)]
    info = dict(lapse('info', store, '--format', 'csv').rows()[1:])
    assert info['customers'] == '23570', info
    assert info['first_time'] == '1997-01-01T00:00:00Z' and info['last_time'] == '1998-06-30T00:00:00Z', info


# ---- golden files ------------------------------------------------------------------------------------------------------

def cases_of_golden_files():
    good = os.path.join(HERE, 'data', 'good')
    with open(os.path.join(good, 'golden.csv'), newline='', encoding='utf-8') as f:
        for case in csv.DictReader(f):
            suite.run('golden: %s %s' % (case['expected'], case['options']), golden, good, case)


def golden(good, case):
    expected = csv_rows(read(os.path.join(good, case['expected'])).decode())
    options = shlex.split(case['options'])
    got = lapse(case['command'], os.path.join(good, case['input']), *options, '--format', 'csv').rows()
    valued = [word for word in options if word != '--ignore-unknown']
    pairs = dict(zip(valued[::2], valued[1::2]))
    held = reference.Store(pairs.get('--zone', '+00:00'))
    reading = {name[2:].replace('-', '_'): pairs[name] for name in ('--map', '--time-format', '--negative') if name in pairs}
    held.import_events(reference.read_events(read(os.path.join(good, case['input'])), case['input'], zone=held.zone, **reading))
    asking = {name[2:].replace('-', '_'): pairs[name] for name in ('--as-of', '--window', '--frequency') if name in pairs}
    if '--weights' in pairs:
        asking['weights'] = tuple(map(int, pairs['--weights'].split(',')))
    by_hand = {'rfm': reference.rfm, 'segments': reference.segments, 'export': lambda held: held.export()}
    for name, answer in (('reference', by_hand[case['command']](held, **meaning(asking, held.zone))), ('command', got)):
        columns = [answer[0].index(name) for name in expected[0]]
        same([[row[c] for c in columns] for row in answer], expected, name)


# ---- random files --------------------------------------------------------------------------------------------------------

MOMENTS = ['2023-01-31', '2023-02-28', '2023-12-31T23:59:59.999999', '2024-01-01', '2024-01-31T12:00', '2024-02-29 08:30',
           '2024-02-29T23:30:00Z', '2024-03-01T00:30:00+01:00', '2024-03-30T12:00:00Z', '2024-03-31T00:59:59Z',
           '2024-03-31T01:00:00Z', '2024-10-27T00:30:00Z', '2024-10-27T01:30:00Z', '2024-10-31', '2024-11-30T10:00:00.5',
           '@1709288100', '@1709288100.25', '@1709288100.250', '2024-05-31T23:00:00-11:00', '2024-06-30T01:00:00+14:00']
AMOUNTS = ['', '0', '0.00', '-0.00', '5', '5.0', '5.000', '05', '12.34', '99999.99', '0.01', '19.9', '20', '7.5']
TEXTS = ['', '', '', 'shoes', 'Ä, "quoted"', 'two\nlines', ' blank ', 'ünïcödé', 'x' * 255]


def moment(rng):
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(MOMENTS)
    date = '20%02d-%02d-%02d' % (rng.randint(22, 24), rng.randint(1, 12), rng.randint(1, 28))
    if roll < 0.7:
        return date
    return date + rng.choice('T ') + '%02d:%02d%s' % (
        rng.randint(4, 23), rng.randint(0, 59), rng.choice(['', 'Z', ':01', ':02.5', ':03.000001Z', '+05:30', ':04-08:00']))


def draw_row(rng, n, retractable):
    """One good row as a dictionary of texts."""
    row = dict.fromkeys(reference.COLUMNS, '')
    row.update(customer=rng.choice(CUSTOMERS), time=moment(rng))
    kind = rng.choices(['order.placed', '', 'order.refunded', 'order.cancelled', 'other'], [50, 10, 14, 6, 20])[0]
    if kind == 'other':
        kind = rng.choice([k for k in reference.KINDS if k != 'customer.merged'])
    row['kind'] = kind
    order = kind.startswith('order.') or not kind
    if order:
        row['ref'] = rng.choice(['', '1', '2', '3', '4', 'R-é', '5'])
        row['amount'] = rng.choice(AMOUNTS)
        if rng.random() < 0.2:
            row.update(item=rng.choice(TEXTS), quantity=rng.choice(['', '1', '2.50', '0.000001', '0']),
                       price=rng.choice(['', '9.99', '10', '0.0']), category=rng.choice(TEXTS))
        return row
    row['value'] = rng.choice(['', '5', '5.0', '-3.25', '0.125', '123456789012345', '0.000000123'])
    row['platform'] = rng.choice(['', 'app', 'web', 'store'])
    row['purpose'] = rng.choice([''] * 3 + reference.PURPOSES)
    row['channel'] = rng.choice(reference.CHANNELS)
    row['reason'], row['topic'], row['evidence'] = rng.choice(TEXTS), rng.choice(TEXTS), rng.choice(TEXTS)
    row['ref'] = rng.choice(['t1', 't2'])
    if rng.random() < 0.3:
        row['endpoint'] = 'hash:' + '%064x' % rng.getrandbits(256)
    if kind in ('preference.set', 'sms.keyword'):
        # What ranks beside consent is pinned by a case of its own; here their instants are theirs alone.
        row.update(time='2022-01-01T00:00:00.%06dZ' % (n + 1), topic='shoes', value=rng.choice('01'), reason='start')
    if kind == 'customer.registered':
        row['reason'] = rng.choice(['', 'account', 'trial', 'newsletter', 'app'])
    if kind == 'message.bounced':
        row['reason'] = rng.choice(['', 'soft', 'hard', 'block', '5.1.1'])
    if kind.startswith('membership.'):
        row['value'] = rng.choice(['', '1', '12'])
    if kind == 'consent.confirmed' and row['purpose'] == 'profiling':
        row['purpose'] = 'marketing'
    if kind in ('customer.erased', 'consent.objected') and rng.random() < 0.7:
        row['kind'] = 'milestone.reached'
    if kind == 'event.retracted' and retractable:
        taken = rng.choice(retractable)
        row.update(customer=taken['customer'] if rng.random() < 0.9 else row['customer'], source=taken['source'],
                   ref=taken['event_id'], event_id='take-%d' % n)
    return row


def draw(rng, size, with_source):
    """Rows, some of them twice; ids are never used for two different events."""
    rows, identified = [], []
    while len(rows) < size:
        n = len(rows)
        row = draw_row(rng, n, identified)
        if with_source and not row['source']:
            row['source'] = rng.choice(['', 'web', 'pos'])
        if not row['event_id'] and rng.random() < 0.3:
            row['event_id'] = 'e%d' % n
            if row['kind'] != 'event.retracted':
                identified.append(row)
        rows += [row] * rng.choice([1, 1, 1, 1, 1, 2, 3])
    if not with_source:
        for row in rows:
            row['source'] = ''
    rng.shuffle(rows)
    return rows


def render(rng, rows, columns):
    """The rows as a file: any column order, quotes where needed and where not, blank lines, LF and CRLF mixed."""
    columns = list(columns)
    rng.shuffle(columns)
    end = lambda: rng.choice(['\n', '\n', '\r\n'])  # noqa: E731
    cell = lambda text: '"%s"' % text.replace('"', '""') if (  # noqa: E731
        any(c in text for c in ',"\r\n') or rng.random() < 0.1) else text
    out = ('\ufeff' if rng.random() < 0.3 else '') + ','.join(map(cell, columns)) + end()
    for row in rows:
        out += ','.join(cell(row[c]) for c in columns) + end()
        if rng.random() < 0.05:
            out += end()
    if rng.random() < 0.3:
        out = out.rstrip('\r\n')
    return out.encode('utf-8')


def draw_options(rng, held):
    times = [e.time for e in held.events()]
    options = {}
    if rng.random() < 0.8:
        options['as_of'] = rng.choice(times) + rng.choice([0, 0, -1, 1, 86_400_000_000, 40 * 86_400_000_000])
        if options['as_of'] == 0:
            del options['as_of']
    if rng.random() < 0.5:
        options['window'] = rng.choice(['1d', '30d', '1m', '2m', '6m', '1y', '400d'])
    if rng.random() < 0.3:
        options['frequency'] = 'days'
    if rng.random() < 0.3:
        options['monetary'] = 'mean'
    if rng.random() < 0.3:
        options['nested'] = True
    if rng.random() < 0.3:
        options['weights'] = rng.choice([(100, 10, 1), (0, 0, 0), (1, 2, 3)])
    if rng.random() < 0.3:
        options['zero_is_valid'] = 1
    roll = rng.random()
    if roll < 0.2:
        options.update(bins=rng.choice([(10, 10, 10), (2, 9, 10)]), segments='ten')
    elif roll < 0.4:
        options.update(bins=tuple(rng.randint(2, 9) for _ in 'rfm'), segments='grid')
    elif roll < 0.6:
        options['bins'] = (5, 5, rng.randint(2, 9))
    elif roll < 0.7 and 'nested' not in options:
        options['cuts'] = 'fixed:10,30,30,90/1,1.5,2,3/-5,0,12.345,100'
        return options
    if rng.random() < 0.5:
        options['cuts'] = rng.choice(['ntile', 'rfm-r', 'quantile'])
    return options


def answers(place):
    """Everything a store can be asked here, as bytes."""
    return [lapse(command, place, '--format', 'csv').out for command in ('export', 'rfm', 'segments')]


def compare_spans(rng, held, place):
    """`transitions`, and `rfm` and `segments` as of many instants."""
    options = draw_options(rng, held)
    options.pop('as_of', None)
    middle = sorted(e.time for e in held.events())[len(held.events()) // 2]
    start = middle - rng.randint(0, 90 * reference.DAY)
    end = start + rng.choice([0, 1, rng.randint(0, 200 * reference.DAY)])
    if 0 in (start, end):
        return
    span = ['--from', reference.format_time(start), '--to', reference.format_time(end)]
    same(lapse('transitions', place, *span, *words(options), '--format', 'csv').rows(),
         reference.transitions(held, start, end, **meaning(options, held.zone)), 'transitions %s' % options)
    unit = rng.choice('day week month month quarter year'.split())
    if unit == 'day':
        span[3] = reference.format_time(min(end, start + 9 * reference.DAY))
    for command, answer in (('rfm', reference.rfm), ('segments', reference.segments)):
        ran = lapse(command, place, '--every', unit, *span, *words(options), '--threads', rng.choice([1, 3]), '--format',
                    'csv')
        same(ran.rows(), reference.every(held, answer, unit, start, reference.parse_time(span[3]),
                                         **meaning(options, held.zone)), '%s every %s %s' % (command, unit, options))


def random_file(seed):
    rng = random.Random(seed)
    zone = rng.choice(['+00:00', '+00:00', '+05:30', '-08:00', 'Europe/Paris'])
    digits = rng.choice([2, 2, 3])
    with_source = rng.random() < 0.5
    rows = draw(rng, rng.choice([1, 3, 12, 40, 120]), with_source)
    columns = [c for c in reference.COLUMNS if with_source or c != 'source']
    data = render(rng, rows, columns)
    path = suite.write('random/%d.csv' % seed, data)
    held = reference.Store(zone, digits)
    events = reference.read_events(data, 'till', zone=held.zone, digits=digits)
    counts = held.import_events(events) + (0, 0)

    made = ['--zone', zone, '--digits', digits]
    first = new_store('first', *made)
    assert lapse.counts(first, path, '--source', 'till') == [counts], counts
    same(lapse('export', first, '--format', 'csv').rows(), held.export(), 'export')
    for customer in {e.customer for e in events[:3]}:
        same(lapse('history', first, '--format', 'csv', '--', customer).rows(), held.history(customer), 'history')
    for n in range(3):
        options = draw_options(rng, held)
        compare(held, first, options)
        compare(held, path, options, made + ['--source', 'till'])
    compare_spans(rng, held, first)
    expected = answers(first)

    # Sound, also as a copy, and as one run.
    ids = {e.customer for e in held.events()}
    copy = suite.path('copy.lapse')
    lapse('backup', first, copy, '--replace')
    for place in (first, copy):
        report = dict(lapse('verify', place, '--format', 'csv').rows()[1:])
        assert (report['events'], report['customers'], report['ok']) == (str(len(held.events())), str(len(ids)), '1'), report
    lapse('compact', copy)
    lapse('verify', copy)
    assert answers(copy) == expected, 'a copy, compacted, gives other answers'

    # The same file again, and under its own name the second time round: nothing is new.
    again = lapse.counts(first, path, path, '--source', 'till')
    assert again == [(len(events), 0, len(events), 0, 0, 0)] * 2, again
    assert answers(first) == expected, 'a file imported again changes something'

    # Shuffled rows, another column order, several threads.
    shuffled = list(rows)
    rng.shuffle(shuffled)
    second = new_store('second', *made)
    lapse('import', second, suite.write('other name.csv', render(rng, shuffled, columns)), '--source', 'till',
          '--threads', 3)
    assert answers(second) == expected, 'shuffling changes something'

    # Cut in pieces that keep equal rows together, in any order, some of them twice.
    pieces = {}
    for row, event in zip(rows, events):
        pieces.setdefault((event.source, event.id, event.content()), []).append(row)
    groups = list(pieces.values())
    rng.shuffle(groups)
    cut = rng.randint(0, len(groups))
    files = [suite.write('piece-%d.csv' % n, render(rng, [row for group in part for row in group], columns))
             for n, part in enumerate((groups[:cut], groups[cut:]))]
    third = new_store('third', *made)
    lapse('import', third, files[1], files[0], files[1], '--source', 'till')
    assert answers(third) == expected, 'cutting changes something'

    # Out and in again.
    fourth = new_store('fourth', *made)
    out = suite.write('out.csv', expected[0])
    assert lapse.counts(fourth, out) == [(counts[1], counts[1], 0, 0, 0, 0)]
    assert answers(fourth) == expected, 'export and import change something'

    # A store of the end knows the past: what comes later changes nothing.
    as_of = rng.choice(events).time
    if as_of:
        earlier = [row for row, event in zip(rows, events) if event.time <= as_of]
        fifth = new_store('fifth', *made)
        lapse('import', fifth, suite.write('earlier.csv', render(rng, earlier, columns)), '--source', 'till')
        at = ['--format', 'csv', '--as-of', reference.format_time(as_of)]
        for command in ('rfm', 'segments'):
            assert lapse(command, fifth, *at).out == lapse(command, first, *at).out, 'the future changes the past'


def cases_of_random_files():
    for seed in range(1, 41):
        suite.run('random file %d' % seed, random_file, seed)


def case_large_file_and_threads():
    """Big enough for several pieces of work, with line breaks inside quotes wherever a piece may end."""
    rng = random.Random(77)
    lines = ['customer,time,kind,amount,ref,evidence,event_id']
    for n in range(60000):
        text = rng.choice(['', '"a\nb"', '"\n\n"', '"x, ""y""\r\n"', 'plain'])
        kind = rng.choice(['', '', '', 'order.refunded'])
        lines.append('c%d,2024-%02d-%02dT%02d:00:00Z,%s,%d.%02d,%d,%s,%s' % (
            rng.randint(1, 4000), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), kind, rng.randint(0, 90),
            rng.randint(0, 99), rng.randint(1, 5), text, 'i%d' % n if n % 3 == 0 else ''))
    path = suite.write('large.csv', '\n'.join(lines) + '\n')
    stores = [new_store('threads-%d' % n) for n in (1, 3)]
    counts = [lapse.counts(store, path, '--threads', n) for store, n in zip(stores, (1, 3))]
    assert counts[0] == counts[1] and counts[0][0][0] == 60000, counts
    assert answers(stores[0]) == answers(stores[1])
    held = reference.Store()
    assert counts[0] == [held.import_events(reference.read_events(read(path), 'large.csv')) + (0, 0)], counts
    compare(held, stores[1], {'window': '6m', 'nested': True})
    for n in (1, 3):
        assert lapse('rfm', stores[0], '--threads', n, '--nested').out == lapse('rfm', stores[1], '--nested').out
    # Bad rows come out in the order of their lines, whatever the threads; the first one stops an import.
    bad = sorted(rng.sample(range(1, 60000), 20))
    numbers, at = {}, 1
    for n, line in enumerate(lines):
        if n in bad:
            lines[n] = 'c1,2024-13-01,,1.00,,,'
        numbers[n] = at
        at += 1 + lines[n].count('\n')
    path = suite.write('large-bad.csv', '\n'.join(lines) + '\n')
    told = []
    for n in (1, 3):
        store, rejects = new_store('bad'), suite.path('rejects-%d.csv' % n)
        ran = lapse('import', store, path, '--threads', n, exit=1)
        assert re.search(r'\bline %d\b' % numbers[bad[0]], ran.err), ran
        assert lapse('export', store).rows() == [['customer', 'time', 'kind']]
        counts = lapse.counts(store, path, '--threads', n, '--on-error', 'skip', '--rejects', rejects)
        assert counts[0][5] == 20 and counts[0][0] == 60000, counts
        told.append(read(rejects))
    assert told[0] == told[1]
    assert [int(row[0]) for row in csv_rows(told[0].decode())[1:]] == [numbers[n] for n in bad]

suite.run_all(globals())
suite.end()
