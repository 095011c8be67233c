"""Rulings one by one through the command: identity of events, retraction, money, time, files, and the command's manners.

    python3 test_rules.py LAPSE [part of a name ...]

Names of rulings (F12, M4, T3, ...) stand beside what they decide.
"""
import csv
import io
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True
import reference  # noqa: E402
from harness import CUSTOMERS, compare, csv_rows, lapse, new_store, read, same, suite, words  # noqa: E402


# ---- identity of events ----------------------------------------------------------------------------------------------------

def imported(store, name, text, *options):
    return lapse.counts(store, suite.write(name, text), *options)[0]


def case_f10_id_without_source_has_the_empty_source():
    store = new_store('f10')
    a = 'customer,time,amount,event_id\nx,2024-01-01,1,1\n'
    assert imported(store, 'one.csv', a) == (1, 1, 0, 0, 0, 0)
    assert imported(store, 'two.csv', a, '--source', 'other') == (1, 0, 1, 0, 0, 0)
    assert imported(store, 'three.csv', 'customer,time,amount,event_id,source\nx,2024-01-01,1,1,\n') == (1, 0, 1, 0, 0, 0)
    assert imported(store, 'four.csv', 'customer,time,amount,event_id,source\nx,2024-01-01,1,1,web\n') == (1, 1, 0, 0, 0, 0)


def case_f10_source_without_id():
    store = new_store('f10b')
    plain = 'customer,time,amount\nx,2024-01-01,1\n'
    assert imported(store, 'day.csv', plain) == (1, 1, 0, 0, 0, 0)
    assert imported(store, 'other/day.csv', plain) == (1, 0, 1, 0, 0, 0)              # the base name is the source
    assert imported(store, 'night.csv', plain, '--source', 'day.csv') == (1, 0, 1, 0, 0, 0)
    assert imported(store, 'night.csv', plain) == (1, 1, 0, 0, 0, 0)
    named = 'customer,time,amount,source\nx,2024-01-01,1,%s\n'
    assert imported(store, 'any.csv', named % 'day.csv', '--source', 'ignored') == (1, 0, 1, 0, 0, 0)
    assert imported(store, 'any.csv', named % '') == (1, 1, 0, 0, 0, 0)               # the empty source
    assert imported(store, 'more.csv', named % '') == (1, 0, 1, 0, 0, 0)
    ran = lapse('import', store, '-', stdin=plain.encode())
    assert ran.rows()[1] == ['1', '1', '0', '0', '0', '0']
    assert imported(store, 'x.csv', plain, '--source', 'stdin') == (1, 0, 1, 0, 0, 0)
    sources = [row[-1] for row in lapse('export', store, '--format', 'csv').rows()[1:]]
    assert sources == ['', 'day.csv', 'night.csv', 'stdin'], sources


def case_f11_ids_are_one_name_space_across_customers():
    store = new_store('f11')
    head = 'customer,time,amount,source,event_id\n'
    assert imported(store, 'a.csv', head + 'x,2024-01-01,1,web,1\n') == (1, 1, 0, 0, 0, 0)
    assert imported(store, 'b.csv', head + 'y,2024-01-01,1,web,1\n') == (1, 0, 0, 1, 0, 0)
    assert imported(store, 'c.csv', head + 'y,2024-01-01,1,pos,1\n') == (1, 1, 0, 0, 0, 0)


def case_f12_content_is_compared_after_parsing():
    store = new_store('f12', '--zone', '+01:00')
    head = 'customer,time,kind,amount,value,quantity,event_id\n'
    assert imported(store, 'a', head + 'x,2024-03-01,,12,5,2,1\nx,2024-03-01,,12,5,2,\n', '--source', '') == (2, 2, 0, 0, 0, 0)
    rest = 'x,%s,order.placed,12.00,5.0,2.000,%s\n'
    text = head + ''.join(rest % (t, '1') for t in ('2024-03-01T00:00:00', '2024-02-29T23:00:00Z', '2024-03-01 00:00+01:00',
                                                   '@1709247600', '@1709247600.000'))
    assert imported(store, 'b', text) == (5, 0, 5, 0, 0, 0)
    assert imported(store, 'b', head + rest % ('@1709247600', ''), '--source', '') == (1, 0, 1, 0, 0, 0)
    for other in ('x,2024-03-01,,12.01,5,2,1', 'x,2024-03-01,,12,5.1,2,1', 'x,2024-03-01,,,5,2,1',
                  'x,2024-03-01,order.refunded,12,5,2,1', 'x,2024-03-01T00:00:00.000001,,12,5,2,1'):
        assert imported(store, 'c', head + other + '\n') == (1, 0, 0, 1, 0, 0), other
    # Ignored columns take no part; --map, --kind and --negative do before anything is compared.
    assert imported(store, 'd', 'who,when,paid,value,quantity,event_id,note\nx,2024-03-01,12,5,2,1,hello\n',
                    '--map', 'customer=who,time=when,amount=paid', '--ignore-unknown') == (1, 0, 1, 0, 0, 0)
    assert imported(store, 'e', 'customer,time,amount,event_id\nx,2024-03-01,-3,9\n', '--negative', 'refund') == (1, 1, 0, 0, 0, 0)
    assert imported(store, 'f', 'customer,time,amount,event_id\nx,2024-03-01,3,9\n', '--kind', 'order.refunded') == (1, 0, 1, 0, 0, 0)


