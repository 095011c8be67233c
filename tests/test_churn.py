"""`churn`, `cohorts`, `survival` and `gaps` through the command: worked sets, the rules of a span, and thousands of random
histories against reference_churn.py.

    python3 test_churn.py LAPSE [part of a name ...]
"""
import os
import random
import re
import sys
from fractions import Fraction

sys.dont_write_bytecode = True
import reference  # noqa: E402
import reference_churn as naive  # noqa: E402
from harness import lapse, new_store, same, suite  # noqa: E402

ROUNDS = int(os.environ.get('LAPSE_CHURN_ROUNDS', '100'))
CUSTOMERS = 100   # a round
DAY = reference.DAY
SECOND = reference.SECOND


def near(got, expected, what):
    """As same(), but where a float is expected the cell is one within 1e-12."""
    text = []
    for row, wanted in zip(got, expected):
        text.append([cell for cell in row])
        for i, cell in enumerate(wanted):
            if isinstance(cell, float) and i < len(row) and row[i] != '' and \
                    abs(float(row[i]) - cell) <= 1e-12 * max(1.0, abs(cell)):
                text[-1][i] = cell
    same(text + got[len(expected):], expected, what)


# ---- worked sets -------------------------------------------------------------------------------------------------------

WORKED = '''customer,time,ref,kind,amount
A,2024-12-10,a1,order.placed,5
A,2025-02-01,a2,order.placed,5
B,2024-09-01,b,order.placed,5
C,2024-08-20,c1,order.placed,5
C,2025-03-20,c2,order.placed,5
D,2024-05-01,d,order.placed,5
E,2024-03-01,e1,order.placed,5
E,2025-01-15,e2,order.placed,5
F,2025-01-20,f,order.placed,5
G,2024-07-05,g,order.placed,5
H,2024-10-03,h,order.placed,5
I,2024-06-01,i1,order.placed,5
I,2024-11-11,i2,order.placed,5
I,2024-11-20,i2,order.refunded,5
J,2024-12-31,j,order.placed,5
'''
HALF_YEAR = ['--set', 'purchase.lost=180d', '--set', 'purchase.inactive=180d']
SPAN = ['--from', '2025-01-01', '--to', '2025-04-01']


def case_semantics_6_2():
    got = lapse('churn', suite.write('worked.csv', WORKED), *SPAN, *HALF_YEAR).rows()
    same(got, [['measure', 'numerator', 'denominator', 'value'], ['churn', '2', '5', '0.4'], ['retention', '3', '5', '0.6'],
               ['flow_churn', '3', '5', '0.6'], ['reactivation_rate', '1', '4', '0.25'], ['net_loss', '0', '5', '0'],
               ['average_base_churn', '2', '5', '0.4'], ['at_start', '5', '', '5'], ['at_end', '5', '', '5'],
               ['lost_end_state', '2', '', '2'], ['lost_flow', '3', '', '3'], ['reactivated', '2', '', '2'],
               ['new', '1', '', '1']])


def case_semantics_6_2_without_the_refund():
    text = ''.join(line for line in WORKED.splitlines(True) if 'refunded' not in line)
    got = lapse('churn', suite.write('worked.csv', text), *SPAN, *HALF_YEAR).rows()
    assert got[1] == ['churn', '2', '6', '0.3333333333333333'], got[1]


def case_semantics_6_6():
    text = 'customer,time\n' + ''.join('%s,2024-%02d-%02d\n' % (who, 1 + month, 5 + month) for who, months in
                                       (('p', (0, 1, 2)), ('q', (0, 2)), ('r', (0,)), ('s', (0, 1))) for month in months)
    got = lapse('cohorts', suite.write('cohort.csv', text), '--every', 'month', '--as-of', '2024-04-01').rows()
    same(got, [['cohort', 'period', 'size', 'active', 'retained', 'retained_unbounded'],
               ['2024-01', '0', '4', '4', '1', '1'], ['2024-01', '1', '4', '2', '0.5', '0.75'],
               ['2024-01', '2', '4', '2', '0.5', '0.5']])


