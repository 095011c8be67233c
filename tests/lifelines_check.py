"""Survival on arrays against lifelines (https://lifelines.readthedocs.io), value by value within 1e-12.

    python3 lifelines_check.py LIBLAPSE.SO

Skipped (exit 77) where lifelines is not installed: python3 -m venv V && V/bin/pip install lifelines, then V/bin/python.
On the data sets that come with it, and on random ones with ties, weights and late entry: survival, its interval, the
hazard (nelson_aalen_smoothing=False), median and restricted mean. The variance of the hazard is another estimate
there (Klein's, lapse has Aalen's) and not compared.
"""
import ctypes
import math
import random
import sys

try:
    import lifelines
    import numpy
    from lifelines import datasets
except ImportError as reason:
    print('skipped: lifelines: %s' % reason)
    sys.exit(77)

library = ctypes.CDLL(sys.argv[1])


class Durations(ctypes.Structure):
    _fields_ = [('size', ctypes.c_uint32), ('flags', ctypes.c_uint32), ('count', ctypes.c_int64), ('time', ctypes.c_void_p),
                ('lost', ctypes.c_void_p), ('entry', ctypes.c_void_p), ('weight', ctypes.c_void_p)]


class Column(ctypes.Structure):
    _fields_ = [('size', ctypes.c_uint32), ('type', ctypes.c_int32), ('name', ctypes.c_char_p), ('rows', ctypes.c_int64),
                ('missing', ctypes.c_int64), ('validity', ctypes.POINTER(ctypes.c_uint8)), ('offsets', ctypes.c_void_p),
                ('data', ctypes.POINTER(ctypes.c_double)), ('digits', ctypes.c_int32), ('reserved', ctypes.c_int32)]


NAMES = 'time at_risk lost censored survival greenwood lower upper hazard hazard_variance'.split()


def fit(time, lost, entry=None, weight=None):
    held = [numpy.ascontiguousarray(a, dtype=t) if a is not None else None
            for a, t in ((time, 'f8'), (lost, 'u1'), (entry, 'f8'), (weight, 'f8'))]
    at = [a.ctypes.data if a is not None else None for a in held]
    d = Durations(ctypes.sizeof(Durations), 0, len(held[0]), *at)
    result, table = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.lapse_survival_fit(ctypes.byref(d), None, ctypes.byref(result), None) == 0
    assert library.lapse_result_collect(result, ctypes.byref(table), None) == 0
    columns = {}
    for i, name in enumerate(NAMES):
        c = Column(size=ctypes.sizeof(Column))
        assert library.lapse_table_column(table, i, ctypes.byref(c)) == 0 and c.name == name.encode()
        columns[name] = [c.data[k] if not c.validity or c.validity[k >> 3] >> (k & 7) & 1 else math.nan
                         for k in range(c.rows)]
    library.lapse_result_free(result)
    library.lapse_table_release(table)
    return columns


def array(values):
    return (ctypes.c_double * len(values))(*values)


def median_and_mean(ours, horizon):
    n, time, survival = len(ours['time']), array(ours['time']), array(ours['survival'])
    median, defined, mean = ctypes.c_double(), ctypes.c_int32(), ctypes.c_double()
    assert library.lapse_survival_quantile(ctypes.c_int64(n), time, survival, ctypes.c_double(0.5), ctypes.byref(median),
                                           ctypes.byref(defined), None) == 0
    assert library.lapse_survival_mean(ctypes.c_int64(n), time, survival, None, None, ctypes.c_double(horizon),
                                       ctypes.byref(mean), None, None) == 0
    return median.value if defined.value else math.inf, mean.value


worst = 0.0


def near(ours, theirs, what):
    global worst
    difference = abs(ours - theirs) / max(1.0, abs(theirs))
    worst = max(worst, difference)
    assert difference <= 1e-12, '%s: %r, lifelines %r' % (what, ours, theirs)


