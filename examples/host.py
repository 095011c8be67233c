"""A host that acts once on each change, however often it is killed: python3 host.py LAPSE STORE AS_OF DATABASE

LAPSE is the command, DATABASE the host's own database (SQLite). What the host does is a row in its table `action`; the row and
the seq that is done are written in one transaction, so that neither is ever there without the other. Only then are the
records confirmed. Killed before that, it is told them again, and knows by the seq that it has done them.
"""
import csv
import io
import sqlite3
import subprocess
import sys


def lapse(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, encoding='utf-8').stdout


def main(command, store, as_of, database):
    own = sqlite3.connect(database)
    with own:
        own.execute('CREATE TABLE IF NOT EXISTS action(seq INTEGER PRIMARY KEY, customer, region, key, was, now)')
    told = lapse(command, 'advance', store, '--as-of', as_of, '--format', 'csv')
    for record in csv.DictReader(io.StringIO(told, newline='')):
        with own:                                    # one transaction: the action, and that it is done
            done = own.execute('SELECT 1 FROM action WHERE seq = ?', [record['seq']]).fetchone()
            if not done:
                own.execute('INSERT INTO action VALUES(?, ?, ?, ?, ?, ?)',
                            [record[name] for name in ('seq', 'customer', 'region', 'key', 'from', 'to')])
    last = own.execute('SELECT max(seq) FROM action').fetchone()[0]
    if last:
        lapse(command, 'ack', store, str(last))


if __name__ == '__main__':
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
