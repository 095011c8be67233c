"""The types: python3 abidiff.py SOURCE_DIR SHARED_LIBRARY

Compares the library with the dump in abi/. Only exit status 0 is good: abidiff answers 4, "maybe", for a narrowed
parameter and for a struct that changed. And it answers 0 when it cannot see: for a library without debug information, a
dump without source locations, and whatever happens to a struct that a suppression names. So there are no suppressions,
and canaries are made: libraries in which every public struct or every function is changed. Compared with the dump, and
with the library, each change must be reported.
"""
import os
import re
import subprocess
import sys
import tempfile

import headers
import stub


def struct_changed(text):
    return re.sub(r'^    uint32_t size;[^\n]*\n', r'\g<0>    int64_t canary;\n', text, flags=re.M)


def function_changed(text):
    text = re.sub(r'^(LAPSE_API [^;]*)\)\s*;', r'\1, int64_t canary);', text, flags=re.M)
    return text.replace('(void, int64_t canary)', '(int64_t canary)')


# What is changed, how a report names it, and where the promised ones are listed.
CANARIES = (('struct', struct_changed, r"'struct (lapse_\w+)' at [^\n]* changed:", 'layout.h', r'^SIZE\((lapse_\w+),'),
            ('function', function_changed, r"\[C\] 'function [^(']*?(lapse_\w+)\(", 'symbols.txt', r'^(\w+)@@'))


def main(root, library):
    abi, include = os.path.join(root, 'abi'), os.path.join(root, 'include')
    baseline = os.path.join(abi, headers.SONAME + '.abi')
    problems, noticed = [], 0

    def difference(old, new, new_include):
        """(exit status, report) of the one kind of comparison that all of this makes."""
        done = subprocess.run(['abidiff', '--no-added-syms', '--drop-private-types', '--no-default-suppression',
                               '--headers-dir2', new_include, old, new], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    with tempfile.TemporaryDirectory() as where:
        for name, new, new_include in (('the library', library, include),
                                       ('what the headers say', *stub.build(root, os.path.join(where, 'same')))):
            status, text = difference(baseline, new, new_include)
            if status:
                problems.append('%s is not as promised in %s (abidiff: %d)\n%s' % (name, baseline, status, text))

        for kind, change, reported, promises, promised in CANARIES:
            changed, changed_include = stub.build(root, os.path.join(where, kind), change)
            dump = os.path.join(where, kind + '.abi')
            stub.dump(changed, changed_include, dump)
            with open(os.path.join(abi, promises), encoding='utf-8') as f:
                wanted = set(re.findall(promised, f.read(), re.M))
            if not wanted:
                problems.append('abi/%s promises no %s' % (promises, kind))
            for name, *sides in (('the dump', baseline, changed, changed_include),
                                 ('the library', dump, library, include)):
                unseen = wanted - set(re.findall(reported, difference(*sides)[1]))
                problems += ['abidiff is blind for %s: it did not notice that %s %s changed' % (name, kind, one)
                             for one in sorted(unseen)]
            noticed += len(wanted)
    headers.report(problems, 'no difference, and each of %d changes was noticed, twice' % noticed)


if __name__ == '__main__':
    main(*sys.argv[1:])
