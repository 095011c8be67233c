"""Changes told once, customers forgotten, stores salvaged and keys, from Python, against the command."""
import datetime
import threading

from python_suite import EXAMPLE, UTC, lapse, raises, suite  # first: it finds the others
import harness
from lapse import _lib


def pair(name):
    """Two equal stores in files: one for the package, one for the command."""
    paths = suite.path(name + '.lapse'), suite.path(name + '-command.lapse')
    for path in paths:
        with lapse.open(path) as store:
            store.import_csv(EXAMPLE)
    return paths


def case_changes_are_those_of_the_command():
    path, other = pair('advance')
    settings = ['--set', 'purchase.risk=1m', '--set', 'purchase.inactive=2m', '--set', 'purchase.lost=3m']
    policy = {'purchase.risk': '1m', 'purchase.inactive': '2m', 'purchase.lost': '3m'}

    def command(at, *words):
        return harness.lapse('advance', other, '--as-of', at, *words).out.decode('utf-8')

    with lapse.open(path) as store:
        assert store.next_deadline() is None
        first = store.advance('2024-04-01').to_csv()
        assert first == command('2024-04-01') and first.count('\n') > 20, first
        deadline = store.next_deadline()
        assert deadline is not None and deadline > datetime.datetime(2024, 4, 1, tzinfo=UTC)
        assert store.advance('2024-04-01').to_csv() == first  # nothing is confirmed
        few = list(store.advance('2024-04-01', limit=3))
        assert [row.seq for row in few] == [1, 2, 3] and few[0]['from'] != few[0].to
        assert few[0].effective_time.tzinfo is not None and few[0].corrected == 0
        assert store.acknowledged() == 0
        store.acknowledge(3)
        store.acknowledge(2)
        assert store.acknowledged() == 3
        harness.lapse('ack', other, '3')
        rest = store.advance('2024-04-01').table()
        assert rest['seq'][0] == 4 and 3 + len(rest) == first.count('\n') - 1
        store.acknowledge(rest['seq'][-1])
        harness.lapse('ack', other, str(rest['seq'][-1]))
        assert len(store.advance(deadline - datetime.timedelta(microseconds=1)).table()) == 0
        due = list(store.advance(deadline))
        assert due and all(row.cause == 'timer' and row.effective_time == deadline for row in due), due
        store.acknowledge(due[-1].seq)
        assert raises(lapse.BadInput, store.acknowledge, due[-1].seq + 1).status == 'bad_input'
        raises(lapse.BadInput, store.advance, '2024-04-01')
        raises(lapse.BadInput, store.advance, '2024-07-01', policy=policy)
        command(lapse.format_time(deadline))
        harness.lapse('ack', other, str(due[-1].seq))
        adopted = store.advance('2024-07-01', policy=policy, adopt_policy=True).to_csv()
        assert adopted == command('2024-07-01', '--adopt-policy', *settings) and ',policy,' in adopted
        raises(lapse.Invalid, store.advance, '2024-07-01', policy=policy, limit=-1)


def case_a_baseline_tells_nothing():
    with lapse.open() as store:
        store.import_csv(EXAMPLE)
        assert len(store.advance('2024-04-01', baseline=True).table()) == 0
        store.append([{'customer': 'zoe', 'time': '2024-04-02', 'amount': 5}])
        assert {row.customer for row in store.advance('2024-04-03')} >= {'zoe'}


def case_what_progress_raises_leaves_all_as_it_was():
    def fail(done, total):
        raise KeyError('mine')
    with lapse.open() as store:
        store.append({'customer': ['c%05d' % i for i in range(20000)], 'time': ['2024-01-01'] * 20000})
        raises(KeyError, store.advance, '2024-02-01', progress=fail)
        raises(lapse.Cancelled, store.advance, '2024-02-01', progress=lambda done, total: True)
        assert store.next_deadline() is None
        told = []
        first = next(iter(store.advance('2024-02-01', progress=lambda done, total: told.append(done))))
        assert first.seq == 1 and told == sorted(told) and told
        raises(KeyError, store.forget, 'c00001', at='2024-03-01', progress=fail)
        assert store.info()['customers'] == 20000


