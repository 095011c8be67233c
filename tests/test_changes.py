"""`advance` and `ack` of the command against tests/reference_changes.py, on random delivery schedules.

    python3 test_changes.py LAPSE [--histories N] [--seed S] [part of a name ...]

Random histories, 20 side by side, arrive in pieces and in any order: late, doubled, with retractions and a future. Between
the pieces the store is advanced, and records are confirmed, or not. What is told must be what the reference tells, byte for
byte; a second store that gets the same events in other pieces must tell the same; and a host that drops what it has seen must
end with the states themselves.
"""
import csv
import io
import sys

sys.dont_write_bytecode = True


def option(name, default):
    if name not in sys.argv:
        return default
    at = sys.argv.index(name)
    value = type(default)(sys.argv[at + 1])
    del sys.argv[at:at + 2]
    return value


HISTORIES, SEED = option('--histories', 400), option('--seed', 1)

import histories  # noqa: E402
import reference  # noqa: E402
import reference_changes as C  # noqa: E402
import reference_state as R  # noqa: E402
from harness import lapse, new_store, same, suite  # noqa: E402

BATCH = 20
ZONES = ['+00:00', '+00:00', '+05:30', 'Europe/Paris']
LATEST = ['--received-at', '2990-01-01']


def identified(rows):
    return [{**row, 'event_id': row['event_id'] or 'n%d' % n} for n, row in enumerate(rows)]


class Store:
    """The file and the reference beside it."""

    def __init__(self, name, zone):
        self.path, self.zone, self.files = new_store(name, '--zone', zone), zone, 0
        self.held, self.teller = reference.Store(zone), C.Teller()

    def take(self, rows):
        if not rows:
            return
        data = histories.render(rows)
        self.held.import_events(R.read_events(data.encode(), 'file', zone=self.held.zone))
        lapse('import', self.path, suite.write('piece.csv', data), '--source', 'file', *LATEST)

    def view(self, as_of):
        return R.View(self.held, as_of).histories

    def words(self, as_of, settings, more=()):
        out = ['advance', self.path, '--as-of', reference.format_time(as_of), '--format', 'csv', *more]
        for name, value in settings.items():
            out += ['--set', '%s=%s' % (name, value)]
        return out


class Host:
    """Acts once on each seq, and keeps what it was told."""

    def __init__(self):
        self.states, self.seen = {}, 0

    def hear(self, rows):
        for row in rows[1:]:
            seq, customer, region, key, old, new = row[:6]
            if int(seq) <= self.seen:
                continue
            at = (customer, region, key)
            assert self.states.get(at, C.INITIAL[region]) == old, 'the chain does not join up: %s' % row
            assert old != new, row
            self.states[at], self.seen = new, int(seq)


def told_of(out):
    return list(csv.reader(io.StringIO(out.decode(), newline=''), strict=True))


def choose(expected, got):
    """Takes over the cause told where the reference leaves a choice; for good, since records share their lists."""
    for one, other in zip(expected[1:], got[1:]):
        if '|' in one[7] and other[7] in one[7].split('|'):
            one[7] = other[7]
    return expected


def schedule(seed):
    rng = histories.seeded(seed)
    settings = histories.draw_policy(rng)
    while True:
        rows, asked = histories.draw(rng, BATCH, False, None, False, R.Policy(settings))
        if rows:
            break
    rows = identified(rows)
    zone = rng.choice(ZONES)
    one, two, host = Store('one', zone), Store('two', zone), Host()
    late = rng.random() < 0.5
    if not late:
        rows.sort(key=lambda row: row['_time'])
    cuts = sorted(rng.randint(0, len(rows)) for _ in range(rng.randint(1, 4)))
    pieces = [rows[a:b] for a, b in zip([0] + cuts, cuts + [len(rows)])]
    instants = sorted(rng.choice(asked) for _ in pieces)
    instants[-1] = max(asked) + rng.choice([0, histories.DAY, 400 * histories.DAY])
    baseline = rng.random() < 0.15
    for n, (piece, as_of) in enumerate(zip(pieces, instants)):
        extra = rng.sample(rows[:len(rows)], rng.randint(0, 2)) if rng.random() < 0.2 else []
        one.take(piece + extra)
        again = list(piece + extra)
        rng.shuffle(again)
        middle = rng.randint(0, len(again))
        two.take(again[middle:])
        two.take(again[:middle])
        more = []
        if rng.random() < 0.1:
            settings, more = histories.draw_policy(rng), ['--adopt-policy']
        first = baseline and n == 0
        if first:
            more += ['--baseline']
        expected = one.teller.advance(one.view(as_of), as_of, settings, first)
        ran = lapse(*one.words(as_of, settings, more))
        same(told_of(ran.out), choose(expected, told_of(ran.out)), 'seed %d, call %d' % (seed, n))
        assert lapse(*two.words(as_of, settings, more)).out == ran.out, 'seed %d, call %d: the pieces decide' % (seed, n)
        if first:
            host.states = {(h.customer, region, C.printed(region, key)): state for h in one.view(as_of)
                           for (region, key), state in C.states_of(h, R.Policy(settings)).items()}
        host.hear(told_of(ran.out))
        if first:
            continue
        if rng.random() < 0.3:
            assert lapse(*one.words(as_of, settings)).out == ran.out, 'seed %d: told again, and otherwise' % seed
        if rng.random() < 0.3:
            limit = rng.randint(1, 5)
            got = told_of(lapse(*one.words(as_of, settings, ['--limit', str(limit)])).out)
            same(got, expected[:limit + 1], 'seed %d: a limit of %d' % (seed, limit))
        if rng.random() < 0.6 and len(expected) > 1:
            seq = int(rng.choice(expected[1:])[0])
            one.teller.acknowledge(seq)
            for path in (one.path, two.path):
                assert lapse('ack', path, seq).out == b'name,value\nacknowledged,%d\n' % seq
        if rng.random() < 0.2:
            lapse('compact', rng.choice([one.path, two.path]))
        if rng.random() < 0.1:
            for store in (one, two):
                lapse('backup', store.path, store.path + '.copy', '--replace')
                store.path += '.copy'
    now = {(h.customer, region, C.printed(region, key)): state for h in one.view(instants[-1])
           for (region, key), state in C.states_of(h, R.Policy(settings)).items()}
    held = {at: state for at, state in host.states.items() if state != C.INITIAL[at[1]]}
    assert held == now, 'seed %d: the host ends with %s' % (seed, sorted(set(held.items()) ^ set(now.items())))
    for path in (one.path, two.path):
        assert lapse('verify', path).rows()[-1] == ['ok', '1']


