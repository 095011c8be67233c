"""The Python package with NumPy, pandas, polars, pyarrow and DuckDB: what goes in and comes out equals what these make of
it. Runs in an interpreter that has them (python_suite.frames_python), and is skipped where there is none."""
import ctypes
import datetime
import gc
import os
import random
from decimal import Decimal

from python_suite import EXAMPLE, UTC, example, frames_python, lapse, raises, suite  # first: it finds the others

missing = frames_python()
if missing:
    print('skipped: frames: not installed here: ' + ', '.join(missing))
    print('0 passed, 0 failed, 1 skipped')
    raise SystemExit(0)

import duckdb  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import polars as pl  # noqa: E402
import pyarrow as pa  # noqa: E402


def store_of(events, **more):
    store = lapse.open(currency='EUR', zone='Europe/Paris')
    store.append(events, **more)
    return store


def text_of(store):
    return store.everything().events().to_csv()


# ---- out -----------------------------------------------------------------------------------------------------------------


def cases_answers_are_the_same_everywhere():
    """Every answer as Python objects, pyarrow, polars, pandas, DuckDB and NumPy."""
    store = example()
    store.append([{'customer': 'ann', 'time': '2024-06-01', 'kind': 'consent.granted', 'channel': 'email',
                   'purpose': 'marketing'}, {'customer': 'é', 'time': '2024-05-01T10:00:00.000001Z', 'amount': None}])
    view = store.view()
    asked = {'rfm': view.rfm, 'segments': view.segments, 'states': view.states, 'channels': view.channels,
             'consent': view.consent, 'permit': lambda: view.permit('marketing'), 'cohorts': view.cohorts,
             'churn': lambda: view.churn('2024-01-01', every='month'), 'survival': view.survival, 'gaps': view.gaps,
             'history': lambda: view.history('ada'), 'events': view.events}

    def compare(ask):
        table = ask().table()
        expected = table.to_dict()
        for arrow in (pa.table(ask()), pa.table(table), pa.RecordBatchReader.from_stream(ask()).read_all()):
            arrow.validate(full=True)
            assert arrow.column_names == table.columns
            for name in table.columns:
                got = arrow.column(name).to_pylist()
                assert got == expected[name], (name, got[:3], expected[name][:3])
                assert arrow.column(name).null_count == table[name].missing
        if len(table):
            batch = pa.record_batch(table)
            batch.validate(full=True)
            assert batch.num_rows == len(table)
        frame = pl.DataFrame(ask())
        assert frame.columns == table.columns and frame.height == len(table)
        for name in table.columns:
            assert frame[name].to_list() == expected[name], name
        whole = table
        chosen = ', '.join(('epoch_us("%s")' if table[name].type == 'time' else '"%s"') % name for name in table.columns)
        rows = duckdb.sql('SELECT %s FROM whole' % chosen).fetchall()
        assert len(rows) == len(table)
        for row, ours in zip(rows, table):
            for got, wanted in zip(row, ours):
                if isinstance(wanted, datetime.datetime):
                    got = datetime.datetime.fromtimestamp(0, UTC) + datetime.timedelta(microseconds=got)
                assert got == wanted, (row, ours)
        result = ask()
        assert duckdb.sql('SELECT count(*) FROM result').fetchall()[0][0] == len(table)
        for money in ('float', 'decimal', 'units'):
            compare_pandas(table, table.to_pandas(money), money)
    for name, ask in asked.items():
        suite.run('frames of ' + name, compare, ask)


def compare_pandas(table, frame, money):
    assert list(frame.columns) == table.columns and len(frame) == len(table)
    for name in table.columns:
        column = table[name]
        for got, wanted in zip(frame[name].tolist(), column):
            if wanted is None:
                assert got is None or got is pd.NA or got != got, (name, got)
            elif column.type in ('money', 'decimal') and money == 'units':
                assert got == wanted * 10 ** column.digits
            elif column.type in ('money', 'decimal') and money == 'float':
                assert got == float(wanted)
            else:
                assert got == wanted, (name, got, wanted)


