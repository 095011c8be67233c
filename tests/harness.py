"""What the Python suites share: the command, given as first argument, a way to compare it with the reference, and a way to
count.

A case is a function whose name begins with `case_`; it fails by raising, and is skipped by raising Skip. One that
begins with `cases_` only calls run() for several.
"""
import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

import reference


class Skip(Exception):
    """Raised with the reason."""


class Ran:
    def __init__(self, args, done):
        self.args, self.code = args, done.returncode
        self.out, self.err = done.stdout, done.stderr.decode('utf-8', 'backslashreplace')

    def rows(self):
        """The answer as lists of cells."""
        return list(csv.reader(io.StringIO(self.out.decode('utf-8'), newline=''), strict=True))

    def __str__(self):
        return '%s\n  exit %d\n  stdout: %s\n  stderr: %s' % (
            ' '.join(map(repr, self.args)), self.code, self.out[:600].decode('utf-8', 'backslashreplace'),
            self.err[:1500])


class Command:
    """The built command; every call gets the same bare environment, so that none can matter."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.env = {'PATH': os.environ.get('PATH', ''), 'LC_ALL': 'C', 'TZ': 'UTC'}
        for name in os.environ:
            if name.startswith(('ASAN_', 'UBSAN_', 'LSAN_')):
                self.env[name] = os.environ[name]

    def __call__(self, *args, exit=0, stdin=b'', env=None, cwd=None):
        args = [self.path] + [a if isinstance(a, bytes) else str(a) for a in args]
        done = subprocess.run(args, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**self.env, **(env or {})}, cwd=cwd, timeout=300)
        ran = Ran(args, done)
        if exit is not None and ran.code != exit:
            raise AssertionError('exit %d expected\n%s' % (exit, ran))
        return ran

    def counts(self, *args, **more):
        """`import`: one tuple of read, accepted, duplicate, conflict, erased, rejected a file."""
        rows = self('import', *args, **more).rows()
        assert rows[0] == 'read accepted duplicate conflict erased rejected'.split(), rows[0]
        counts = [tuple(map(int, row)) for row in rows[1:]]
        for c in counts:
            assert c[0] == sum(c[1:]), 'read is not the sum of the others (F15): %s' % (c,)
        return counts


def same(got, expected, what=''):
    """Tables of cells, equal as text."""
    if got == expected:
        return
    lines = ['%s: %d rows, %d expected' % (what, len(got), len(expected))]
    for n, (g, e) in enumerate(zip(got, expected)):
        if g != e:
            lines += ['row %d: got      %s' % (n, g), 'row %d: expected %s' % (n, e)]
            if len(lines) > 8:
                break
    longer = got if len(got) > len(expected) else expected
    lines += ['more: %s' % row for row in longer[min(len(got), len(expected)):][:3]]
    raise AssertionError('\n'.join(lines))


class Suite:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.folder = tempfile.mkdtemp(prefix='lapse-test-')
        self.only = sys.argv[2:]

    def run(self, name, function, *args):
        if self.only and not any(word in name for word in self.only):
            return
        try:
            function(*args)
            self.passed += 1
        except Skip as reason:
            self.skipped += 1
            print('skipped: %s: %s' % (name, reason), flush=True)
        except Exception as problem:  # noqa: a case may fail in any way, the others still run
            self.failed += 1
            detail = str(problem) if isinstance(problem, AssertionError) and str(problem) else traceback.format_exc()
            print('FAILED: %s\n  %s' % (name, detail.strip().replace('\n', '\n  ')), flush=True)

    def run_all(self, module):
        for name, function in list(module.items()):
            if name.startswith('cases_'):
                function()
            elif name.startswith('case_'):
                self.run(name[5:], function)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(data.encode('utf-8') if isinstance(data, str) else data)
        return path

    def end(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        print('%d passed, %d failed, %d skipped' % (self.passed, self.failed, self.skipped))
        sys.exit(1 if self.failed else 0)


lapse = Command(sys.argv[1])
suite = Suite()

# Customers whose ids are awkward for a reader, a writer or an order that is not of bytes.
CUSTOMERS = ['a', 'A', 'aa', 'b,c', 'say "hi"', 'é', 'ß', '日本', 'line\nbreak', 'crlf\r\nbreak', 'cr\rinside', '-7', '=1+1', ' ',
             'a ', '0', '00', '😀', "O'Neil", 'tab\there', '\x01', 'z' * 255]


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def csv_rows(text):
    return list(csv.reader(io.StringIO(text, newline='')))


def new_store(name, *options):
    path = suite.path(name + '.lapse')
    if os.path.exists(path):
        os.remove(path)
    lapse('create', path, *options)
    return path


# ---- options of rfm: the words for the command, and the same for the reference ---------------------------------------

TABLES = {
    'grid': 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nbest,4,,4,,4,\nrecent,4,,,,,\nold,,1,,,,\nold,2,2,1,1,,\n'
            '"middle, ""rich""",2,3,,,3,\n',
    'all': 'segment,r_min,r_max,f_min,f_max,m_min,m_max\neverybody,,,,,,\n',
    'ten': 'segment,r_min,r_max,f_min,f_max,m_min,m_max\ntop,10,10,,,,\nlow,1,5,1,10,1,10\nhigh,6,9,1,10,1,10\n',
}


def words(options):
    out = []
    for name, value in options.items():
        if name == 'bins':
            out += ['--bins', ','.join(map(str, value))]
        elif name == 'nested':
            out += ['--nested'] if value else []
        elif name == 'weights':
            out += ['--weights', ','.join(map(str, value))]
        elif name == 'segments':
            out += ['--segments', suite.write('segments-%s.csv' % value, TABLES[value])]
        elif name == 'zero_is_valid':
            out += ['--set', 'order.zero_is_valid=%d' % value]
        elif name == 'as_of':
            out += ['--as-of', value if isinstance(value, str) else reference.format_time(value)]
        else:
            out += ['--' + name, value]
    return out


def meaning(options, zone=reference.UTC):
    out = dict(options)
    if 'segments' in out:
        out['segments'] = reference.read_segments(TABLES[out['segments']])
    if isinstance(out.get('as_of'), str):
        out['as_of'] = reference.parse_time(out['as_of'], zone)
    return out


def compare(held, place, options, more=()):
    """Both answers of the command on `place` (a store, or an event file with its options in `more`)."""
    for command, answer in (('rfm', reference.rfm), ('segments', reference.segments)):
        ran = lapse(command, place, *words(options), '--format', 'csv', *more)
        same(ran.rows(), answer(held, **meaning(options, held.zone)), '%s %s' % (command, options))
