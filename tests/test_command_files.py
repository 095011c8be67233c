#!/usr/bin/env python3
"""The files of the `lapse` command: stores, inputs, zones and rejects; outputs that appear whole or not at all; closed
pipes, full disks, terminals and signals.

usage: test_command_files.py PATH-OF-LAPSE"""
import csv
import io
import os
import random
import re
import signal
import sqlite3
import stat
import subprocess
import time
import unittest

from command_suite import LAPSE, NAMED_ZONES, ORDERS, Command, main


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


if __name__ == '__main__':
    main(__doc__)
