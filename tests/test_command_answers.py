#!/usr/bin/env python3
"""Answers and upkeep through the `lapse` command: what each option changes in them.

usage: test_command_answers.py PATH-OF-LAPSE"""
import os
import sqlite3
import stat

from command_suite import EXAMPLES, MAN, Command, main


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
        folder = os.path.join(EXAMPLES, 'policies')
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


if __name__ == '__main__':
    main(__doc__)
