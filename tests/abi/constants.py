"""Every public constant and its number: python3 constants.py SOURCE_DIR

abidiff cannot see these, as signatures say int32_t. The headers and abi/constants.txt must hold the same: a number in
use never changes, and a new constant enters the list with the change that makes it.
"""
import os
import sys

import headers


def lines(root):
    """`NAME NUMBER`, in the order of the headers."""
    enums = headers.items(headers.read(os.path.join(root, 'include')), 'enum')
    return ['%s %d' % member for item in enums for member in item.members]


def main(root):
    now = lines(root)
    with open(os.path.join(root, 'abi', 'constants.txt'), encoding='utf-8') as f:
        promised = f.read().splitlines()
    problems = ['changed or gone: ' + line for line in promised if line not in set(now)]
    problems += ['not in abi/constants.txt: ' + line for line in now if line not in set(promised)]
    problems += ['twice: ' + name for name in {line.split()[0] for line in now}
                 if sum(line.split()[0] == name for line in now) > 1]
    headers.report(problems if promised else ['abi/constants.txt is empty'], '%d constants, as promised' % len(now))


if __name__ == '__main__':
    main(sys.argv[1])
