"""Takes the baseline anew: what sh abi/baseline runs. From 1.0 on it refuses (docs/abi.md)."""
import os
import re
import sys
import tempfile

import constants
import headers
import layout
import stub


def main(root):
    with open(os.path.join(root, 'meson.build'), encoding='utf-8') as f:
        version = re.search(r"version: '(\d+)\.(\d+)", f.read())
    if int(version[1]) > 0:
        sys.exit('From 1.0 on the baseline stays as it is. New names and constants are added as lines of their own.')
    nodes = headers.read_map(os.path.join(root, 'lib', 'lapse.map'))
    files = {'symbols.txt': sorted('%s@@%s' % pair for pair in nodes.items()),
             'constants.txt': constants.lines(root), 'layout.h': layout.lines(root)}
    with tempfile.TemporaryDirectory() as where:
        dump = os.path.join(where, 'dump.abi')
        stub.dump(*stub.build(root, os.path.join(where, 'stub')), dump)
        with open(dump, encoding='utf-8') as f:
            files[headers.SONAME + '.abi'] = f.read().splitlines()
    for name, lines in files.items():
        path, text = os.path.join(root, 'abi', name), '\n'.join(lines) + '\n'
        old = ''
        if os.path.exists(path):
            with open(path, encoding='utf-8') as f:
                old = f.read()
        if text != old:
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text)
            print('changed: abi/%s' % name)
    print('What changed for a caller belongs into CHANGELOG.md.')


main(sys.argv[1])
