"""Scores, frozen cuts and transitions from Python, against the command and against each other."""
import importlib.util
import threading
from array import array
from decimal import Decimal

from python_suite import EXAMPLE, Skip, example, frames_python, lapse, raises, suite  # first: it finds the others
import harness
from lapse import _lib

frames_python()
AT, BEGIN = '2024-07-01', '2024-03-01'
TEXT = '10,30,90,180/1,2,3,4/10,25,50,70'
ALL = 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nlow,1,2,,,,\nhigh,3,,,,,\n'


def numpy():
    if importlib.util.find_spec('numpy') is None:
        raise Skip('there is no numpy')
    import numpy
    return numpy


def cases_answers_are_those_of_the_command():
    cuts = lapse.Cuts(TEXT)
    table = suite.write('segments.csv', ALL)
    both = {'': {}, '--cuts ntile': {'cuts': 'ntile'}, '--cuts rfm-r': {'cuts': 'rfm-r'}, '--cuts fixed:' + TEXT: {'cuts': cuts},
            '--cuts ntile --nested': {'cuts': 'ntile', 'nested': True},
            '--cuts rfm-r --bins 3,4,2 --window 6m --segments ' + table:
                {'cuts': 'rfm-r', 'bins': (3, 4, 2), 'window': '6m', 'segments': ALL}}
    answers = both.copy()
    for every in ('month', 'quarter'):
        answers['--every %s --from %s' % (every, BEGIN)] = {'every': every, 'begin': BEGIN}
    answers['--every month --from %s --cuts fixed:%s' % (BEGIN, TEXT)] = {'every': 'month', 'begin': BEGIN, 'cuts': cuts}
    with example() as store:
        view = store.view(AT)

        def compare(name, words, ask):
            expected = harness.lapse(name, EXAMPLE, *words).out.decode('utf-8')
            assert ask().to_csv() == expected and expected.count('\n') > 1, expected
        for words, more in answers.items():
            at = ['--to', AT] if 'every' in words else ['--as-of', AT]
            for name in ('rfm', 'segments'):
                suite.run('%s %s' % (name, words.split(' --segments')[0]), compare, name, at + words.split(),
                          lambda: getattr(view, name)(**more))
        for words, more in both.items():
            suite.run('transitions ' + words.split(' --segments')[0], compare, 'transitions',
                      ['--from', BEGIN, '--to', AT] + words.split(), lambda: view.transitions(BEGIN, **more))


def case_transitions_add_up():
    with example() as store:
        rows = list(store.view(AT).transitions(BEGIN))
        for side, at in (('from', BEGIN), ('to', AT)):
            counted = {}
            for row in rows:
                if row[side] != '(absent)':
                    counted[row[side]] = counted.get(row[side], 0) + row.customers
            assert counted == {row.segment: row.customers for row in store.view(at).segments() if row.customers}
        raises(lapse.BadInput, store.view(BEGIN).transitions, AT)
        raises(ValueError, store.view().rfm, cuts='cubic')
        raises(ValueError, store.view().rfm, every='moon', begin=BEGIN)


def case_saved_cuts_are_those_of_the_command():
    path = suite.path('cuts.csv')
    with example() as store:
        view = store.view(AT)
        for words, more in ((), {}), (('--cuts', 'rfm-r'), {'cuts': 'rfm-r'}), (('--window', '6m'), {'window': '6m'}):
            harness.lapse('rfm', EXAMPLE, '--as-of', AT, '--save-cuts', path, '--output', suite.path('out.csv'), *words)
            saved = harness.read(path).decode('utf-8')
            cuts = view.cuts(**more)
            assert cuts.to_csv() == saved
            assert lapse.Cuts.read(saved) == cuts == lapse.Cuts(str(cuts), cuts.digits) and cuts.bins == (5, 5, 5)
            assert view.rfm(cuts=cuts, window=more.get('window')).to_csv() == view.rfm(**more).to_csv()
        assert view.cuts(bins=(3, 4, 2)).bins == (3, 4, 2)
        assert view.cuts(cuts=cuts) == cuts  # frozen ones are what they are
        raises(lapse.Invalid, view.cuts, cuts='ntile')
        earlier = list(store.view(BEGIN).rfm(cuts=cuts))
        assert earlier and all(cuts.score(row.recency_days, row.frequency, row.monetary) == (row.r, row.f, row.m)
                               for row in earlier)


