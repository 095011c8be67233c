#!/usr/bin/env python3
"""Drives the `lapse` command from outside: exit codes, options, zones, rejects, files that appear whole or not
at all, closed pipes, help and man page. What the answers say is tested elsewhere.

usage: test_command.py PATH-OF-LAPSE"""
import csv
import io
import os
import pty
import random
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import unittest

LAPSE = ''
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..')
EXAMPLES = os.path.join(ROOT, 'examples')
MAN = os.path.join(EXAMPLES, 'lapse', 'lapse.1')
COMMANDS = ['create', 'import', 'info', 'history', 'rfm', 'segments', 'transitions', 'states', 'consent', 'permit', 'advance',
            'ack', 'churn', 'cohorts', 'survival', 'gaps', 'forget', 'export', 'backup', 'compact', 'verify', 'policy', 'help']
ORDERS = ('customer,time,ref,amount\n'
          'ann,2024-01-05,1,10.00\n'
          'ann,2024-02-20,2,15.50\n'
          'bob,2023-11-30,3,7.25\n'
          'cleo,2024-03-01T18:30:00,4,99.90\n')
NAMED_ZONES = os.path.isfile('/usr/share/zoneinfo/Europe/Paris')


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write('orders.csv', ORDERS)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())

    def read(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read().decode()

    def names(self):
        return sorted(os.listdir(self.folder.name))

    def run_lapse(self, *args, code=0, stdin=b'', env=None):
        """Runs in the folder; returns stdout and stderr as text."""
        p = subprocess.run([LAPSE, *args], cwd=self.folder.name, input=stdin, capture_output=True, timeout=60,
                           env={**os.environ, **(env or {})})
        self.assertEqual(p.returncode, code, (args, p.stdout, p.stderr))
        for line in p.stderr.decode().splitlines():
            self.assertTrue(line.startswith('lapse: '), p.stderr)
        if code != 0:
            self.assertNotEqual(p.stderr, b'', args)
        return p.stdout.decode(), p.stderr.decode()

    def rows(self, *args, **more):
        out, _ = self.run_lapse(*args, **more)
        return list(csv.DictReader(io.StringIO(out, newline='')))

    def info(self, *args):
        return {row['name']: row['value'] for row in self.rows('info', *args)}

    def store(self, *options):
        self.run_lapse('import', 's.lapse', 'orders.csv', *options)
        return 's.lapse'

    def on_terminal(self, *command, env=None):
        """What a terminal gets on stdout."""
        ours, theirs = pty.openpty()
        p = subprocess.Popen(command, cwd=self.folder.name, env=env, stdout=theirs, stderr=subprocess.DEVNULL)
        os.close(theirs)
        out = b''
        try:
            while True:
                more = os.read(ours, 65536)
                if not more:
                    break
                out += more
        except OSError:
            pass
        os.close(ours)
        self.assertEqual(p.wait(), 0)
        return out.decode().replace('\r\n', '\n')


class Usage(Command):
    def test_no_command(self):
        out, err = self.run_lapse(code=2)
        self.assertEqual(out, '')

    def test_unknown_command(self):
        for name in ('state', 'RFM', '', '--format', 'rfms'):
            with self.subTest(name):
                self.run_lapse(name, 'orders.csv', code=2)
        self.assertIn('comes first: lapse rfm orders.csv', self.run_lapse('orders.csv', 'rfm', code=2)[1])

    def test_version(self):
        self.assertRegex(self.run_lapse('--version')[0], r'^lapse \d+\.\d+\.\d+\n$')
        self.run_lapse('--version', 'x', code=2)

    def test_operands(self):
        for args in (['create'], ['create', 'a', 'b'], ['import'], ['import', 's'], ['info'], ['info', 'a',
                                                                                               'b'],
                     ['history', 'a'], ['history', 'a', 'b', 'c'], ['rfm'], ['rfm', 'a', 'b'], ['segments'],
                     ['export'], ['churn'], ['cohorts'], ['survival', 'a', 'b'], ['gaps'], ['backup'], ['backup', 'a'],
                     ['backup', 'a', 'b', 'c'], ['compact'], ['compact', 'a', 'b'], ['verify'], ['verify', 'a', 'b'],
                     ['policy', 'a', 'b'], ['help', 'a', 'b'], ['import', '-', 'orders.csv'],
                     ['create', '-']):
            with self.subTest(args):
                self.run_lapse(*args, code=2)
        self.assertEqual(self.names(), ['orders.csv'])

    def test_options_not_understood(self):
        for options in (['--nosuch'], ['--nosuch=1'], ['-x'], ['---'], ['--='], ['--form', 'csv'],
                        ['--Format', 'csv'],
                        ['--format'], ['--format', 'json'], ['--format='], ['--format', 'csv|table'],
                        ['--nested=1'],
                        ['--bins', '1'], ['--bins', '11'], ['--bins', '5,5'], ['--bins', '5,5,5,5'],
                        ['--bins', '5,5,'],
                        ['--bins', ',5,5'], ['--bins', '5,,5'], ['--bins', 'x'], ['--bins', ''], ['--bins',
                                                                                                  '-5'],
                        ['--bins', '99999999999999999999'], ['--bins', '4'], ['--bins', '5,4,5'],
                        ['--cuts', 'NTILE'], ['--cuts', 'fixed'], ['--cuts', 'fixed:'], ['--cuts', 'fixed:1/2/3'],
                        ['--cuts', 'fixed:1/2'], ['--cuts', 'fixed:1,2,3,4/1,2,4,3/1'], ['--cuts', 'fixed:1,2'],
                        ['--cuts', 'fixed:1,2,3,4/1,2,3,4/1,2', '--bins', '5,5,3'],
                        ['--cuts', 'fixed:1,2,3,4/1,2,3,4/1,2', '--nested'],
                        ['--cuts', 'fixed:1,2,3,4/1,2,3,4/99999999999999999'],
                        ['--cuts', 'ntile', '--save-cuts', 'c.csv'], ['--nested', '--save-cuts', 'c.csv'],
                        ['--save-cuts', 'c.csv', '--output', 'c.csv'], ['--save-cuts'], ['--window', '0d'], ['--window', '5'],
                        ['--window', 'd'], ['--window', '5w'], ['--window', '5dd'], ['--window', '-5d'],
                        ['--window', '99999999999d'], ['--frequency', 'visits'], ['--monetary', 'max'],
                        ['--weights', '1,2'], ['--weights', '1,2,-3'], ['--weights', '1'], ['--weights',
                                                                                            '1,2,3,4'],
                        ['--threads', '0'], ['--threads', '65'], ['--threads', 'two'], ['--threads', ''],
                        ['--as-of', 'yesterday'], ['--as-of', '2024-02-30'], ['--as-of', ''], ['--set',
                                                                                               'import.skew'],
                        ['--set', '=5min'],
                        ['--delimiter', ''], ['--delimiter', ',,'], ['--delimiter', '"'], ['--delimiter', '\n'],
                        ['--delimiter', '\u00e9'], ['--negative', 'keep'], ['--on-error', 'go'],
                        ['--kind', 'order.eaten'], ['--received-at', 'now'], ['--time-format', '%H:%M'],
                        ['--map', 'customer'], ['--map', 'customer=a,customer=b'], ['--map', 'planet=a'],
                        ['--digits', '7'], ['--digits', '-1'], ['--currency', 'eur'], ['--currency', 'XXX'],
                        ['--currency', 'EURO'], ['--zone', '+1:00'], ['--zone', '+15:00'], ['--zone', '+01:60'],
                        ['--zone', 'Nowhere/Atall'], ['--zone', '../zoneinfo/UTC'], ['--zone',
                                                                                     '/etc/localtime'],
                        ['--zone', ''], ['--dry-run'], ['--sync', 'off']):
            with self.subTest(options):
                out, _ = self.run_lapse('rfm', 'orders.csv', *options, code=2)
                self.assertEqual(out, '')

    def test_what_is_refused_says_what_would_do(self):
        for args, said in ((['rfm', '--format', 'json'], "'json' is not one of table|csv"),
                           (['churn', '--every', 'months'], "'months' is not one of day|week|month|quarter|year"),
                           (['gaps', '--quantiles', '50'], "'50' is not one or more numbers above 0 and up to 1"),
                           (['rfm', '--map', 'Kunde=customer'], 'left of = stands one of its fields'),
                           (['rfm', '--kind', 'order'], 'lapse help events lists them')):
            with self.subTest(args):
                err = self.run_lapse(*args, 'orders.csv', code=2)[1]
                self.assertIn(said, err)
                self.assertNotIn('Default', err)
        for option, meant in (('--asof', '--as-of'), ('--as_of=2024-01-01', '--as-of'), ('-as-of', '--as-of'), ('--As-Of', '--as-of'),
                              ('---', None), ('-x', None), ('--as', None), ('--as-off', None), ('--chan-nel', None)):
            err = self.run_lapse('rfm', 'orders.csv', option, '2024-01-01', code=2)[1]
            self.assertEqual('try ' in err, meant is not None, err)
            self.assertIn('try %s\n' % meant if meant else 'no option', err)
        for args in (['rfm', 'orders.csv', '--set', 'engagement.rsk=9d'], ['policy', '--policy', 'p']):
            self.write('p', 'engagement.rsk = 9d\n')
            self.assertIn('lapse policy lists all settings', self.run_lapse(*args, code=1)[1])
        self.assertNotIn('lists', self.run_lapse('policy', '--policy', 'nosuch', code=1)[1])

    def test_options_of_other_commands(self):
        for args in (['info', 'orders.csv', '--as-of', '2024-01-01'], ['history', 'orders.csv', 'ann',
                                                                       '--bins', '5'],
                     ['create', 's', '--format', 'csv'], ['create', 's', '--delimiter', ';'],
                     ['import', 's', 'orders.csv', '--as-of', '2024-01-01'], ['policy', '--zone', 'Z'],
                     ['help', '--format', 'csv'], ['export', 'orders.csv', '--window', '1y']):
            with self.subTest(args):
                self.run_lapse(*args, code=2)
        self.assertEqual(self.names(), ['orders.csv'])

    def test_places_and_forms_of_options(self):
        want = self.run_lapse('rfm', 'orders.csv', '--format', 'csv', '--as-of', '2024-04-01')
        for args in (['rfm', '--format', 'csv', '--as-of', '2024-04-01', 'orders.csv'],
                     ['rfm', '--format=csv', 'orders.csv', '--as-of=2024-04-01'],
                     ['rfm', '--as-of=2024-04-01', '--', 'orders.csv'],
                     ['rfm', '--format=table', '--format=csv', '--as-of', '2020-01-01', 'orders.csv', '--as-of',
                      '2024-04-01']):
            with self.subTest(args):
                self.assertEqual(self.run_lapse(*args), want)

    def test_customer_that_looks_like_an_option(self):
        self.write('odd.csv', 'customer,time\n-7,2024-01-01\n--format,2024-01-02\n')
        self.assertEqual(len(self.rows('history', 'odd.csv', '--', '-7')), 1)
        self.assertEqual(len(self.rows('history', '--', 'odd.csv', '--format')), 1)
        self.run_lapse('history', 'odd.csv', '-7', code=2)

    def test_import_options_with_a_store(self):
        store = self.store()
        for options in (['--map', 'amount=price'], ['--digits', '2'], ['--negative', 'reject'], ['--zone', 'Z'],
                        ['--delimiter', ','], ['--source', 'x'], ['--rejects', 'r.csv'], ['--currency', 'EUR'],
                        ['--ignore-unknown'], ['--on-error', 'skip'], ['--kind', 'order.placed'],
                        ['--received-at', '2024-05-01'], ['--time-format', '%Y-%m-%d']):
            for command in (['rfm', store], ['info', store], ['history', store, 'ann'], ['export', store],
                            ['segments', store]):
                with self.subTest((command, options)):
                    self.run_lapse(*command, *options, code=2)
        self.run_lapse('rfm', store, '--threads', '2')


class Files(Command):
    def test_store_that_cannot_be_opened(self):
        os.mkdir(self.path('folder'))
        self.write('broken', b'SQLite format 3\0' + b'\xff' * 5000)
        self.write('short', b'SQLite format 3\0')
        for name in ('missing', 'folder', 'broken', 'short', 'orders.csv/x', ''):
            for args in (['info', name], ['rfm', name], ['segments', name], ['history', name, 'ann'],
                         ['export', name],
                         ['policy', name]):
                with self.subTest(args):
                    self.run_lapse(*args, code=3)
        self.assertEqual(self.names(), ['broken', 'folder', 'orders.csv', 'short'])
        for name in ('folder', 'broken', 'orders.csv', 'no/such/place'):
            with self.subTest(name):
                self.run_lapse('import', name, 'orders.csv', code=3)
        self.assertEqual(self.read('orders.csv'), ORDERS)
        # an event file where a store must be: operands in the wrong order, mostly
        for args in (['import', 'orders.csv', 's.lapse'], ['forget', 'orders.csv', 'ann'], ['compact', 'orders.csv'],
                     ['advance', 'orders.csv', '--as-of', '2024-01-01'], ['ack', 'orders.csv', '1']):
            with self.subTest(args):
                self.assertIn('orders.csv is no store: usage is lapse %s STORE' % args[0], self.run_lapse(*args, code=3)[1])
        self.assertNotIn('usage', self.run_lapse('compact', 'broken', code=3)[1])
        # what must be there and is not
        for args in (['forget', 'missing', 'ann'], ['compact', 'missing'], ['ack', 'missing', '1'],
                     ['advance', 'missing', '--as-of', '2024-01-01']):
            with self.subTest(args):
                self.assertIn('missing: cannot be opened: No such file', self.run_lapse(*args, code=3)[1])

    def test_unreadable(self):
        if os.getuid() == 0:
            self.skipTest('root can read everything')
        os.chmod(self.path('orders.csv'), 0)
        self.run_lapse('rfm', 'orders.csv', code=3)
        self.run_lapse('import', 's.lapse', 'orders.csv', code=1)

    def test_create(self):
        self.assertEqual(self.run_lapse('create', 's.lapse'), ('', ''))
        self.assertEqual(self.info('s.lapse')['events'], '0')
        self.assertEqual(stat.S_IMODE(os.stat(self.path('s.lapse')).st_mode), 0o600)
        self.run_lapse('create', 's.lapse', code=1)
        self.run_lapse('create', 'orders.csv', code=1)
        self.assertEqual(self.read('orders.csv'), ORDERS)
        self.run_lapse('create', 'no/such/place', code=3)

    def test_creation_options(self):
        self.run_lapse('create', 's.lapse', '--currency', 'JPY', '--zone', '-03:30')
        info = self.info('s.lapse')
        self.assertEqual((info['digits'], info['zone']), ('0', '-03:30'))
        self.write('yen.csv', 'customer,time,amount\na,2024-01-01,5\n')
        self.run_lapse('import', 's.lapse', 'yen.csv')
        for options in (['--digits', '2'], ['--currency', 'EUR'], ['--zone', '+01:00']):
            with self.subTest(options):
                self.run_lapse('import', 's.lapse', 'yen.csv', *options, code=1)
        self.run_lapse('import', 's.lapse', 'yen.csv', '--digits', '0', '--zone', '-03:30')
        self.assertEqual(self.info('s.lapse')['events'], '1')

    def test_currencies(self):
        for code, digits in (('KWD', '3'), ('CLF', '4'), ('VND', '0'), ('USD', '2'), ('ZWG', '2'), ('AED',
                                                                                                    '2')):
            with self.subTest(code):
                self.run_lapse('create', code, '--currency', code)
                self.assertEqual(self.info(code)['digits'], digits)

    def test_import_counts(self):
        out, _ = self.run_lapse('import', 's.lapse', 'orders.csv')
        self.assertEqual(out, 'read,accepted,duplicate,conflict,erased,rejected\n4,4,0,0,0,0\n')
        self.write('more.csv', ORDERS + 'dan,2024-03-05,5,1.00\n')
        out, _ = self.run_lapse('import', 's.lapse', 'orders.csv', 'more.csv', '-', stdin=ORDERS.encode())
        self.assertEqual(out.splitlines()[1:], ['4,0,4,0,0,0', '5,5,0,0,0,0', '4,4,0,0,0,0'])
        out, _ = self.run_lapse('import', 's.lapse', 'more.csv', '--source', 'orders.csv')
        self.assertEqual(out.splitlines()[1:], ['5,1,4,0,0,0'])
        self.assertEqual({row['source'] for row in self.rows('export', 's.lapse')},
                         {'orders.csv', 'more.csv', 'stdin'})
        self.assertEqual(self.names(), ['more.csv', 'orders.csv', 's.lapse'])

    def test_failing_import_leaves_nothing(self):
        self.write('bad.csv', ORDERS + 'dan,2024-13-05,5,1.00\n')
        out, err = self.run_lapse('import', 's.lapse', 'bad.csv', code=1)
        self.assertEqual(out, '')
        for part in ('bad.csv', 'line 6', 'time', '2024-13-05', '--on-error skip'):
            self.assertIn(part, err)
        for args, code in ((['import', 's.lapse', 'missing.csv'], 1), (['import', 's.lapse', '.'], 1),
                           (['import', 's.lapse', 'orders.csv', '--map', 'x'], 2),
                           (['import', 's.lapse', 'orders.csv', '--output', 'no/such/place'], 1),
                           (['import', 's.lapse', 'orders.csv', '--rejects', 'no/such/place'], 1),
                           (['import', 's.lapse', '-'], 1)):
            with self.subTest(args):
                self.run_lapse(*args, code=code)
                self.assertEqual(self.names(), ['bad.csv', 'orders.csv'])

    def test_failing_import_keeps_what_was_there(self):
        store = self.store()
        before = self.run_lapse('export', store)[0]
        self.write('bad.csv', 'customer,time\ndan,2024-01-01\ndan,never\n')
        self.run_lapse('import', store, 'bad.csv', code=1)
        self.assertEqual(self.run_lapse('export', store)[0], before)

    def test_first_failing_file_ends_it(self):
        self.write('good.csv', 'customer,time\ndan,2024-01-01\n')
        self.write('bad.csv', 'customer,time\ndan,never\n')
        out, err = self.run_lapse('import', 's.lapse', 'good.csv', 'bad.csv', 'orders.csv', '--output',
                                  'counts.csv',
                                  code=1)
        self.assertEqual(self.read('counts.csv').splitlines()[1:], ['1,1,0,0,0,0'])
        self.assertEqual(self.info('s.lapse')['events'], '1')

    def test_dry_run(self):
        out, _ = self.run_lapse('import', 's.lapse', 'orders.csv', '--dry-run')
        self.assertEqual(out.splitlines()[1], '4,4,0,0,0,0')
        self.assertEqual(self.names(), ['orders.csv'])
        store = self.store()
        self.write('more.csv', ORDERS + 'dan,2024-03-05,5,1.00\n')
        out, _ = self.run_lapse('import', store, 'more.csv', '--source', 'orders.csv', '--dry-run')
        self.assertEqual(out.splitlines()[1], '5,1,4,0,0,0')
        self.assertEqual(self.info(store)['events'], '4')
        self.write('bad.csv', 'customer,time\ndan,never\n')
        self.run_lapse('import', store, 'bad.csv', '--dry-run', code=1)

    def test_rejects(self):
        self.write('bad.csv', 'customer,time,amount,event_id\n'
                              'ann,2024-01-01,5.00,1\n'
                              'ann,2024-01-01,6.00,1\n'
                              '"b,o""b",never,1.00,2\n'
                              ',2024-01-01,1.00,3\n'
                              'cleo,2024-01-01,1.005,4\n')
        out, err = self.run_lapse('import', 's.lapse', 'bad.csv', '--on-error', 'skip', '--rejects', 'r.csv')
        self.assertEqual(out.splitlines()[1], '5,1,0,1,0,3')
        rejects = list(csv.DictReader(io.StringIO(self.read('r.csv'), newline='')))
        self.assertEqual(list(rejects[0]), ['line', 'column', 'text', 'rule', 'row'])
        self.assertEqual([(r['line'], r['column'], r['text']) for r in rejects[:3]],
                         [('4', 'time', 'never'), ('5', 'customer', ''), ('6', 'amount', '1.005')])
        self.assertEqual(rejects[0]['row'], '"b,o""b",never,1.00,2')
        self.assertTrue(all(r['rule'] for r in rejects))
        self.assertEqual((rejects[3]['line'], rejects[3]['row']), ('3', 'ann,2024-01-01,6.00,1'))
        self.assertIn('line 3', err)
        self.run_lapse('import', 's2.lapse', 'orders.csv', '--rejects', 'none.csv')
        self.assertEqual(self.read('none.csv'), 'line,column,text,rule,row\n')
        self.run_lapse('rfm', 'bad.csv', '--on-error', 'skip', '--rejects', 'direct.csv')
        self.assertEqual(self.read('direct.csv'), self.read('r.csv'))
        self.run_lapse('rfm', 'bad.csv', '--map', 'x', '--rejects', 'r.csv', code=2)
        self.assertEqual(self.read('direct.csv'), self.read('r.csv'))

    def test_first_ten_conflicts_are_named(self):
        self.write('many.csv', 'customer,time,amount,event_id\nann,2024-01-01,1.00,1\n' +
                   ''.join('ann,2024-01-01,%d.00,1\n' % n for n in range(2, 27)))
        out, err = self.run_lapse('import', 's.lapse', 'many.csv')
        self.assertEqual(out.splitlines()[1], '26,1,0,25,0,0')
        self.assertEqual(len(re.findall(r'many\.csv, line \d+', err)), 10)
        self.assertIn('15 more', err)

    def test_own_files_are_not_overwritten(self):
        store = self.store()
        before = self.run_lapse('export', store)[0]
        for args in (['export', store, '--output', store], ['export', store, '--output', './' + store],
                     ['rfm', 'orders.csv', '--output', 'orders.csv'],
                     ['import', store, 'orders.csv', '--rejects', 'orders.csv'],
                     ['import', store, 'orders.csv', '--output', store],
                     ['import', store, 'orders.csv', '--output', 'x', '--rejects', 'x'],
                     ['import', 'new', 'orders.csv', '--output', 'new']):
            with self.subTest(args):
                self.run_lapse(*args, code=1)
        self.assertEqual(self.run_lapse('export', store)[0], before)
        self.assertEqual(self.read('orders.csv'), ORDERS)
        self.assertEqual(self.names(), ['orders.csv', store])

    def test_later_than_received(self):
        tomorrow = time.strftime('%Y-%m-%d', time.gmtime(time.time() + 2 * 86400))
        self.write('late.csv', 'customer,time\nann,%s\n' % tomorrow)
        self.run_lapse('rfm', 'late.csv', code=1)
        self.run_lapse('rfm', 'late.csv', '--received-at', tomorrow)
        self.run_lapse('rfm', 'late.csv', '--set', 'import.skew=90d')
        self.write('p', 'import.skew = 90d # three months\n')
        self.run_lapse('rfm', 'late.csv', '--policy', 'p')
        self.run_lapse('rfm', 'late.csv', '--policy', 'p', '--set', 'import.skew=1h', code=1)
        self.write('five.csv', 'customer,time\nann,2024-01-01T00:05:00\n')
        self.run_lapse('rfm', 'five.csv', '--received-at', '2024-01-01')
        self.run_lapse('rfm', 'five.csv', '--received-at', '2023-12-31T23:59:59.999999', code=1)

    def test_busy(self):
        store = self.store()
        held = sqlite3.connect(self.path(store), isolation_level=None)
        try:
            for lock in ('BEGIN IMMEDIATE', 'BEGIN; SELECT count(*) FROM sqlite_master'): # a writer; a reader of another program
                held.executescript(lock)
                held.execute('SELECT count(*) FROM sqlite_master').fetchall()
                self.assertEqual(len(self.rows('rfm', store)), 3) # readers do not wait
                self.assertEqual(self.run_lapse('import', store, 'orders.csv', code=4)[0], '')
                held.execute('ROLLBACK')
        finally:
            held.close()
        self.run_lapse('import', store, 'orders.csv')

    def test_nothing_is_left_beside_a_store_that_is_read(self):
        store = self.store()
        os.chmod(self.path(store), 0o400)
        os.chmod(self.folder.name, 0o500)
        try:
            self.run_lapse('rfm', store)
        finally:
            os.chmod(self.folder.name, 0o700)
        self.assertEqual(self.names(), ['orders.csv', store])


class Input(Command):
    def test_event_file_from_standard_input(self):
        want = self.rows('rfm', 'orders.csv')
        self.assertEqual(self.rows('rfm', '-', stdin=ORDERS.encode()), want)
        self.assertEqual({row['source'] for row in self.rows('export', '-', stdin=ORDERS.encode())}, {'stdin'})
        self.assertEqual({row['source'] for row in self.rows('export', self.path('orders.csv'))},
                         {'orders.csv'})
        self.run_lapse('rfm', '-', stdin=b'', code=1)
        self.run_lapse('rfm', '-', stdin=b'SQLite format 3\0 and more', code=3)

    def test_event_file_from_a_pipe(self):
        os.mkfifo(self.path('pipe'))
        if os.fork() == 0:
            with open(self.path('pipe'), 'w') as f:
                f.write(ORDERS)
            os._exit(0)
        self.assertEqual(len(self.rows('rfm', 'pipe')), 3)
        os.wait()

    def test_short_event_files(self):
        self.write('short.csv', 'customer,time\n')
        out, err = self.run_lapse('rfm', 'short.csv')
        self.assertEqual((len(out.splitlines()), err), (1, ''))
        self.write('empty.csv', '')
        self.run_lapse('rfm', 'empty.csv', code=1)

    def test_counts_of_a_direct_file_only_when_rows_are_missing(self):
        _, err = self.run_lapse('info', 'orders.csv')
        self.assertEqual(err, '')
        self.write('twice.csv', 'customer,time,event_id\na,2024-01-01,1\na,2024-01-01,1\n')
        _, err = self.run_lapse('info', 'twice.csv')
        self.assertIn('1 duplicate', err)

    def test_bad_rows_of_a_direct_file(self):
        self.write('bad.csv', 'customer,time\nann,never\n')
        out, err = self.run_lapse('rfm', 'bad.csv', code=1)
        self.assertEqual(out, '')
        self.assertIn('line 2', err)

    def test_errors_name_the_option_that_gets_past(self):
        for text, option in (('customer,time,colour\na,2024-01-01,red\n', '--ignore-unknown'),
                             ('customer,time,amount\na,2024-01-01,-1.00\n', '--negative refund'),
                             ('customer,time\na,01/02/2024\n', '--time-format'),
                             ('customer,time\na,01/02/2024\n', '--on-error skip'),
                             ('CustomerID,time\na,2024-01-01\n', '--map')):
            with self.subTest(option):
                self.write('x.csv', text)
                self.assertIn(option, self.run_lapse('rfm', 'x.csv', code=1)[1])
        self.write('x.csv', 'customer,time\na,2024-01-01\na,"open\n')
        self.assertNotIn('--on-error', self.run_lapse('rfm', 'x.csv', code=1)[1])

    def test_import_options(self):
        self.write('x.csv', 'CustomerID;When;Quantity;UnitPrice;Colour\n7;01/12/2010 08:26;6;2.55;red\n'
                            '7;02/12/2010 08:26;-1;2.55;red\n')
        out = self.rows('export', 'x.csv', '--delimiter', ';', '--ignore-unknown', '--negative', 'refund',
                        '--map',
                        'customer=CustomerID,time=When,amount=Quantity*UnitPrice', '--time-format',
                        '%d/%m/%Y %H:%M')
        self.assertEqual([(r['kind'], r['amount'], r['time']) for r in out],
                         [('order.placed', '15.30', '2010-12-01T08:26:00Z'),
                          ('order.refunded', '2.55', '2010-12-02T08:26:00Z')])
        self.write('tab.csv', 'customer\ttime\na\t2024-01-01\n')
        out = self.rows('export', 'tab.csv', '--delimiter', 'tab', '--kind', 'session.started', '--source',
                        'web')
        self.assertEqual([(r['kind'], r['source']) for r in out], [('session.started', 'web')])


class Zones(Command):
    def day(self, when, *zone):
        self.write('z.csv', 'customer,time\na,%s\n' % when)
        return self.rows('export', 'z.csv', *zone)[0]['time']

    def test_offsets(self):
        for zone, want in (('Z', '12:00'), ('UTC', '12:00'), ('+00:00', '12:00'), ('+05:45', '06:15'),
                           ('-09:30', '21:30'), ('+14:00', '22:00')):
            with self.subTest(zone):
                self.assertEqual(self.day('2024-07-01T12:00', '--zone', zone)[11:16], want)

    @unittest.skipUnless(NAMED_ZONES, 'no zone files on this machine')
    def test_names(self):
        for zone, local, utc in (('Europe/Paris', '2024-03-31T01:59:59', '2024-03-31T00:59:59Z'),
                                 ('Europe/Paris', '2024-03-31T03:00:00', '2024-03-31T01:00:00Z'),
                                 ('Europe/Paris', '2024-10-27T03:00:00', '2024-10-27T02:00:00Z'),
                                 ('Europe/Paris', '2150-07-01T12:00:00', '2150-07-01T10:00:00Z'),
                                 ('America/New_York', '1950-07-01T12:00:00', '1950-07-01T16:00:00Z'),
                                 ('Asia/Kathmandu', '1985-12-31T12:00:00', '1985-12-31T06:30:00Z'),
                                 ('Asia/Kathmandu', '1986-01-02T12:00:00', '1986-01-02T06:15:00Z'),
                                 ('Pacific/Apia', '2011-12-31T00:00:00', '2011-12-30T10:00:00Z'),
                                 ('Europe/Amsterdam', '1900-06-01T12:00:00', None)):
            with self.subTest((zone, local)):
                got = self.day(local, '--zone', zone, '--received-at', '2990-01-01')
                if utc:
                    self.assertEqual(got, utc)

    @unittest.skipUnless(NAMED_ZONES, 'no zone files on this machine')
    def test_local_times_that_are_none_or_two(self):
        for when in ('2024-03-31T02:30:00', '2024-10-27T02:30:00'):
            with self.subTest(when):
                self.write('z.csv', 'customer,time\na,%s\n' % when)
                self.run_lapse('info', 'z.csv', '--zone', 'Europe/Paris', code=1)
                self.run_lapse('rfm', 'orders.csv', '--zone', 'Europe/Paris', '--as-of', when, code=2)

    @unittest.skipUnless(NAMED_ZONES, 'no zone files on this machine')
    def test_zone_of_a_store(self):
        self.run_lapse('create', 's.lapse', '--zone', 'Europe/Paris')
        self.assertEqual(self.info('s.lapse')['zone'], 'Europe/Paris')
        self.run_lapse('import', 's.lapse', 'orders.csv', '--zone', 'Europe/Paris', env={'TZ': 'Asia/Tokyo'})
        self.run_lapse('import', 's.lapse', 'orders.csv', '--zone', 'Europe/London', code=1)
        _, err = self.run_lapse('rfm', 's.lapse')
        self.assertIn('as of 2024-03-01T23:00:00Z', err)

    def test_folder_of_zones(self):
        self.run_lapse('create', 's.lapse', '--zone', 'Europe/Paris', env={'TZDIR': self.folder.name}, code=2)
        self.run_lapse('create', 's.lapse', '--zone', 'orders.csv', env={'TZDIR': self.folder.name}, code=2)
        self.assertEqual(self.names(), ['orders.csv'])

    def test_the_machine_does_not_matter(self):
        want = self.run_lapse('rfm', 'orders.csv')
        self.assertEqual(self.run_lapse('rfm', 'orders.csv', env={'TZ': 'Asia/Tokyo',
                                                                  'LC_ALL': 'de_DE.UTF-8'}), want)


class Output(Command):
    def test_default_instant_is_told(self):
        _, err = self.run_lapse('rfm', 'orders.csv')
        self.assertIn('as of 2024-03-02T00:00:00Z', err)
        _, err = self.run_lapse('rfm', 'orders.csv', '--as-of', '2024-03-02')
        self.assertEqual(err, '')
        for command in (['history', 'orders.csv', 'ann'], ['export', 'orders.csv'], ['info', 'orders.csv']):
            self.assertEqual(self.run_lapse(*command)[1], '')
        self.run_lapse('create', 'empty.lapse')
        for command in ('rfm', 'segments'):
            out, err = self.run_lapse(command, 'empty.lapse')
            self.assertEqual((len(out.splitlines()), err), (1, ''))

    def test_as_of(self):
        self.assertEqual(len(self.rows('rfm', 'orders.csv', '--as-of', '2024-01-01')), 1)
        self.assertEqual(len(self.rows('rfm', 'orders.csv', '--as-of', '2000-01-01')), 0)
        self.assertEqual(len(self.rows('history', 'orders.csv', 'ann', '--as-of', '2024-01-05')), 1)
        self.run_lapse('history', 'orders.csv', 'ann', '--as-of', '2024-01-04', code=1)
        self.assertEqual(len(self.rows('export', 'orders.csv', '--as-of', '@1709317799.999999')), 3)

    def test_unknown_customer(self):
        self.run_lapse('history', 'orders.csv', 'zoe', code=1)

    def test_output_file(self):
        want = self.run_lapse('rfm', 'orders.csv')[0]
        self.assertEqual(self.run_lapse('rfm', 'orders.csv', '--output', 'a.csv')[0], '')
        self.assertEqual(self.read('a.csv'), want)
        os.chmod(self.path('a.csv'), 0o640)
        os.symlink('a.csv', self.path('link'))
        self.run_lapse('rfm', 'orders.csv', '--output', 'link', '--as-of', '2024-01-01')
        self.assertNotEqual(self.read('a.csv'), want)
        self.assertTrue(os.path.islink(self.path('link')))
        self.assertEqual(stat.S_IMODE(os.stat(self.path('a.csv')).st_mode), 0o640)
        self.assertEqual(self.names(), ['a.csv', 'link', 'orders.csv'])

    def test_failure_leaves_the_old_file(self):
        self.write('a.csv', 'precious')
        self.write('big.csv', 'customer,time,amount\n' + 2 * 'a,2024-01-01,92233720368547758.07\n')
        self.run_lapse('rfm', 'big.csv', '--output', 'a.csv', '--as-of', '2025-01-01', code=1)
        self.assertEqual(self.read('a.csv'), 'precious')
        self.assertEqual(self.names(), ['a.csv', 'big.csv', 'orders.csv'])

    def test_output_that_cannot_be(self):
        self.run_lapse('rfm', 'orders.csv', '--output', '.', code=1)
        self.run_lapse('rfm', 'orders.csv', '--output', 'no/such/place', code=1)
        self.run_lapse('rfm', 'orders.csv', '--output', '', code=1)
        self.run_lapse('rfm', 'orders.csv', '--output', '/dev/null')
        self.assertTrue(stat.S_ISCHR(os.stat('/dev/null').st_mode))

    def test_full_disk(self):
        if not os.path.exists('/dev/full'):
            self.skipTest('no /dev/full')
        self.run_lapse('rfm', 'orders.csv', '--output', '/dev/full', code=1)
        for args in (['rfm', 'orders.csv'], ['help'], ['import', 's.lapse', 'orders.csv']):
            with open('/dev/full', 'w') as full:
                p = subprocess.run([LAPSE, *args], cwd=self.folder.name, stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(p.returncode, 1, args)
            self.assertIn(b'No space left', p.stderr)

    def test_closed_pipe(self):
        self.write('many.csv', 'customer,time\n' + ''.join('customer%d,2024-01-01\n' % n for n in range(50000)))
        for args in (['rfm', 'many.csv'], ['rfm', 'many.csv', '--format', 'table'], ['export', 'many.csv'],
                     ['help']):
            with self.subTest(args):
                p = subprocess.Popen([LAPSE, *args], cwd=self.folder.name, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
                p.stdout.close()
                err = p.stderr.read().decode()
                p.stderr.close()
                self.assertEqual(p.wait(), 0, err)
                self.assertNotRegex(err, '(?i)pipe|cannot')

    def test_table_format(self):
        self.write('wide.csv', 'customer,time,amount\nb\u00e4r,2024-01-01,5.00\n"a,""\nb",2024-01-01,1234.00\n'
                               'esc\x1b[31m,2024-01-01,1.00\n')
        out, _ = self.run_lapse('rfm', 'wide.csv', '--format', 'table')
        lines = out.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertNotIn('\x1b', out)
        self.assertIn('a,"\\nb', lines[1])
        ends = {re.search(r'%s(?= )' % want, line).end()
                for want, line in zip(('monetary', r'1234\.00', r'5\.00', r'1\.00'), lines)}
        self.assertEqual(len(ends), 1, out)
        self.assertEqual(self.run_lapse('rfm', 'wide.csv', '--format', 'csv')[0].count('\x1b'), 1)

    def test_table_and_csv_hold_the_same_values(self):
        table = self.run_lapse('segments', 'orders.csv', '--format', 'table')[0].splitlines()
        rows = [row for row in csv.reader(io.StringIO(self.run_lapse('segments', 'orders.csv')[0]))]
        self.assertEqual([line.split() for line in table], [' '.join(row).split() for row in rows])

    def test_table_of_a_history(self):
        """Leaves out what is empty everywhere, and changes no value."""
        self.write('x.csv', 'customer,time,kind,value,topic,reason\n' +
                   ''.join('a,%d-01-01,survey.answered,1.23456789,,\n' % year for year in range(1971, 2020)) +
                   'a,2020-01-01,survey.answered,,,late\nb,2020-01-01,survey.answered,,other,\n')
        args = ['history', 'x.csv', 'a', '--format']
        table = self.run_lapse(*args, 'table')[0].splitlines()
        self.assertEqual(table[0].split(), ['customer', 'time', 'kind', 'value', 'reason', 'source'])
        self.assertIn('1.23456789', table[1])
        self.assertRegex(table[50], r' late +x\.csv$')
        self.assertEqual(len({len(line.rstrip()) for line in table[1:]}), 1)
        self.assertEqual(len(self.run_lapse(*args, 'csv')[0].splitlines()[0].split(',')), 19)
        self.assertEqual(self.run_lapse('history', 'x.csv', 'zoe', '--format', 'table', code=1)[0], '')

    def test_long_table(self):
        self.write('many.csv', 'customer,time\n' + ''.join('c%d,2024-01-01\n' % n for n in range(90000)))
        out = self.run_lapse('rfm', 'many.csv', '--format', 'table')[0].splitlines()
        self.assertEqual(len(out), 90001)
        self.assertEqual(sorted(line.split()[0] for line in out[1:]), sorted('c%d' % n for n in range(90000)))

    def test_terminal(self):
        self.assertEqual(self.on_terminal(LAPSE, 'rfm', 'orders.csv'),
                         self.run_lapse('rfm', 'orders.csv', '--format', 'table')[0])
        self.assertEqual(self.on_terminal(LAPSE, 'rfm', 'orders.csv', '--format', 'csv'),
                         self.run_lapse('rfm', 'orders.csv')[0])

    def test_interrupt(self):
        for name in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(name):
                p = subprocess.Popen([LAPSE, 'import', 's.lapse', '-'], cwd=self.folder.name,
                                     stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                p.stdin.write(ORDERS.encode())
                p.stdin.flush()
                deadline = time.time() + 20
                while 's.lapse' not in self.names() and time.time() < deadline:
                    time.sleep(0.01)
                time.sleep(0.2)
                p.send_signal(name)
                out, err = p.communicate(timeout=20)
                self.assertEqual((p.returncode, out), (1, b''))
                self.assertIn(b'interrupted', err)
                self.assertEqual(self.names(), ['orders.csv'])


    def test_interrupts_that_come_at_any_moment(self):
        """A pipe that says nothing: wherever the signal arrives, the command ends, and nothing stays behind."""
        os.mkfifo(self.path('pipe'))
        rng = random.Random(4)
        for n in range(120):
            args = (['import', 's.lapse', '-'], ['rfm', '-'], ['import', 's.lapse', 'pipe'], ['rfm', 'pipe'])[n % 4]
            p = subprocess.Popen([LAPSE, *args], cwd=self.folder.name, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if n % 8 < 4:
                p.stdin.write(ORDERS.encode())
                p.stdin.flush()
            time.sleep(rng.uniform(0, 0.03))
            p.send_signal(signal.SIGINT)
            try:
                code = p.wait(timeout=10)
            except subprocess.TimeoutExpired:
                p.kill()
                self.fail('try %d: %s does not end' % (n, args))
            finally:
                with p.stdin, p.stdout, p.stderr:
                    out = p.stdout.read()
            self.assertIn(code, (1, -signal.SIGINT)) # killed by it as long as the command did not look yet
            self.assertEqual((out, self.names()), (b'', ['orders.csv', 'pipe']))


class Messages(Command):
    def test_what_is_no_column_is_not_called_one(self):
        self.write('p', '# mine\nfoo = 1\n')
        for args, code, want in ((['policy', '--set', 'foo=2'], 1, '--set foo=2: no such setting'),
                                 (['policy', '--set', 'import.skew=x'], 1, '--set import.skew=x: must be a span'),
                                 (['policy', '--policy', 'p'], 1, 'p, line 2, setting foo: '),
                                 (['rfm', 'orders.csv', '--map', 'foo=a'], 2, '--map: "foo": '),
                                 (['rfm', 'orders.csv', '--time-format', '%Y'], 2, '--time-format: "%Y": ')):
            with self.subTest(args):
                err = self.run_lapse(*args, code=code)[1]
                self.assertTrue(err.startswith('lapse: ' + want), err)
                self.assertNotIn('column', err.splitlines()[0].replace('columns', ''))

    def test_store_that_cannot_be_opened(self):
        os.mkdir(self.path('folder'))
        for args, path, why in ((['info', 'no/such'], 'no/such', 'No such file'),
                                (['create', 'no/such'], 'no/such', 'No such file'),
                                (['import', 'no/such', 'orders.csv'], 'no/such', 'No such file'),
                                (['import', 'orders.csv/x', 'orders.csv'], 'orders.csv/x', 'Not a directory'),
                                (['import', 'folder', 'orders.csv'], 'folder', 'Is a directory'),
                                (['rfm', 'folder'], 'folder', 'Is a directory')):
            with self.subTest(args):
                self.assertRegex(self.run_lapse(*args, code=3)[1], r'^lapse: %s: .*%s' % (path, why))
        if os.getuid() != 0:
            os.chmod(self.path('folder'), 0o500)
            self.assertIn('folder/x: cannot be opened: Permission denied',
                          self.run_lapse('import', 'folder/x', 'orders.csv', code=3)[1])

    def test_hints_at_a_file_that_is_no_csv(self):
        for begin, what in ((b'PK\x03\x04rest', 'a spreadsheet or an archive'), (b'\xd0\xcf\x11\xe0rest', 'a spreadsheet'),
                            ('customer,time\n'.encode('utf-16'), 'text in UTF-16'),
                            (b'\xfe\xff' + 'customer,time\n'.encode('utf-16-be'), 'text in UTF-16')):
            self.write('x.csv', begin)
            for args in (['rfm', 'x.csv'], ['import', 's.lapse', 'x.csv']):
                with self.subTest((args, what)):
                    self.assertIn('x.csv: this is %s: save it as CSV in UTF-8' % what, self.run_lapse(*args, code=1)[1])

    def test_hint_at_kinds(self):
        self.write('x.csv', 'customer,time,kind\na,2024-01-01,order\n')
        self.assertIn('lapse help events lists the kinds', self.run_lapse('rfm', 'x.csv', code=1)[1])

    def test_hints_at_a_header(self):
        for text, options, want in (
                ('customer;time\na;2024-01-01\n', [], "try --delimiter ';'"),
                ('\ufeffcustomer;time\na;2024-01-01\n', ['--ignore-unknown'], "try --delimiter ';'"),
                ('Id\ttime\na\t2024-01-01\n', ['--map', 'customer=Id'], 'try --delimiter tab'),
                ('customer,time\na,2024-01-01\n', ['--delimiter', ';'], "try --delimiter ','"),
                ('Customer,TIME,amount\na,2024-01-01,1\n', [], 'try --map customer=Customer,time=TIME'),
                ('Customer,time,x\na,2024-01-01,1\n', ['--ignore-unknown'], 'try --map customer=Customer'),
                ('Who,time\na,2024-01-01\n', ['--map', 'customer=who'], "the header has 'Who'"),
                ('who,Time\na,2024-01-01\n', ['--map', 'customer=who'], "the header has 'Time'"),
                ('customer,time,a;b\na,2024-01-01,1\n', [], None),
                ('who,time\na,2024-01-01\n', [], None),
                ('customer,time\na;b,never\n', [], None)):
            with self.subTest((text, options)):
                self.write('x.csv', text)
                for name in ('x.csv', '-'):
                    err = self.run_lapse('import', 's.lapse', name, *options, code=1, stdin=text.encode())[1]
                    lines = err.splitlines()
                    self.assertEqual(len(lines), 2 if want else 1, err)
                    self.assertIn(want or '', lines[-1])
                self.run_lapse('rfm', '-', *options, code=1, stdin=text.encode())
                option = re.search(r'try (--\w+) (.*)', lines[-1])
                if option: # it does help
                    self.run_lapse('rfm', 'x.csv', *options, option[1], option[2].strip("'"))


class Answers(Command):
    def test_rfm_options(self):
        self.write('seg.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n')
        for options in ([], ['--bins', '5'], ['--bins', '5,5,3'], ['--bins', '4', '--segments', 'seg.csv'],
                        ['--bins', '10,2,7', '--segments', 'seg.csv'], ['--cuts', 'quantile'], ['--window',
                                                                                                '90d'],
                        ['--window', '6m'], ['--window', '1y'], ['--frequency', 'orders'], ['--frequency',
                                                                                            'days'],
                        ['--monetary', 'sum'], ['--monetary', 'mean'], ['--nested'], ['--threads', '2'],
                        ['--set', 'order.zero_is_valid=1']):
            for command in ('rfm', 'segments'):
                with self.subTest((command, options)):
                    self.assertGreater(len(self.rows(command, 'orders.csv', *options)), 0)
        ann = self.rows('rfm', 'orders.csv', '--monetary', 'mean', '--weights', '100,10,1')[0]
        self.assertEqual(ann['monetary'], '12.75')
        self.assertEqual(int(ann['weighted']), 100 * int(ann['r']) + 10 * int(ann['f']) + int(ann['m']))
        self.assertEqual(list(ann)[-1], 'weighted')
        self.assertEqual(len(self.rows('rfm', 'orders.csv', '--window', '30d')), 2)

    def test_cuts(self):
        self.write('two.csv', 'customer,time,amount\na,2024-01-01,1\nb,2024-01-03,2\n')
        out, err = self.run_lapse('rfm', 'two.csv', '--save-cuts', 'c.csv')
        self.assertEqual(self.read('c.csv'), 'axis,bin,above\nr,1,1\nr,2,1\nr,3,2\nr,4,2\nf,1,1\nf,2,1\nf,3,1\n'
                                             'f,4,1\nm,1,1.20\nm,2,1.40\nm,3,1.60\nm,4,1.80\n')
        for options in ([], ['--cuts', 'fixed:1,1.8,2,2.9/1,1,1,1/1.2,1.4,1.6,1.8'], ['--cuts', 'fixed:c.csv'],
                        ['--cuts', 'fixed:./c.csv']):
            self.assertEqual(self.run_lapse('rfm', 'two.csv', *options, '--save-cuts', 'd.csv')[0], out)
            self.assertEqual(self.read('d.csv'), self.read('c.csv'))
        # a file of cents in a store of tenths, and the other way round: floors of what is said
        self.run_lapse('segments', 'two.csv', '--digits', '1', '--cuts', 'fixed:c.csv', '--save-cuts', 'd.csv')
        self.assertEqual(self.read('d.csv')[-38:], 'f,4,1\nm,1,1.2\nm,2,1.4\nm,3,1.6\nm,4,1.8\n')
        self.assertIn('or thresholds as in fixed:30', self.run_lapse('rfm', 'two.csv', '--cuts', 'fixed:nosuch', code=1)[1])
        # a typo in thresholds is none in the name of a file, unless there is such a file
        for text, said in (('30,9o/1/1', "recency, threshold 2: '9o': a threshold is"),
                           ('30 90/1/1', "recency, threshold 1: '30 90': a threshold is"),
                           ('30,20/1/1', "recency, threshold 2: '20': thresholds of recency ascend"),
                           ('1,1,1,1/1,1,1,1/-1,99999999999999999', "monetary, threshold 2: '99999999999999999'"),
                           ('1/1', 'thresholds are those of three axes')):
            with self.subTest(text):
                self.assertIn('fixed:%s: %s' % (text, said), self.run_lapse('rfm', 'two.csv', '--cuts', 'fixed:' + text, code=2)[1])
        self.write('1x.csv', self.read('c.csv'))
        self.run_lapse('rfm', 'two.csv', '--cuts', 'fixed:1x.csv')
        self.write('1x.csv', 'axis,bin,above\nr,1,1\n')
        self.assertIn('no threshold of axis f', self.run_lapse('rfm', 'two.csv', '--cuts', 'fixed:1x.csv', code=1)[1])
        self.run_lapse('rfm', 'two.csv', '--cuts', 'fixed:two.csv', code=1)
        self.run_lapse('rfm', 'two.csv', '--save-cuts', 'two.csv', code=1)
        # of nobody there are no cuts, but fixed ones stay what they are
        self.write('none.csv', 'customer,time,amount\n')
        for args in (['none.csv'], ['two.csv', '--as-of', '2000-01-01']):
            self.run_lapse('rfm', *args, '--save-cuts', 'e.csv', code=1)
            self.assertNotIn('e.csv', self.names())
            out, _ = self.run_lapse('rfm', *args, '--cuts', 'fixed:c.csv')
            self.assertEqual(out.count('\n'), 1)
        # three bins on R and F: other segments are needed
        self.run_lapse('rfm', 'two.csv', '--cuts', 'fixed:1,2/1,2/1', code=2)
        self.write('seg.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n')
        rows = self.rows('rfm', 'two.csv', '--cuts', 'fixed:1,2/1,2/1', '--segments', 'seg.csv')
        self.assertEqual([row['score'] for row in rows], ['111', '312'])

    def test_segment_tables(self):
        self.run_lapse('rfm', 'orders.csv', '--segments', 'missing', code=1)
        self.run_lapse('rfm', 'orders.csv', '--segments', '.', code=1)
        self.run_lapse('rfm', 'orders.csv', '--segments', 'orders.csv', code=1)
        self.write('seg.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\nnever,1,1,,,,\n')
        _, err = self.run_lapse('segments', 'orders.csv', '--segments', 'seg.csv', '--as-of', '2024-04-01')
        self.assertIn('never', err)

    def test_default_segments(self):
        """What help, the man page and the examples show is what the library does."""
        with open(os.path.join(EXAMPLES, 'segments', 'default.csv')) as f:
            table = f.read()
        for command in ('rfm', 'segments'):
            self.assertIn('\n\n' + table + '\n', self.run_lapse('help', command)[0])
        with open(MAN) as f:
            self.assertIn('.EX\n' + table.replace("'", '\\(aq') + '.EE\n', f.read())
        cells = 'customer,time\n' + ''.join( # of all scores
            'c%02d,2024-01-%02d\n' % (10 * r + f, r) * f for r in range(1, 6) for f in range(1, 6))
        self.write('cells.csv', cells)
        self.write('seg.csv', table)
        for command in ('rfm', 'segments'):
            with self.subTest(command):
                want = self.run_lapse(command, 'cells.csv')
                self.assertEqual(self.run_lapse(command, 'cells.csv', '--segments', 'seg.csv'), want)
        self.assertEqual(len({row['score'][:2] for row in self.rows('rfm', 'cells.csv')}), 25)

    def test_export_and_import(self):
        store = self.store()
        self.run_lapse('export', store, '--output', 'e.csv')
        self.run_lapse('import', 'again.lapse', 'e.csv')
        self.assertEqual(self.run_lapse('export', 'again.lapse')[0], self.read('e.csv'))

    def test_export_of_what_is_awkward(self):
        """Rows without an id keep their source, also an empty one; counts of equal rows and retractions are kept."""
        self.write('a.csv', 'customer,time,kind,ref,amount,source,event_id\n'
                            'ann,2024-01-05,,1,1,,\nann,2024-01-05,,1,1,,\nann,2024-01-05,,1,1,web,\n'
                            'ann,2024-01-06,,2,1,web,e1\nann,2024-01-07,event.retracted,e1,,web,r1\n'
                            'ann,2024-01-06,,3,1,,e1\n"b, ""x""\n",2024-01-06T01:02:03.000004,,3,0.005,web,\n')
        self.run_lapse('import', 's.lapse', 'a.csv', '--digits', '3')
        self.run_lapse('import', 's.lapse', 'a.csv')
        self.run_lapse('export', 's.lapse', '--output', 'e.csv')
        self.assertEqual(len(self.rows('export', 's.lapse')), 7)
        for name in ('again.csv', 'e.csv'):
            self.write(name, self.read('e.csv'))
            self.run_lapse('import', name + '.lapse', name, name, '--digits', '3')
            self.assertEqual(self.run_lapse('export', name + '.lapse')[0], self.read('e.csv'))

    def test_policy(self):
        rows = self.rows('policy')
        self.assertEqual(list(rows[0]), ['name', 'value', 'default', 'unit', 'origin'])
        names = [row['name'] for row in rows]
        self.assertEqual(names, sorted(names))
        values = lambda *args: {row['name']: row['value'] for row in self.rows('policy', *args)}
        self.assertEqual(values('--set', 'import.skew=1h', '--set', 'cap.day=2')['import.skew'], '1h')
        self.assertEqual(values('--set', 'cap.day=2', '--set', 'cap.day=3')['cap.day'], '3')
        self.write('p', '# settings\nimport.skew = 2h\ncap.day = 0\n')
        got = values('--policy', 'p', '--set', 'cap.day=5')
        self.assertEqual((got['import.skew'], got['cap.day']), ('2h', '5'))
        self.assertEqual(values(self.store()), values())
        self.assertEqual(values('orders.csv'), values())
        for text in ('no.such = 1\n', 'cap.day = 1\ncap.day = 2\n', 'cap.day\n', 'cap.day = many\n'):
            with self.subTest(text):
                self.write('p', text)
                self.assertIn('p', self.run_lapse('policy', '--policy', 'p', code=1)[1])
        self.run_lapse('policy', '--policy', 'missing', code=1)
        self.run_lapse('policy', 'missing', code=3)

    def test_limits_may_be_set_in_any_order(self):
        for names in (('risk=7m', 'inactive=9m', 'lost=2y'), ('lost=2y', 'inactive=9m', 'risk=7m'),
                      ('inactive=9m', 'risk=7m', 'lost=2y')):
            sets = [word for name in names for word in ('--set', 'engagement.' + name)]
            got = {row['name']: row['value'] for row in self.rows('policy', *sets)}
            self.assertEqual(got['engagement.risk'], '7m')
        for setting in ('engagement.risk=13m', 'no.such=1', 'import.skew=soon', 'import.skew='):
            self.assertIn(setting, self.run_lapse('policy', '--set', setting, code=1)[1])


class Upkeep(Command):
    def names(self):
        return sorted(set(os.listdir(self.folder.name)) - {'orders.csv'})

    def damage(self, *statements):
        db = sqlite3.connect(self.path('s.lapse'))
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.close()

    def test_backup(self):
        store = self.store()
        before = self.run_lapse('export', store)[0]
        rows = self.rows('backup', store, 'copy')
        self.assertEqual(rows, [{'name': 'bytes', 'value': str(os.path.getsize(self.path('copy')))}])
        self.assertEqual(self.run_lapse('export', 'copy')[0], before)
        self.assertEqual(stat.S_IMODE(os.stat(self.path('copy')).st_mode), 0o600)
        self.assertEqual(self.names(), ['copy', 's.lapse'])
        self.assertIn('exists', self.run_lapse('backup', store, 'copy', code=1)[1])
        self.run_lapse('backup', store, 'copy', '--replace')
        self.assertIn('itself', self.run_lapse('backup', store, store, '--replace', code=1)[1])
        self.run_lapse('backup', store, 'no/such/folder', code=1)
        self.run_lapse('backup', 'missing', 'other', code=3)
        self.assertEqual(self.names(), ['copy', 's.lapse'])
        self.run_lapse('backup', 'orders.csv', 'made', '--source', 'orders.csv')  # a store from an event file
        self.assertEqual(self.run_lapse('export', 'made')[0], before)

    def test_compact(self):
        store = self.store()
        for i in range(12):
            self.write('more.csv', 'customer,time,event_id\n' + ''.join('c%d,2024-01-01,%d-%d\n' % (n, i, n) for n in range(500)))
            self.run_lapse('import', store, 'more.csv')
        before = self.run_lapse('export', store)[0]
        size = os.path.getsize(self.path(store))
        rows = self.rows('compact', store)
        self.assertEqual([row['name'] for row in rows], ['bytes_before', 'bytes_after'])
        self.assertEqual([int(row['value']) for row in rows], [size, os.path.getsize(self.path(store))])
        self.assertLess(int(rows[1]['value']), size)
        self.run_lapse('compact', store, '--upgrade')
        self.assertEqual(self.run_lapse('export', store)[0], before)
        self.assertEqual(self.names(), ['more.csv', 's.lapse'])
        self.run_lapse('compact', 'missing', code=3)
        self.assertEqual(self.names(), ['more.csv', 's.lapse'])
        self.run_lapse('compact', 'orders.csv', code=3)
        db = sqlite3.connect(self.path(store), isolation_level=None)
        db.execute('PRAGMA journal_mode = WAL')
        db.execute('BEGIN IMMEDIATE')
        self.run_lapse('compact', store, code=4)
        db.close()

    def test_verify(self):
        store = self.store()
        rows = self.rows('verify', store)
        self.assertEqual([(row['name'], row['value']) for row in rows],
                         [('blocks', '1'), ('events', '4'), ('customers', '3'), ('ok', '1')])
        self.assertEqual(self.rows('verify', 'orders.csv')[-1]['value'], '1')
        self.run_lapse('verify', 'missing', code=3)
        os.chmod(self.path(store), 0o400)
        self.rows('verify', store)
        self.assertEqual(self.names(), ['s.lapse'])
        os.chmod(self.path(store), 0o600)
        self.write('more.csv', 'customer,time,event_id\neve,2024-01-01,1\n')
        self.run_lapse('import', store, 'more.csv')
        self.damage('UPDATE block SET data = zeroblob(length(data))')
        before = self.read_bytes(store)
        out, err = self.run_lapse('verify', store, code=3)
        self.assertIn('ok,0\n', out)
        told = err.splitlines()
        self.assertEqual(len(told), 3, err)  # each of them
        self.assertIn('customers "ann" to "cleo"', err)
        self.assertIn('customers "eve" to "eve"', err)
        self.assertIn('fingerprints', err)
        self.damage("UPDATE meta SET value = '9' WHERE name = 'digits'")
        self.run_lapse('export', store, code=3)
        out, err = self.run_lapse('verify', store, code=3)
        self.assertEqual(len(err.splitlines()), 4)
        self.assertIn('digits', err)
        self.assertNotEqual(self.read_bytes(store), before)
        with open(self.path(store), 'r+b') as f:
            f.truncate(5000)
        self.assertNotEqual(self.run_lapse('verify', store, code=3)[1], '')

    def test_salvage(self):
        store = self.store()
        whole = self.run_lapse('export', store)[0]
        self.assertEqual(self.run_lapse('export', store, '--salvage'), (whole, ''))
        self.run_lapse('export', store, '--salvage', '--as-of', '2024-01-01', code=2)
        self.run_lapse('export', 'orders.csv', '--salvage', code=3)
        self.run_lapse('export', 'missing', '--salvage', code=3)
        self.run_lapse('export', store, '--salvage', '--digits', '3', code=1)
        self.write('more.csv', 'customer,time,event_id\neve,2024-01-05,1\n')
        self.run_lapse('import', store, 'more.csv')
        rows = self.rows('export', store)
        self.damage("UPDATE block SET data = zeroblob(length(data)) WHERE id = 1")
        before = self.read_bytes(store)
        self.run_lapse('export', store, code=3)
        out, err = self.run_lapse('export', store, '--salvage', code=3)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertIn('eve,', out)
        self.assertIn('customers "ann" to "cleo"', err)
        out, err = self.run_lapse('export', store, '--salvage', '--output', 'saved.csv', code=3)
        self.assertEqual(out, '')
        self.assertEqual(self.rows('info', 'saved.csv')[1]['value'], '1')
        self.damage("UPDATE meta SET value = '9' WHERE name = 'digits'")
        out, err = self.run_lapse('export', store, '--salvage', code=3)
        self.assertEqual(out, '')
        self.assertIn('digits', err)
        self.assertIn('eve,', self.run_lapse('export', store, '--salvage', '--digits', '2', code=3)[0])
        self.assertEqual(len(rows), 5)
        with open(self.path(store), 'r+b') as f:
            f.write(b'nothing of SQLite')
        self.assertNotEqual(self.run_lapse('export', store, '--salvage', code=3)[1], '')

    def read_bytes(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()


class Help(Command):
    def options_of(self, command):
        return set(re.findall(r'^  --([a-z-]+)', self.run_lapse('help', command)[0], re.M))

    def test_help(self):
        out, err = self.run_lapse('help')
        self.assertEqual(err, '')
        self.assertEqual(out, self.run_lapse('--help')[0])
        self.assertEqual(re.findall(r'^  ([a-z]+)  ', out, re.M), COMMANDS)
        self.run_lapse('help', 'nosuch', code=2)

    def test_help_of_each_command(self):
        for command in COMMANDS:
            with self.subTest(command):
                out, err = self.run_lapse('help', command)
                self.assertEqual(err, '')
                self.assertTrue(out.startswith('Usage: lapse %s' % command))
                self.assertLessEqual(max(len(line) for line in out.splitlines()), 80)
                for asked in ('--help', '-h'):
                    self.assertEqual(self.run_lapse(command, asked)[0], out)

    def test_each_option_of_help_is_taken(self):
        values = {'format': 'csv', 'output': 'o', 'as-of': '2024-05-01', 'cuts': 'quantile', 'bins': '5',
                  'save-cuts': 'c', 'window': '5y', 'frequency': 'days', 'monetary': 'mean', 'nested': None, 'weights': '3,2,1',
                  'segments': 'seg.csv', 'policy': 'p', 'set': 'cap.day=2', 'threads': '2', 'dry-run': None,
                  'sync': 'off', 'delimiter': ',', 'map': 'price=amount', 'ignore-unknown': None,
                  'time-format': '%Y-%m-%d', 'kind': 'order.placed', 'negative': 'refund', 'on-error': 'skip',
                  'rejects': 'r', 'received-at': '2025-01-01', 'source': 'x', 'zone': '+01:00',
                  'currency': 'EUR',
                  'digits': '3', 'replace': None, 'upgrade': None, 'from': '2024-01-01', 'to': '2024-05-01',
                  'every': 'quarter', 'basis': 'activity', 'lost': 'inactive', 'hazard': None, 'summary': None,
                  'horizon': '30', 'quantiles': '0.5,0.99', 'method': 'linear', 'channels': None, 'purpose': 'survey',
                  'channel': 'email', 'customer': 'ann', 'topic': 'news', 'salvage': None, 'baseline': None,
                  'adopt-policy': None, 'limit': '3', 'mode': 'net', 'key': 'k', 'at': '2024-06-01'}
        self.write('k', '01' * 32)
        self.write('seg.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,,,,,,\n')
        self.write('p', '')
        operands = {'create': ['new'], 'import': ['new', 'orders.csv'], 'history': ['orders.csv', 'ann'],
                    'permit': ['orders.csv', '--purpose', 'marketing'], 'policy': [], 'help': [], 'backup': ['orders.csv', 'new'], 'compact': ['s.lapse'],
                    'advance': ['s.lapse', '--adopt-policy', '--as-of', '2024-05-01'], 'ack': ['s.lapse', '0'],
                    'forget': ['s.lapse', 'ann'],
                    'churn': ['orders.csv', '--from', '2024-01-01', '--to', '2024-05-01'],
                    'transitions': ['orders.csv', '--from', '2024-01-01', '--to', '2024-05-01']}
        span = ['--every', 'month', '--from', '2023-01-01', '--to', '2024-01-01']
        needs = {('survival', 'horizon'): ['--summary']}
        needs.update({(command, option): span for command in ('rfm', 'segments') for option in ('every', 'from', 'to')})
        self.store()
        self.write('orders.csv', 'customer,time,amount\nann,2024-01-05,10\n')
        for command in COMMANDS:
            for option in self.options_of(command):
                with self.subTest((command, option)):
                    value = values[option]
                    if command == 'forget': # nobody is forgotten twice
                        os.unlink(self.path('s.lapse'))
                        self.store()
                    operand = ['s.lapse'] if option == 'salvage' else operands.get(command, ['orders.csv'])
                    self.run_lapse(command, *operand, *needs.get((command, option), []),
                                   '--' + option,
                                   *([value] if value is not None else []))
                    if os.path.exists(self.path('new')):
                        os.unlink(self.path('new'))
        self.assertEqual(set().union(*(self.options_of(command) for command in COMMANDS)), set(values))

    def test_states(self):
        self.write('e.csv', 'customer,time,kind,channel,amount,topic,value\n'
                            'ann,2024-01-05,order.placed,,10,,\nann,2024-01-06,consent.granted,email,,,\n'
                            'bob,2024-01-06,message.sent,email,,,\nbob,2024-01-07,preference.set,email,,news,0\n'
                            'ann,2024-01-08,preference.set,email,,news,0\n')
        at = ['--as-of', '2024-07-05']
        for threads in ('1', '2'):
            self.assertEqual(self.run_lapse('states', 'e.csv', *at, '--threads', threads)[0],
                'customer,stage,stage_max,engagement,engagement_since,next_deadline,purchase_clock,last_purchase,'
                'last_activity,last_contact,membership,case,identity,tier,cart,account,rights\n'
                'ann,retention,retention,inactive,2024-07-05T00:00:00Z,2025-01-05T00:00:00Z,inactive,'
                '2024-01-05T00:00:00Z,2024-01-05T00:00:00Z,2024-01-05T00:00:00Z,,,,,,open,none\n'
                'bob,reach,reach,new,2024-01-06T00:00:00Z,,new,,,,,,,,,open,none\n')
        self.assertEqual(self.run_lapse('states', 'e.csv', '--channels', *at)[0],
            'customer,channel,endpoint,deliverability,responsiveness,last_engaged,sends_since\nbob,email,,ok,,,\n')
        self.assertEqual(self.run_lapse('consent', 'e.csv', '--source', 's', *at)[0],
            'customer,channel,purpose,topic,state,pending,strength,since,reason,source\n'
            'ann,email,marketing,,granted,0,single,2024-01-06T00:00:00Z,,s\n'
            'ann,email,marketing,news,withdrawn,0,,2024-01-08T00:00:00Z,,s\n'
            'bob,email,marketing,news,withdrawn,0,,2024-01-07T00:00:00Z,,s\n')
        out, err = self.run_lapse('states', 'e.csv', '--format', 'table')
        self.assertIn('as of 2024-01-09T00:00:00Z', err)
        self.assertIn('retention', out)
        self.run_lapse('states', 'e.csv', '--purpose', 'marketing', code=2)
        self.run_lapse('consent', 'e.csv', '--channels', code=2)

    def test_permit(self):
        self.write('e.csv', 'customer,time,kind,channel,topic,value\nann,2024-01-06,consent.granted,email,,\n'
                            'ann,2024-01-08,preference.set,email,news,0\n')
        def decisions(*args):
            return [line.split(',', 3)[3] for line in self.run_lapse('permit', 'e.csv', *args)[0].splitlines()[1:]]
        self.assertEqual(self.run_lapse('permit', 'e.csv', '--purpose', 'marketing')[0].splitlines()[0],
                         'customer,channel,purpose,decision,reason,reasons,until')
        self.assertEqual(len(decisions('--purpose', 'marketing')), 10)
        self.assertEqual(decisions('--purpose', 'marketing', '--channel', 'email'), ['allow,,,'])
        self.assertEqual(decisions('--purpose', 'marketing', '--channel', 'email', '--topic', 'news'),
                         ['deny,topic_off,topic_off,'])
        self.assertEqual(decisions('--purpose', 'marketing', '--channel', 'email', '--customer', 'nobody'),
                         ['deny,consent_none,consent_none,']) # K15
        self.assertEqual(decisions('--purpose', 'profiling'), ['deny,consent_none,consent_none,']) # C23: ads
        self.assertEqual(decisions('--purpose', 'service', '--channel', 'sms', '--set', 'permit.assume_endpoint=0'),
                         ['deny,no_endpoint,no_endpoint,'])
        for bad in ([], ['--purpose', 'Marketing'], ['--purpose', ''], ['--purpose', 'marketing', '--channel', 'fax'],
                    ['--purpose', 'marketing', '--customer', ''], ['--purpose', 'marketing', '--topic', 'x' * 256]):
            out, err = self.run_lapse('permit', 'e.csv', *bad, code=2)
            self.assertEqual(out, '')
        self.run_lapse('permit', 'e.csv', '--purpose', 'marketing', '--set', 'engagement.risk=200d',
                       '--set', 'engagement.inactive=100d', code=1) # an impossible policy (S11)
        self.write('none.csv', 'customer,time\n')
        for args, rows in ((['states'], 0), (['consent'], 0), (['permit', '--purpose', 'survey'], 0),
                           (['permit', '--purpose', 'survey', '--customer', 'ann'], 10)):
            self.assertEqual(len(self.run_lapse(*args, 'none.csv')[0].splitlines()), 1 + rows)

    def test_policies_that_come_with_it(self):
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'examples', 'policies')
        files = sorted(os.listdir(folder))
        self.assertEqual(files, ['casl.policy', 'double-opt-in.policy', 'ecommerce.policy'])
        for name in files:
            path = os.path.join(folder, name)
            with open(path, encoding='utf-8') as f:
                lines = f.read().splitlines()
            self.assertIn('not legal advice', ' '.join(lines).lower())
            settings = [line for line in lines if line and not line.startswith('#')]
            self.assertTrue(all(' # ' in line for line in settings)) # each with its reason
            rows = self.run_lapse('policy', '--policy', path)[0].splitlines()
            self.assertEqual(len(rows), 31)
        self.write('e.csv', 'customer,time,kind\nann,2024-01-06,order.placed\n')
        casl = os.path.join(folder, 'casl.policy')
        for at, reason in (('2026-01-05', 'allow,,,'), ('2026-01-06', 'deny,consent_expired,consent_expired,')):
            out, _ = self.run_lapse('permit', 'e.csv', '--purpose', 'marketing', '--channel', 'sms', '--policy', casl,
                                    '--as-of', at)
            self.assertEqual(out.splitlines()[1], 'ann,sms,marketing,' + reason)

    def test_help_of_events(self):
        out, err = self.run_lapse('help', 'events')
        self.assertEqual(err, '')
        self.assertLessEqual(max(len(line) for line in out.splitlines()), 80)
        with open(os.path.join(ROOT, 'include', 'lapse', 'event.h')) as f:
            names = re.findall(r'^    LAPSE_(KIND|CHANNEL|PURPOSE|PLATFORM)_(\w+) = \d+', f.read(), re.M)
        parts = {title: text.split() for title, text in re.findall(r'^(\w+)[^\n]*:\n((?:  .*\n)+)', out, re.M)}
        for group, title in (('KIND', 'Kinds'), ('CHANNEL', 'Channels'), ('PURPOSE', 'Purposes'),
                             ('PLATFORM', 'Platforms')):
            self.assertEqual([name.upper().replace('.', '_') for name in parts[title]],
                             [name for kind, name in names if kind == group])
        self.assertEqual(len(parts['Kinds']), 69)
        self.run_lapse('events', code=2)

    def test_man_page_names_all(self):
        with open(MAN) as f:
            man = f.read().replace('\\-', '-')
        for command in COMMANDS:
            self.assertRegex(man, r'(?m)^\.B[IR] %s ' % command)
            for option in self.options_of(command):
                self.assertRegex(man, r'(?m)^\.B[IR]? --%s\b' % option)
        told = set(re.findall(r'(?m)^\.TP\n\.B[IR]? --([a-z-]+)', man))
        self.assertEqual(told, set().union(*(self.options_of(command) for command in COMMANDS)))


class Readme(Command):
    def setUp(self):
        super().setUp()
        path = os.path.join(ROOT, 'README.md')
        if not os.path.exists(path):
            self.skipTest('no README.md')
        with open(path) as f:
            self.text = f.read()

    def test_what_is_shown_is_what_comes(self):
        """On a terminal, in the folder of the project."""
        os.symlink(os.path.abspath(EXAMPLES), self.path('examples'))
        shown = ''.join(re.findall(r'^```console\n(.*?)^```$', self.text, re.M | re.S))
        commands = re.findall(r'^\$ (.*)\n((?:(?!\$ ).*\n)*)', shown, re.M)
        self.assertGreater(len(commands), 2)
        env = {**os.environ, 'PATH': os.path.dirname(LAPSE) + ':' + os.environ['PATH']}
        for command, want in commands:
            with self.subTest(command):
                self.assertEqual(self.on_terminal('sh', '-c', command, env=env), want)

    def test_program(self):
        with open(os.path.join(EXAMPLES, 'first_steps.c')) as f:
            self.assertEqual(re.findall(r'^```c\n(.*?)^```$', self.text, re.M | re.S), [f.read()])


def main():
    global LAPSE
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    LAPSE = os.path.abspath(sys.argv[1])
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    failed = len({test.id().split(' ')[0] for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    print('%d passed, %d failed, %d skipped' % (result.testsRun - failed - skipped, failed, skipped))
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
