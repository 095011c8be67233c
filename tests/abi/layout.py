"""The layout of the public structs: python3 layout.py SOURCE_DIR

layout.c asserts each line of abi/layout.h: size of every struct, offset, size and type of every field. Here: the lines
are those of the headers, none left out, and no struct has bytes that belong to no field (what the library does not know
must be zero, so nobody may leave it to chance).
"""
import os
import re
import subprocess
import sys
import tempfile

import headers
import stub


# Structs of a specification have no name without `struct`.
GIVEN = ''.join('typedef struct %s %s;\n' % (2 * (name,)) for name in ('ArrowSchema', 'ArrowArray', 'ArrowArrayStream'))


def pointer(kind, count):
    """The type of a pointer to a field."""
    if '(*)' in kind:
        return kind.replace('(*)', '(**)')
    return '%s (*)[%s]' % (kind, count) if count else kind + ('*' if kind.endswith('*') else ' *')


def fields(root):
    """(struct, [(field, type of a pointer to it)]) of all headers."""
    return [(item.name, [(name, pointer(kind, count)) for name, kind, count in item.members])
            for item in headers.items(headers.read(os.path.join(root, 'include')), 'struct', 'given')]


def lines(root):
    """abi/layout.h as the compiler computes it today."""
    program = '#include <stdio.h>\n#include <lapse.h>\n' + GIVEN + 'int main(void)\n{\n'
    for struct, members in fields(root):
        program += 'printf("SIZE(%s, %%zu)\\n", sizeof(%s));\n' % (struct, struct)
        for name, kind in members:
            program += 'printf("FIELD(%s, %s, %%zu, %%zu, %s)\\n", offsetof(%s, %s), sizeof(((%s *)0)->%s));\n' % (
                struct, name, kind, struct, name, struct, name)
    with tempfile.TemporaryDirectory() as where:
        include = stub.copy_headers(root, where)
        source = os.path.join(where, 'sizes.c')
        with open(source, 'w', encoding='utf-8') as f:
            f.write(program + '}\n')
        stub.compile('-std=c11', '-I' + include, '-o', source[:-2], source)
        return subprocess.run([source[:-2]], check=True, capture_output=True, text=True).stdout.splitlines()


def hole(listed, size, end):
    return ['%s: %d bytes at the end belong to no field' % (listed[-1][0], size - end)] if size != end else []


def main(root):
    with open(os.path.join(root, 'abi', 'layout.h'), encoding='utf-8') as f:
        promised = [re.match(r'(SIZE|FIELD)\((\w+), (?:(\w+), (\d+), )?(\d+)(?:, (.*))?\)$', line)
                    for line in f.read().splitlines()]
    listed, end, size, problems = [], 0, 0, []
    for m in promised:
        if not m:
            problems.append('abi/layout.h: a line that is neither SIZE nor FIELD')
        elif m[1] == 'SIZE':
            problems += hole(listed, size, end)
            listed.append((m[2], []))
            end, size = 0, int(m[5])
        else:
            if int(m[4]) != end:
                problems.append('%s.%s: %d bytes before it belong to no field' % (m[2], m[3], int(m[4]) - end))
            listed[-1][1].append((m[3], m[6]))
            end = int(m[4]) + int(m[5])
    problems += hole(listed, size, end)
    now = fields(root)
    problems += ['not as in abi/layout.h: ' + struct for struct, members in now if (struct, members) not in listed]
    problems += ['only in abi/layout.h: ' + struct for struct, _ in listed if struct not in dict(now)]
    with tempfile.TemporaryDirectory() as where:
        include = stub.copy_headers(root, where)
        try:
            stub.compile('-std=c11', '-Werror', '-fsyntax-only', '-I' + include, '-I' + os.path.join(root, 'abi'),
                         os.path.join(root, 'tests', 'abi', 'layout.c'))
        except subprocess.CalledProcessError:
            problems.append('layout.c does not compile')
    headers.report(problems, '%d structs with %d fields, as promised' % (len(now), sum(len(m) for _, m in now)))


if __name__ == '__main__':
    main(sys.argv[1])