def case_forgetting():
    path, other = pair('forget')
    with lapse.open(path) as store:
        view = store.view()
        events = len(view.history('gus').table()) + len(view.history('hana').table())
        raises(lapse.NotFound, store.forget, ['gus', 'nobody'], at='2024-07-01')
        assert store.forget(['gus', 'hana', 'gus'], at='2024-07-01') == lapse.Forgotten(2, events)
        raises(lapse.Stale, view.history, 'gus')
        harness.lapse('forget', other, 'gus', 'hana', '--at', '2024-07-01')
        assert store.everything().events().to_csv() == harness.lapse('export', other).out.decode('utf-8')
        assert store.view().permit_one('gus', 'email', 'marketing').reason == 'erased'
        assert store.import_csv(EXAMPLE).erased == events
        raises(lapse.NotFound, store.forget, 'gus', at='2024-07-01')
        assert store.append([{'customer': 'gus', 'time': '2024-07-02'}]).accepted == 1
        assert store.forget([], at='2024-07-03') == lapse.Forgotten(0, 0)
        assert store.forget('cleo', at=datetime.datetime(2024, 7, 3, tzinfo=UTC)).customers == 1
        raises(TypeError, store.forget, [7], at='2024-07-03')
        raises(TypeError, store.forget, 'emil')


def case_a_reader_of_old_pages_is_told():
    """A verification that stands still keeps the log: the customer is gone all the same, and the next call finishes."""
    path = suite.path('pending.lapse')
    with lapse.open(path) as store:
        store.import_csv(EXAMPLE)
    entered, done = threading.Event(), threading.Event()

    def wait(_, __):
        entered.set()
        done.wait(60)
        return 0

    def read():
        with lapse.open(path) as other:
            other.verify(progress=wait)
    with lapse.open(path, timeout=0.05) as store:
        thread = threading.Thread(target=read)
        thread.start()
        try:
            assert entered.wait(60)
            pending = raises(lapse.ErasePending, store.forget, 'gus', at='2024-07-01')
            assert pending.status == 'erase_pending' and pending.forgotten.customers == 1 and pending.forgotten.events > 0
        finally:
            done.set()
            thread.join()
        raises(lapse.NotFound, store.view().history, 'gus')
        assert store.forget([], at='2024-07-01') == (0, 0)


def case_salvage():
    path = suite.path('salvage.lapse')
    with lapse.open(path) as store:
        for day in range(1, 21):
            store.append([{'customer': 'c%05d' % i, 'time': '2024-01-%02d' % day, 'amount': i} for i in range(3000)])
        store.compact()
        whole = store.salvage()
        assert whole.notes == [] and whole.to_csv() == store.everything().events().to_csv()
        events = store.info()['events']
    data = bytearray(harness.read(path))
    for i in range(len(data) // 2, len(data) // 2 + 64):
        data[i] ^= 0xFF
    with open(path, 'wb') as file:
        file.write(data)
    with lapse.open(path, verify=True) as broken:
        assert not broken.verify().ok
        result = broken.salvage()
        assert result.notes
        text = result.to_csv()
    expected = harness.lapse('export', path, '--salvage', exit=3).out.decode('utf-8')
    assert text == expected and 1 < text.count('\n') < events + 1, (text.count('\n'), events)


def case_keys():
    key = bytes(range(32))
    path = suite.path('key.lapse')
    file = suite.write('key.txt', key.hex() + '\n')
    other = suite.path('key-command.lapse')
    harness.lapse('create', other, '--key', file)
    row = {'customer': 'ann', 'time': '2024-01-01', 'kind': 'endpoint.added', 'channel': 'email', 'endpoint': 'ann@example.org'}
    with lapse.open(path, key=key) as store, lapse.open(other) as same, lapse.open(suite.path('drawn.lapse')) as drawn:
        for each in (store, same, drawn):
            each.append([row])
        hashed = [each.everything().events().table()['endpoint'][0] for each in (store, same, drawn)]
        assert hashed[0] == hashed[1] != hashed[2], hashed
    lapse.open(path, key=bytearray(key)).close()
    raises(lapse.BadInput, lapse.open, path, key=bytes(32))
    assert '32' in str(raises(ValueError, lapse.open, key=b'short'))


def case_every_status_has_an_exception():
    unknown = _lib.lib.status_name(1000)
    assert sorted(_lib.STATUS) == [value for value in range(100) if _lib.lib.status_name(value) != unknown]


suite.run_all(globals())
suite.end()
