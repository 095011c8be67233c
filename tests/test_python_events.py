"""Events into the Python package: every way in, bad rows, and what callbacks raise."""
import datetime
import io
import os
import re
from decimal import Decimal

from python_suite import EXAMPLE, UTC, example, lapse, raises, suite


# ---- events in -----------------------------------------------------------------------------------------------------------


def case_every_way_in_makes_the_same_store():
    rows = [{'customer': 'c%d' % (i % 7), 'time': datetime.datetime(2024, 1, 1, tzinfo=UTC) + datetime.timedelta(hours=i),
             'amount': Decimal(i) / 4, 'ref': 'o%d' % i if i % 3 else None} for i in range(200)]
    text = 'customer,time,amount,ref\n' + ''.join('%s,%s,%s,%s\n' % (r['customer'], r['time'].isoformat(), r['amount'],
                                                                    r['ref'] or '') for r in rows)
    path = suite.write('same.csv', text)
    whole = {name: [row[name] for row in rows] for name in rows[0]}
    zoned = datetime.timezone(datetime.timedelta(hours=-7))
    ways = {
        'path': lambda s: s.import_csv(path, source_name='x'),
        'bytes path': lambda s: s.import_csv(os.fsencode(path), source_name='x'),
        'file': lambda s: s.import_csv(open(path, 'rb'), source_name='x'),
        'small reads': lambda s: s.import_csv(Trickle(text.encode()), source_name='x', threads=2),
        'dicts': lambda s: s.append(rows, source='x'),
        'generator': lambda s: s.append((row for row in rows), source='x', threads=3),
        'columns': lambda s: s.append(whole, source='x'),
        'another zone': lambda s: s.append([{**row, 'time': row['time'].astimezone(zoned)} for row in rows], source='x'),
        'doubles': lambda s: s.append([{**row, 'amount': float(row['amount'])} for row in rows], source='x'),
        'renamed': lambda s: s.append({{'customer': 'who'}.get(name, name): v for name, v in whole.items()}, source='x',
                                      map={'customer': 'who'}),
        'an answer': lambda s: s.append(filled(path).everything().events()),
        'a table': lambda s: s.append(filled(path).everything().events().table()),
    }

    def filled(path):
        store = lapse.open()
        store.import_csv(path, source_name='x')
        return store
    expected = filled(path).everything().events().to_csv()
    for name, way in ways.items():
        store = lapse.open()
        assert way(store).accepted == 200, name
        assert store.everything().events().to_csv() == expected, name
        again = way(store)
        assert (again.read, again.duplicate) == (200, 200), name


class Trickle:
    def __init__(self, data):
        self.data = data

    def read(self, n):
        out, self.data = self.data[:min(n, 13)], self.data[min(n, 13):]
        return out


def case_bad_rows():
    store = lapse.open()
    bad = [{'customer': 'a', 'time': '2024-01-01', 'amount': 0.1 + 0.2}, {'customer': '', 'time': '2024-01-01', 'amount': 1},
           {'customer': 'b', 'time': None, 'amount': 1}, {'customer': 'c', 'time': '2024-01-01', 'amount': 3}]
    problem = raises(lapse.BadInput, store.append, bad)
    assert (problem.row, problem.column, problem.text, problem.line) == (0, 'amount', '0.30000000000000004', None), vars(problem)
    assert isinstance(problem, (lapse.Error, ValueError)) and problem.status == 'bad_input' and problem.rule in str(problem)
    assert store.info()['events'] == 0
    told = []
    counts = store.append(bad, on_reject=told.append)
    assert counts == lapse.Counts(4, 1, 0, 0, 0, 3) and [r.line for r in told] == [0, 1, 2]
    assert [r.column for r in told] == ['amount', 'customer', 'time'] and told[0].outcome == 'rejected'
    told.clear()
    counts = store.append([{'customer': 'x', 'time': '2024-01-01', 'event_id': '1', 'amount': i} for i in (1, 2)],
                          on_reject=told.append)
    assert counts.conflict == 1 and [(r.outcome, r.line) for r in told] == [('conflict', 1)]
    path = suite.write('bad.csv', 'customer,time,amount\na,2024-01-01,1\nb,2024-13-01,2\n')
    problem = raises(lapse.BadInput, store.import_csv, path)
    assert (problem.line, problem.row, problem.column, problem.text) == (3, None, 'time', '2024-13-01')
    told.clear()
    store.import_csv(path, on_reject=told.append)
    assert told[0].row == b'b,2024-13-01,2' and told[0].line == 3
    assert store.append([{'customer': 'a', 'time': '2024-02-01', 'amount': -5}], negative='refund').accepted == 1
    assert store.append([{'customer': 'q', 'time': '2024-02-01'}], dry_run=True).accepted == 1
    assert 'q' not in store.everything().events().to_csv()
    assert raises(lapse.BadInput, store.append, [{'customer': 'z', 'time': '2030-01-01'}], received_at='2029-01-01').column == 'time'
    assert raises(lapse.BadInput, store.append, [{'customer': 'z', 'time': '2024-01-01', 'colour': 'red'}]).column == 'colour'
    assert store.append([{'customer': 'z', 'time': '2024-01-01', 'colour': 'red'}], ignore_unknown=True).accepted == 1
    raises(lapse.Invalid, store.append, [{'customer': 'z', 'time': '2024-01-01'}], kind='nonsense')
    raises(lapse.Invalid, store.append, [{'customer': 'z', 'time': '2024-01-01'}], threads=0)
    raises(lapse.IOFailure, store.import_csv, suite.path('nowhere.csv'))
    raises(OSError, store.import_csv, suite.path('nowhere.csv'))


