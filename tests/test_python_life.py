"""The Python package over time: zones, files, the policy, threads, garbage collection in any order, what is not
installed, and the wheel."""
import datetime
import gc
import os
import random
import resource
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
import zoneinfo

from python_suite import EXAMPLE, ROOT, UTC, Skip, example, lapse, raises, suite  # first: it finds the others
import harness


# ---- zones and instants ------------------------------------------------------------------------------------------------


def case_zones_are_handed_over_whole():
    draw = random.Random(1)
    for name in ('Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Africa/Casablanca', 'UTC'):
        try:
            tz = zoneinfo.ZoneInfo(name)
        except zoneinfo.ZoneInfoNotFoundError:
            raise Skip('there is no zone data')
        zone = lapse.zone_of(name)
        assert zone == lapse.zone_of(tz)._replace(name=name) and list(zone.starts) == sorted(set(zone.starts))
        for _ in range(2000):
            second = draw.randrange(-2208988800, 7258118400)
            at = datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=second)
            offset = at.astimezone(tz).utcoffset().total_seconds()
            index = max([i for i, start in enumerate(zone.starts) if start <= second * 1000000] or [0])
            assert zone.offsets[index] == offset, (name, at)
    assert lapse.zone_of('+05:30').offsets == (19800,) and lapse.zone_of('UTC').offsets == (0,)
    raises(TypeError, lapse.zone_of, 5)
    raises(Exception, lapse.zone_of, 'Nowhere/Land')


def case_instants():
    store = lapse.open(zone='Europe/Paris')
    paris = lapse.zone_of('Europe/Paris')
    assert paris.name == 'Europe/Paris'
    noon = 1709290800000000
    aware = datetime.datetime(2024, 3, 1, 11, tzinfo=UTC)
    for value in (aware, '2024-03-01T11:00:00Z', '2024-03-01T12:00', datetime.datetime(2024, 3, 1, 12),
                  aware.astimezone(datetime.timezone(datetime.timedelta(hours=9)))):
        assert store.time(value) == noon, value
    assert store.time(datetime.date(2024, 3, 1)) == noon - 12 * 3600 * 1000000
    raises(lapse.BadInput, store.time, datetime.datetime(2024, 3, 31, 2, 30))   # skipped
    raises(lapse.NotFound, store.default_instant)
    raises(LookupError, store.view)
    store.append([{'customer': 'a', 'time': '2024-03-01T12:00'}])
    assert store.default_instant() == datetime.datetime(2024, 3, 1, 23, tzinfo=UTC) == store.view().as_of
    assert store.view(aware).as_of == aware and store.everything().as_of is None
    assert len(list(store.view('2024-03-01T11:59').states())) == 0 and len(list(store.view('2024-03-01T12:00').states())) == 1
    raises(lapse.NotFound, store.view().history, 'nobody')


# ---- stores on disk ------------------------------------------------------------------------------------------------------


