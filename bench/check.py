"""check.py OURS THEIRS: compares two files of scores customer by customer, with money as decimals.

Prints how many customers differ in recency, frequency or monetary value, how many in a score, and how many there are.
A process of its own, because what the parent of a measured process has used is counted to that process.
"""
import sys

import duckdb


def scores(file):
    return f"""(SELECT customer, recency_days::BIGINT AS d, frequency::BIGINT AS n, monetary::DECIMAL(18,2) AS s,
                       r::INTEGER AS r, f::INTEGER AS f, m::INTEGER AS m
                FROM read_csv('{file}', header = true, all_varchar = true))"""


print(*duckdb.connect().execute(f"""
    SELECT count(*) FILTER (WHERE (a.d, a.n, a.s) IS DISTINCT FROM (b.d, b.n, b.s)),
           count(*) FILTER (WHERE (a.r, a.f, a.m) IS DISTINCT FROM (b.r, b.f, b.m)), count(*)
    FROM {scores(sys.argv[1])} a FULL JOIN {scores(sys.argv[2])} b USING (customer)""").fetchall()[0])
