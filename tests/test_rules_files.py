"""Rulings one by one through the command: how files are read, and the command's manners.

    python3 test_rules_files.py LAPSE [part of a name ...]

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
from harness import CUSTOMERS, compare, lapse, new_store, read, same, suite  # noqa: E402


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