def check(name, time, lost, entry=None, weight=None):
    ours = fit(time, lost, entry, weight)
    km = lifelines.KaplanMeierFitter().fit(time, lost, entry=entry, weights=weight)
    na = lifelines.NelsonAalenFitter(nelson_aalen_smoothing=False).fit(time, lost, entry=entry, weights=weight)
    survival, hazard = km.survival_function_.iloc[:, 0], na.cumulative_hazard_.iloc[:, 0]
    interval = km.confidence_interval_
    whole = weight is None or all(w == int(w) for w in weight)                 # else it cuts populations to whole numbers
    for i, t in enumerate(ours['time']):
        what = '%s at %r' % (name, t)
        near(ours['survival'][i], survival.loc[t], what)
        near(ours['hazard'][i], hazard.loc[t], what + ', hazard')
        if 1e-9 < ours['survival'][i] < 1 and whole:
            near(ours['lower'][i], interval.iloc[:, 0].loc[t], what + ', lower')
            near(ours['upper'][i], interval.iloc[:, 1].loc[t], what + ', upper')
    median, mean = median_and_mean(ours, max(time))
    if all(abs(s - 0.5) > 1e-9 for s in ours['survival']):      # lifelines' product of rounded logarithms may miss 0.5
        assert median == km.median_survival_time_, (name, median, km.median_survival_time_)
    if entry is None or min(entry) == 0:              # else its curve, and so its mean, begins at the first entry
        near(mean, lifelines.utils.restricted_mean_survival_time(km, t=max(time)), name + ', restricted mean')
    return ours


def at(ours, column, time):
    return ours[column][ours['time'].index(time)]


def data_sets():
    waltons = datasets.load_waltons()
    for group, n, events, median in (('control', 129, 122, 58), ('miR-137', 34, None, 26)):      # peers 2e
        part = waltons[waltons['group'] == group]
        ours = check('waltons ' + group, part['T'].values, part['E'].values)
        assert len(part) == n and (events is None or sum(ours['lost']) == events)
        assert median_and_mean(ours, 1)[0] == median
    aids = datasets.load_multicenter_aids_cohort_study()
    ours = check('aids', aids['T'].values, aids['D'].values, entry=aids['W'].values)
    assert at(ours, 'at_risk', 0.269) == 42 and at(ours, 'at_risk', 0.791) == 44 and at(ours, 'at_risk', 4.688) == 11
    assert abs(at(ours, 'survival', 0.791) - 0.9540043290043292) < 1e-15
    assert sum(lost > 0 for lost in ours['lost']) == 26
    sets = [('rossi', datasets.load_rossi(), 'week', 'arrest'), ('lung', datasets.load_lung(), 'time', 'status'),
            ('larynx', datasets.load_larynx(), 'time', 'death'), ('dd', datasets.load_dd(), 'duration', 'observed'),
            ('kidney', datasets.load_kidney_transplant(), 'time', 'death'), ('gbsg2', datasets.load_gbsg2(), 'time', 'cens'),
            ('g3', datasets.load_g3(), 'time', 'event'), ('leukemia', datasets.load_leukemia(), 't', 'status'),
            ('regression', datasets.load_regression_dataset(), 'T', 'E'), ('stanford', datasets.load_stanford_heart_transplants(), 'stop', 'event')]
    for name, data, time, lost in sets:
        check(name, data[time].values.astype(float), data[lost].values.astype(int) > 0)
    return 3 + len(sets)


def random_sets(count):
    checked = 0
    for number in range(count):
        rng = random.Random(number)
        n = rng.choice([1, 2, 5, 30, 200])
        grid = rng.choice([5, 20, 10 ** 6])                                   # many ties, some, none
        time = [(1 + rng.randrange(grid)) / rng.choice([1, 4]) for _ in range(n)]
        lost = [rng.random() < 0.6 for _ in range(n)]
        entry = [rng.choice([0, t * rng.random()]) for t in time] if rng.random() < 0.5 else None
        # eighths: sums of other fractions are a rounding off there, and what is left of all may be below zero
        weight = [rng.choice([1, 2, 3]) if number % 3 else rng.randrange(1, 30) / 8 for _ in range(n)] if rng.random() < 0.5 else None
        ours = fit(time, lost, entry, weight)
        if entry and 0 in ours['survival'][:-1]:
            continue                                                          # the risk set empties: nothing left to compare
        try:
            check('random %d' % number, numpy.array(time), numpy.array(lost), numpy.array(entry) if entry else None,
                  numpy.array(weight) if weight else None)
            checked += 1
        except lifelines.exceptions.StatError:                                # it refuses the same case seen otherwise
            pass
    return checked


import warnings  # noqa: E402
warnings.simplefilter('ignore')                                               # lifelines' word about weights that are not whole
cases = data_sets() + random_sets(300)
print('largest difference %.1e (of 1, or relative)' % worst)
print('%d passed, 0 failed, 0 skipped' % cases)