def case_f13_duplicates_inside_one_file():
    store = new_store('f13')
    text = 'customer,time,amount,event_id\n' + 'x,2024-01-01,1,1\n' * 2 + 'x,2024-01-01,1,\n' * 2
    assert imported(store, 'a.csv', text) == (4, 3, 1, 0, 0, 0)
    assert imported(store, 'a.csv', text) == (4, 0, 4, 0, 0, 0)


def case_f14_conflicts_are_counted_told_and_written():
    store, rejects = new_store('f14'), suite.path('conflicts.csv')
    head = 'customer,time,amount,event_id\n'
    assert imported(store, 'a.csv', head + 'x,2024-01-01,1,one\n') == (1, 1, 0, 0, 0, 0)
    before = lapse('export', store).out
    path = suite.write('b.csv', head + 'y,2024-01-01,1,two\nx,2024-01-01,2.00,one\ny,2024-01-01,5,two\n')
    ran = lapse('import', store, path, '--rejects', rejects)
    assert ran.rows()[1] == ['3', '1', '0', '2', '0', '0'], ran
    assert re.findall(r'\bline (\d+)', ran.err) == ['3', '4'], ran
    told = csv_rows(read(rejects).decode())
    assert told[0] == 'line column text rule row'.split() and len(told) == 3, told
    assert {(row[0], row[4]) for row in told[1:]} == {('3', 'x,2024-01-01,2.00,one'), ('4', 'y,2024-01-01,5,two')}, told
    after = lapse('export', store, '--format', 'csv').rows()
    assert [row[3] for row in after[1:]] == ['1.00', '1.00'], after
    assert before != lapse('export', store).out
    many = head + ''.join('z,2024-01-01,%d,id%d\n' % (n // 2, n % 2) for n in range(40))
    ran = lapse('import', new_store('f14b'), suite.write('many.csv', many))
    assert ran.rows()[1] == ['40', '2', '0', '38', '0', '0'], ran
    assert len(re.findall(r'\bline \d+', ran.err)) == 10, 'the first ten are named: %s' % ran


def case_x5_the_version_that_arrived_first_stays():
    head = 'customer,time,amount,event_id\n'
    one, two = head + 'x,2024-01-01,1,id\n', head + 'x,2024-01-01,2,id\n'
    for first, second, amount in ((one, two, '1.00'), (two, one, '2.00')):
        store = new_store('x5')
        assert imported(store, 'a.csv', first) == (1, 1, 0, 0, 0, 0)
        assert imported(store, 'b.csv', second) == (1, 0, 0, 1, 0, 0)
        assert lapse('export', store, '--format', 'csv').rows()[1][3] == amount
    both = suite.write('both.csv', one + two.split('\n')[1] + '\n')
    for threads in (1, 3):
        store = new_store('x5')
        assert lapse.counts(store, both, '--threads', threads) == [(2, 1, 0, 1, 0, 0)]
        assert lapse('export', store, '--format', 'csv').rows()[1][3] == '1.00'


def case_x6_the_largest_count_of_one_import_is_kept():
    store, head, line = new_store('x6'), 'customer,time,amount\n', 'x,2024-01-01,1\n'
    for times, accepted in ((2, 2), (1, 0), (3, 1), (3, 0)):
        assert imported(store, 'day.csv', head + line * times) == (times, accepted, times - accepted, 0, 0, 0)
    assert imported(store, 'evening.csv', head + line * 2) == (2, 2, 0, 0, 0, 0)      # another source: other events
    # An overlapping extract adds what is new.
    assert imported(store, 'later.csv', head + line * 3 + 'x,2024-01-02,1\n', '--source', 'day.csv') == (4, 1, 3, 0, 0, 0)
    # A file cut between equal lines is one of each (X6 says so); two files of one call are two batches (F25).
    store = new_store('x6b')
    assert lapse.counts(store, suite.write('p1', head + line), suite.write('p2', head + line), '--source', 's') == [
        (1, 1, 0, 0, 0, 0), (1, 0, 1, 0, 0, 0)]


def case_many_small_imports():
    """The counts of each of 60 imports and the store they make, with ids that conflict and contents that come back."""
    rng, store, held = random.Random(8), new_store('many'), reference.Store()
    for n in range(60):
        text = 'customer,time,amount,event_id,source\n' + ''.join(
            '%s,2024-01-0%d,%d,%s,%s\n' % (rng.choice('abc'), rng.randint(1, 2), rng.randint(1, 2), rng.choice(['', 'i%d' % rng.randint(1, 60)]),
                                           rng.choice(['', 'till'])) for _ in range(rng.randint(1, 12)))
        expected = held.import_events(reference.read_events(text.encode(), 'x')) + (0, 0)
        assert imported(store, 'small.csv', text) == expected, (n, expected)
    same(lapse('export', store, '--format', 'csv').rows(), held.export(), 'export')
    compare(held, store, {})


def case_counts_of_a_batch_are_per_row_source():
    """Rows of one call under two sources in a `source` column are counted apart."""
    store, head = new_store('rowsource'), 'customer,time,amount,source\n'
    text = head + 'x,2024-01-01,1,a\n' * 2 + 'x,2024-01-01,1,b\n'
    assert imported(store, 'f.csv', text) == (3, 3, 0, 0, 0, 0)
    assert imported(store, 'f.csv', head + 'x,2024-01-01,1,b\n' * 2) == (2, 1, 1, 0, 0, 0)


# ---- retraction, rights, erasure ----------------------------------------------------------------------------------------------

RETRACT = ('customer,time,kind,amount,ref,source,event_id\n'
           'x,2024-01-01,,10,1,shop,e1\nx,2024-02-01,,20,2,shop,e2\ny,2024-01-15,,5,1,shop,e3\n'
           'x,2024-03-01,event.retracted,,%s,%s,take\n')


def case_retraction():
    whole = csv_rows(RETRACT % ('e2', 'shop'))
    for order in (1, -1):                                                             # whichever arrived first
        rows = [whole[0]] + whole[1:][::order]
        store = new_store('retract')
        text = '\n'.join(','.join(row) for row in rows) + '\n'
        assert imported(store, 'r.csv', text) == (4, 4, 0, 0, 0, 0)
        held = reference.Store()
        held.import_events(reference.read_events(text.encode(), 'r.csv'))
        for as_of in ('2024-02-29T23:59:59.999999Z', '2024-03-01', '2024-04-01'):
            compare(held, store, {'as_of': as_of})
        x = lapse('rfm', store, '--as-of', '2024-02-29', '--format', 'csv').rows()[1]
        assert x[:5] == ['x', '2024-02-01T00:00:00Z', '28', '2', '30.00'], x
        x = lapse('rfm', store, '--as-of', '2024-03-01', '--format', 'csv').rows()[1]
        assert x[:5] == ['x', '2024-01-01T00:00:00Z', '60', '1', '10.00'], x
        # Still listed; and not revived by coming again.
        assert len(lapse('history', store, 'x', '--format', 'csv').rows()) == 4
        assert len(lapse('export', store, '--format', 'csv').rows()) == 5
        assert imported(store, 'r.csv', text) == (4, 0, 4, 0, 0, 0)
        assert lapse('rfm', store, '--as-of', '2024-03-01', '--format', 'csv').rows()[1] == x
    for ref, source in (('e2', 'web'), ('e3', 'shop'), ('e9', 'shop'), ('', 'shop')):    # names no event of x: no effect
        store = new_store('retract')
        imported(store, 'r.csv', RETRACT % (ref, source))
        rows = lapse('rfm', store, '--as-of', '2024-04-01', '--format', 'csv').rows()[1:]
        assert [row[4] for row in rows] == ['30.00', '5.00'], (ref, source, rows)


def case_retraction_of_a_refund_and_of_an_order_with_a_refund():
    text = ('customer,time,kind,amount,ref,event_id\n'
            'x,2024-01-01,,10,1,e1\nx,2024-01-02,order.refunded,4,1,e2\nx,2024-01-03,,7,2,e3\n'
            'x,2024-02-01,event.retracted,,e2,t1\nx,2024-03-01,event.retracted,,e1,t2\n')
    store, held = new_store('retract2'), reference.Store()
    imported(store, 'r.csv', text)
    held.import_events(reference.read_events(text.encode(), 'r.csv'))
    for as_of, money in (('2024-01-31', '13.00'), ('2024-02-01', '17.00'), ('2024-03-01', '7.00')):
        compare(held, store, {'as_of': as_of})
        assert lapse('rfm', store, '--as-of', as_of, '--format', 'csv').rows()[1][4] == money


def case_objected_customers_are_left_out():
    """X1: no row, no part of the population; told on stderr. S22: a later grant of profiling lifts it."""
    text = ('customer,time,kind,amount,channel,purpose\n'
            'a,2024-01-01,,1,,\nb,2024-01-02,,2,,\nc,2024-01-03,,3,,\nd,2024-01-04,,4,,\ne,2024-01-05,,5,,\n'
            'b,2024-02-01,consent.objected,,,\nb,2024-03-01,consent.granted,,email,profiling\n'
            'c,2024-02-02,consent.objected,,,\nc,2024-03-01,consent.granted,,email,marketing\n'
            'd,2024-02-03,consent.objected,,,\nd,2024-02-03,consent.granted,,email,profiling\n'
            'e,2024-02-04,customer.erased,,,\ne,2024-03-01,consent.granted,,email,profiling\n')
    store, held = new_store('objected'), reference.Store()
    imported(store, 'o.csv', text)
    held.import_events(reference.read_events(text.encode(), 'o.csv'))
    for as_of, there in (('2024-01-31', 'abcde'), ('2024-02-01', 'acde'), ('2024-02-29', 'a'), ('2024-03-01', 'ab')):
        compare(held, store, {'as_of': as_of})
        ran = lapse('rfm', store, '--as-of', as_of, '--format', 'csv')
        assert ''.join(row[0] for row in ran.rows()[1:]) == there, (as_of, ran)
        left = 5 - len(there)
        assert not left or re.search(r'\b%d customers? ' % left, ran.err), ran
    assert len(lapse('export', store).rows()) == 14


# ---- orders in money and time -----------------------------------------------------------------------------------------------

def case_sums_that_leave_the_range_name_the_customer():
    most, head = '92233720368547758.07', 'customer,time,amount,ref\n'
    path = suite.write('most.csv', head + 'rich,2024-01-01,%s,1\n' % most)
    assert lapse('rfm', path, '--format', 'csv').rows()[1][4] == most
    for text in ('rich,2024-01-01,%s,1\nrich,2024-01-01,0.01,1\n' % most, 'rich,2024-01-01,%s,1\nrich,2024-01-01,0.01,2\n' % most):
        ran = lapse('rfm', suite.write('too-rich.csv', head + 'poor,2024-01-01,1,\n' + text), exit=1)
        assert 'rich' in ran.err and not ran.out, ran
    # Sums in between do not count: far above, and back down again.
    text = head.replace('ref', 'ref,kind') + 'rich,2024-01-01,%s,1,\n' % most * 2 + 'rich,2024-01-02,%s,9,order.refunded\n' % most
    ran = lapse('rfm', suite.write('down.csv', text), exit=None)
    assert ran.code == 1, 'the gross of an order leaves the range (M4): %s' % ran
    text = text.replace(',1,\n', ',,\n')
    assert lapse('rfm', suite.write('down.csv', text), '--format', 'csv').rows()[1][4] == most
    # Two customers who fit, and a total that does not.
    path = suite.write('two.csv', head + 'a,2024-01-01,%s,1\nb,2024-01-01,%s,1\n' % (most, most))
    assert len(lapse('rfm', path).rows()) == 3
    assert not lapse('segments', path, exit=1).out


def case_refund_below_zero_and_means_round_half_to_even():
    text = 'customer,time,kind,amount,ref\n'
    cases = {'a': [5, 2], 'b': [5, 4], 'c': [-5, 2], 'd': [-7, 2], 'e': [10, 4], 'f': [-1, 2], 'g': [1, 3], 'h': [2, 3]}
    for name, (total, n) in cases.items():                    # cents in all, orders
        text += '%s,2024-01-01,,0.%02d,\n' % (name, 10) * n
        less = 10 * n - total
        text += '%s,2024-01-02,order.refunded,0.%02d,no\n' % (name, less)
    path = suite.write('mean.csv', text)
    got = {row[0]: row[4] for row in lapse('rfm', path, '--monetary', 'mean', '--format', 'csv').rows()[1:]}
    assert got == {'a': '0.02', 'b': '0.01', 'c': '-0.02', 'd': '-0.04', 'e': '0.02', 'f': '0.00', 'g': '0.00',
                   'h': '0.01'}, got
    held = reference.Store()
    held.import_events(reference.read_events(text.encode(), 'mean.csv'))
    for options in ({}, {'monetary': 'mean'}, {'monetary': 'mean', 'frequency': 'days'}):
        compare(held, path, options)


def case_shares_are_empty_where_the_total_is_not_positive():
    text = ('customer,time,kind,amount,ref\na,2024-01-01,,1,1\nb,2024-01-01,,2,1\n'
            'a,2024-01-02,order.refunded,%s,9\n')
    for back in ('3.00', '4.00', '2.99'):
        held = reference.Store()
        held.import_events(reference.read_events((text % back).encode(), 'share.csv'))
        path = suite.write('share.csv', text % back)
        compare(held, path, {})
        column = [row[5] for row in lapse('segments', path, '--format', 'csv').rows()[1:]]
        assert any(column) == (back == '2.99'), column


def case_as_of_is_inclusive_and_told():
    text = 'customer,time,amount\na,2024-03-01,1\nb,2024-03-01T00:00:00.000001Z,1\nc,2024-03-01T23:30:00Z,1\n'
    path = suite.write('asof.csv', text)
    for as_of, n in (('2024-02-29T23:59:59.999999Z', 0), ('2024-03-01', 1), ('2024-03-01T00:00:00.000001Z', 2),
                     ('@1709337600', 3)):
        assert len(lapse('rfm', path, '--as-of', as_of).rows()) == 1 + n, as_of
    for zone, told, days in (('+00:00', '2024-03-02T00:00:00Z', '1'), ('+01:00', '2024-03-02T23:00:00Z', '1'),
                             ('-01:00', '2024-03-02T01:00:00Z', '1')):
        ran = lapse('rfm', path, '--zone', zone, '--format', 'csv')
        assert told in ran.err, ran
        assert ran.rows()[3][2] == days, ran


def case_default_instant_looks_at_events_of_any_kind():
    path = suite.write('any.csv', 'customer,time,kind,amount\na,2024-03-01,,1\nb,2024-05-05T12:00:00Z,session.started,\n')
    ran = lapse('rfm', path, '--format', 'csv')
    assert ran.rows()[1][2] == '66' and '2024-05-06T00:00:00Z' in ran.err, ran


def case_empty_answers_are_a_header():
    """T6, K12."""
    store = new_store('empty')
    header = reference.rfm(reference.Store())[0]
    same(lapse('rfm', store, '--format', 'csv').rows(), [header])
    same(lapse('rfm', store, '--weights', '1,1,1', '--format', 'csv').rows(), [header + ['weighted']])
    assert lapse('segments', store, '--format', 'csv').rows()[0] == reference.segments(reference.Store())[0]
    same(lapse('export', store, '--format', 'csv').rows(), [['customer', 'time', 'kind']])
    path = suite.write('header.csv', 'customer,time,amount\n')
    assert lapse.counts(store, path) == [(0, 0, 0, 0, 0, 0)]                             # F23
    same(lapse('rfm', path, '--format', 'csv').rows(), [header])
    path = suite.write('visits.csv', 'customer,time,kind\na,2024-01-01,session.started\n')
    same(lapse('rfm', path, '--format', 'csv').rows(), [header])
    held = reference.Store()
    held.import_events(reference.read_events(read(path), 'visits.csv'))
    compare(held, path, {})


def case_segment_tables_tell_what_they_miss():
    """C 3: rows that can never match and cells that nothing covers are told on stderr."""
    path = suite.write('s.csv', 'customer,time,amount\na,2024-01-01,1\nb,2024-01-02,2\n')
    table = 'segment,r_min,r_max,f_min,f_max,m_min,m_max\ntop,4,5,,,,\nshadow,5,5,1,2,,\nempty range,3,2,,,,\nlow,1,2,,,,\n'
    ran = lapse('segments', path, '--segments', suite.write('t.csv', table), '--format', 'csv')
    assert 'shadow' in ran.err and 'empty range' in ran.err, ran
    assert 'top' not in ran.err, ran
    assert re.search(r'\b25\b', ran.err), 'the 25 cells with r = 3 are covered by nothing: %s' % ran
    covered = lapse('segments', path, '--format', 'csv')
    assert 'never' not in covered.err and 'cover' not in covered.err, covered


def case_cells_of_ten_bins_are_joined_with_a_dash():
    held = reference.Store()
    text = 'customer,time,amount\n' + ''.join('c%02d,2024-01-%02d,%d\n' % (n, n, n) for n in range(1, 21))
    held.import_events(reference.read_events(text.encode(), 'ten.csv'))
    path = suite.write('ten.csv', text)
    compare(held, path, {'bins': (10, 10, 10), 'segments': 'ten'})
    rows = lapse('rfm', path, *words({'bins': (10, 10, 10), 'segments': 'ten'}), '--format', 'csv').rows()
    assert rows[20][8] == '10-1-10', rows[20]
    assert lapse('rfm', path, '--bins', '10', *words({'segments': 'ten'}), '--format', 'csv').rows() == rows


def case_canonical_order_inside_one_instant():
    """Rulings 9: rank, then source, event_id, then the printed columns, bytewise."""
    kinds = [kind for kind in reference.KINDS if kind not in ('customer.merged', 'preference.set', 'sms.keyword')]
    rng = random.Random(5)
    rows = [['x', '2024-01-01', kind, 'email', 't', amount, source, eid] for kind in kinds
            for amount, source, eid in (('9', '', ''), ('10', '', ''), ('', 'b', ''), ('', 'a', 'i-' + kind))]
    rng.shuffle(rows)
    text = 'customer,time,kind,channel,ref,amount,source,event_id\n' + ''.join(','.join(row) + '\n' for row in rows)
    store, held = new_store('canon'), reference.Store()
    imported(store, 'c.csv', text)
    held.import_events(reference.read_events(text.encode(), 'c.csv'))
    same(lapse('export', store, '--format', 'csv').rows(), held.export(), 'export')
    same(lapse('history', store, 'x', '--format', 'csv').rows(), held.history('x'), 'history')


def case_what_ranks_beside_consent():
    """S37: START and preference 1 stand with granted; STOP and preference 0 with withdrawn, which wins ties."""
    text = ('customer,time,kind,channel,topic,value,reason\nx,2024-01-01,sms.keyword,sms,,,STOP\nx,2024-01-01,sms.keyword,sms,,,start\n'
            'x,2024-01-01,preference.set,,t,0,\nx,2024-01-01,preference.set,,t,1,\nx,2024-01-01,consent.declined,sms,,,\n'
            'x,2024-01-01,consent.imported,sms,,,\nx,2024-01-01,membership.started,,,,\n')
    store = new_store('s37')
    imported(store, 's.csv', text)
    rows = [row for row in lapse('history', store, 'x', '--format', 'csv').rows()]
    kind, value, reason = (rows[0].index(c) for c in ('kind', 'value', 'reason'))
    got = [row[kind] + row[value] + row[reason] for row in rows[1:]]
    assert got[0] == 'consent.imported' and got[-1] == 'membership.started', got
    assert set(got[1:3]) == {'preference.set1', 'sms.keywordstart'}, got
    assert got[3] == 'consent.declined' and set(got[4:6]) == {'preference.set0', 'sms.keywordSTOP'}, got


# ---- reading files ---------------------------------------------------------------------------------------------------------------

def exported(path, *options):
    return lapse('export', path, '--format', 'csv', *options).rows()


def case_times_and_zones():
    head = 'customer,time,amount\n'
    for zone, text, expected in (
            ('+00:00', '1900-01-01', '1900-01-01T00:00:00Z'), ('+00:00', '2999-12-31T23:59:59.999999Z', '2999-12-31T23:59:59.999999Z'),
            ('+00:00', '@-2208988800', '1900-01-01T00:00:00Z'), ('+00:00', '@0.000001', '1970-01-01T00:00:00.000001Z'),
            ('+00:00', '@-0.5', '1969-12-31T23:59:59.5Z'), ('+01:00', '1970-01-01', '1969-12-31T23:00:00Z'),
            ('+00:00', '2024-02-29 10:15', '2024-02-29T10:15:00Z'), ('+00:00', '2000-02-29', '2000-02-29T00:00:00Z'),
            ('+14:00', '2024-01-01', '2023-12-31T10:00:00Z'), ('-14:00', '2024-01-01', '2024-01-01T14:00:00Z'),
            ('+00:00', '2024-01-01T00:00+14:00', '2023-12-31T10:00:00Z'), ('+00:00', '2024-01-01T00:00:00.100-14:00', '2024-01-01T14:00:00.1Z'),
            ('Europe/Paris', '2024-01-15', '2024-01-14T23:00:00Z'), ('Europe/Paris', '2024-07-15', '2024-07-14T22:00:00Z'),
            ('Europe/Paris', '2024-03-31T01:59:59', '2024-03-31T00:59:59Z'), ('Europe/Paris', '2024-03-31T03:00:00', '2024-03-31T01:00:00Z'),
            ('Europe/Paris', '2024-10-27T02:30:00+01:00', '2024-10-27T01:30:00Z'), ('Europe/Paris', '2024-10-27T01:59:59', '2024-10-26T23:59:59Z'),
            ('Europe/Paris', '2024-10-27T03:00:00', '2024-10-27T02:00:00Z'), ('Europe/Paris', '2060-07-15', '2060-07-14T22:00:00Z'),
            ('America/Sao_Paulo', '2018-11-04', '2018-11-04T03:00:00Z'), ('America/Havana', '2024-11-03', '2024-11-03T04:00:00Z'),
            ('Asia/Kolkata', '2024-01-01', '2023-12-31T18:30:00Z')):
        path = suite.write('t.csv', head + 'a,%s,1\n' % text)
        got = exported(path, '--zone', zone, '--received-at', '2999-12-31T23:59:59Z')[1][1]
        assert got == expected, (zone, text, got, expected)
        assert reference.format_time(reference.parse_time(text, reference.Zone(zone))) == expected, (zone, text)


def case_days_follow_the_zone_through_summer_time():
    text = 'customer,time,amount\n' + ''.join('a,2024-%s,1\n' % t for t in (
        '03-30T22:59:59Z', '03-30T23:00:00Z', '03-31T21:59:59Z', '03-31T22:00:00Z', '10-26T21:59:59Z', '10-26T22:00:00Z',
        '10-27T22:59:59Z', '10-27T23:00:00Z'))
    path, held = suite.write('dst.csv', text), reference.Store('Europe/Paris')
    held.import_events(reference.read_events(text.encode(), 'dst.csv', zone=held.zone))
    for options in ({'frequency': 'days'}, {'as_of': '2024-04-30T22:00:00Z', 'window': '1m'},
                    {'as_of': '2024-11-27T23:00:00Z', 'window': '1m'}, {'as_of': '2024-11-26T23:00:00Z', 'window': '30d'}):
        compare(held, path, options, ['--zone', 'Europe/Paris'])
    assert lapse('rfm', path, '--zone', 'Europe/Paris', '--frequency', 'days', '--format', 'csv').rows()[1][3] == '6'


def case_time_formats():
    for form, text, expected in (
            ('%m/%d/%Y %H:%M', '1/2/2011 8:05', '2011-01-02T08:05:00Z'), ('%d.%m.%y', '03.04.69', '1969-04-03T00:00:00Z'),
            ('%d.%m.%y', '3.4.68', '2068-04-03T00:00:00Z'), ('%d-%b-%Y', '29-fEB-2024', '2024-02-29T00:00:00Z'),
            ('%Y%m%d', '20240229', '2024-02-29T00:00:00Z'), ('%Y-%m-%dT%H:%M:%S%z', '2024-01-01T00:00:00+0130', '2023-12-31T22:30:00Z'),
            ('%Y-%m-%d %H:%M:%S %z', '2024-01-01 00:00:00.25 Z', '2024-01-01T00:00:00.25Z'),
            ('%Y-%m-%d %H:%M:%S%z', '2024-01-01 00:00:00-01:00', '2024-01-01T01:00:00Z'), ('[%d|%m|%Y]', '[31|12|2020]', '2020-12-31T00:00:00Z')):
        path = suite.write('f.csv', 'customer,time,amount\na,%s,1\n' % text)
        got = exported(path, '--time-format', form, '--received-at', '2999-01-01')[1][1]
        assert got == expected == reference.format_time(reference.parse_time_format(text, form)), (form, text, got)


def case_received_at_and_skew():
    """T4: equal is good, a microsecond more is bad; the setting moves it."""
    path = suite.write('late.csv', 'customer,time,amount\na,2024-01-10T00:05:00Z,1\n')
    store = new_store('late')
    assert lapse.counts(store, path, '--received-at', '2024-01-10T00:00:00Z') == [(1, 1, 0, 0, 0, 0)]
    lapse('import', store, path, '--received-at', '2024-01-09T23:59:59.999999Z', exit=1)
    lapse('import', store, path, '--received-at', '2024-01-10', '--set', 'import.skew=4min', exit=1)
    assert lapse.counts(store, path, '--received-at', '2024-01-09', '--set', 'import.skew=25h') == [(1, 0, 1, 0, 0, 0)]


def case_mapping_and_products():
    text = 'who,when,n,price,amount\na,2024-01-01,6,2.55,9\na,2024-01-02,,2.55,9\na,2024-01-03,4,1.2500,9\na,2024-01-04,-0,2,9\n'
    path = suite.write('map.csv', text)
    rows = exported(path, '--map', 'customer=who,time=when,amount=n*price,quantity=n,price=n,value=amount', '--negative', 'refund')
    column = rows[0].index('amount')
    assert [row[column] for row in rows[1:]] == ['15.30', '', '5.00', '0.00'], rows
    rows = exported(path, '--map', 'customer=who,time=when,amount=n*price', '--ignore-unknown')
    assert rows[0] == ['customer', 'time', 'kind', 'amount', 'source'], 'a named column does not keep its name (F27): %s' % rows[0]
    rows = exported(path, '--map', 'customer=who,time=when', '--ignore-unknown')
    assert rows[0] == ['customer', 'time', 'kind', 'amount', 'price', 'source'], rows[0]
    path = suite.write('unit.csv', 'customer,time,a,b\nx,2024-01-01,0.001,1\n')
    assert exported(path, '--map', 'amount=a*b', '--digits', 3)[1][3] == '0.001'
    path = suite.write('unit.csv', 'customer,time,a,b\nx,2024-01-01,123000000000000000,0.000000000000000010\n')
    assert exported(path, '--map', 'amount=a*b')[1][3] == '1.23', 'no exact product'


def case_digits_of_the_currency():
    text = 'customer,time,amount,price\na,2024-01-01,12,3.000\na,2024-01-02,0.5,\n'
    for options, expected in ((['--digits', 0], None), (['--currency', 'JPY'], None), (['--digits', 1], ['12.0', '0.5']), ([], ['12.00', '0.50']),
                              (['--currency', 'EUR'], ['12.00', '0.50']), (['--currency', 'KWD'], ['12.000', '0.500']),
                              (['--digits', 6], ['12.000000', '0.500000'])):
        path = suite.write('digits.csv', text)
        if expected is None:
            lapse('rfm', path, *options, exit=1)
            path = suite.write('digits.csv', text.replace('0.5', '5.0'))
            expected = ['12', '5']
        assert [row[3] for row in exported(path, *options)[1:]] == expected, options


def case_negative_refund():
    text = ('customer,time,kind,amount,ref,quantity\na,2024-01-01,,10,1,5\na,2024-01-02,,-4,1,-2\na,2024-01-03,order.refunded,-1,1,\n'
            'a,2024-01-04,,-0.00,2,\na,2024-01-05,,2,3,-1\n')
    path, held = suite.write('neg.csv', text), reference.Store()
    held.import_events(reference.read_events(text.encode(), 'neg.csv', negative='refund'))
    compare(held, path, {}, ['--negative', 'refund'])
    rows = exported(path, '--negative', 'refund')
    same(rows, held.export(), 'export')
    assert [row[2:4] for row in rows[1:]] == [['order.placed', '10.00'], ['order.refunded', '4.00'], ['order.refunded', '1.00'],
                                              ['order.placed', '0.00'], ['order.placed', '2.00']], rows


def case_file_shapes():
    """BOM, CRLF and LF mixed, blank lines, no LF at the end, quotes everywhere, another delimiter, one column order or another."""
    plain = exported(suite.write('shape.csv', 'customer,time,amount\na,2024-01-01,1\nb,2024-01-02,2\n'))
    for data in (b'\xef\xbb\xbfcustomer,time,amount\r\na,2024-01-01,1\r\nb,2024-01-02,2\r\n',
                 b'customer,time,amount\n\na,2024-01-01,1\r\n\r\n\nb,2024-01-02,2', b'amount,customer,time\n1,a,2024-01-01\n2,b,2024-01-02\n',
                 b'"customer","time","amount"\n"a","2024-01-01","1"\n"b","2024-01-02","2"', b'\xef\xbb\xbf"customer",time,amount\na,2024-01-01,1\nb,2024-01-02,2\n'):
        same(exported(suite.write('shape.csv', data)), plain, repr(data))
    for delimiter in (';', '\t', '|'):
        data = 'customer,time,amount\na,2024-01-01,1\nb,2024-01-02,2\n'.replace(',', delimiter)
        same(exported(suite.write('shape.csv', data), '--delimiter', delimiter), plain, delimiter)


def case_ids_and_texts_are_kept_as_they_are():
    """F8, K9: nothing is trimmed or changed; 255 bytes fit; rows stand in the order of bytes."""
    ids = sorted(CUSTOMERS + ['"', ',', '\u00e9', 'e\u0301', '\U0010ffff', '\u007f', "'; --", '@SUM(A1)', '\ufeffx'], key=lambda s: s.encode())
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(['time', 'customer', 'amount', 'evidence'])
    rng = random.Random(3)
    for customer in rng.sample(ids, len(ids)):
        writer.writerow(['2024-01-01', customer, '1', customer])
    store = new_store('ids')
    lapse('import', store, suite.write('ids.csv', out.getvalue()))
    rows = lapse('rfm', store, '--format', 'csv').rows()
    unique = sorted(set(ids), key=lambda s: s.encode())
    assert [row[0] for row in rows[1:]] == unique
    export = lapse('export', store, '--format', 'csv').rows()
    assert [row[export[0].index('evidence')] for row in export[1:]] == ids
    for customer in unique:
        rows = lapse('history', store, '--format', 'csv', '--', customer).rows()
        assert {row[0] for row in rows[1:]} == {customer}, (customer, rows)


# ---- the command itself --------------------------------------------------------------------------------------------------------------

def case_nothing_but_the_input_counts():
    """Design, law 1: not the environment, locale, folder, nor whether a store is between."""
    path = suite.write('env.csv', 'customer,time,amount\na,2024-03-31,1234.5\nb,2024-01-02,2\n')
    plain = lapse('segments', path, '--format', 'csv')
    for env in ({'TZ': 'Pacific/Kiritimati'}, {'LC_ALL': 'de_DE.UTF-8', 'LANG': 'de_DE.UTF-8'}, {'LANG': 'tr_TR.UTF-8'}, {'COLUMNS': '20'}):
        assert lapse('segments', path, '--format', 'csv', env=env).out == plain.out, env
    assert lapse('segments', 'env.csv', '--format', 'csv', cwd=suite.folder).out == plain.out
    out = suite.path('answer.csv')
    assert not lapse('segments', path, '--output', out).out
    assert read(out) == plain.out                                                           # csv is the default off a terminal
    assert lapse('segments', path, '--format', 'table').out != plain.out


def case_options_and_operands_in_any_order():
    """K11, K17."""
    path = suite.write('order.csv', 'customer,time,amount\n-7,2024-03-31,1\n')
    expected = lapse('rfm', path, '--as-of', '2024-04-02', '--weights', '1,2,3').out
    assert lapse('rfm', '--weights', '1,2,3', path, '--as-of', '2024-04-02').out == expected
    assert lapse('rfm', '--as-of', '2020-01-01', '--weights=1,2,3', '--as-of=2024-04-02', '--', path).out == expected
    store = new_store('order')
    lapse('import', store, path)
    assert len(lapse('history', store, '--', '-7').rows()) == 2
    assert lapse('history', store, 'nobody', exit=None).code in (0, 1)


def case_several_files_are_several_transactions():
    store = new_store('several')
    good, bad = suite.write('good.csv', 'customer,time,amount\na,2024-03-31,1\n'), suite.write('bad.csv', 'customer,time,amount\nb,2024-02-31,1\n')
    ran = lapse('import', store, good, bad, exit=1)
    assert [row[0] for row in lapse('export', store).rows()[1:]] == ['a'], ran
    assert 'bad.csv' in ran.err


def case_import_makes_the_store():
    path = suite.write('make.csv', 'customer,time,amount\na,2024-01-01,1.5\n')
    store = suite.path('made.lapse')
    assert lapse.counts(store, path, '--zone', '+02:00', '--digits', 3) == [(1, 1, 0, 0, 0, 0)]
    info = dict(lapse('info', store, '--format', 'csv').rows()[1:])
    assert info['digits'] == '3' and info['zone'] == '+02:00' and info['customers'] == '1', info
    assert info['first_time'] == info['last_time'] == '2023-12-31T22:00:00Z', info
    assert int(info['bytes']) == os.path.getsize(store), info
    assert os.stat(store).st_mode & 0o077 == 0, 'others can read it'
    assert lapse.counts(store, path, '--zone', '+02:00', '--digits', 3) == [(1, 0, 1, 0, 0, 0)]
    dry = suite.path('dry.lapse')
    lapse('import', dry, path, '--dry-run')
    assert not os.path.exists(dry) or lapse('export', dry).rows() == [['customer', 'time', 'kind']]
    bad = suite.write('makebad.csv', 'customer,time,amount\na,2024-02-30,1.5\n')
    lapse('import', suite.path('unmade.lapse'), bad, exit=1)


def case_answers_need_no_write_permission():
    """K10."""
    folder = os.path.join(suite.folder, 'frozen')
    os.makedirs(folder)
    store = new_store('frozen/s')
    lapse('import', store, suite.write('frozen.csv', 'customer,time,amount\na,2024-01-01,1.5\n'))
    before = sorted(os.listdir(folder))
    os.chmod(store, 0o400)
    os.chmod(folder, 0o500)
    try:
        for command in ('rfm', 'segments', 'export', 'info'):
            lapse(command, store)
        lapse('history', store, 'a')
        assert sorted(os.listdir(folder)) == before == ['s.lapse'], os.listdir(folder)
    finally:
        os.chmod(folder, 0o700)


def case_a_closed_pipe_ends_quietly():
    path = suite.write('pipe.csv', 'customer,time,amount\n' + ''.join('customer number %d,2024-01-01,1\n' % n for n in range(30000)))
    child = subprocess.Popen([lapse.path, 'rfm', path, '--format', 'csv'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lapse.env)
    child.stdout.read(10)
    child.stdout.close()
    err = child.stderr.read().decode()
    child.stderr.close()
    child.wait(timeout=60)
    assert 'pipe' not in err.lower() and 'error' not in err.lower(), err
    assert child.returncode in (0, 1, -13), child.returncode


def case_an_interrupted_import_leaves_the_store_as_it_was():
    store = new_store('interrupted')
    lapse('import', store, suite.write('i.csv', 'customer,time,amount\na,2024-01-01,1\n'))
    before = lapse('export', store).out
    rows = b'customer,time,amount\n' + b'b,2024-01-02,2\n' * 200000
    for how in (signal.SIGINT, signal.SIGKILL):
        child = subprocess.Popen([lapse.path, 'import', store, '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=lapse.env)
        child.stdin.write(rows)
        child.stdin.flush()
        for _ in range(300):                                       # as a person would: again if it does not listen
            child.send_signal(how)
            try:
                child.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                pass
        assert child.returncode not in (None, 0), how
        for pipe in (child.stdin, child.stdout, child.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        assert lapse('export', store).out == before, how
    assert lapse.counts(store, suite.write('j.csv', rows)) == [(200000, 200000, 0, 0, 0, 0)]


def case_another_writer_is_waited_for():
    """Exit 4; questions are answered meanwhile."""
    store = new_store('busy')
    path = suite.write('i.csv', 'customer,time,amount\na,2024-01-01,1\n')
    lapse('import', store, path)
    other = sqlite3.connect(store, isolation_level=None)
    other.execute('BEGIN IMMEDIATE')
    try:
        assert len(lapse('rfm', store).rows()) == 2
        ran = lapse('import', store, suite.write('k.csv', 'customer,time,amount\nb,2024-01-01,1\n'), exit=4)
        assert ran.err and not ran.out, ran
    finally:
        other.execute('ROLLBACK')
        other.close()
    assert len(lapse('rfm', store).rows()) == 2


def case_help_version_policy():
    assert re.search(r'\b0\.9\.0\b', lapse('--version').out.decode())
    text = lapse('help').out.decode()
    for command in 'create import info history rfm segments export policy help'.split():
        assert command in text, command
        assert lapse('help', command).out
    lapse('help', 'frobnicate', exit=2)
    rows = lapse('policy', '--format', 'csv').rows()
    assert rows[0] == 'name value default unit origin'.split()
    names = [row[0] for row in rows[1:]]
    assert names == sorted(names) and 'import.skew' in names and 'order.zero_is_valid' in names, names
    policy = {row[0]: row for row in lapse('policy', '--set', 'import.skew=90s', '--format', 'csv').rows()}
    assert policy['import.skew'][1:3] == ['90s', '5min'], policy['import.skew']

suite.run_all(globals())
suite.end()
