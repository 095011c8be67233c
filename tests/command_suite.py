"""What the suites that drive the `lapse` command from outside share: its path, given as the only argument, a folder for each
test with a file of orders in it, and what comes of a run."""
import csv
import io
import os
import pty
import subprocess
import sys
import tempfile
import unittest

LAPSE = os.path.abspath(sys.argv[1]) if len(sys.argv) == 2 else ''
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
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


def main(usage):
    if len(sys.argv) != 2:
        sys.exit(usage)
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    failed = len({test.id().split(' ')[0] for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    print('%d passed, %d failed, %d skipped' % (result.testsRun - failed - skipped, failed, skipped))
    sys.exit(failed > 0)
