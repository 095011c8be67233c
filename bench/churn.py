"""The race about spans: churn.py BUILD [rounds as BENCH_ROUNDS]

24 months of churn (all counts and rates, end-state and flow) and all monthly cohorts (classic and unbounded) of the orders
held in BUILD/orders.lapse and BUILD/orders.duckdb, which race.py makes. Checks that DuckDB's rows are those of lapse,
then lets both run in turn, each in a process of its own, timed from the open database on.

    churn.py BUILD peer FORM THREADS [FILE]     one measurement of DuckDB

Both forms of DuckDB find losses and returns by neighbours (window functions), which is what flows need. `bits` then packs the
months of a customer into one integer, its fastest form for cohorts, which ends at 63 periods; `months` takes distinct months,
the form that has no end.
"""
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

# Losses are dated at the deadline, an order at the deadline itself comes first, and the span ends inclusively, as in lapse.
CHURN = """
CREATE TEMP TABLE churn AS
WITH o AS (
    SELECT customer, time, time + INTERVAL 12 MONTH AS deadline, lag(time) OVER w + INTERVAL 12 MONTH AS was,
           lead(time) OVER w AS next
    FROM orders WHERE time <= TIMESTAMP '2025-01-01' WINDOW w AS (PARTITION BY customer ORDER BY time)),
edges AS MATERIALIZED (
    SELECT customer, time, deadline, was, next FROM o WHERE was IS NULL OR next IS NULL OR time > was OR next > deadline),
changes AS (
    SELECT customer, time AS moment, was IS NULL AS fresh, was IS NOT NULL AS back, false AS loss FROM edges
    WHERE was IS NULL OR time > was
    UNION ALL
    SELECT customer, deadline, false, false, true FROM edges
    WHERE (next IS NULL OR next > deadline) AND deadline <= TIMESTAMP '2025-01-01'),
months AS (
    SELECT customer, datediff('month', TIMESTAMP '2023-01-01', moment - INTERVAL 1 MICROSECOND) AS k,
           count(*) FILTER (loss) AS losses, count(*) FILTER (back) AS backs, count(*) FILTER (fresh) AS fresh,
           arg_min(loss, moment) AS was_here, arg_min(back, moment) AS was_lost, arg_max(loss, moment) AS is_lost
    FROM changes GROUP BY customer, k),
sums AS (
    SELECT k, sum(losses) AS lost_flow, sum(backs) AS reactivated, sum(fresh) AS new,
           count(*) FILTER (was_here AND is_lost) AS lost_end, count(*) FILTER (was_lost) AS returned
    FROM months GROUP BY k)
SELECT m.k, coalesce(lost_flow, 0) AS lost_flow, coalesce(reactivated, 0) AS reactivated, coalesce(new, 0) AS new,
       coalesce(lost_end, 0) AS lost_end, coalesce(returned, 0) AS returned,
       coalesce(sum(new + reactivated - lost_flow) OVER before, 0) AS at_start,
       coalesce(sum(new + reactivated - lost_flow) OVER upto, 0) AS at_end,
       coalesce(sum(lost_flow - reactivated) OVER before, 0) AS lost_start
FROM range(-1, 24) m(k) LEFT JOIN sums USING (k)
WINDOW before AS (ORDER BY m.k ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
       upto AS (ORDER BY m.k ROWS UNBOUNDED PRECEDING)
"""

COHORTS = {
    "bits": """
CREATE TEMP TABLE cohorts AS
WITH f AS (
    SELECT customer, bit_or(1::BIGINT << ((year(time) - 2023) * 12 + month(time) - 1)::BIGINT) AS bits
    FROM orders GROUP BY customer),
g AS (SELECT bits, bit_count((bits & -bits) - 1)::BIGINT AS cohort, count(*) AS n FROM f GROUP BY bits)
SELECT cohort, p AS period, sum(n)::BIGINT AS size, sum(n * ((bits >> (cohort + p)) & 1))::BIGINT AS active,
       coalesce(sum(n) FILTER ((bits >> (cohort + p)) > 0), 0)::BIGINT AS unbounded
FROM g, range(24) r(p) WHERE cohort + p < 24 GROUP BY cohort, p
""",
    "months": """
CREATE TEMP TABLE cohorts AS
WITH m AS (SELECT DISTINCT customer, (year(time) - 2023) * 12 + month(time) - 1 AS month FROM orders),
f AS MATERIALIZED (SELECT customer, min(month) AS cohort, max(month) AS last FROM m GROUP BY customer),
sizes AS (SELECT cohort, count(*) AS size FROM f GROUP BY cohort),
active AS (SELECT cohort, month - cohort AS period, count(*) AS active FROM m JOIN f USING (customer) GROUP BY ALL),
lasts AS (SELECT cohort, last - cohort AS period, count(*) AS n FROM f GROUP BY ALL)
SELECT s.cohort, r.p AS period, s.size, coalesce(a.active, 0) AS active,
       coalesce(sum(l.n) OVER (PARTITION BY s.cohort ORDER BY r.p DESC), 0)::BIGINT AS unbounded
FROM sizes s JOIN range(24) r(p) ON s.cohort + r.p < 24
LEFT JOIN active a ON a.cohort = s.cohort AND a.period = r.p LEFT JOIN lasts l ON l.cohort = s.cohort AND l.period = r.p
""",
}