def case_numbers_are_not_copied():
    rows = 3000
    store = store_of({'customer': np.arange(rows), 'time': np.full(rows, np.datetime64('2024-01-01')),
                      'amount': (np.arange(rows) + 1) / 4})
    table = store.view().rfm().table()
    for name in ('recency_days', 'frequency', 'monetary', 'last_order', 'r'):
        column = table[name]
        array = column.numpy()
        assert array.ctypes.data == ctypes.cast(column._column.data, ctypes.c_void_p).value
        assert not array.flags.writeable and len(array) == rows
        raises(ValueError, array.__setitem__, 0, array[1])
        again = column.numpy()
        assert again.ctypes.data == array.ctypes.data
    cents = table['monetary'].numpy()
    total = int(cents.sum())
    del table, column, array, again
    store.close()
    gc.collect()
    junk = [bytearray(1 << 16) for _ in range(200)]
    assert int(cents.sum()) == total == sum(i * 25 for i in range(1, rows + 1)) and junk
    assert lapse.open().everything().events().table()['customer'].numpy().tolist() == []


def case_missing_numbers_are_masked():
    store = store_of([{'customer': 'a', 'time': '2024-01-01', 'amount': 1}, {'customer': 'b', 'time': '2024-01-01'}])
    column = store.everything().events().table()['amount']
    masked = column.numpy()
    assert isinstance(masked, np.ma.MaskedArray) and masked.mask.tolist() == [False, True] and masked[0] == 100
    assert masked.data.ctypes.data == ctypes.cast(column._column.data, ctypes.c_void_p).value


def case_consumers_may_let_go_in_any_order():
    for _ in range(200):
        table = example().view().rfm().table()
        column = pa.table(table).column('customer')
        del table
        frame = pl.from_arrow(pa.table(example().view().rfm()))
        gc.collect()
        assert column.to_pylist()[0] == 'ada' and frame['customer'][0] == 'ada'
        capsule = example().view().rfm().__arrow_c_stream__()
        del capsule


# ---- in ------------------------------------------------------------------------------------------------------------------


def case_random_frames_are_as_their_text():
    """Frames of all types that a column can have make the store that the same rows as a file make."""
    draw = random.Random(7)
    for turn in range(30):
        n = draw.choice([1, 7, 100, 40000 if turn % 10 == 0 else 1000])
        zoned = draw.random() < 0.5
        customers = [draw.choice(['ann', 'bob', 'é', 'x' * 200, '17']) + str(draw.randrange(50)) for _ in range(n)]
        times = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=draw.randrange(2000)) for _ in range(n)]
        cents = [draw.randrange(10 ** draw.randrange(1, 14)) if draw.random() < 0.9 else None for _ in range(n)]
        kinds = [draw.choice(['order.placed', 'session.started', '']) for _ in range(n)]
        refs = [str(draw.randrange(99)) if draw.random() < 0.5 else None for _ in range(n)]
        text = 'customer,time,amount,kind,ref\n' + ''.join(
            '%s,%s%s,%s,%s,%s\n' % (c, t.isoformat(), 'Z' if zoned else '', '' if a is None else Decimal(a) / 100, k, r or '')
            for c, t, a, k, r in zip(customers, times, cents, kinds, refs))
        by_file = lapse.open(currency='EUR', zone='Europe/Paris')
        file = suite.write('frame.csv', text)
        file_counts = by_file.import_csv(file, source_name='', skip_bad_rows=True)
        amount = draw.choice([
            pa.array([None if a is None else Decimal(a).scaleb(-2) for a in cents], pa.decimal128(20, 2)),
            pa.array([None if a is None else Decimal(a).scaleb(-2) for a in cents], pa.decimal128(30, 4)),
            pa.array([None if a is None else a / 100 for a in cents], pa.float64()),
            pa.array([None if a is None else str(Decimal(a).scaleb(-2)) for a in cents], pa.string())])
        texts = [pa.string(), pa.large_string(), pa.string_view()]

        def words(values):
            array = pa.array(values, draw.choice(texts))
            return array.cast(pa.string()).dictionary_encode() if draw.random() < 0.4 else array
        unit = draw.choice(['s', 'ms', 'us', 'ns'])
        table = pa.table({'customer': words(customers), 'time': pa.array(times, pa.timestamp(unit, 'UTC' if zoned else None)),
                          'amount': amount, 'kind': words([k or None for k in kinds]), 'ref': words(refs)})
        frames = {'arrow': table, 'batches': pa.Table.from_batches(table.to_batches(max_chunksize=draw.randrange(1, 20000))),
                  'polars': pl.from_arrow(table), 'slice': pa.concat_tables([table.slice(0, 0), table]).slice(0, n)}
        if not pa.types.is_string_view(table.schema.field('customer').type):
            frames['pandas'] = table.to_pandas() if unit != 's' else table.to_pandas()
        for name, frame in frames.items():
            store = lapse.open(currency='EUR', zone='Europe/Paris')
            counts = store.append(frame, threads=draw.choice([1, 2, 4]), skip_bad_rows=True)
            assert counts == file_counts, (turn, name, counts, file_counts)
            assert text_of(store) == text_of(by_file), (turn, name)


