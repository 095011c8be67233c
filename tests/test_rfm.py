"""Scores, segments and what changes between instants, through the command: random tables against exact fractions and
DuckDB's NTILE, and the published figures of the peers."""
import csv
import io
import os
import random
from fractions import Fraction

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


if __name__ == '__main__':
    suite.run_all(globals())
    suite.end()
