"""States and permits: states.py BUILD [rounds as BENCH_ROUNDS]

Of 10 M mixed events of 1 M customers (make_events.c) held in a store: all states, all consents, all permits, and the permit
of one random customer after the other, from one run and from the runs that an import in 100 files has left. Beside them
DuckDB's plain clocks: the last activity and the last order of each customer, and two CASEs; nothing of stages, consents,
endpoints, refunds or rights. Checks first that DuckDB counts the same customers in each state of both clocks.

    states.py BUILD peer THREADS [FILE]     one measurement of DuckDB
"""
import collections
import csv
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

ROWS, CUSTOMERS, PIECES = 10_000_000, 1_000_000, 100
AS_OF = "2024-09-27"

TABLE = """
CREATE TABLE events AS SELECT customer, make_timestamp(CAST(substr(time, 2) AS BIGINT) * 1000000) AS time, kind, reason, ref
FROM read_csv('{events}', all_varchar = true, header = true)
"""
STATE = "CASE WHEN {0} IS NULL THEN 'new' WHEN {0} + INTERVAL 12 MONTH <= moment THEN 'lost' WHEN {0} + INTERVAL 6 MONTH <= moment " \
        "THEN 'inactive' WHEN {0} + INTERVAL 90 DAY <= moment THEN 'at_risk' ELSE 'active' END"
CLOCKS = f"""
CREATE OR REPLACE TEMP TABLE clocks AS
SELECT customer, activity, purchase, {STATE.format('activity')} AS engagement, {STATE.format('purchase')} AS purchase_clock
FROM (SELECT customer, TIMESTAMP '{AS_OF}' AS moment,
             max(time) FILTER (kind IN ('session.started', 'product.viewed', 'order.placed', 'message.clicked')) AS activity,
             max(time) FILTER (kind = 'order.placed') AS purchase
      FROM events GROUP BY customer)
"""


def peer(base, threads, target):
    import duckdb
    db = duckdb.connect(base, read_only=True, config={"threads": threads, "preserve_insertion_order": "false"})
    begin = time.perf_counter()
    db.execute(CLOCKS)
    print("%.6f clocks" % (time.perf_counter() - begin), flush=True)
    if target:
        with open(target, "w", encoding="utf-8") as file:
            for row in db.execute("SELECT engagement, purchase_clock, count(*) FROM clocks GROUP BY ALL ORDER BY ALL").fetchall():
                print(*row, file=file)


def cut(race, events):
    """The file in PIECES, each with its header."""
    paths = [race.path(f"events-{i:03}.csv") for i in range(PIECES)]
    with open(events, "rb") as file:
        head = file.readline()
        for path in paths:
            with open(path, "wb") as piece:
                piece.write(head)
                piece.writelines(file.readline() for _ in range(ROWS // PIECES))
    return paths


def prepare(race):
    """The events, in a database of DuckDB, in a store of one run, and in one of many."""
    import duckdb
    events = race.path("events.csv")
    if not os.path.exists(events):
        with open(events + ".part", "wb") as file:
            subprocess.run([race.path("make_events"), str(ROWS), str(CUSTOMERS)], stdout=file, check=True)
        os.rename(events + ".part", events)
    lapse = race.path("meson/examples/lapse")
    for name in ("events.lapse", "events-runs.lapse", "events.duckdb"):
        if os.path.exists(race.path(name)):
            os.remove(race.path(name))
    print("Filling the stores ...", file=sys.stderr)
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([lapse, "import", race.path("events.lapse"), events, "--threads", "2"], **quiet)
    subprocess.run([lapse, "compact", race.path("events.lapse")], **quiet)
    pieces = cut(race, events)
    subprocess.run([lapse, "import", race.path("events-runs.lapse"), *pieces], **quiet)
    for piece in pieces:
        os.remove(piece)
    duckdb.connect(race.path("events.duckdb")).execute(TABLE.format(events=events))


def main():
    import race
    prepare(race)
    here, own = os.path.abspath(__file__), race.path("states_held")

    def held(question, threads, store="events.lapse"):
        return [own, race.path(store), question, str(threads)]

    def theirs(threads, *more):
        return [sys.executable, here, race.BUILD, "peer", str(threads), *more]

    print(race.machine())
    race.Sample(theirs(2, race.path("check.csv")))
    ours = collections.Counter()
    with subprocess.Popen([race.path("meson/examples/lapse"), "states", race.path("events.lapse"), "--as-of", AS_OF],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as said:
        for row in csv.DictReader(said.stdout):  # not held: what this process holds is counted with its children
            ours[row["engagement"], row["purchase_clock"]] += 1
    with open(race.path("check.csv"), encoding="utf-8") as file:
        for line in file:
            engagement, purchase, count = line.split()
            ours[engagement, purchase] -= int(count)
    if any(ours.values()):
        sys.exit(f"DuckDB counts other customers in the states: {+ours or -ours}")
    print("DuckDB counts the same customers in each state of both clocks")
    questions = ("states", "consent", "permit")
    for threads in (1, 2):
        forms = [race.LAPSE + " " + q for q in questions] + ["duckdb-clocks"]
        samples = race.run_rounds([(form, held(form.split()[1], threads)) for form in forms[:-1]] +
                                  [(forms[-1], theirs(threads))])
        race.show(f"all customers, {threads} thread{'s' * (threads > 1)}", forms, samples, samples, forms[0], forms[0])
    for store in ("events.lapse", "events-runs.lapse"):
        samples = race.run_rounds([("one", held("one", 1, store))])["one"]
        rates = sorted(100_000 / s.inside for s in samples)
        print(f"permit of one customer, {store}: {rates[len(rates) // 2]:,.0f} a second (least {rates[0]:,.0f})")


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[2] == "peer":
        peer(os.path.join(sys.argv[1], "events.duckdb"), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
    else:
        main()