def case_scores_of_a_polars_frame_are_those_that_polars_makes():
    draw = random.Random(11)
    n = 20000
    orders = pl.DataFrame({'customer': ['c%d' % int(draw.paretovariate(0.7) % 3000) for _ in range(n)],
                           'time': [datetime.datetime(2023, 1, 1) + datetime.timedelta(minutes=draw.randrange(900000))
                                    for _ in range(n)], 'amount': [draw.randrange(1, 90000) / 100 for _ in range(n)]})
    store = lapse.open()
    store.append(orders, keep_all=True)
    ours = pl.DataFrame(store.view().rfm())
    theirs = orders.group_by('customer').agg(
        last_order=pl.col('time').max(), frequency=pl.len(),
        cents=(pl.col('amount') * 100).round().cast(pl.Int64).sum()).sort('customer')
    day = pl.col('last_order').dt.date()
    theirs = theirs.with_columns(recency_days=(day.max() - day).dt.total_days() + 1)
    for name, value in (('r', 'recency_days'), ('f', 'frequency'), ('m', 'cents')):
        cuts = [theirs[value].quantile(p, interpolation='linear') for p in (0.2, 0.4, 0.6, 0.8)]
        bins = 1 + sum((pl.col(value) > q).cast(pl.Int64) for q in cuts)
        theirs = theirs.with_columns((6 - bins if name == 'r' else bins).alias(name))
    assert ours['customer'].to_list() == theirs['customer'].to_list()
    for name in ('recency_days', 'frequency', 'r', 'f', 'm'):
        assert ours[name].to_list() == theirs[name].to_list(), name
    assert [int(a * 100) for a in ours['monetary'].to_list()] == theirs['cents'].to_list()


def case_numpy_columns():
    zone = {'customer': np.array([3, 4, 5], 'u2'), 'amount': np.array([1, 2, 3], '>i4'),
            'time': np.array(['2024-01-01T10', '2024-01-01T11', '2024-01-01T12'], 'M8[h]'), 'value': np.array([True, False, True]),
            'ref': np.array(['a', None, 'c'], object), 'topic': np.array(['x', 'y', 'z'])}
    rows = list(store_of(zone).everything().events())
    assert [row.amount for row in rows] == [1, 2, 3] and [row.value for row in rows] == [1.0, 0.0, 1.0]
    assert rows[0].time == datetime.datetime(2024, 1, 1, 9, tzinfo=UTC) and [row.ref for row in rows] == ['a', None, 'c']
    masked = dict(zone, amount=np.ma.MaskedArray([1.5, 2.5, 3.5], [False, True, False]), ref=np.array([1.0, 2.0, 3.0])[::-1])
    problem = raises(lapse.BadInput, store_of, masked)
    assert problem.column == 'ref' and 'strings or of whole numbers' in problem.rule, vars(problem)
    masked['ref'] = np.arange(6)[::2]
    assert [row.amount for row in store_of(masked).everything().events()] == [Decimal('1.50'), None, Decimal('3.50')]
    nat = dict(zone, time=np.array(['2024-01-01', 'NaT', '2024-01-02'], 'M8[ns]'))
    assert raises(lapse.BadInput, store_of, nat).row == 1
    problem = raises(lapse.BadInput, store_of, dict(zone, amount=np.array([1, 2, 3], 'f4')))
    assert 'cannot hold cents' in problem.rule
    raises(ValueError, store_of, dict(zone, amount=np.zeros((3, 2))))