def case_cuts():
    cuts = lapse.Cuts.parse('30,90,180,365/2,3,5,8/10,50,100,500.5')
    assert (cuts.recency, cuts.frequency, cuts.digits) == ((30, 90, 180, 365), (2, 3, 5, 8), 2)
    assert cuts.monetary == tuple(map(Decimal, ('10', '50', '100', '500.5'))) and str(cuts.monetary[3]) == '500.50'
    assert repr(cuts) == "lapse.Cuts('30,90,180,365/2,3,5,8/10.00,50.00,100.00,500.50', digits=2)"
    assert cuts.score(12, 4, Decimal('129.90')) == (5, 3, 4) == cuts.score(12, 4, 129.9) == cuts.score(12, 4, '129.9')
    assert cuts.score(30, 2, 10) == (5, 1, 1) and cuts.score(31, 3, Decimal('10.01')) == (4, 2, 2)
    assert cuts.score(10 ** 6, 10 ** 6, 10 ** 9).r == 1
    assert cuts.to_csv().splitlines()[:2] == ['axis,bin,above', 'r,1,30'] and lapse.Cuts.read(cuts.to_csv()) == cuts
    assert {cuts: 1}[lapse.Cuts(str(cuts))] == 1 and cuts != lapse.Cuts(TEXT) and cuts != 'cuts'
    for amount in ('1.001', 0.1 + 0.2, 'much', float('nan'), float('inf'), None):
        raises(ValueError, cuts.score, 1, 1, amount)
    for values in ((2 ** 63, 1, 1), (1, 1, 2 ** 62)):
        raises(OverflowError, cuts.score, *values)
    raises(TypeError, cuts.score, 1.5, 1, 1)
    for text in ('', '1/2', '2,1/1/1', '1/1/x', '1/1/1\0'):
        raises(ValueError, lapse.Cuts, text)
    bad = raises(lapse.BadInput, lapse.Cuts.read, 'axis,bin,above\nr,1,30\nr,3,40\n')
    assert bad.line == 3 and bad.rule
    nobody = lapse.open().view('2024-01-01').cuts()
    assert nobody.bins == (0, 0, 0) and nobody.recency == ()
    raises(lapse.Invalid, nobody.to_csv)
    raises(lapse.Invalid, nobody.score, 1, 1, 1)


def case_scores_of_lists_and_columns():
    with example() as store:
        view = store.view(AT)
        cuts = view.cuts()
        for more in ({}, {'cuts': 'ntile'}, {'cuts': 'rfm-r'}, {'cuts': cuts}, {'nested': True}, {'threads': 2}):
            table = view.rfm(**more).table()
            expected = tuple(table[axis].to_list() for axis in 'rfm')
            columns = table['recency_days'], table['frequency'], table['monetary']
            lists = [list(column.integers()) for column in columns]
            assert lapse.rfm_score(*columns, **more) == expected == lapse.rfm_score(*lists, **more), more
        assert lapse.Cuts.of(*columns) == cuts == lapse.Cuts.of(*lists)
        assert lapse.Cuts.of(*columns, cuts='rfm-r', bins=4) != cuts
        raises(ValueError, table['customer'].integers)
        raises(ValueError, table['customer'].__class__.integers, view.segments().table()['mean_monetary'])
    assert lapse.rfm_score([], [], []) == ([], [], []) and lapse.Cuts.of([], [], []).bins == (0, 0, 0)
    raises(ValueError, lapse.rfm_score, [1, 2], [1], [1, 2])
    raises(OverflowError, lapse.rfm_score, [2 ** 63], [1], [1])
    for wrong in ([1.5], [Decimal(1)], ['1'], [None]):
        raises(TypeError, lapse.rfm_score, wrong, [1], [1])
    raises(lapse.Invalid, lapse.rfm_score, [1], [1], [1], bins=11)
    raises(lapse.Invalid, lapse.Cuts.of, [1], [1], [1], cuts='ntile')


def case_scores_of_numpy_arrays():
    np = numpy()
    draw = np.random.default_rng(5)
    n = 200000
    r, f, m = draw.integers(0, 400, n), draw.integers(1, 30, n), draw.integers(1, 10 ** 6, n)
    scores = lapse.rfm_score(r, f, m)
    assert all(axis.dtype == np.uint8 and len(axis) == n for axis in scores)
    limits = np.quantile(f, [0.2, 0.4, 0.6, 0.8])
    assert (scores.f == 1 + (limits[:, None] < f).sum(0)).all()
    for same in ([a.astype('int32') for a in (r, f, m)], [a.astype('>i8') for a in (r, f, m)],
                 [np.repeat(a, 2)[::2] for a in (r, f, m)], [a.tolist() for a in (r, f, m)]):
        assert all((np.asarray(a) == b).all() for a, b in zip(lapse.rfm_score(*same, threads=2), scores))
    cuts = lapse.Cuts.of(r, f, m)
    assert all((a == b).all() for a, b in zip(lapse.rfm_score(r, f, m, cuts=cuts), scores))
    assert cuts.score(int(r[7]), int(f[7]), Decimal(int(m[7])).scaleb(-2)) == tuple(int(axis[7]) for axis in scores)
    raises(TypeError, lapse.rfm_score, r.astype(float), f, m)
    raises(ValueError, lapse.rfm_score, np.ma.masked_array(r, r == 3), f, m)
    raises(TypeError, lapse.rfm_score, r.reshape(2, -1), f, m)
    raises(OverflowError, lapse.rfm_score, np.array([2 ** 63], 'u8'), f[:1], m[:1])


def case_scoring_lets_others_run():
    """Another thread counts while this one is inside the library's function."""
    days = array('q', range(3000000))
    counted, stop = [0], threading.Event()

    def count():
        while not stop.wait(0.0005):
            counted[0] += 1
    thread = threading.Thread(target=count)
    inside, score = [0], _lib.lib.rfm_score

    def watched(*args):
        before = counted[0]
        try:
            return score(*args)
        finally:
            inside[0] = counted[0] - before
    _lib.lib.rfm_score = watched
    thread.start()
    try:
        lapse.rfm_score(days, days, days)
    finally:
        _lib.lib.rfm_score = score
        stop.set()
        thread.join()
    assert inside[0] >= 5, inside


suite.run_all(globals())
suite.end()