def case_the_command():
    """Exit codes, what stands on standard error, and the form of both answers."""
    store = new_store('command')
    lapse('import', store, suite.write('e.csv', 'customer,time\n"a,b",2024-01-01\n'))
    ran = lapse('advance', store, '--as-of', '2024-01-02', '--format', 'csv')
    assert ran.out.decode() == ('seq,customer,region,key,from,to,effective_time,cause,corrected\n'
                                '1,"a,b",stage,,reach,retention,2024-01-01T00:00:00Z,order.placed,0\n'
                                '2,"a,b",engagement,,new,active,2024-01-01T00:00:00Z,order.placed,0\n'
                                '3,"a,b",purchase,,new,active,2024-01-01T00:00:00Z,order.placed,0\n'), ran
    assert 'next deadline 2024-03-31T00:00:00Z' in ran.err, ran
    for seq in '320':  # what is confirmed stays so, and is what is told
        assert lapse('ack', store, seq, '--format', 'csv').out == b'name,value\nacknowledged,3\n'
    for code, said, words in (
            (2, '--as-of', ['advance', store]),
            (2, '--as-of', ['advance', store, '--as-of', 'soon']),
            (2, '--limit', ['advance', store, '--as-of', '2024-02-01', '--limit', '0']),
            (2, 'whole number', ['ack', store, 'three']),
            (2, 'whole number', ['ack', store, '--', '-1']),
            (2, 'operand', ['ack', store]),
            (1, 'path', ['advance', store, '--as-of', '2024-02-01', '--mode', 'path']),
            (1, '2024-01-02T00:00:00Z', ['advance', store, '--as-of', '2024-01-01']),
            (1, '--adopt-policy', ['advance', store, '--as-of', '2024-02-01', '--set', 'engagement.risk=10d']),
            (1, 'the last one has 3', ['ack', store, '4']),
            (3, 'is no store: usage is lapse advance STORE', ['advance', suite.path('e.csv'), '--as-of', '2024-02-01']),
            (3, 'cannot be opened: No such file', ['ack', suite.path('missing'), '1'])):
        ran = lapse(*words, exit=code)
        assert said in ran.err and not ran.out, ran
    assert lapse('advance', store, '--as-of', '2024-01-02', '--format', 'csv').rows() == [C.COLUMNS]
    ran = lapse('advance', store, '--as-of', '2024-02-01', '--set', 'engagement.risk=10d', '--adopt-policy', '--format', 'csv')
    assert [row[7] for row in ran.rows()[1:]] == ['policy'], ran


def case_seen_and_mended_in_one_instant():
    """A way to a customer is first seen by a message, and in the same instant it is good again: as every instant finds it, it
    was never anything else."""
    store, head = new_store('seen'), 'customer,time,kind,channel,platform\n'
    lapse('import', store, suite.write('e.csv', head + 'a,2023-08-31,app.uninstalled,,app\na,2024-01-31,message.sent,push,\n'))
    told = lapse('advance', store, '--as-of', '2024-02-14', '--format', 'csv').rows()
    assert told[-1][2:7] == ['endpoint', 'push/', 'ok', 'no_endpoint', '2024-01-31T00:00:00Z'], told
    lapse('ack', store, told[-1][0])
    lapse('import', store, suite.write('e.csv', head + 'a,2024-01-31,app.installed,,app\n'))
    told = lapse('advance', store, '--as-of', '2024-02-14', '--format', 'csv').rows()
    assert [row[2:] for row in told[1:] if row[3] == 'push/'] == \
        [['endpoint', 'push/', 'no_endpoint', 'ok', '2023-08-31T00:00:00Z', 'app.uninstalled', '1']], told


def case_a_deadline_in_the_instant_of_an_event():
    """An order is cancelled in the instant in which it was to be too long ago: the deadline comes first."""
    store, head = new_store('tie'), 'customer,time,kind,ref,amount\n'
    lapse('import', store, suite.write('e.csv', head + 'a,2024-01-01,order.placed,o,5\na,2025-01-01,order.placed,p,5\n'))
    told = lapse('advance', store, '--as-of', '2025-02-01', '--format', 'csv').rows()
    lapse('ack', store, told[-1][0])
    lapse('import', store, suite.write('e.csv', head + 'a,2026-01-01,order.cancelled,p,\n'))
    told = lapse('advance', store, '--as-of', '2026-01-01', '--format', 'csv').rows()
    assert [row[4:] for row in told[1:] if row[2] == 'purchase'] == [['active', 'lost', '2026-01-01T00:00:00Z', 'timer', '0']], told


def cases_of_schedules():
    for n in range((HISTORIES + BATCH - 1) // BATCH):
        suite.run('schedule %d' % (SEED + n), schedule, SEED + n)


suite.run_all(globals())
suite.end()
