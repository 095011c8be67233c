"""The race: race.py BUILD ROWS ...

Checks that all competitors give the same scores, then lets them run in turn (A B C A B C ...), each in a process of
its own, and prints medians and ratios. `bench/run` prepares what lies in the directory BUILD and calls this.
"""
import filecmp
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = sys.argv[1]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PANDAS_MOST = 1_000_000  # rows; more take it too long
LAPSE = "lapse"


def path(name):
    return os.path.join(BUILD, name)


def peer(form, threads, source, target):
    return [sys.executable, os.path.join(HERE, "peers.py"), form, str(threads), source, target]


def library(mode, threads, source, target):
    return [path("rfm_file"), mode, source, str(threads), target]


def command(threads, source, target):
    return [path("meson/examples/lapse"), "rfm", source, "--threads", str(threads), "--output", target]


# ---- one measurement -------------------------------------------------------------------------------------------------


class Sample:
    """What one process took: seconds inside as it prints them, whole seconds, processor seconds, peak MiB."""

    def __init__(self, words):
        read, write = os.pipe()
        errors = os.open(path("errors"), os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        begin = time.perf_counter()
        pid = os.posix_spawn(words[0], words, os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, errors, 2)])
        os.close(write)
        with os.fdopen(read) as said:
            self.text = text = said.read()
        _, status, usage = os.wait4(pid, 0)
        self.whole = time.perf_counter() - begin
        os.close(errors)
        if status != 0:
            with open(path("errors"), encoding="utf-8", errors="replace") as file:
                sys.exit(f"This failed: {' '.join(words)}\n{file.read()}")
        self.inside = float(text.split()[0]) if text.split() else None
        self.processor = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss / (1 if sys.platform != "darwin" else 1024) / 1024


# ---- the check -------------------------------------------------------------------------------------------------------


def differences(ours, theirs):
    words = [sys.executable, os.path.join(HERE, "check.py"), ours, theirs]
    return [int(n) for n in subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()]


def check(orders, rows):
    """Fails unless lapse agrees with itself on any way and any number of threads, and every peer with lapse."""
    ours = path("check-lapse.csv")
    Sample(library("file", 1, orders, ours))
    for words in (library("file", 2, orders, path("check.csv")), command(2, orders, path("check.csv"))):
        Sample(words)
        if not filecmp.cmp(ours, path("check.csv"), shallow=False):
            sys.exit(f"lapse does not agree with itself: {' '.join(words)}")
    for form in ["duckdb-thresholds", "duckdb-ntile", "polars"] + (["pandas"] if rows <= PANDAS_MOST else []):
        Sample(peer(form, 2, orders, path("check.csv")))
        values, scores, customers = differences(ours, path("check.csv"))
        if values or (scores and form != "duckdb-ntile"):
            sys.exit(f"{form}: {values} values and {scores} scores of {customers} customers differ from lapse's")
        print(f"{form}: {customers:,} customers, the same values, " +
              (f"{scores:,} other scores (NTILE splits ties)" if scores else "the same scores"))


# ---- the rounds ------------------------------------------------------------------------------------------------------


def run_rounds(competitors, target=None):
    """Samples of each competitor, the round of warming up left out. None finds the file `target` that one before wrote:
    to give its pages back takes the system ten milliseconds and more, in the time of whoever opens it."""
    samples = {name: [] for name, _ in competitors}
    for turn in range(ROUNDS + 1):
        for name, words in competitors:
            if target and os.path.exists(target):
                os.remove(target)
            sample = Sample(words)
            if turn > 0:
                samples[name].append(sample)
        print(f"\rround {turn} of {ROUNDS}", end="\n" if turn == ROUNDS else "", file=sys.stderr, flush=True)
    return samples


def compare(ours, theirs):
    """Ratio of the medians, and the least and the greatest of the ratios of a round."""
    rounds = [b / a for a, b in zip(ours, theirs)]
    return f"{statistics.median(theirs) / statistics.median(ours):.2f} ({min(rounds):.2f}-{max(rounds):.2f})"


