"""`forget` and `--key` through the command: exit codes, what is left of somebody, and stores of one key.

    python3 test_erasure.py LAPSE [part of a name ...]
"""
import os
import sqlite3
import sys

sys.dont_write_bytecode = True
from harness import lapse, same, suite  # noqa: E402

EVENTS = '''customer,time,kind,amount,channel,endpoint,event_id,source
ann,2024-01-01,order.placed,5,,,e1,s
ann,2024-01-02,endpoint.added,,email,Ann@x.org,,s
bob,2024-01-01,order.placed,7,,,e2,s
-7,2024-01-01,order.placed,9,,,,s
'''
DECISION = 'customer channel purpose decision reason reasons until'.split()


def stored(*options):
    store = suite.path('store.lapse')
    if os.path.exists(store):
        os.remove(store)
    lapse('import', store, suite.write('events.csv', EVENTS), *options)
    return store


def case_forget():
    store = stored()
    same(lapse('forget', store, 'ann', '--at', '2024-06-01').rows(), [['name', 'value'], ['customers', '1'], ['events', '2']])
    assert b'ann' not in open(store, 'rb').read()
    same([row[0] for row in lapse('export', store).rows()], ['customer', '-7', 'bob'])
    again = lapse('import', store, suite.write('events.csv', EVENTS)).rows()
    same(again[1:], [['4', '0', '2', '0', '2', '0']], 'read, accepted, duplicate, conflict, erased, rejected')
    same(lapse('permit', store, '--customer', 'ann', '--purpose', 'service', '--channel', 'email').rows(),
         [DECISION, ['ann', 'email', 'service', 'deny', 'erased', 'erased', '']])
    later = suite.write('later.csv', 'customer,time\nann,2024-06-01\nann,2024-06-02\n')
    same(lapse('import', store, later).rows()[1:], [['2', '1', '0', '0', '1', '0']])
    lapse('verify', store)


def case_forget_is_refused():
    store = stored()
    before = lapse('export', store).out
    for ids, exit_code in ((['zoe'], 1), (['ann', 'zoe'], 1), (['x' * 256], 1), (['ann', '--at', 'never'], 2)):
        lapse('forget', store, *ids, exit=exit_code)
        assert lapse('export', store).out == before, ids
    assert 'no event of customer "zoe"; nothing changed' in lapse('forget', store, 'ann', 'zoe', exit=1).err
    lapse('forget', suite.path('none.lapse'), 'ann', exit=3)
    assert not os.path.exists(suite.path('none.lapse'))
    lapse('forget', store, '--', '-7', 'bob', 'ann')
    assert '"ann" is forgotten already, without an event since; nothing changed' in lapse('forget', store, 'ann', exit=1).err
    same(lapse('export', store).rows(), [['customer', 'time', 'kind']])


def case_forget_nobody():
    """Nothing but what an earlier erasure left is cleared."""
    store = stored()
    before = lapse('export', store).out
    ran = lapse('forget', store)
    same(ran.rows(), [['name', 'value'], ['customers', '0'], ['events', '0']])
    assert 'nobody was named' in ran.err and lapse('export', store).out == before, ran
    lapse('forget', exit=2)
    reader = sqlite3.connect(store)
    reader.execute('PRAGMA journal_mode = WAL')
    reader.execute('BEGIN')
    reader.execute('SELECT count(*) FROM sqlite_master').fetchone()  # old pages, for as long as it takes
    ran = lapse('forget', store, 'ann')
    assert 'may still lie' in ran.err and 'lapse forget %s, without a customer' % store in ran.err, ran
    same(ran.rows()[1:], [['customers', '1'], ['events', '2']])
    reader.close()
    ran = lapse('forget', store)
    assert 'may still lie' not in ran.err, ran
    for name in os.listdir(suite.folder):
        if name.startswith('store.lapse'):
            assert b'ann' not in open(suite.path(name), 'rb').read(), name


def case_key():
    key = suite.write('key', '00' * 31 + 'Ff\n')
    one = stored('--key', key)
    two = suite.path('two.lapse')
    lapse('create', two, '--key', key)
    exported = lapse('export', one).out
    assert b'hash:' in exported
    lapse('import', two, suite.write('events.csv', exported))
    assert lapse('export', two).out == exported
    same(lapse('import', two, suite.write('events.csv', EVENTS)).rows()[1:], [['4', '0', '4', '0', '0', '0']])
    assert lapse('export', suite.write('events.csv', EVENTS), '--key', key).out == exported
    assert lapse('export', suite.write('events.csv', EVENTS)).out != exported
    other = suite.write('other', '11' * 32)
    lapse('import', two, suite.write('events.csv', EVENTS), '--key', other, exit=1)
    assert lapse('export', two).out == exported
    for bad in ('', '00' * 31, '00' * 33, 'zz' * 32):
        lapse('create', suite.path('bad.lapse'), '--key', suite.write('bad', bad), exit=1)
    lapse('create', suite.path('bad.lapse'), '--key', suite.path('no such file'), exit=1)
    assert not os.path.exists(suite.path('bad.lapse'))
    lapse('info', two, '--key', key, exit=2)


suite.run_all(globals())
suite.end()
