"""The race about scores: rfm.py BUILD [CUSTOMERS] [rounds as BENCH_ROUNDS]

From arrays of 10,000,000 customers to their three scores, lapse against NTILE of DuckDB on a table in memory, after every
score was found equal; one customer at a time by saved cuts; and, of the orders held in BUILD/orders.lapse and
BUILD/orders.duckdb, which race.py makes, from the open store to the RFM of all customers, and of 24 month ends against
one. Peers and lapse run in turn, each in a process of its own.

    rfm.py BUILD peer ntile THREADS [FILE]             one measurement of DuckDB, scores to FILE
    rfm.py BUILD peer stream-thresholds|stream-ntile THREADS
"""
import os
import sys
import time

sys.dont_write_bytecode = True

NTILE = """CREATE TEMP TABLE scores AS SELECT id, ntile(5) OVER (ORDER BY r DESC, id)::UTINYINT AS r,
    ntile(5) OVER (ORDER BY f, id)::UTINYINT AS f, ntile(5) OVER (ORDER BY m, id)::UTINYINT AS m FROM customers"""


def peer_ntile(build, threads, target):
    import duckdb
    import numpy
    values = numpy.fromfile(os.path.join(build, "customers.bin"), dtype="int64").reshape(3, -1)
    arrays = {"id": numpy.arange(values.shape[1], dtype="int64"), "r": values[0], "f": values[1], "m": values[2]}
    db = duckdb.connect(config={"threads": threads, "preserve_insertion_order": "false"})
    db.register("arrays", arrays)
    db.execute("CREATE TABLE customers AS SELECT * FROM arrays")
    begin = time.perf_counter()
    db.execute(NTILE)
    print("%.6f" % (time.perf_counter() - begin), flush=True)
    if target:
        found = db.execute("SELECT r, f, m FROM scores ORDER BY id").fetchnumpy()
        numpy.concatenate([found[axis].astype("uint8") for axis in "rfm"]).tofile(target)


def peer_stream(build, form, threads):
    import duckdb
    import peers
    db = duckdb.connect(os.path.join(build, "orders.duckdb"), read_only=True,
                        config={"threads": threads, "preserve_insertion_order": "false"})
    begin = time.perf_counter()
    db.execute(peers.CUSTOMERS.format(orders="orders"))
    db.execute(f"CREATE TEMP TABLE scores AS {peers.SELECTS[form]}")
    print("%.6f" % (time.perf_counter() - begin), flush=True)


def main():
    import race
    here, own = os.path.abspath(__file__), race.path("rfm_held")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    values, store = race.path("customers.bin"), race.path("orders.lapse")
    if not os.path.exists(values) or os.path.getsize(values) != 24 * count:
        race.Sample([own, "draw", str(count), values])

    def duckdb(form, threads, *more):
        return [sys.executable, here, race.BUILD, "peer", form, str(threads), *more]

    def run(title, competitors):
        samples = race.run_rounds(competitors)
        names = [name for name, _ in competitors]
        race.show(title, names, samples, samples, names[0], names[0])

    print(race.machine())
    race.Sample([own, "arrays", values, "2", "ntile", race.path("ntile-lapse")])
    race.Sample(duckdb("ntile", 2, race.path("ntile-duckdb")))
    with open(race.path("ntile-lapse"), "rb") as ours, open(race.path("ntile-duckdb"), "rb") as theirs:
        if ours.read() != theirs.read():
            sys.exit("NTILE of lapse and of DuckDB differ")
    print(f"the same NTILE scores of {count:,} customers on three axes")
    for threads in (1, 2):
        run(f"{count:,} customers in arrays, {threads} thread{'s' * (threads > 1)}",
            [("lapse ntile", [own, "arrays", values, str(threads), "ntile"]),
             ("lapse quantile", [own, "arrays", values, str(threads), "quantile"]),
             ("DuckDB ntile", duckdb("ntile", threads))])
    alone = [float(race.Sample([own, "one", values]).text.split()[1]) for _ in range(race.ROUNDS)]
    print(f"\none customer by saved cuts: {sorted(alone)[len(alone) // 2]:.1f} ns")
    for threads in (2, 1):
        run(f"open store to RFM, {threads} thread{'s' * (threads > 1)}",
            [("lapse", [own, "stream", store, str(threads)])] +
            [(f"DuckDB {form}", duckdb(f"stream-{form}", threads)) for form in ("thresholds", "ntile")])
        run(f"24 month ends, {threads} thread{'s' * (threads > 1)}",
            [("one past month end", [own, "month", store, str(threads)]),
             ("24 month ends", [own, "months", store, str(threads)])])


if __name__ == "__main__":
    if len(sys.argv) > 4 and sys.argv[2] == "peer":
        build, form, threads = sys.argv[1], sys.argv[3], int(sys.argv[4])
        if form == "ntile":
            peer_ntile(build, threads, sys.argv[5] if len(sys.argv) > 5 else None)
        else:
            peer_stream(build, form.split("-")[1], threads)
    else:
        main()
