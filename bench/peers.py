"""One measurement of one peer: peers.py FORM THREADS INPUT OUTPUT

Reads the orders file INPUT, writes the RFM scores of all customers to the CSV file OUTPUT and prints the seconds it
took inside the process, after the import of the peer's module. One process a measurement, so that peak memory is the
peer's own. The columns are those of lapse, without `score` and `segment`; money is exact (decimals or whole cents),
or equal sums would not share a score. A form that begins with `held` reads a database file and writes nothing.
"""
import os
import sys
import time

CUTS = (0.2, 0.4, 0.6, 0.8)

# ---- DuckDB ----------------------------------------------------------------------------------------------------------

ORDERS_FILE = """read_csv('{input}', auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
    columns = {{'customer': 'VARCHAR', 'time': 'TIMESTAMP', 'amount': 'DECIMAL(18,2)'}})"""

CUSTOMERS = """
CREATE TEMP TABLE sums AS
    SELECT customer, max(time) AS last_order, count(*) AS frequency, sum(amount) AS monetary
    FROM {orders} GROUP BY customer;
CREATE TEMP VIEW customers AS
    SELECT customer, last_order, (SELECT max(last_order)::DATE + 1 FROM sums) - last_order::DATE AS recency_days,
           frequency, monetary
    FROM sums;
"""

# The rule of lapse: thresholds are type-7 quantiles, a bin is 1 and the number of thresholds strictly below the value,
# and few days are best (6 - bin). Money in whole cents, because a quantile of decimals would be rounded to cents.
THRESHOLDS = """
WITH t AS MATERIALIZED (
    SELECT quantile_cont(recency_days, [0.2, 0.4, 0.6, 0.8]) AS r,
           quantile_cont(frequency, [0.2, 0.4, 0.6, 0.8]) AS f,
           quantile_cont((monetary * 100)::BIGINT, [0.2, 0.4, 0.6, 0.8]) AS m
    FROM customers)
SELECT customer, last_order, recency_days, frequency, monetary, {r} AS r, {f} AS f, {m} AS m FROM customers, t
"""

NTILE = """
SELECT customer, last_order, recency_days, frequency, monetary,
       ntile(5) OVER (ORDER BY recency_days DESC, customer) AS r,
       ntile(5) OVER (ORDER BY frequency, customer) AS f,
       ntile(5) OVER (ORDER BY monetary, customer) AS m
FROM customers
"""


def case(value, cuts):
    return f"CASE WHEN {value} <= {cuts}[1] THEN 1 WHEN {value} <= {cuts}[2] THEN 2 " \
           f"WHEN {value} <= {cuts}[3] THEN 3 WHEN {value} <= {cuts}[4] THEN 4 ELSE 5 END"


SELECTS = {
    "thresholds": THRESHOLDS.format(r="6 - " + case("recency_days", "t.r"), f=case("frequency", "t.f"),
                                    m=case("(monetary * 100)::BIGINT", "t.m")),
    "ntile": NTILE,
}


def duckdb_file(duckdb, form, threads, source, target):
    db = duckdb.connect(config={"threads": threads, "preserve_insertion_order": "false"})
    db.execute(CUSTOMERS.format(orders=ORDERS_FILE.format(input=source)))
    db.execute(f"COPY ({SELECTS[form]}) TO '{target}' (FORMAT csv, HEADER)")


def duckdb_held(duckdb, form, threads, source, _):
    db = duckdb.connect(source, read_only=True, config={"threads": threads, "preserve_insertion_order": "false"})
    db.execute(CUSTOMERS.format(orders="orders"))
    db.execute(f"CREATE TEMP TABLE scores AS {SELECTS[form]}")


def duckdb_hold(duckdb, _, threads, source, target):
    if os.path.exists(target):
        os.remove(target)
    db = duckdb.connect(target, config={"threads": threads})
    db.execute(f"CREATE TABLE orders AS SELECT * FROM {ORDERS_FILE.format(input=source)}")


# ---- polars ----------------------------------------------------------------------------------------------------------


def polars_file(pl, form, _, source, target):
    orders = pl.scan_csv(source, schema={"customer": pl.String, "time": pl.String, "amount": pl.Float64})
    customers = (
        orders.group_by("customer")
        # ISO times order as their texts do, so only the last of each customer need be read as a time
        .agg(last_order=pl.col("time").max(), frequency=pl.len(),
             cents=(pl.col("amount") * 100).round().cast(pl.Int64).sum())
        .with_columns(pl.col("last_order").str.to_datetime("%Y-%m-%dT%H:%M:%S"))
        .collect(engine=form))
    day = pl.col("last_order").dt.date()
    customers = customers.with_columns(
        recency_days=((day.max() - day).dt.total_days() + 1), monetary=pl.col("cents") / 100)
    scores = []
    for name, value in (("r", "recency_days"), ("f", "frequency"), ("m", "cents")):
        cuts = [customers[value].quantile(p, interpolation="linear") for p in CUTS]
        bins = 1 + sum((pl.col(value) > q).cast(pl.Int8) for q in cuts)
        scores.append((6 - bins if name == "r" else bins).alias(name))
    customers.with_columns(scores).select(
        "customer", "last_order", "recency_days", "frequency", "monetary", "r", "f", "m"
    ).write_csv(target, datetime_format="%Y-%m-%dT%H:%M:%SZ", float_precision=2)


# ---- pandas ----------------------------------------------------------------------------------------------------------


def pandas_file(pd, _, __, source, target):
    import numpy as np

    orders = pd.read_csv(source, engine="c", dtype={"customer": "str", "time": "str", "amount": "float64"})
    orders["time"] = pd.to_datetime(orders["time"], format="%Y-%m-%dT%H:%M:%S")
    orders["cents"] = (orders["amount"] * 100).round().astype("int64")
    customers = orders.groupby("customer", sort=False).agg(
        last_order=("time", "max"), frequency=("time", "size"), cents=("cents", "sum"))
    day = customers["last_order"].dt.floor("D")
    customers["recency_days"] = (day.max() - day).dt.days + 1
    customers["monetary"] = customers["cents"] / 100
    for name, value in (("r", customers["recency_days"]), ("f", customers["frequency"]), ("m", customers["cents"])):
        bins = 1 + np.searchsorted(np.quantile(value, CUTS), value, side="left")
        customers[name] = 6 - bins if name == "r" else bins
    customers["last_order"] = np.datetime_as_string(customers["last_order"].to_numpy(), unit="s")
    customers.to_csv(target, columns=["last_order", "recency_days", "frequency", "monetary", "r", "f", "m"])


# ----------------------------------------------------------------------------------------------------------------------

FORMS = {
    "duckdb-thresholds": ("duckdb", duckdb_file, "thresholds"),
    "duckdb-ntile": ("duckdb", duckdb_file, "ntile"),
    "duckdb-hold": ("duckdb", duckdb_hold, ""),
    "held-duckdb-thresholds": ("duckdb", duckdb_held, "thresholds"),
    "held-duckdb-ntile": ("duckdb", duckdb_held, "ntile"),
    "polars": ("polars", polars_file, "streaming"),
    "pandas": ("pandas", pandas_file, ""),
}


def main():
    form, threads, source, target = sys.argv[1:]
    module, measure, variant = FORMS[form]
    os.environ["POLARS_MAX_THREADS"] = threads
    engine = __import__(module)
    begin = time.perf_counter()
    measure(engine, variant, int(threads), source, target)
    print(f"{time.perf_counter() - begin:.6f}")


if __name__ == "__main__":
    main()
