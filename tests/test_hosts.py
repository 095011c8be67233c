"""The two examples of a host, examples/host.c and examples/host.py, killed at random moments: each change is acted on once, in
order, and what they have done in the end adds up to the states themselves.

    python3 test_hosts.py LAPSE HOST HOST.PY [--kills N] [part of a name ...]
"""
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True
KILLS = 25
if '--kills' in sys.argv:
    at = sys.argv.index('--kills')
    KILLS = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]
HOST, HOST_PY = sys.argv[2:4]
del sys.argv[2:4]

from harness import lapse, new_store, suite  # noqa: E402

KINDS = ['session.started,', 'order.placed,', 'consent.granted,email', 'consent.withdrawn,email', 'account.closed,',
         'customer.registered,']
INITIAL = {'stage': 'reach', 'engagement': 'new', 'purchase': 'new', 'account': 'open', 'rights': 'none', 'consent': 'none',
           'endpoint': 'ok'}


def instant(day):
    return '2024-%02d-%02d' % (1 + day // 28 % 12, 1 + day % 28)


def piece(rng, day):
    rows = ['customer,time,kind,channel,source,event_id']
    for n in range(rng.randint(1, 4)):
        when = max(0, day - rng.choice([0, 0, 0, 3, 20]))                           # some are late
        rows.append('c%d,%s,%s,w,%d-%d' % (rng.randint(0, 9), instant(when), rng.choice(KINDS), day, n))
    return '\n'.join(rows) + '\n'


def in_c(store, as_of, own):
    return [HOST, store, as_of, own]


def in_python(store, as_of, own):
    return [sys.executable, '-B', HOST_PY, lapse.path, store, as_of, own]


def actions_of_c(own):
    for line in open(own, encoding='utf-8'):
        seq, customer, region, key, old, new = line.rstrip('\n').split(' ')
        yield int(seq), (customer, region, key), old, new


def actions_of_python(own):
    for seq, customer, region, key, old, new in sqlite3.connect(own).execute('SELECT * FROM action ORDER BY seq'):
        yield seq, (customer, region, key), old, new


def host(name, words, actions, seconds):
    rng = random.Random(11)
    store, own = new_store(name), suite.path(name + '.own')
    killed = 0
    for day in range(KILLS):
        lapse('import', store, suite.write('piece.csv', piece(rng, day)), '--source', 'w')
        while True:
            process = subprocess.Popen(words(store, instant(day), own), env=lapse.env)
            time.sleep(rng.random() * seconds)
            process.send_signal(signal.SIGKILL)
            if process.wait() == 0:                                                 # it was quicker
                break
            killed += 1
            if rng.random() < 0.3:                                                  # the next day is another chance
                break
    last = instant(KILLS)
    subprocess.run(words(store, last, own), check=True, env=lapse.env)
    states, before = {}, 0
    for seq, at, old, new in actions(own):
        assert seq == before + 1, 'seq %d after %d' % (seq, before)
        assert states.get(at, INITIAL[at[1]]) == old, (seq, at, old, states.get(at))
        states[at], before = new, seq
    assert lapse('advance', store, '--as-of', last, '--format', 'csv').rows()[1:] == []
    fresh = new_store(name + '-fresh')
    lapse('import', fresh, suite.write('all.csv', lapse('export', store, '--format', 'csv').out))
    pure = {tuple(row[1:4]): row[5] for row in lapse('advance', fresh, '--as-of', last, '--format', 'csv').rows()[1:]}
    assert {at: state for at, state in states.items() if state != INITIAL[at[1]]} == pure
    assert killed > 0 and before > KILLS, (killed, before)


def case_host_in_c():
    host('c', in_c, actions_of_c, 0.03)


def case_host_in_python():
    host('python', in_python, actions_of_python, 0.4)


suite.run_all(globals())
suite.end()
