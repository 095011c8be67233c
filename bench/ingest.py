"""What a store file takes in, and how soon it answers: ingest.py BUILD ROWS

Batches of orders, single orders, and the history of one customer, lapse beside DuckDB and SQLite, each measurement in a
process of its own and by turns. `bench/run ingest` prepares what lies in the directory BUILD and calls this.
"""
import glob
import os
import statistics
import sys
import time

sys.argv, ARGUMENTS = sys.argv[:2], sys.argv[2:]
from race import BUILD, HERE, ROUNDS, Sample, compare, machine, path  # noqa: E402  (race.py reads sys.argv)

SINGLE = 5000
QUESTIONS = 2000


def remove(name):
    for file in glob.glob(path(name) + "*"):
        os.remove(file)


class Words(Sample):
    """A measurement whose line is seconds and then pairs of names and values."""

    def __init__(self, words):
        super().__init__(words)
        pairs = self.text.split()[1:]
        self.value = {name: float(value) for name, value in zip(pairs[::2], pairs[1::2])}


def store(*words):
    return Words([path("store"), *map(str, words)])


def ingest(orders, rows, batch, threads):
    """Everything kept, synchronous=FULL; DuckDB has the orders in memory too and inserts as many at a time."""
    ours, theirs, middle = [], [], []
    for turn in range(ROUNDS + 1):
        remove("ingest.lapse")
        remove("ingest.duckdb")
        one = store("append", path("ingest.lapse"), orders, batch, rows, threads)
        two = Sample([sys.executable, os.path.join(HERE, "ingest_peer.py"), orders, path("ingest.duckdb"), str(batch),
                      str(rows)])
        if turn > 0:
            ours.append(one.inside)
            theirs.append(two.inside)
            middle.append(one.value["commit_p50_us"] * 1e-6)
    rate = rows / statistics.median(ours) / 1e6
    print(f"batches of {batch:,}, {rows:,} orders, {threads} thread{'s' * (threads > 1)}: lapse {rate:.2f} M/s with all merging, "
          f"{batch / statistics.median(middle) / 1e6:.2f} M/s the median commit; "
          f"DuckDB {rows / statistics.median(theirs) / 1e6:.2f} M/s, ratio {compare(ours, theirs)}; "
          f"file {os.path.getsize(path('ingest.lapse')) / rows:.1f} bytes an order")


def single(orders):
    samples = []
    for turn in range(ROUNDS + 1):
        remove("single.lapse")
        sample = store("single", path("single.lapse"), orders, SINGLE)
        if turn > 0:
            samples.append(sample.value)
    rate = statistics.median(s["rate_of_sqlite"] for s in samples)
    spread = [statistics.median(s[name] for s in samples) for name in
              ("commit_p50_us", "commit_p99_us", "sqlite_p50_us", "sqlite_p99_us")]
    print("one order a commit: {:.2f} of the rate of SQLite; median {:.0f} us, p99 {:.0f} us, "
          "SQLite {:.0f} us and {:.0f} us".format(rate, *spread))


def histories(orders, rows):
    """Before: as batches of 1,000 have left it. After: everything in one run."""
    remove("before.lapse")
    remove("after.lapse")
    store("append", path("before.lapse"), orders, 1000, rows, 1)
    store("append", path("after.lapse"), orders, rows, rows, 1)
    for name in ("before", "after"):
        samples = [store("history", path(f"{name}.lapse"), rows // 10, QUESTIONS).value for _ in range(ROUNDS)]
        p50, p99 = (statistics.median(s[f"history_{p}_us"] for s in samples) for p in ("p50", "p99"))
        print(f"history of one customer of {rows:,} orders, {name} merging all: median {p50:.0f} us, p99 {p99:.0f} us")


def main():
    rows = int(ARGUMENTS[0])
    orders = path(f"orders-{rows}.csv")
    print(machine(), time.strftime("%Y-%m-%d"))
    print(f"medians of {ROUNDS} interleaved rounds; ratio: theirs / lapse")
    ingest(orders, rows, 10000, 1)
    ingest(orders, rows, 10000, 2)
    single(orders)
    histories(orders, rows)


if __name__ == "__main__":
    main()
