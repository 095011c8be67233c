"""The names: python3 symbols.py SOURCE_DIR SHARED_LIBRARY [STATIC_LIBRARY]

The functions of the headers, the names of lib/lapse.map and those that the shared library exports are one list, each
under its version node. abi/symbols.txt holds what was promised: nothing of it goes away or moves to another node, and a
node that occurs in it is frozen, so that a new name needs a new node. The SONAME is a number of its own, whatever the
release. In the static library, where no map hides anything, every global name begins with lapse_.
"""
import os
import re
import subprocess
import sys

import headers

root, shared, static = (sys.argv[1:] + [None])[:3]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C'}).stdout


def names(text, *but):
    """nm's third column, without the types in `but`."""
    return {words[2] for words in map(str.split, text.splitlines()) if len(words) == 3 and words[1] not in but}


def at(pairs):
    return {'%s@@%s' % pair for pair in pairs}


nodes = headers.read_map(os.path.join(root, 'lib', 'lapse.map'))
declared = {item.name for item in headers.items(headers.read(os.path.join(root, 'include')), 'function')}
exported = names(output('nm', '-D', '--defined-only', '--with-symbol-versions', shared), 'A')
with open(os.path.join(root, 'abi', 'symbols.txt'), encoding='utf-8') as f:
    promised = set(f.read().split())
frozen = {name.split('@@')[1] for name in promised}

problems = []
for text, wrong in (
        ('in a header, not in lib/lapse.map', declared - set(nodes)),
        ('in lib/lapse.map, in no header', set(nodes) - declared),
        ('in lib/lapse.map, not exported', at(nodes.items()) - exported),
        ('exported, not in lib/lapse.map', exported - at(nodes.items())),
        ('promised in abi/symbols.txt, gone', promised - exported),
        ('added to a frozen node', {name for name in exported - promised if name.split('@@')[-1] in frozen})):
    problems += ['%s: %s' % (text, name) for name in sorted(wrong)]
if not promised:
    problems.append('abi/symbols.txt is empty')

soname = re.findall(r'\(SONAME\).*\[(.*)\]', output('readelf', '-d', shared))
if soname != [headers.SONAME]:
    problems.append('the SONAME is %s, not %s' % (soname, headers.SONAME))

if static:
    inside = names(output('nm', '-g', '--defined-only', static).replace(' __odr_asan.', ' ')) # AddressSanitizer's twins
    problems += ['global in the static library, without lapse_: ' + name
                 for name in sorted(inside) if not name.startswith('lapse_')]
    problems += ['not seen in the static library: ' + name for name in sorted(declared - inside)]

headers.report(problems, '%d names, as promised' % len(exported))
