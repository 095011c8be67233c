"""Scores, segments and what changes between instants, through the command: random tables against exact fractions and
DuckDB's NTILE, and the published figures of the peers."""
import os
import random
import re
import shlex

import reference
from harness import Skip, lapse, new_store, same, suite

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get('LAPSE_DATA') or os.path.join(HERE, '..', '..', 'shared', 'data')


def public(name):
    path = os.path.join(DATA, name)
    if not os.path.exists(path):
        raise Skip('%s is not in %s (LAPSE_DATA)' % (name, DATA))
    return path


def dicts(*args, **more):
    rows = lapse(*args, '--format', 'csv', **more).rows()
    return [dict(zip(rows[0], row)) for row in rows[1:]]


# ---- random tables ---------------------------------------------------------------------------------------------------

TABLES = 1000
MOST = 2 ** 63 - 1


def money(minor):
    return reference.format_money(minor, 2)


def draw_table(rng):
    """An event file rich in ties, constants, negative and huge values, and of few customers."""
    kinds = {'ties': lambda: rng.randint(1, 4), 'constant': lambda: 700, 'spread': lambda: rng.randint(1, 100000),
             'huge': lambda: MOST - rng.randint(0, 5), 'far': lambda: rng.choice([1, MOST])}
    drawn, lines = kinds[rng.choice(list(kinds))], ['customer,time,kind,amount']
    ids = rng.sample(['c%d' % i for i in range(400)] + ['', 'é', 'Z', 'a b', '~', '00'][1:],
                     rng.choice([1, 2, 3, 4, 5, 6, 9, 10, 11, 30, rng.randint(7, 200)]))
    days, orders = rng.choice([1, 2, 5, 400]), rng.choice([1, 1, 3, 9])
    negative = rng.random() < 0.3
    for customer in ids:
        left = MOST
        for _ in range(rng.randint(1, orders)):
            amount = min(drawn(), left)                  # the sum stays within 64 bits
            left -= amount
            if amount > 0:
                day = reference.format_time(reference.days(2020, 1, 1) * reference.DAY + rng.randrange(days) * reference.DAY)
                lines.append('%s,%s,order.placed,%s' % (customer, day, money(amount)))
        if negative and rng.random() < 0.5:              # a refund of an unknown order
            lines.append('%s,2020-01-01,order.refunded,%s' % (customer, money(drawn())))
    return '\n'.join(lines) + '\n'


def values_of(rows):
    return [(row['customer'], int(row['recency_days']), int(row['frequency']),
             reference.minor_units(reference.parse_decimal(row['monetary']), 2)) for row in rows]


def scores_of(rows):
    return [tuple(int(row[axis]) for axis in 'rfm') for row in rows]


def expected(values, bins, rule):
    units = (1, 1, 100)
    axes = [reference.bins_of([v[1 + a] for v in values], bins[a], rule, units[a], a == 0) for a in range(3)]
    return list(zip(*axes))


def ask_tables():
    """Of each table: values, bins, scores by every rule."""
    rng = random.Random(20240301)
    everybody = suite.write('everybody.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n')
    for n in range(TABLES):
        path = suite.write('table.csv', draw_table(rng))
        bins = rng.choice([(5, 5, 5), (10, 10, 10), tuple(rng.randint(2, 10) for _ in range(3))])
        scores = {}
        for rule in ('quantile', 'ntile') if n % 4 else ('quantile', 'ntile', 'rfm-r'):
            rows = dicts('rfm', path, '--cuts', rule, '--bins', ','.join(map(str, bins)), '--segments', everybody,
                         '--threads', rng.choice([1, 2]))
            scores[rule] = scores_of(rows)
        yield n, values_of(rows), bins, scores