def case_what_is_no_events():
    store = lapse.open()
    for events, kind in ((5, TypeError), ('text', TypeError), ([5], TypeError), ({'customer': 'ann'}, TypeError),
                         ({}, ValueError), ({'customer': ['a'], 'time': []}, ValueError), ([{'customer': object(), 'time': 1}],
                                                                                      lapse.BadInput)):
        raises(kind, store.append, events)
    assert store.append([]).read == 0 and store.append(iter(())).read == 0
    raises(TypeError, store.time, 17)
    raises(lapse.BadInput, store.time, 'yesterday')
    raises(ValueError, store.import_csv, EXAMPLE, delimiter=';;')
    raises(ValueError, store.append, [], negative='maybe')
    raises(ValueError, store.append, [{'customer': 'a', 'time': '2024-01-01'}], source='a\0b')
    late = [{'customer': 'a', 'time': '2024-01-01'}] * 17000 + [{'customer': 'a', 'time': '2024-01-01', 'ref': 'new'}]
    assert 'ref' in str(raises(ValueError, store.append, late))
    assert store.info()['events'] == 0


def case_exceptions_of_callbacks_come_through():
    class Mine(Exception):
        pass

    def fail(*_):
        raise Mine('here')

    class Broken:
        read = fail

    def rows():
        for i in range(20000):
            yield {'customer': 'a', 'time': '2024-01-01'}
        raise Mine('in the middle')
    with lapse.open() as store:
        many = [{'customer': 'c%d' % i, 'time': '2024-01-01', 'amount': i} for i in range(80000)]
        bad = [{'customer': '', 'time': '2024-01-01'}]
        for call in (lambda: store.append(rows()), lambda: store.import_csv(Broken()),
                     lambda: store.append(many, progress=fail), lambda: store.append(bad, on_reject=fail),
                     lambda: store.import_csv(EXAMPLE, progress=fail)):
            raises(Mine, call)
            assert store.info()['events'] == 0
        raises(TypeError, store.import_csv, io.StringIO('customer,time'))
        store.append(many)
        raises(Mine, store.view().rfm, progress=fail)
        raises(Mine, store.view().states(progress=fail).table)
        raises(Mine, lambda: list(store.view().states(progress=fail)))
        raises(Mine, store.view().states(progress=fail).to_csv)
        raises(Mine, store.view().rfm().to_csv, type('File', (), {'write': fail})())
        raises(Mine, store.backup, suite.path('never.lapse'), progress=fail)
        assert not os.path.exists(suite.path('never.lapse'))
        raises(lapse.Cancelled, store.view().rfm, progress=lambda done, total: True)
        raises(lapse.Cancelled, store.append, many, progress=lambda done, total: 'stop')
        told = []
        store.append(many, progress=lambda done, total: told.append((done, total)))
        assert told and all(0 <= done <= 80000 and total == -1 for done, total in told), told


def case_numbers_are_not_cut_to_what_fits():
    rows = [{'customer': 'ann', 'time': '2024-01-01', 'amount': 1}]
    with example() as store:
        before = len(store.everything().events().table())
        for threads in (1 << 32, (1 << 32) + 2, 1 << 64, -(1 << 40)):
            for function in (lambda: store.append(rows, threads=threads), lambda: store.compact(threads=threads),
                             lambda: store.view().rfm(threads=threads)):
                assert 'threads: %d is out of range' % threads == str(raises(OverflowError, function))
        for threads in (-1, 65):
            for function in (lambda: store.append(rows, threads=threads), lambda: store.compact(threads=threads)):
                assert re.search(r'threads is %d, not from [01] to 64$' % threads, str(raises(lapse.Invalid, function)))
        assert 'threads: ' in str(raises(TypeError, store.compact, threads='2'))
        assert len(store.everything().events().table()) == before
        store.compact(threads=2)
        assert store.append(rows, threads=2).accepted == 1


suite.run_all(globals())
suite.end()