def case_semantics_6_7():
    day, text = 0, 'customer,time\nx,1970-01-01T01:00\n'
    for gap in (10, 12, 15, 18, 20, 25, 30, 45, 60, 120):
        day += gap
        text += 'x,@%d\n' % (day * 86400)
    path = suite.write('gaps.csv', text)
    got = lapse('gaps', path, '--quantiles', '0.4,0.5,0.8').rows()
    same(got, [['method', 'quantile', 'gaps', 'days'], ['nearest_rank', '0.4', '10', '18'],
               ['nearest_rank', '0.5', '10', '20'], ['nearest_rank', '0.8', '10', '45']])
    got = lapse('gaps', path, '--quantiles', '0.4,0.5,1', '--method', 'linear').rows()
    same(got[1:], [['linear', '0.4', '10', '19.2'], ['linear', '0.5', '10', '22.5'], ['linear', '1', '10', '120']])


def case_docs_show_what_comes():
    """docs/churn.md: its file, its command, its answer."""
    with open(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'docs', 'churn.md'), encoding='utf-8') as f:
        text = f.read()
    data, shown = (re.search('```%s\n(.*?)```' % kind, text, re.S)[1] for kind in ('csv', 'console'))
    assert data == WORKED
    command, answer = shown.split('\n', 1)
    words = command.split()
    assert words[:2] == ['$', 'lapse']
    ran = lapse(words[2], suite.write('ten.csv', data), *words[4:])
    assert ran.out.decode() == answer, ran


# Five customers of semantics 6.5 in days: lost 2, 4, 4 days after the first order, two seen for 3 and 5 days.
SURVIVAL = '''customer,time
a,2024-01-04
b,2024-01-06
c,2024-01-02
d,2024-01-02
e,2024-01-05
'''


def case_survival_by_hand():
    # limit 2d; as of 2024-01-07 the first is lost after 2 days, e too (on the day itself), c and d long ago
    got = lapse('survival', suite.write('stay.csv', SURVIVAL), '--as-of', '2024-01-07', '--set', 'purchase.lost=2d',
                '--set', 'purchase.inactive=2d', '--set', 'purchase.risk=1d').rows()
    assert got[1][:5] == ['1', '5', '0', '1', '1'] and got[2][:5] == ['2', '4', '4', '0', '0'], got
    assert got[1][5:] == ['1', '1'] and got[2][5:] == ['', ''], got


# ---- the rules of a span, and of the command ----------------------------------------------------------------------------

def case_t6_span_is_required():
    path = suite.write('worked.csv', WORKED)
    for more in ((), ('--from', '2025-01-01'), ('--to', '2025-01-01')):
        ran = lapse('churn', path, *more, exit=2)
        assert 'needs --from T0 and --to T1' in ran.err, ran


def case_h12_span_the_wrong_way():
    path = suite.write('worked.csv', WORKED)
    ran = lapse('churn', path, '--from', '2025-04-01', '--to', '2025-01-01', exit=1)
    assert '--from 2025-04-01 is later than --to 2025-01-01' in ran.err, ran
    rows = lapse('churn', path, '--from', '2025-04-01', '--to', '2025-04-01', *HALF_YEAR).rows()
    assert [r[1] for r in rows[7:]] == ['5', '5', '0', '0', '0', '0'], rows       # no flows


