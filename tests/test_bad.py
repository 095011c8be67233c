"""Bad inputs as data: each file of data/bad/manifest.csv breaks one rule; usage.csv holds command lines.

    python3 test_bad.py LAPSE [part of a name ...]

Columns of the manifest: the options of the import, its exit code, the line and column that must be named (`|`
between names that are as good), the text that must be shown, a pattern that the rule must match, the option that
the message must offer, what `--on-error skip` must count as rejected (or `stops`), options of `create`, and the
ruling. `\\xNN` is a byte. Every file goes into a store that holds something, and must leave it as it was.
"""
import csv
import os
import random
import re
import shlex
import shutil
import sys

sys.dont_write_bytecode = True
from harness import lapse, suite  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BAD = os.path.join(HERE, 'data', 'bad')
BEFORE = ('customer,time,kind,channel,amount,ref,event_id,source\n'
          'a,2023-05-01,order.placed,,10.00,1,,\n"x ""1""\ny",2023-05-02,order.placed,,4.00,2,,web\n'
          'a,2023-06-01T10:00:00.5Z,consent.granted,email,,,e1,crm\na,2023-05-01,order.placed,,10.00,1,,\n')


def unescape(text):
    out = re.sub(rb'\\x([0-9a-f]{2})', lambda m: bytes([int(m[1], 16)]), text.encode('utf-8'))
    return out


def plain(data):
    return all(32 <= byte < 127 for byte in data)


def record_at(data, line):
    """The record that begins on a physical line, as it stands, without its line end; a quote opens at the
    beginning of a field only."""
    start = 0
    for _ in range(line - 1):
        start = data.index(b'\n', start) + 1
    quoted, field_start, i = False, True, start
    while i < len(data):
        byte = data[i:i + 1]
        if quoted:
            if byte == b'"' and data[i + 1:i + 2] == b'"':
                i += 1
            elif byte == b'"':
                quoted = False
        elif byte == b'"' and field_start:
            quoted = True
        elif byte == b'\n':
            break
        field_start = not quoted and byte in (b',', b'\t')
        i += 1
    row = data[start:i]
    return row[:-1] if row.endswith(b'\r') and i < len(data) else row


made = {}


def fresh_store(name, create):
    """A copy of a store with events in it, and its export."""
    if create not in made:
        store = suite.path('before-%d.lapse' % len(made))
        lapse('create', store, *shlex.split(create))
        text = BEFORE.replace('.00', '') if '--digits 0' in create else BEFORE
        lapse('import', store, suite.write('before.csv', text))
        made[create] = store, lapse('export', store).out
    store, before = made[create]
    return shutil.copy(store, suite.path(name + '.lapse')), before


def check_message(case, err):
    name, line = case['file'], int(case['line'] or 0)
    assert name in err, 'the file is not named: ' + err
    assert not line or re.search(r'\bline %d\b' % line, err), 'line %d is not named: %s' % (line, err)
    columns = [c.replace('\\*', '*') for c in re.split(r'\|', case['column'])]
    assert any(c in err for c in columns), 'column %s is not named: %s' % (case['column'], err)
    text = unescape(case['text'])
    if text and plain(text):
        assert text.decode() in err, 'the text %r is not shown: %s' % (text, err)
    rest = err.replace(name, '')
    assert re.search(case['message'], rest, re.I), 'the rule (%s) is not told: %s' % (case['message'], err)
    if case['hint']:
        assert case['hint'] in err, 'the option %s is not offered: %s' % (case['hint'], err)


def stops(case):
    """Exit code and message as the manifest says; the store is as it was."""
    path, options = os.path.join(BAD, case['file']), shlex.split(case['options'])
    store, before = fresh_store(case['file'], case['create'])
    ran = lapse('import', store, path, *options, exit=int(case['exit']))
    check_message(case, ran.err)
    assert lapse('export', store).out == before, 'the store changed'
    if not case['create']:
        direct = lapse('rfm', path, *options, exit=1)                             # K2
        check_message(case, direct.err)
        assert not direct.out, direct


def skips(case):
    """With --on-error skip the good rows go in and the bad ones are told; without it, and dry, nothing happens."""
    path, options = os.path.join(BAD, case['file']), shlex.split(case['options'])
    store, before = fresh_store(case['file'] + '-skip', case['create'])
    rejects = suite.path('rejects.csv')
    skip = [*options, '--on-error', 'skip', '--rejects', rejects]
    if case['skip'] == 'stops':
        lapse('import', store, path, *skip, exit=int(case['exit']))
        assert lapse('export', store).out == before, 'the store changed'
        return
    dry = lapse.counts(store, path, *skip, '--dry-run')
    assert lapse('export', store).out == before, 'a dry run changed the store'
    counts = lapse.counts(store, path, *skip)
    assert counts == dry, 'dry run %s, real run %s' % (dry, counts)
    (read, accepted, duplicate, conflict, erased, rejected), = counts
    assert (duplicate, conflict, erased, rejected) == (0, 0, 0, int(case['skip'])), counts
    assert accepted == read - rejected > 0, counts
    assert len(lapse('export', store).rows()) == accepted + len(BEFORE_ROWS)
    with open(rejects, 'rb') as f:
        raw = f.read()
    told = list(csv.reader(raw.decode('utf-8', 'surrogateescape').replace('\0', '\ue000').splitlines(True)))
    assert told[0] == 'line column text rule row'.split(), told[0]                 # F22
    assert len(told) == 1 + rejected, told
    line, column, text, rule, row = told[1]
    assert line == case['line'], told[1]
    assert column in [c.replace('\\*', '*') for c in case['column'].split('|')], told[1]
    expected = unescape(case['text'])
    if expected and plain(expected):
        assert expected.decode() in text, told[1]
    assert re.search(case['message'], rule, re.I), told[1]
    with open(path, 'rb') as f:
        stood = record_at(f.read(), int(line))
    assert row.replace('\ue000', '\0').encode('utf-8', 'surrogateescape') == stood, (row, stood)


