"""docs/python.md as a test: each session runs, in one namespace, where the packages that its fence names are installed.

What is not installed here is tried with the interpreter that test_python_frames.py uses.
"""
import doctest
import importlib.util
import os
import re

from python_suite import ROOT, Skip, frames_python, suite  # first: it finds the others

DATA = os.environ.get('LAPSE_DATA') or os.path.join(ROOT, '..', 'shared', 'data')


def there(need):
    if need == 'LAPSE_DATA':
        os.environ['LAPSE_DATA'] = DATA
        return os.path.exists(os.path.join(DATA, 'cdnow_master.csv'))
    return importlib.util.find_spec(need) is not None


def run(text, line, names):
    test = doctest.DocTestParser().get_doctest(text, names, 'docs/python.md', 'docs/python.md', line)
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, ''.join(said)


def main():
    frames_python()
    os.chdir(ROOT)
    with open(os.path.join('docs', 'python.md'), encoding='utf-8') as file:
        text = file.read()
    names = {}
    for fence in re.finditer(r'^```python ?(\w*)\n(.*?)^```$', text, re.M | re.S):
        need, line = fence[1], text.count('\n', 0, fence.start()) + 1

        def session():
            if need and not there(need):
                raise Skip('%s is not there' % need)
            run(fence[2], line, names)
        suite.run('docs/python.md:%d' % line, session)
    suite.end()


main()