def case_what_is_not_there_is_refused():
    path = suite.write('worked.csv', WORKED)
    for words in (['--basis', 'membership'], ['--revenue'], ['--by', 'segment'], ['--lost', 'at_risk'], ['--every', 'hour'],
                  ['--as-of', '2025-01-01'], ['--threads', '0']):
        lapse('churn', path, *SPAN, *words, exit=2)
    for words in (['--quantiles', '0'], ['--quantiles', '1.1'], ['--quantiles', '0.5,'], ['--quantiles', ''],
                  ['--quantiles', '0.1234567'], ['--quantiles', '-1'], ['--method', 'type6']):
        lapse('gaps', path, *words, exit=2)
    for words in (['--summary', '--hazard'], ['--horizon', '5'], ['--every', 'day'], ['--from', '2025-01-01']):
        lapse('survival', path, *words, exit=2)
    lapse('cohorts', path, '--basis', 'activity', exit=2)
    ran = lapse('churn', path, '--from', '1900-01-01', '--to', '2999-01-01', '--every', 'day')
    assert len(ran.rows()) == 1 + 12 * 401_402, len(ran.rows())
    ran = lapse('cohorts', suite.write('far.csv', 'customer,time\n' + ''.join('c%d,19%02d-01-02\n' % (i, i) for i in range(99))),
                '--every', 'day', '--as-of', '2900-01-01', exit=1)
    assert 'choose longer periods' in ran.err, ran


UNDEFINED = ('churn retention flow_churn reactivation_rate net_loss average_base_churn').split()


def case_empty_base_is_undefined():
    """S = 0 and nobody lost: no rate has a value, and none is 0 or a NaN."""
    for place, span in ((new_store('empty'), SPAN),                                     # no customers at all
                        (suite.write('worked.csv', WORKED), ['--from', '2020-01-01', '--to', '2021-01-01']),   # before the first
                        (suite.write('views.csv', 'customer,time,kind\nx,2024-01-01,session.started\n'), SPAN)):
        for more in ((), ('--every', 'month')):
            rows = lapse('churn', place, *span, *more).rows()
            assert 'nan' not in str(rows).lower()
            for row in rows[1:]:
                assert row[-3:] == (['0', '0', ''] if row[-4] in UNDEFINED else ['0', '', '0']), row
    # after the last deadline: all are lost, so a rate of reactivation exists and is 0
    rows = lapse('churn', suite.write('worked.csv', WORKED), '--from', '2030-01-01', '--to', '2031-01-01').rows()
    assert rows[4] == ['reactivation_rate', '0', '10', '0'] and rows[1] == ['churn', '0', '0', ''], rows


def case_empty_answers_are_headers():
    store = new_store('nobody')
    for command, columns in (('cohorts', 6), ('survival', 7), ('gaps', 4)):
        rows = lapse(command, store).rows()
        assert len(rows) == 1 and len(rows[0]) == columns, rows
        rows = lapse(command, suite.write('worked.csv', WORKED), '--as-of', '2020-01-01').rows()
        assert len(rows) == 1 and len(rows[0]) == columns, rows
    assert len(lapse('survival', store, '--summary').rows()) == 1


def case_customers_who_objected_count():
    """X1, H19."""
    text = WORKED + 'A,2024-12-31,,consent.objected,\n'
    assert lapse('churn', suite.write('objected.csv', text), *SPAN, *HALF_YEAR).rows()[1] == ['churn', '2', '5', '0.4']


# ---- random histories ------------------------------------------------------------------------------------------------------

ZONES = ['+00:00', '+00:00', '+05:30', '-11:00', 'Europe/Paris', 'America/New_York', 'America/Sao_Paulo', 'Pacific/Apia']
# Where zones do something: clocks back over midnight in Sao Paulo, a day skipped in Apia, summer time in Paris.
BEGINNINGS = {'America/Sao_Paulo': '2015-10-01', 'Pacific/Apia': '2011-10-15', 'Europe/Paris': '2024-02-20'}
LIMITS = [((90, 'd'), (6, 'm'), (12, 'm')), ((10, 'd'), (20, 'd'), (30, 'd')), ((3, 'd'), (1, 'm'), (2, 'm')),
          ((1, 'm'), (31, 'd'), (31, 'd')), ((5, 'd'), (2, 'm'), (59, 'd')), ((7, 'd'), (14, 'd'), (1, 'm')),
          ((1, 'd'), (2, 'd'), (1, 'y'))]
