"""The race of frames: frames.py BUILD ROWS      (BENCH_ROUNDS as race.py)

From an orders file to a frame of RFM scores, lapse through its Python package against pandas and polars; from a polars frame of
orders to one of scores, against polars itself; and what it costs to see a large answer in NumPy and Arrow. Before the race the
scores must be the same, customer by customer.

    frames.py BUILD ROWS peer FORM THREADS      one measurement, in a process of its own
"""
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
CUTS = (0.2, 0.4, 0.6, 0.8)
TIME = "%Y-%m-%dT%H:%M:%S"


# ---- lapse -----------------------------------------------------------------------------------------------------------


def lapse_file(orders, threads, to):
    import lapse

    with lapse.open() as store:
        store.import_csv(orders, threads=threads)
        scores = store.view().rfm(threads=threads)
        return scores.to_polars() if to == "polars" else scores.to_pandas()


def lapse_frame(frame, threads):
    import lapse
    import polars

    with lapse.open() as store:
        store.append(frame, threads=threads)
        return polars.DataFrame(store.view().rfm(threads=threads))


# ---- peers -----------------------------------------------------------------------------------------------------------


def pandas_file(orders, _):
    import numpy as np
    import pandas as pd

    frame = pd.read_csv(orders, engine="c", dtype={"customer": "str", "time": "str", "amount": "float64"})
    frame["time"] = pd.to_datetime(frame["time"], format=TIME)
    frame["cents"] = (frame["amount"] * 100).round().astype("int64")
    customers = frame.groupby("customer", sort=False).agg(
        last_order=("time", "max"), frequency=("time", "size"), cents=("cents", "sum"))
    day = customers["last_order"].dt.floor("D")
    customers["recency_days"] = (day.max() - day).dt.days + 1
    customers["monetary"] = customers["cents"] / 100
    for name, value in (("r", customers["recency_days"]), ("f", customers["frequency"]), ("m", customers["cents"])):
        bins = 1 + np.searchsorted(np.quantile(value, CUTS), value, side="left")
        customers[name] = 6 - bins if name == "r" else bins
    return customers.reset_index()


def polars_scores(customers):
    import polars as pl

    day = pl.col("last_order").dt.date()
    customers = customers.with_columns(recency_days=((day.max() - day).dt.total_days() + 1), monetary=pl.col("cents") / 100)
    scores = []
    for name, value in (("r", "recency_days"), ("f", "frequency"), ("m", "cents")):
        cuts = [customers[value].quantile(p, interpolation="linear") for p in CUTS]
        bins = 1 + sum((pl.col(value) > q).cast(pl.Int8) for q in cuts)
        scores.append((6 - bins if name == "r" else bins).alias(name))
    return customers.with_columns(scores)


def polars_customers(orders, engine):
    import polars as pl

    return orders.group_by("customer").agg(
        last_order=pl.col("time").max(), frequency=pl.len(),
        cents=(pl.col("amount") * 100).round().cast(pl.Int64).sum()).collect(engine=engine)


def polars_file(orders, _):
    import polars as pl

    lazy = pl.scan_csv(orders, schema={"customer": pl.String, "time": pl.String, "amount": pl.Float64})
    customers = polars_customers(lazy, "streaming")
    # ISO times order as their texts do, so only the last of each customer need be read as a time
    return polars_scores(customers.with_columns(pl.col("last_order").str.to_datetime(TIME)))


def polars_frame(frame, _, engine):
    return polars_scores(polars_customers(frame.lazy(), engine))


# ---- one measurement -------------------------------------------------------------------------------------------------


FILES = {"file-lapse-polars": lambda *a: lapse_file(*a, "polars"), "file-lapse-pandas": lambda *a: lapse_file(*a, "pandas"),
         "file-polars": polars_file, "file-pandas": pandas_file}
FRAMES = {"frame-lapse": lapse_frame, "frame-polars-streaming": lambda *a: polars_frame(*a, "streaming"),
          "frame-polars-in-memory": lambda *a: polars_frame(*a, "in-memory")}


def read_frame(orders):
    import polars as pl

    frame = pl.read_csv(orders, schema={"customer": pl.String, "time": pl.String, "amount": pl.Float64})
    return frame.with_columns(pl.col("time").str.to_datetime(TIME))


