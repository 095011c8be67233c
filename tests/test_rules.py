"""Rulings one by one through the command: identity of events, retraction, money and time.

    python3 test_rules.py LAPSE [part of a name ...]

Names of rulings (F12, M4, T3, ...) stand beside what they decide.
"""
import random
import re
import sys

sys.dont_write_bytecode = True
import reference  # noqa: E402
from harness import compare, csv_rows, lapse, new_store, read, same, suite, words  # noqa: E402


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


suite.run_all(globals())
suite.end()