def case_random_tables():
    """`quantile`, `ntile` and `rfm-r` are what fractions say; `ntile` is what DuckDB says."""
    try:
        import duckdb
    except ImportError:
        duckdb = None
    different = 0
    for n, values, bins, scores in ask_tables():
        assert values, n
        for rule, got in scores.items():
            assert got == expected(values, bins, rule), (n, rule, bins, values, got)
            different += got != scores['quantile']
        if duckdb:
            db = duckdb.connect()
            db.execute('CREATE TABLE t (customer VARCHAR, r BIGINT, f BIGINT, m BIGINT)')
            db.execute('INSERT INTO t VALUES ' + ', '.join(
                "('%s', %d, %d, %d)" % (v[0].replace("'", "''"), v[1], v[2], v[3]) for v in values))
            found = db.execute('SELECT ntile(%d) OVER (ORDER BY r DESC, customer), ntile(%d) OVER (ORDER BY f, customer),'
                               ' ntile(%d) OVER (ORDER BY m, customer) FROM t ORDER BY customer' % bins).fetchall()
            assert found == scores['ntile'], (n, bins, values)
    assert different > TABLES / 2
    if not duckdb:
        raise Skip('%d tables agree with fractions; no duckdb module, so ntile was not compared with DuckDB' % TABLES)


def case_saved_cuts_decide_as_exact_thresholds_do():
    """Cuts of one half, saved, then used for both halves: each value falls where the exact quantile puts it."""
    rng = random.Random(5)
    everybody = suite.write('everybody.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n')
    for n in range(60):
        bins = tuple(rng.randint(2, 10) for _ in range(3))
        rule = rng.choice(['quantile', 'rfm-r'])
        first, both, saved = draw_table(rng), draw_table(rng), suite.path('saved.csv')
        options = ['--segments', everybody, '--as-of', '2022-01-01']
        made = values_of(dicts('rfm', suite.write('first.csv', first), '--cuts', rule, '--bins', ','.join(map(str, bins)),
                               '--save-cuts', saved, *options))
        rows = dicts('rfm', suite.write('both.csv', both), '--cuts', 'fixed:' + saved, *options)
        for row, value in zip(rows, values_of(rows)):
            for a, axis in enumerate('rfm'):
                cuts = reference.quantiles([v[1 + a] for v in made], bins[a])
                unit = (1, 1, 100)[a]
                above = sum(value[1 + a] >= cut + unit if rule == 'rfm-r' else value[1 + a] > cut for cut in cuts)
                assert int(row[axis]) == (bins[a] - above if axis == 'r' else 1 + above), (n, rule, row)


# ---- instants --------------------------------------------------------------------------------------------------------

COLUMNS = 'customer time kind amount channel purpose ref source event_id'.split()