HEAD = ("", "in process s", "ratio (min-max)", "whole s", "ratio (min-max)", "cpu s", "ratio", "peak MB")


def show(title, names, inside, whole, base_inside, base_whole):
    """One line a competitor. `inside` and `whole` are samples by name: for the peers the same, for lapse the small
    program on the library and the command."""
    lines = [HEAD]
    for name in names:
        one, two = inside[name], whole[name]
        seconds = [s.inside for s in one]
        wholes = [s.whole for s in two]
        processor = statistics.median(s.processor for s in two)
        lines.append((
            name, f"{statistics.median(seconds):.3f}", compare([s.inside for s in inside[base_inside]], seconds),
            f"{statistics.median(wholes):.3f}", compare([s.whole for s in whole[base_whole]], wholes),
            f"{processor:.2f}", f"{processor / statistics.median(s.processor for s in whole[base_whole]):.2f}",
            f"{max(s.peak for s in one + two):.0f}"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    print(f"\n{title}")
    for line in lines:
        print("  " + line[0].ljust(widths[0]) + "".join("  " + c.rjust(w) for c, w in zip(line[1:], widths[1:])))
    sys.stdout.flush()


def race_files(orders, rows):
    forms = ["duckdb-thresholds", "duckdb-ntile", "polars"] + (["pandas"] if rows <= PANDAS_MOST else [])
    target = path("scores.csv")
    for threads in (2, 1):
        those = [form for form in forms if form != "pandas" or threads == 1]
        samples = run_rounds(
            [(LAPSE, library("file", threads, orders, target)), ("command", command(threads, orders, target))] +
            [(form, peer(form, threads, orders, target)) for form in those], target)
        whole = dict(samples)
        whole[LAPSE] = samples["command"]
        show(f"orders file -> scores file, {rows:,} rows, {threads} thread{'s' * (threads > 1)}", [LAPSE] + those,
             samples, whole, LAPSE, LAPSE)


def race_held(orders, rows):
    store, base = path("orders.lapse"), path("orders.duckdb")
    if os.path.exists(store):
        os.remove(store)
    subprocess.run([path("meson/examples/lapse"), "import", store, orders, "--format", "csv"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    Sample(peer("duckdb-hold", 2, orders, base))
    print(f"\nheld: lapse {os.path.getsize(store) / 1e6:.0f} MB, DuckDB {os.path.getsize(base) / 1e6:.0f} MB")
    for threads in (2, 1):
        forms = ["held-duckdb-thresholds", "held-duckdb-ntile"]
        samples = run_rounds([(LAPSE, library("held", threads, store, "-"))] +
                             [(form, peer(form, threads, base, "-")) for form in forms])
        show(f"held orders -> scores, {rows:,} rows, {threads} thread{'s' * (threads > 1)}", [LAPSE] + forms, samples,
             samples, LAPSE, LAPSE)


# ----------------------------------------------------------------------------------------------------------------------


def machine():
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, " \
           f"load before {os.getloadavg()[0]:.1f}"


def main():
    all_rows = [int(word) for word in sys.argv[2:]]
    lapse = subprocess.run([path("meson/examples/lapse"), "--version"], check=True, capture_output=True, text=True)
    print(machine())
    print(", ".join([lapse.stdout.strip(), f"Python {platform.python_version()}"] +
                    [f"{name} {importlib.metadata.version(name)}" for name in ("duckdb", "polars", "pandas", "numpy")]))
    print(f"medians of {ROUNDS} interleaved rounds; ratio: theirs / lapse")
    for rows in all_rows:
        orders = path(f"orders-{rows}.csv")
        print(f"\n{rows:,} orders, {os.path.getsize(orders) / 1e6:.0f} MB")
        check(orders, rows)
        race_files(orders, rows)
    race_held(path(f"orders-{max(all_rows)}.csv"), max(all_rows))


if __name__ == "__main__":
    main()
