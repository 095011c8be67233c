"""What the suites of the Python package share: where it is, and ways to say what must fail.

They run as python3 tests/test_python*.py BUILD/examples/lapse, with PYTHONPATH=python and LAPSE_LIBRARY=the library.
"""
import datetime
import importlib.util
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[1:1] = [os.path.join(ROOT, 'tests', 'abi'), os.path.join(ROOT, 'python')]

import lapse  # noqa: E402
from harness import Skip, suite  # noqa: E402, F401

UTC = datetime.timezone.utc
EXAMPLE = os.path.join(ROOT, 'examples', 'orders.csv')


def raises(expected, function, *args, **more):
    """The exception, for a look at it."""
    try:
        function(*args, **more)
    except expected as problem:
        return problem
    raise AssertionError('%s was expected of %r %r' % (expected, args, more))


def example():
    store = lapse.open()
    store.import_csv(EXAMPLE)
    return store


def frames_python():
    """Goes on in an interpreter that has the packages for frames, where there is one: LAPSE_FRAMES_PYTHON, which tests/run
    makes, or that of bench/run. Returns the packages that are missing in the one that is left."""
    wanted = ('numpy', 'pandas', 'polars', 'pyarrow', 'duckdb')
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    places = [os.environ.get('LAPSE_FRAMES_PYTHON'), os.path.join(ROOT, 'build-frames', 'bin', 'python'),
              os.path.join(ROOT, 'build-bench', 'venv', 'bin', 'python')]
    for place in places:
        if missing and place and os.access(place, os.X_OK) and not os.environ.get('LAPSE_FRAMES_TRIED'):
            os.environ['LAPSE_FRAMES_TRIED'] = '1'
            os.execv(place, [place, '-B'] + sys.argv)
    return missing