def usage(case):
    """A command line and its exit code; nothing on stdout, something to read on stderr, the store as it was."""
    store, before = fresh_store('usage-%d' % case['number'], '')
    orders = suite.write('orders.csv', 'customer,time,amount\na,2024-01-01,1.00\nb,2024-02-01,2.00\n')
    places = {'store': store, 'orders': orders, 'folder': suite.folder, 'missing': suite.path('not-there'),
              'segments': suite.write('segments.csv', unescape(case['segments']) if case['segments'] else b''),
              'policy': suite.write('policy.txt', unescape(case['policy']) if case['policy'] else b''),
              'damaged': suite.write('damaged.lapse', b'SQLite format 3\0' + b'not at all' * 500)}
    ran = lapse(*[word.format(**places) for word in shlex.split(case['args'])], exit=int(case['exit']))
    assert not ran.out, ran
    assert re.search(case['message'], ran.err, re.I), ran
    assert lapse('export', store).out == before, 'the store changed'


def records(name):
    with open(os.path.join(BAD, name), newline='', encoding='utf-8') as f:
        return list(csv.DictReader(f))


BEFORE_ROWS = [1, 2, 3, 4, 5]  # the header and four events

manifest = records('manifest.csv')


def case_every_file_is_in_the_manifest():
    files = sorted(name for name in os.listdir(BAD) if name not in ('manifest.csv', 'usage.csv'))
    assert files == sorted(case['file'] for case in manifest)


# ---- hostile files that no rule names: the command may refuse, it may not fall over ------------------------------------

def case_mutated_files():
    rng = random.Random(11)
    seeds = [BEFORE.encode()]
    for name in ('orders.csv', 'zone.csv', 'scores.csv'):
        with open(os.path.join(HERE, 'data', 'good', name), 'rb') as f:
            seeds.append(f.read())
    pieces = [b'"', b'""', b',', b'\n', b'\r', b'\r\n', b'\0', b'\xff', b'\xef\xbb\xbf', b'-', b'@', b'.', b'9' * 40, b'hash:', b'T',
              b'order.refunded', b'\xf0\x9f\x98\x80', b' ', b'']
    for n in range(250):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data) + 1)
            data[at:at + rng.choice([0, 0, 1, 1, 2, 40])] = rng.choice(pieces)
        path = suite.write('mutated.csv', bytes(data))
        options = rng.choice([[], ['--negative', 'refund'], ['--ignore-unknown'], ['--threads', '3']])
        skip = rng.choice([[], ['--on-error', 'skip']])
        ran = lapse('export', path, *options, *skip, exit=None)
        assert ran.code in (0, 1), (n, ran)
        assert ran.code == 0 or (ran.err and not ran.out), (n, ran)
        if ran.code == 0:
            again = lapse('export', suite.write('again.csv', ran.out)).out
            assert again == ran.out, (n, ran)


def case_giant_fields_and_rows():
    row = b'customer,time,ref\na,2024-01-01,1\nb,2024-01-02,%s\nc,2024-01-03,3\n'
    for cell in (b'x' * 5_000_000, b'"' + b'x\n' * 2_000_000 + b'"', b',' * 3_000_000):
        path = suite.write('giant.csv', row % cell)
        ran = lapse('rfm', path, exit=1)
        assert 'line 3' in ran.err and len(ran.err) < 5000, ran
        assert len(lapse('rfm', path, '--on-error', 'skip').rows()) == 3
    lapse('rfm', suite.write('giant.csv', row % (b'"' + b'x' * 5_000_000)), '--on-error', 'skip', exit=1)
    lapse('rfm', suite.write('giant.csv', b'customer,time' + b',x' * 1_000_000 + b'\n'), exit=1)
    lapse('rfm', suite.write('giant.csv', b'y' * 5_000_000), exit=1)


def case_damage_is_found_or_does_no_harm():
    """One byte changed anywhere in a store, or its end cut off: exit 3, or the very same answer."""
    store, _ = fresh_store('damage', '--zone +01:00')
    with open(os.path.join(HERE, 'data', 'good', 'orders.csv'), 'rb') as f:
        lapse('import', store, suite.write('orders.csv', f.read()))
    good = lapse('export', store).out, lapse('rfm', store, '--as-of', '2024-07-01').out
    with open(store, 'rb') as f:
        whole = f.read()
    rng, found = random.Random(4), 0
    places = sorted(rng.sample(range(16, len(whole)), 150)) + [len(whole) // 3, len(whole) - 5000, len(whole) - 1]
    for n, at in enumerate(places):
        data = bytearray(whole)
        if n < 150:
            data[at] ^= rng.choice([1, 2, 64, 128, 255])
        else:
            del data[at:]
        hurt = suite.write('hurt.lapse', bytes(data))
        for command, expected in zip((['export', hurt], ['rfm', hurt, '--as-of', '2024-07-01']), good):
            ran = lapse(*command, exit=None)
            assert ran.code in (0, 3), (at, ran)
            if ran.code == 0:
                assert ran.out == expected, 'byte %d: damage is read as if it were an answer' % at
            else:
                assert ran.err, (at, ran)
                found += 1
    assert found > 20, found


suite.run_all(globals())
for bad in manifest:
    suite.run(bad['file'][:-4], stops, bad)
    suite.run(bad['file'][:-4] + ', --on-error skip', skips, bad)
for number, bad in enumerate(records('usage.csv')):
    bad['number'] = number
    suite.run('usage: ' + bad['args'], usage, bad)
suite.end()