EVERY = [None, 'day', 'week', 'month', 'quarter', 'year']
OTHERS = ('session.started product.viewed survey.answered message.clicked message.opened case.opened info.requested '
          'app.installed message.sent referral.sent').split()


def random_history(rng, who, zone, limits, begin, span):
    """Rows of one customer: times that tie, lie on deadlines, or a second beside them."""
    rows, times = [], []
    for i in range(rng.choice([1, 2, 3, 4, 6, 9])):
        if times and rng.random() < 0.5:
            time = rng.choice(times)
            if rng.random() < 0.7:
                time = zone.add(time, *rng.choice(limits)) + rng.choice([0, 0, -SECOND, SECOND, -1, 1])
        else:
            time = begin + rng.randrange(span) * (SECOND if rng.random() < 0.5 else DAY)
        time = min(time, begin + 3 * span * DAY)
        times.append(time)
        kind = rng.choice(['order.placed'] * 6 + ['order.refunded'] * 2 + ['order.cancelled'] + OTHERS)
        ref = rng.choice(['', '', 'r1', 'r1', 'r2', 'r3'])
        amount = rng.choice(['', '0', '5', '5', '10', '10']) if kind.startswith('order.') else ''
        reason = rng.choice(['', 'bot']) if kind == 'message.clicked' else ''
        rows.append([who, reference.format_time(time), kind, ref, amount, reason, 'email', 's', '%s-%d' % (who, i)])
        if rng.random() < 0.1:   # taken back, now, later, or before it came
            time += rng.choice([0, 1, DAY * rng.randrange(1, 60), -DAY * rng.randrange(1, 20)])
            rows.append([who, reference.format_time(time), 'event.retracted', '%s-%d' % (who, i), '', '', '', 's', ''])
            times.append(time)
    return rows


def random_store(rng):
    zone_name, limits = rng.choice(ZONES), rng.choice(LIMITS)
    zone = reference.Zone(zone_name)
    begin = reference.parse_time(BEGINNINGS.get(zone_name, '2024-01-31'), zone)
    span = rng.choice([20, 60, 200, 400])
    rows = [row for i in range(CUSTOMERS) for row in random_history(rng, 'c%d' % i, zone, limits, begin, span)]
    rng.shuffle(rows)
    rows = [row for row in rows if row[1][:4] >= '1970']
    text = 'customer,time,kind,ref,amount,reason,channel,source,event_id\n' + ''.join(','.join(row) + '\n' for row in rows)
    held = reference.Store(zone_name)
    held.import_events(reference.read_events(text.encode(), 'x', zone=held.zone))
    path = suite.path('random.lapse')
    if os.path.exists(path):
        os.remove(path)
    lapse('import', path, suite.write('random.csv', text), '--zone', zone_name, '--received-at', '2999-01-01')
    return path, held, limits, begin, span


def settings(basis, limits, opens, zero):
    prefix = 'purchase' if basis == 'purchase' else 'engagement'
    out = ['--set', 'activity.opens=%d' % opens, '--set', 'order.zero_is_valid=%d' % zero]
    for name, (n, unit) in zip(('risk', 'inactive', 'lost'), limits):
        out += ['--set', '%s.%s=%d%s' % (prefix, name, n, unit)]
    return out


def books_balance(books):
    for n, lost_start, returned in books:
        assert n['at_end'] == n['at_start'] - n['lost_flow'] + n['reactivated'] + n['new'], n
        assert n['lost_end_state'] <= n['lost_flow'] and n['lost_end_state'] <= n['at_start'], n
        assert returned <= lost_start and returned <= n['reactivated'], n
    for (n, _, _), (m, _, _) in zip(books, books[1:]):
        assert n['at_end'] == m['at_start']


def books_of(rows, tiled):
    """The counts that lapse printed."""
    width = 12
    books = []
    for i in range(1, len(rows), width):
        cells = {row[-4]: row for row in rows[i:i + width]}
        n = {name: int(cells[name][-3]) for name in naive.MEASURES[6:]}
        books.append((n, int(cells['reactivation_rate'][-2]), int(cells['reactivation_rate'][-3])))
    return books