def case_files():
    path = suite.path('é shop.lapse')
    with lapse.open(path, zone='Europe/Paris', currency='JPY') as store:
        assert store.digits == 0 and store.path == path
        store.append([{'customer': 'a', 'time': '2024-01-01', 'amount': 5}])
        store.compact()
        copy = suite.path('copy.lapse')
        store.backup(copy)
        raises(lapse.BadInput, store.backup, copy)
        store.backup(copy, replace=True)
        assert store.verify().ok and store.verify().events == 1 and store.verify().problems == []
        with lapse.open(copy, must_exist=True, read_only=True) as other:
            assert other.info()['events'] == 1 and other.digits == 0
            raises(lapse.ReadOnly, other.append, [{'customer': 'a', 'time': '2024-01-01'}])
    assert raises(ValueError, store.info).args[0] == 'this store is closed'
    raises(lapse.BadInput, lapse.open, path, digits=2)
    raises(lapse.BadInput, lapse.open, path, must_be_new=True)
    raises(lapse.IOFailure, lapse.open, suite.path('none.lapse'), must_exist=True)
    raises(lapse.Damaged, lapse.open, suite.write('no.lapse', 'x' * 5000))
    raises(lapse.Invalid, lapse.open, currency='euro')
    raises(ValueError, lapse.open, sync='perhaps')
    data = bytearray(harness.read(copy))
    data[len(data) // 2:len(data) // 2 + 64] = os.urandom(64)
    with open(copy, 'wb') as file:
        file.write(data)
    with lapse.open(copy, verify=True) as broken:
        found = broken.verify()
        assert not found.ok and found.problems, found


def case_policies():
    policy = lapse.Policy({'purchase.lost': '18m'})
    assert policy['purchase.lost'] == '18m' and 'purchase.lost' in list(policy)
    assert repr(policy) == "lapse.Policy({'purchase.lost': '18m'})"
    raises(lapse.NotFound, policy.__setitem__, 'no.such', '1')
    raises(lapse.NotFound, policy.__getitem__, 'no.such')
    raises(lapse.BadInput, policy.__setitem__, 'purchase.lost', 'soon')
    assert policy['purchase.lost'] == '18m'
    assert lapse.Policy.parse('cap.day = 2 # a day\n')['cap.day'] == '2'
    assert raises(lapse.BadInput, lapse.Policy.parse, 'cap.day = 2\nno = 1\n').line == 2
    row = next(row for row in policy.list() if row.name == 'purchase.lost')
    assert (row.value, row.default) == ('18m', '12m')


def case_another_writer_is_waited_for():
    path = suite.path('busy.lapse')
    with lapse.open(path, timeout=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute('BEGIN IMMEDIATE')
        raises(lapse.Busy, store.append, [{'customer': 'a', 'time': '2024-01-01'}])
        other.execute('ROLLBACK')
        assert store.append([{'customer': 'a', 'time': '2024-01-01'}]).accepted == 1
    other.close()


def case_a_fork_is_told():
    if not hasattr(os, 'fork'):
        raise Skip('there is no fork')
    with lapse.open(suite.path('fork.lapse')) as store:
        child = os.fork()
        if child == 0:
            try:
                store.info()
            except lapse.Forked:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        store.info()


# ---- threads and garbage ---------------------------------------------------------------------------------------------------


def case_objects_go_in_any_order():
    """What is still held answers, whatever was let go before it."""
    draw = random.Random(3)
    for _ in range(60):
        store = example()
        view = store.view()
        result = view.rfm()
        parts = view.states().parts()
        table = view.rfm().table()
        column = table['customer']
        capsule = table.__arrow_c_stream__()
        held = {'store': store, 'view': view, 'result': result, 'parts': parts, 'table': table, 'column': column,
                'capsule': capsule}
        del store, view, result, parts, table, column, capsule
        names = list(held)
        draw.shuffle(names)
        for name in names:
            thing = held.pop(name)
            if draw.random() < 0.5 and name != 'table' and hasattr(thing, 'close'):
                thing.close()
            del thing
            if draw.random() < 0.3:
                gc.collect()
            if 'column' in held:
                assert len(held['column'].to_list()) == 12
            if 'view' in held:
                assert len(held['view'].rfm().table()) == 12


def case_a_hundred_thousand_objects():
    """Made and freed in random order by several threads: no fault, and no growth."""
    store = example()
    view = store.view()

    def work(seed, count):
        draw, held = random.Random(seed), []
        for i in range(count):
            what = draw.randrange(5)
            if what == 0:
                held.append(store.view())
            elif what == 1:
                held.append(view.rfm())
            elif what == 2:
                held.append(view.rfm().table())
            elif what == 3:
                held.append(lapse.Policy())
            else:
                held.append(held[draw.randrange(len(held))] if held else view)
            if len(held) > 50:
                held.pop(draw.randrange(len(held)))
            if i % 97 == 0:
                thing = held[-1]
                if thing is not view and hasattr(thing, 'close'):
                    thing.close()

    def run(count):
        threads = [threading.Thread(target=work, args=(seed, count)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
        return resident()

    first = run(2500)
    last = run(25000)
    assert last - first < 16 << 20, 'grew from %d to %d bytes' % (first, last)


def resident():
    try:
        with open('/proc/self/statm') as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def case_long_calls_let_others_run():
    """While one thread is inside the library, another counts: a call that kept the interpreter would keep it from that."""
    rows = ['c%d,2024-01-%02d,%d\n' % (i % 5000, i % 28 + 1, i % 90) for i in range(400000)]
    path = suite.write('long.csv', 'customer,time,amount\n' + ''.join(rows))
    counted, inside, stop = [0], [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0.0005)
    thread = threading.Thread(target=count)
    thread.start()
    try:
        with lapse.open() as store:
            before = counted[0]
            store.import_csv(path)
            inside[0] = counted[0] - before
    finally:
        stop.set()
        thread.join()
    assert inside[0] >= 5, inside


def case_many_threads_ask_one_view():
    store = example()
    view = store.view()
    expected = view.rfm().to_csv()
    wrong = []

    def ask():
        for _ in range(40):
            if view.rfm().to_csv() != expected or len(view.states().table()) != 12:
                wrong.append('another answer')
            store.append([{'customer': 'late', 'time': '2030-01-01'}], keep_all=True)
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and store.info()['events'] == 30 + 240


def case_closing_waits_for_calls():
    """A handle that is closed while another thread is inside a call with it lives until that call is back."""
    for _ in range(30):
        store = example()
        view = store.view()
        entered = threading.Event()
        problems = []

        def ask():
            try:
                for _ in range(20):
                    entered.set()
                    view.rfm().table()
            except ValueError as problem:
                problems.append(str(problem))
        thread = threading.Thread(target=ask)
        thread.start()
        entered.wait()
        view.close()
        store.close()
        thread.join()
        assert problems in ([], ['this view is closed']), problems


# ---- what is not installed -------------------------------------------------------------------------------------------------


def case_nothing_else_is_needed():
    """Without the packages for frames: importing works, lists and files do; each is named when it is needed."""
    script = """
import sys
for name in ('numpy', 'pandas', 'pyarrow', 'polars', 'duckdb'):
    sys.modules[name] = None
import lapse
store = lapse.open()
assert store.import_csv(sys.argv[1]).accepted == 30
assert store.append([{'customer': 'a', 'time': '2024-01-01', 'amount': 1.5}]).accepted == 1
assert store.append({'customer': ['b'], 'time': ['2024-01-01']}).accepted == 1
table = store.view().rfm().table()
assert len(table['monetary'].to_list()) == 14 and table.to_dict()['customer'][0] == 'a'
for call, package in ((table['monetary'].numpy, 'numpy'), (table.to_numpy, 'numpy'), (table.to_pandas, 'pandas'),
                      (table.to_polars, 'polars'), (store.view().rfm().to_polars, 'polars')):
    try:
        call()
    except ImportError as problem:
        assert package in str(problem) and 'pip install' in str(problem), problem
    else:
        raise AssertionError(package)
print('good')
"""
    done = subprocess.run([sys.executable, '-B', '-c', script, EXAMPLE], capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': os.path.join(ROOT, 'python')})
    assert done.stdout == 'good\n', done.stderr


def case_without_the_library():
    done = subprocess.run([sys.executable, '-B', '-c', 'import lapse'], capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': os.path.join(ROOT, 'python'), 'LAPSE_LIBRARY': '/no/such.so'})
    assert done.returncode != 0 and 'LAPSE_LIBRARY' in done.stderr.splitlines()[-1], done.stderr


def case_the_wheel_holds_the_library():
    sys.path.insert(0, os.path.join(ROOT, 'python'))
    import build_lapse
    os.environ.setdefault('LAPSE_LIBRARY', lapse._library.path)
    assert build_lapse.get_requires_for_build_wheel() == []
    where = suite.path('wheel')
    os.makedirs(where)
    name = build_lapse.build_wheel(where)
    assert name.startswith('lapse-%s-py3-none-' % lapse.__version__) and name.endswith('.whl')
    with zipfile.ZipFile(os.path.join(where, name)) as wheel:
        assert wheel.testzip() is None
        names = wheel.namelist()
        record = next(n for n in names if n.endswith('RECORD'))
        assert {line.split(',')[0] for line in wheel.read(record).decode().splitlines()} == set(names)
        assert 'lapse/py.typed' in names and any('liblapse' in n for n in names)
        wheel.extractall(os.path.join(where, 'site'))
    environment = {k: v for k, v in os.environ.items() if k != 'LAPSE_LIBRARY'}
    done = subprocess.run([sys.executable, '-B', '-c', 'import lapse; print(lapse.__version__, lapse._library.path)'],
                          capture_output=True, text=True, env={**environment, 'PYTHONPATH': os.path.join(where, 'site')})
    assert done.stdout.startswith(lapse.__version__ + ' ' + os.path.join(where, 'site')), done.stderr
    source = build_lapse.build_sdist(where)
    import tarfile
    with tarfile.open(os.path.join(where, source)) as archive:
        inside = {n.split('/', 1)[1] for n in archive.getnames() if '/' in n}
    assert {'source/meson.build', 'source/lib/lapse.map', 'source/include/lapse.h', 'pyproject.toml', 'lapse/__init__.py',
            'PKG-INFO'} <= inside


suite.run_all(globals())
suite.end()