def draw_events(rng, count):
    """Two years of orders, with everything that can change an order or a customer later."""
    rows = []
    for n in range(count):
        row = dict.fromkeys(COLUMNS, '')
        time = reference.days(2022, 1, 1) * reference.DAY + rng.randrange(740) * reference.DAY
        time += rng.choice([0, rng.randrange(reference.DAY), 82_800 * reference.SECOND])
        row.update(customer='c%d' % rng.randint(1, count // 12), time=reference.format_time(time), source='till',
                   ref=rng.choice(['', '1', '2', '3']), amount=rng.choice(['10.00', '3.33', '99', '', '0.01']))
        row['kind'] = rng.choices(['order.placed', 'order.refunded', 'order.cancelled', 'event.retracted',
                                   'consent.objected', 'consent.granted', 'visitor.seen'], [70, 8, 3, 6, 2, 3, 8])[0]
        if row['kind'] == 'order.placed':
            row['event_id'] = rng.choice(['', 'e%d' % n])
        else:
            row['event_id'] = 'x%d' % n
        if row['kind'] == 'event.retracted':
            taken = rng.choice([r for r in rows if r['event_id'].startswith('e')] or [row])
            row.update(customer=taken['customer'], ref=taken['event_id'], amount='')
        elif not row['kind'].startswith('order.'):
            row.update(amount='', ref='')
        if row['kind'].startswith('consent.'):
            row.update(channel='email', purpose='profiling')
        rows.append(row)
    return rows


def write_events(name, rows):
    return suite.write(name, ','.join(COLUMNS) + '\n' + ''.join(','.join(r[c] for c in COLUMNS) + '\n' for r in rows))


FIRSTS = [reference.format_time(reference.parse_time('%d-%02d-01' % (y, m), reference.Zone('Europe/Paris')))
          for y in (2022, 2023) for m in range(1, 13)][1:] + ['2023-12-31T23:00:00Z']
OPTIONS = [[], ['--cuts', 'ntile', '--frequency', 'days'], ['--window', '6m', '--monetary', 'mean'],
           ['--cuts', 'rfm-r', '--nested', '--weights', '100,10,1'],
           ['--cuts', 'fixed:30,90,180,365/1,2,3,5/10,50,100,500', '--window', '200d', '--frequency', 'days']]


def case_stores_cut_off_at_24_instants():
    """The answers of a store that ends at an instant, of the whole store as of it, and of `--every month` at it: the same
    bytes."""
    if not os.path.isfile('/usr/share/zoneinfo/Europe/Paris'):
        raise Skip('no zone data')
    rows = draw_events(random.Random(24), 6000)
    rows.sort(key=lambda row: row['time'])
    whole = new_store('whole', '--zone', 'Europe/Paris')
    lapse('import', whole, write_events('whole.csv', rows))
    lapse('compact', whole)
    cut_off = []
    for n, instant in enumerate(FIRSTS):
        cut_off.append(new_store('cut-%d' % n, '--zone', 'Europe/Paris'))
        lapse('import', cut_off[n], write_events('cut.csv', [row for row in rows if row['time'] <= instant]))
    span = ['--every', 'month', '--from', '2022-01-15', '--to', '2024-01-01']
    assert len(FIRSTS) == 24
    for options in OPTIONS:
        for command in ('rfm', 'segments'):
            every = lapse(command, whole, *span, *options, '--format', 'csv', '--threads', '2').out
            assert lapse(command, whole, *span, *options, '--format', 'csv').out == every
            joined = b''
            for store, instant in zip(cut_off, FIRSTS):
                at = ['--as-of', instant, *options, '--format', 'csv']
                answer = lapse(command, store, *at).out
                assert lapse(command, whole, *at).out == answer, (command, instant, options)
                lines = answer.splitlines(keepends=True)
                joined += (b'' if joined else b'as_of,' + lines[0])
                joined += b''.join(instant.encode() + b',' + line for line in lines[1:])
            assert every == joined, (command, options)
        for store, start, end in zip(cut_off[6:], FIRSTS, FIRSTS[6:]):
            at = ['--from', start, '--to', end, *options, '--format', 'csv']
            assert lapse('transitions', store, *at).out == lapse('transitions', whole, *at).out, (start, end, options)


def case_transitions():
    """Worked by hand: fixed cuts, so that nobody's segment depends on others."""
    path = suite.write('moves.csv', 'customer,time,kind,purpose,channel,amount\n'
                       'stays,2024-01-01,,,,5\nstays,2024-03-01,,,,5\n'
                       'fades,2024-01-01,,,,5\n'
                       'comes,2024-03-30,,,,5\n'
                       'objects,2024-01-01,,,,5\nobjects,2024-02-02,consent.objected,profiling,email,\n'
                       'later,2024-05-01,,,,5\n'
                       'poor,2024-01-01,,,,0.01\n')
    table = suite.write('moves-table.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\n'
                        'new,2,2,1,1,2,2\nold,1,1,,,2,2\nnew,2,2,2,2,2,2\n')
    options = ['--cuts', 'fixed:45/1/1', '--segments', table, '--format', 'csv']
    ran = lapse('transitions', path, '--from', '2024-02-01', '--to', '2024-04-01', *options)
    same(ran.rows(), [['from', 'to', 'customers'], ['new', 'new', '1'], ['new', 'old', '1'], ['new', '(absent)', '1'],
                      ['(none)', '(none)', '1'], ['(absent)', 'new', '1']])
    assert 'at 2024-04-01T00:00:00Z: 1 customer is left out' in ran.err, ran
    # from = to: nobody moves; a span that ends before it begins; options that are missing
    rows = lapse('transitions', path, '--from', '2024-02-01', '--to', '2024-02-01', *options).rows()
    same(rows, [['from', 'to', 'customers'], ['new', 'new', '3'], ['(none)', '(none)', '1']])
    same(lapse('transitions', path, '--from', '2020-01-01', '--to', '2020-02-01', *options).rows(),
         [['from', 'to', 'customers']])
    lapse('transitions', path, '--from', '2024-02-02', '--to', '2024-02-01', *options, exit=1)
    for args in ([], ['--from', '2024-02-01'], ['--to', '2024-02-01'], ['--from', 'x', '--to', '2024-02-01']):
        lapse('transitions', path, *args, *options, exit=2)
    for more in (['--as-of', '2024-02-01'], ['--every', 'month'], ['--save-cuts', 'c']):
        lapse('transitions', path, '--from', '2024-02-01', '--to', '2024-02-01', *options, *more, exit=2)


def case_every():
    """Which instants, and what is refused."""
    path = suite.write('every.csv', 'customer,time,amount\na,2024-01-31T23:30:00,1\n')
    instants = lambda *args: [row['as_of'] for row in dicts('rfm', path, *args)]   # noqa: E731
    for unit, start, end, want in (
            ('month', '2024-02-01', '2024-04-01', ['2024-03-01', '2024-04-01']),
            ('month', '2024-01-31T23:59:59.999999', '2024-03-31', ['2024-02-01', '2024-03-01']),
            ('month', '2024-02-01', '2024-02-01', []), ('month', '2024-02-02', '2024-02-28', []),
            ('week', '2024-02-01', '2024-02-13', ['2024-02-05', '2024-02-12']),
            ('quarter', '2024-01-01', '2024-10-01', ['2024-04-01', '2024-07-01', '2024-10-01']),
            ('year', '2023-12-31', '2026-06-01', ['2025-01-01', '2026-01-01']),
            ('day', '2024-01-31', '2024-02-02', ['2024-02-01', '2024-02-02'])):
        assert instants('--every', unit, '--from', start, '--to', end) == [day + 'T00:00:00Z' for day in want], unit
    if os.path.isfile('/usr/share/zoneinfo/Europe/Paris'):
        assert instants('--every', 'month', '--from', '2024-03-01', '--to', '2024-04-01', '--zone', 'Europe/Paris') == [
            '2024-03-31T22:00:00Z']
    span = ['--from', '2024-01-01', '--to', '2024-03-01']
    for args in (['--every', 'month'], ['--every', 'month', '--from', '2024-01-01'], span, ['--every', 'hour', *span],
                 ['--every', 'month', *span, '--as-of', '2024-03-01'], ['--every', 'month', *span, '--save-cuts', 'c']):
        for command in ('rfm', 'segments'):
            lapse(command, path, *args, exit=2)
    lapse('rfm', path, '--every', 'month', '--from', '2024-03-01', '--to', '2024-01-01', exit=1)
    header = 'as_of,' + ','.join(reference.rfm(reference.Store())[0])
    assert lapse('rfm', path, '--every', 'year', *span, '--format', 'csv').out.decode() == header + '\n'


# ---- the figures of the peers -----------------------------------------------------------------------------------------

SEGMENTS = os.path.join(HERE, '..', 'examples', 'segments')
OF_R = ['--as-of', '2006-12-31', '--cuts', 'rfm-r']


def table_of(name):
    return ['--segments', os.path.join(SEGMENTS, name + '.csv')]


def case_r_package_scores():
    """rfm 0.3.0 on its data: sizes of scores and customers of its vignette, bounds as it prints them, custom bins."""
    path = public('rfm_orders.csv')
    rows = dicts('rfm', path, *OF_R, '--save-cuts', suite.path('r.csv'))
    assert len(rows) == 995
    sizes = {axis: [sum(row[axis] == str(n) for row in rows) for n in range(1, 6)] for axis in 'rfm'}
    assert sizes == {'r': [197, 200, 199, 199, 200], 'f': [268, 187, 176, 244, 120], 'm': [200, 200, 198, 202, 195]}
    of = {row['customer']: (row['recency_days'], row['frequency'], row['monetary'], row['score']) for row in rows}
    for customer, days, orders, revenue, score in (
            ("Abbey O'Reilly", 205, 6, 472, 343), ('Add Senger', 140, 3, 340, 412), ('Aden Lesch', 194, 4, 405, 323),
            ('Aden Murphy', 98, 7, 596, 544), ('Admiral Senger', 132, 5, 448, 433), ("Agness O'Keefe", 90, 9, 843, 555),
            ('Ailene Hermann', 281, 8, 699, 355), ('Aiyanna Bruen', 246, 4, 157, 321)):
        assert of[customer] == (str(days), str(orders), '%d.00' % revenue, str(score)), customer
    # every one of them: a bin is 1 and the bounds at or below the value
    bounds = {'recency_days': ('115', '181', '297.4', '482'), 'frequency': ('4', '5', '6', '8'),
              'monetary': ('255.8', '382', '506.4', '666')}
    for row in rows:
        for axis, name in zip('rfm', bounds):
            bin = 1 + sum(float(bound) <= float(row[name]) for bound in bounds[name])
            assert row[axis] == str(6 - bin if axis == 'r' else bin), row
    assert sum(int(row['frequency']) for row in rows) == 4906
    assert sum(float(row['monetary']) for row in rows) == 464158
    # saved: each bound less one smallest unit, or its floor
    with open(suite.path('r.csv')) as f:
        assert f.read() == ('axis,bin,above\nr,1,114\nr,2,180\nr,3,297\nr,4,481\nf,1,3\nf,2,4\nf,3,5\nf,4,7\n'
                            'm,1,255.79\nm,2,381.99\nm,3,506.39\nm,4,665.99\n')
    assert lapse('rfm', path, '--as-of', '2006-12-31', '--cuts', 'fixed:' + suite.path('r.csv')).out == \
        lapse('rfm', path, *OF_R).out
    # its custom bins: lower bounds of whole numbers are "above the one before"
    rows = dicts('segments', path, '--as-of', '2006-12-31', '--cuts',
                 'fixed:114,180,296,481/3,4,5,7/255.99,381.99,505.99,665.99')
    assert sum(int(row['orders']) for row in rows) == 4906


def case_r_package_segments():
    """The tables of its README and of its older tests."""
    path = public('rfm_orders.csv')
    published = {
        'r-package': {'About To Sleep': (102, 283, 23449), 'At Risk': (28, 216, 22227), "Can't Lose Them": (47, 274, 32446),
                      'Champions': (35, 316, 31646), 'Lost': (148, 393, 35324), 'Loyal Customers': (170, 799, 76562),
                      'Need Attention': (10, 57, 4562), 'New Customers': (104, 329, 28837),
                      'Potential Loyalist': (342, 2211, 204856), 'Promising': (9, 28, 4249)},
        'r-package-older': {'Champions': (158, 1234, 120178), 'Loyal Customers': (278, 1708, 166712),
                            'Potential Loyalist': (229, 801, 65873), 'Need Attention': (35, 144, 13287),
                            'About To Sleep': (50, 127, 10914), 'At Risk': (86, 438, 44178), 'Lost': (111, 244, 20955),
                            '(none)': (48, 210, 22061), 'New Customers': (0, 0, 0), 'Promising': (0, 0, 0),
                            "Can't Lose Them": (0, 0, 0)}}
    for name, want in published.items():
        rows = dicts('segments', path, *OF_R, *table_of(name))
        got = {row['segment']: (int(row['customers']), int(row['orders']), float(row['monetary'])) for row in rows}
        assert got == want, (name, got)


# What each table leaves out, of how many cells, and the rows that can never match; docs/rfm.md says the same.
COVERAGE = {'default': (5, 0, 0), 'python-notebooks': (5, 0, 0), 'r-package': (5, 10, 0), 'r-package-older': (5, 36, 3),
            'pymc-marketing': (4, 18, 0), 'klaviyo': (3, 0, 0)}


def case_coverage_of_segment_tables():
    assert {name[:-4] for name in os.listdir(SEGMENTS)} == set(COVERAGE)
    path = suite.write('one.csv', 'customer,time,amount\na,2024-01-01,1\n')
    with open(os.path.join(HERE, '..', 'docs', 'rfm.md')) as f:
        docs = f.read()
    for name, (bins, open_cells, never) in COVERAGE.items():
        with open(os.path.join(SEGMENTS, name + '.csv')) as f:
            table = reference.read_segments(f.read())
        cells = [(r, f, m) for r in range(1, bins + 1) for f in range(1, bins + 1) for m in range(1, bins + 1)]
        assert sum(reference.segment_of(table, cell) == '(none)' for cell in cells) == open_cells, name
        err = lapse('segments', path, '--bins', str(bins), *table_of(name)).err
        assert ('no segment covers %d of %d cells' % (open_cells, bins ** 3) in err) == (open_cells > 0), (name, err)
        assert err.count('can never match') == never, (name, err)
        left = '%d of %d' % (open_cells, bins ** 3) if open_cells else 'none of %d' % bins ** 3
        assert '| `%s.csv` | %d | %s |' % (name, bins, left) in docs, name


def case_tables_of_python():
    """The notebooks' grid is the default under their names; pymc-marketing's 46 codes are each in one row."""
    path = public('rfm_orders.csv')
    ours, theirs = (dicts('segments', path, *more) for more in ([], table_of('python-notebooks')))
    assert [list(row.values())[1:] for row in ours] == [list(row.values())[1:] for row in theirs]
    with open(os.path.join(SEGMENTS, 'pymc-marketing.csv')) as f:
        table = reference.read_segments(f.read())
    assert len({bounds for _, bounds in table}) == len(table) == 46
    names = {''.join(map(str, bounds[::2])): name for name, bounds in table}
    assert [names.get(code) for code in ('333', '143', '424', '214', '411', '442', '432', '342')] == [
        'Premium Customer', 'Repeat Customer', 'Top Spender', 'At Risk Customer', 'Inactive Customer', None, None, None]


def case_docs():
    """docs/rfm.md: each file, each command, each answer."""
    with open(os.path.join(HERE, '..', 'docs', 'rfm.md'), encoding='utf-8') as f:
        docs = f.read()
    for name, text in re.findall(r'^`(\w+\.csv)`:\n\n```csv\n(.*?)^```$', docs, re.M | re.S):
        suite.write(name, text)
    os.makedirs(suite.path('examples'), exist_ok=True)
    if not os.path.exists(suite.path('examples/segments')):
        os.symlink(os.path.abspath(SEGMENTS), suite.path('examples/segments'))
    shown = ''.join(re.findall(r'^```console\n(.*?)^```$', docs, re.M | re.S))
    commands = re.findall(r'^\$ lapse (.*)\n((?:(?!\$ ).*\n)*)', shown, re.M)
    assert len(commands) > 7, commands
    for command, want in commands:
        ran = lapse(*shlex.split(command), cwd=suite.folder)
        assert ran.out.decode() == want, '%s\n%s' % (command, ran.out.decode())


if __name__ == '__main__':
    suite.run_all(globals())
    suite.end()