def one_round(number):
    rng = random.Random(number)
    path, held, limits, begin, span = random_store(rng)
    last = held.default_instant()
    basis, lost = rng.choice(['purchase', 'purchase', 'activity']), rng.choice(['lost', 'lost', 'inactive'])
    opens, zero = rng.random() < 0.3, rng.random() < 0.3
    clock = naive.Clock(held.zone, basis, lost, limits, opens, zero)
    common = settings(basis, limits, opens, zero) + ['--threads', rng.choice([1, 2, 3])]
    which = ['--basis', basis, '--lost', lost]
    times = [e.time for e in held.events()]
    for _ in range(2):
        ends = sorted(rng.choice([rng.choice(times), clock.deadline(rng.choice(times)), begin + rng.randrange(-30, 2 * span) * DAY,
                                  last]) for _ in range(2))
        every = rng.choice(EVERY)
        span_words = ['--from', reference.format_time(ends[0]), '--to', reference.format_time(ends[1])]
        every_words = ['--every', every] if every else []
        got = lapse('churn', path, *span_words, *every_words, *which, *common).rows()
        expected, books = naive.churn(held, clock, ends[0], ends[1], every)
        what = 'churn %s %s' % (span_words, every_words)
        same(got, expected, what)
        books_balance(books_of(got, every))
        whole = books_of(lapse('churn', path, *span_words, *which, *common).rows(), None)[0][0]
        tiled = books_of(got, every)
        assert tiled[0][0]['at_start'] == whole['at_start'] and tiled[-1][0]['at_end'] == whole['at_end'], what
        for name in ('lost_flow', 'reactivated', 'new'):                          # periods tile
            assert sum(n[name] for n, _, _ in tiled) == whole[name], (what, name)
    as_of = rng.choice([last, rng.choice(times), begin + rng.randrange(2 * span) * DAY,
                        held.zone.first_of_day(naive.first_day(naive.period(held.zone.day(rng.choice(times)), 'month'), 'month'))])
    at = ['--as-of', reference.format_time(as_of)]
    every = rng.choice(EVERY[1:])
    got = lapse('cohorts', path, *at, '--every', every, *common).rows()
    same(got, naive.cohorts(held, as_of, every, zero), 'cohorts %s %s' % (at, every))
    sizes = {row[0]: int(row[2]) for row in got[1:]}
    for row in got[1:]:
        assert int(row[3]) <= int(row[2]) == sizes[row[0]] and (row[1] != '0' or row[3] == row[2])
    found = naive.subjects(held, clock, as_of)
    near(lapse('survival', path, *at, *which, *common, '--hazard').rows(), naive.survival(found, True), 'survival %s' % at)
    near(lapse('survival', path, *at, *which, *common).rows(), naive.survival(found), 'survival %s' % at)
    horizon = rng.choice([None, 0, 7, 400])
    near(lapse('survival', path, *at, *which, *common, '--summary', *(['--horizon', horizon] if horizon is not None else [])).rows(),
         naive.summary(found, horizon), 'survival --summary %s' % at)
    method, by_days = rng.choice(['nearest_rank', 'linear']), rng.random() < 0.4
    quantiles = rng.choice([naive.USUAL, [Fraction(rng.randrange(1, 1000001), 10 ** 6) for _ in range(5)], [Fraction(1)]])
    words = [] if quantiles is naive.USUAL else ['--quantiles', ','.join(reference.format_decimal(q) for q in quantiles)]
    got = lapse('gaps', path, *at, '--method', method, *words, *(['--frequency', 'days'] if by_days else []), *common).rows()
    same(got, naive.gaps(held, as_of, quantiles, method, by_days, zero), 'gaps %s %s' % (at, method))


def cases_random_histories():
    for number in range(ROUNDS):
        suite.run('random histories, round %d' % number, one_round, number)


suite.run_all(globals())
suite.end()
