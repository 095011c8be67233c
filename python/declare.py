"""Writes lapse/_declarations.py from the public headers: python3 python/declare.py

To be run when a header has changed; tests/test_python.py fails while it has not been, and says so.
"""
import os
import pprint
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'tests', 'abi'))

import headers  # noqa: E402: it lies there


def parameter(_, kind, count):
    """An array is passed as a pointer to its first item."""
    return kind + ' *' if count else kind


def text(root):
    """The module as it should be."""
    public = headers.read(os.path.join(root, 'include'))

    def table(kind, row):
        return {item.name: row(item) for item in headers.items(public, *kind)}

    parts = {
        'CONSTANTS': dict(member for item in headers.items(public, 'enum') for member in item.members),
        'ALIASES': table(['alias'], lambda item: item.result),
        'HANDLES': sorted(item.name for item in headers.items(public, 'handle')),
        'CALLBACKS': table(['callback'], lambda item: (item.result, [kind for _, kind, _ in item.members])),
        'STRUCTS': table(['struct', 'given'], lambda item: item.members),
        'FUNCTIONS': table(['function'], lambda item: (item.result, [parameter(*member) for member in item.members])),
    }
    out = '"""What the public headers declare. Made by python/declare.py; do not edit."""\n'
    for name, value in parts.items():
        out += '\n%s = %s\n' % (name, pprint.pformat(value, width=118, compact=True, sort_dicts=False))
    return out


if __name__ == '__main__':
    with open(os.path.join(HERE, 'lapse', '_declarations.py'), 'w', encoding='utf-8') as f:
        f.write(text(os.path.dirname(HERE)))
