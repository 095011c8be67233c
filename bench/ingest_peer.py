"""DuckDB takes in orders: ingest_peer.py ORDERS DATABASE BATCH ROWS

The orders are in memory before; each INSERT is a commit of its own. Prints the seconds of all commits.
"""
import sys
import time

import duckdb

from peers import ORDERS_FILE

source, target, batch, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
db = duckdb.connect(config={"threads": 2})
db.execute(f"CREATE TABLE orders AS SELECT * FROM {ORDERS_FILE.format(input=source)} LIMIT {rows}")
db.execute(f"ATTACH '{target}' AS held")
db.execute("CREATE TABLE held.orders AS SELECT * FROM orders LIMIT 0")
begin = time.perf_counter()
for first in range(0, rows, batch):
    db.execute(f"INSERT INTO held.orders SELECT * FROM orders WHERE rowid >= {first} AND rowid < {first + batch}")
print(f"{time.perf_counter() - begin:.6f}")