def peer(base, form, threads, target):
    import duckdb
    db = duckdb.connect(base, read_only=True, config={"threads": threads, "preserve_insertion_order": "false"})
    begin = time.perf_counter()
    db.execute(CHURN)
    middle = time.perf_counter()
    db.execute(COHORTS[form])
    end = time.perf_counter()
    print("%.6f churn %.3f cohorts %.3f" % (end - begin, middle - begin, end - middle), flush=True)
    if target:
        with open(target, "w", encoding="utf-8") as file:
            for sql in ("SELECT k, at_start, at_end, lost_end, lost_flow, reactivated, new, returned, lost_start FROM churn "
                        "WHERE k >= 0 ORDER BY k", "SELECT cohort, period, size, active, unbounded FROM cohorts ORDER BY ALL"):
                for row in db.execute(sql).fetchall():
                    print(*(int(cell) for cell in row), file=file)


# ---- the race --------------------------------------------------------------------------------------------------------


def rows_of_lapse(path):
    """The counts of the two answers that churn_held wrote, in the form of peer()."""
    lines = [line.split(",") for line in open(path, encoding="utf-8").read().splitlines()]
    middle = next(i for i, line in enumerate(lines) if line[0] == "cohort")
    rows = []
    for k in range(24):
        cells = {line[2]: line for line in lines[1 + 12 * k:13 + 12 * k]}
        counts = [int(cells[name][3]) for name in ("at_start", "at_end", "lost_end_state", "lost_flow", "reactivated", "new")]
        rows.append([k] + counts + [int(cells["reactivation_rate"][i]) for i in (3, 4)])
    for cohort, period, size, active, _, unbounded in lines[middle + 1:]:
        year, month = map(int, cohort.split("-"))
        rows.append([(year - 2023) * 12 + month - 1, int(period), int(size), int(active), round(float(unbounded) * int(size))])
    return rows


def main():
    import race
    here, own = os.path.abspath(__file__), race.path("churn_held")
    store, base = race.path("orders.lapse"), race.path("orders.duckdb")

    def words(form, threads, *more):
        if form == race.LAPSE:
            return [own, store, str(threads), *more]
        return [sys.executable, here, race.BUILD, "peer", form.split("-")[1], str(threads), *more]

    forms = [race.LAPSE, "duckdb-bits", "duckdb-months"]
    print(race.machine())
    print(f"24 months of churn and all monthly cohorts; lapse {os.path.getsize(store) / 1e6:.0f} MB, "
          f"DuckDB {os.path.getsize(base) / 1e6:.0f} MB")
    answers = []
    for form in forms:
        race.Sample(words(form, 2, race.path("check.csv")))
        if form == race.LAPSE:
            answers.append(rows_of_lapse(race.path("check.csv")))
        else:
            with open(race.path("check.csv"), encoding="utf-8") as file:
                answers.append([[int(cell) for cell in line.split()] for line in file])
        if answers[-1] != answers[0]:
            wrong = [(a, b) for a, b in zip(*[answers[0], answers[-1]]) if a != b]
            sys.exit(f"{form}: {len(wrong)} rows differ from lapse's, the first: {wrong[:1]}")
    print(f"all agree on {len(answers[0])} rows")
    for threads in (2, 1):
        samples = race.run_rounds([(form, words(form, threads)) for form in forms])
        race.show(f"churn and cohorts, {threads} thread{'s' * (threads > 1)}", forms, samples, samples, race.LAPSE, race.LAPSE)


if __name__ == "__main__":
    if len(sys.argv) > 4 and sys.argv[2] == "peer":
        peer(os.path.join(sys.argv[1], "orders.duckdb"), sys.argv[3], int(sys.argv[4]), sys.argv[5] if len(sys.argv) > 5 else None)
    else:
        main()
