#!/usr/bin/env python3
"""Drives the `lapse` command from outside: exit codes, options, messages, help, man page and README. What the answers
say is tested elsewhere.

usage: test_command.py PATH-OF-LAPSE"""
import os
import re

from command_suite import COMMANDS, EXAMPLES, LAPSE, MAN, ROOT, Command, main


class Usage(Command):
    def test_no_command(self):
        out, err = self.run_lapse(code=2)
        self.assertEqual(out, '')

    def test_unknown_command(self):
        for name in ('state', 'RFM', '', '--format', 'rfms'):
            with self.subTest(name):
                self.run_lapse(name, 'orders.csv', code=2)
        self.assertIn('comes first: lapse rfm orders.csv', self.run_lapse('orders.csv', 'rfm', code=2)[1])
        for name, meant in (('state', 'states'), ('rfms', 'rfm'), ('segment', 'segments'), ('survive', 'survival')):
            with self.subTest(name):
                self.assertIn(f'try {meant}\n', self.run_lapse(name, 'orders.csv', code=2)[1])
                self.assertIn(f'try {meant}\n', self.run_lapse('help', name, code=2)[1])
        self.assertNotIn('try', self.run_lapse('xyz', code=2)[1])

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


if __name__ == '__main__':
    main(__doc__)