def measure(orders, form, threads):
    """Seconds, processor seconds, customers; modules are imported before the clock starts."""
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    for module in ("lapse",) if "lapse" in form else ():
        __import__(module)
    for module in ("polars", "pandas", "pyarrow"):
        if module in form or form.startswith("frame") or (module == "pyarrow" and "pandas" in form):
            __import__(module)
    source = read_frame(orders) if form in FRAMES else orders
    begin, processor = time.perf_counter(), time.process_time()
    out = (FILES.get(form) or FRAMES[form])(source, threads)
    print(f"{time.perf_counter() - begin:.6f} {time.process_time() - processor:.6f} {len(out)}")
    return out


def see(orders, rows):
    """What it costs to look at a table of as many rows as there are orders; nothing of it depends on the values."""
    import ctypes

    import lapse
    import numpy

    store = lapse.open()
    store.import_csv(orders, threads=2, keep_all=True)
    table = store.everything().events().table()
    assert len(table) == rows and numpy.__version__
    found = []
    for name in table.columns:
        column = table[name]
        if column.type != "string":
            begin = time.perf_counter()
            array = column.numpy()
            seconds = time.perf_counter() - begin
            same = array.ctypes.data == ctypes.cast(column._column.data, ctypes.c_void_p).value
            found.append(f"{name} ({column.type}) {seconds * 1e3:.3f} ms, {'the same' if same else 'ANOTHER'} address")
    print(f"numeric columns of {rows:,} rows as NumPy: " + "; ".join(found))
    import pyarrow

    begin = time.perf_counter()
    made = pyarrow.table(table)
    print(f"the table in pyarrow: {(time.perf_counter() - begin) * 1e3:.1f} ms, all of it for {made.num_rows:,} amounts that "
          "become decimal128")


# ---- the race --------------------------------------------------------------------------------------------------------


def check(orders):
    """All competitors give the same scores."""
    import polars as pl

    frame = read_frame(orders)
    columns = ["customer", "recency_days", "frequency", "cents", "r", "f", "m"]
    ours = lapse_frame(frame, 2).with_columns(cents=(pl.col("monetary").cast(pl.Float64) * 100).round().cast(pl.Int64))
    ours = ours.select(columns).with_columns(pl.exclude("customer").cast(pl.Int64))
    for name, theirs in (("polars", polars_frame(frame, 2, "streaming")), ("lapse of the file", lapse_file(orders, 1, "polars"))):
        if "cents" not in theirs.columns:
            theirs = theirs.with_columns(cents=(pl.col("monetary").cast(pl.Float64) * 100).round().cast(pl.Int64))
        theirs = theirs.select(columns).with_columns(pl.exclude("customer").cast(pl.Int64)).sort("customer")
        if not theirs.equals(ours):
            sys.exit(f"the scores of {name} are not those of lapse")
    print(f"{len(ours):,} customers, the same values and scores by lapse of the frame and of the file, and by polars")


def main():
    build, rows = sys.argv[1], int(sys.argv[2])
    orders = os.path.join(build, f"orders-{rows}.csv")
    if sys.argv[3:4] == ["peer"]:
        if sys.argv[4] == "see":
            see(orders, rows)
        else:
            measure(orders, sys.argv[4], int(sys.argv[5]))
        return
    import race

    print(race.machine())
    check(orders)

    def peer(form, threads):
        return [sys.executable, os.path.abspath(__file__), build, str(rows), "peer", form, str(threads)]

    for title, forms, bases in (
            (f"orders file -> frame of scores, {rows:,} rows", list(FILES), ("file-lapse-polars", "file-lapse-pandas")),
            (f"polars frame of {rows:,} orders -> polars frame of scores", list(FRAMES), ("frame-lapse",))):
        for threads in (2, 1):
            samples = race.run_rounds([(form, peer(form, threads)) for form in forms])
            inside = {form: [s.inside for s in those] for form, those in samples.items()}
            used = {form: [float(s.text.split()[1]) for s in those] for form, those in samples.items()}
            print(f"\n{title}, {threads} thread{'s' * (threads > 1)}; seconds and processor seconds in process, theirs / lapse")
            for form in forms:
                base = bases[-1] if form.endswith("pandas") else bases[0]
                print(f"  {form:24} {race.statistics.median(inside[form]):7.3f} s  {race.compare(inside[base], inside[form]):20}"
                      f"  cpu {race.statistics.median(used[form]):6.2f} s  {race.compare(used[base], used[form])}")
    print(flush=True)
    subprocess.run(peer("see", 1), check=True)


if __name__ == "__main__":
    main()
