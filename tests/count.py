"""Adds up the cases of several runs of `meson test`: python3 count.py testlog.json ...

cmocka suites tell how many cases passed, failed and were skipped; our own end in a closing line; any other test is one
case. A suite that failed without saying how many is one failure. The last line is the sum.
"""
import json
import re
import sys

CLOSING = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)


def cases(test):
    text = (test.get('stdout') or '') + '\n' + (test.get('stderr') or '')
    closing = CLOSING.findall(text)
    if closing:
        counts = [int(n) for n in closing[-1]]
    else:
        counts = [sum(map(int, re.findall(r'^\[  %s\] (?:\S+: )?(\d+) test\(s\)' % word, text, re.M)))
                  for word in ('PASSED  ', 'FAILED  ', 'SKIPPED ')]
    good, skipped = test['result'] in ('OK', 'EXPECTEDFAIL'), test['result'] == 'SKIP'
    if not any(counts):
        counts = [int(good), int(not good and not skipped), int(skipped)]
    elif not good and not skipped and not counts[1]:
        counts[1] = 1
    named = re.findall(r'^\[  SKIPPED \] (\w+)$', test.get('stdout') or '', re.M)
    return counts, re.findall(r'^skipped: .*', text, re.M) + ['skipped: %s: %s' % (test['name'], name) for name in named]


def main():
    total = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding='utf-8') as f:
            for line in f:
                test = json.loads(line)
                counts, reasons = cases(test)
                total = [a + b for a, b in zip(total, counts)]
                if counts[1]:
                    print('failed: %s: %d' % (test['name'], counts[1]))
                for reason in reasons:
                    print(reason)
    print('%d passed, %d failed, %d skipped' % tuple(total))
    sys.exit(1 if total[1] or not total[0] else 0)


main()