def case_frames_that_cannot_be_read():
    good = {'customer': ['a'], 'time': [datetime.datetime(2024, 1, 1)]}
    for more, column in (({'amount': [[1, 2]]}, 'amount'), ({'time': [1704067200]}, 'time'), ({'kind': [1]}, 'kind'),
                         ({'amount': [b'1']}, 'amount'), ({'colour': ['red']}, 'colour')):
        problem = raises(lapse.BadInput, store_of, pa.table({**good, **more}))
        assert problem.column == column, vars(problem)
    raises(lapse.BadInput, store_of, pa.table({'customer': ['a']}))
    raises(lapse.BadInput, store_of, pl.DataFrame({'a': []}))
    assert store_of(pl.DataFrame({'customer': [], 'time': []}, schema={'customer': pl.String, 'time': pl.Datetime})).info()['events'] == 0
    assert store_of(pa.table({**good, 'ref': pa.nulls(1)})).info()['events'] == 1


def case_a_stream_that_fails_stores_nothing():
    schema = pa.schema({'customer': pa.string(), 'time': pa.timestamp('us')})

    def batches():
        yield pa.record_batch({'customer': ['a'], 'time': [datetime.datetime(2024, 1, 1)]}, schema=schema)
        raise RuntimeError('the source went away')
    store = lapse.open()
    problem = raises(lapse.IOFailure, store.append, pa.RecordBatchReader.from_batches(schema, batches()))
    assert 'the source went away' in str(problem), problem
    assert store.info()['events'] == 0
    reader = pa.RecordBatchReader.from_batches(schema, iter([]))
    capsule = reader.__arrow_c_stream__()

    class Used:
        def __arrow_c_stream__(self, requested_schema=None):
            return capsule
    assert store.append(Used()).read == 0
    raises(lapse.Invalid, store.append, Used())


def case_a_long_stream_needs_little_memory():
    """A stream of a million rows, of which no more than a few arrays are alive at once."""
    schema = pa.schema({'customer': pa.int64(), 'time': pa.timestamp('s', 'UTC'), 'amount': pa.float64()})
    size, count = 20000, 50

    def batches():
        for i in range(count):
            yield pa.record_batch({'customer': np.arange(size) % 5000, 'amount': np.arange(size) / 100,
                                   'time': np.arange(size) + 1700000000 + i * size}, schema=schema)
    before, most = pa.total_allocated_bytes(), [0]
    store = lapse.open(memory_limit=32 << 20)
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    store.append(reader, progress=lambda *_: most.append(pa.total_allocated_bytes() - before), threads=2)
    assert store.info()['events'] == size * count
    assert max(most) < 12 * size * 24, max(most)


def case_pandas_as_it_comes():
    frame = pd.read_csv(EXAMPLE)
    store = lapse.open()
    assert store.append(frame, source='orders.csv').accepted == 30
    assert text_of(store) == text_of(example())
    frame['time'] = pd.to_datetime(frame['time'])
    assert store.append(frame, source='orders.csv').duplicate == 30
    renamed = frame.rename(columns={'customer': 'CustomerID'}).set_index('CustomerID')
    assert raises(lapse.BadInput, store.append, renamed, map={'customer': 'nothing'})
    assert store.append(renamed.reset_index(), map={'customer': 'CustomerID'}, source='orders.csv').duplicate == 30


def case_a_frame_without_pyarrow_is_read_by_columns():
    class Plain:
        """As pandas is where there is no pyarrow."""
        def __init__(self, frame):
            self.frame, self.columns = frame, frame.columns

        def __getitem__(self, name):
            return self.frame[name]
    assert text_of(store_of(Plain(pd.read_csv(EXAMPLE)), source='orders.csv')).count('\n') == 31


if os.environ.get('LAPSE_LIBRARY') is None:
    raise SystemExit('LAPSE_LIBRARY is not set')
suite.run_all(globals())
suite.end()
