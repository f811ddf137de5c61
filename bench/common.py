"""What the experiments share on paper: options, a place to work, tables, verdicts, plots.

bench/servers.py has the servers, bench/measure.py the counters and the load.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("BUILD", TOP / "build")).resolve()
RESULTS = TOP / "build" / "bench"


def say(text):
    """Progress, on stderr, so that stdout holds the result alone."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def workspace():
    """A directory on the disk for the queues, and one in memory for the logs.

    So that what the disk counters see is the queue. Both are gone at the end, on ctrl-C and
    SIGTERM too.
    """
    if os.geteuid() != 0:
        raise SystemExit("bench: fatal: must be root: Postfix, the relay's users, other users' memory")
    if os.getloadavg()[0] > 0.5:
        say(f"load average {os.getloadavg()[0]:.1f}: others work on this machine, figures will be low")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(111))
    path = Path(tempfile.mkdtemp(prefix="relay-bench.", dir="/var/tmp"))
    logs = Path(tempfile.mkdtemp(prefix="relay-bench.", dir="/dev/shm"))
    path.chmod(0o755)
    logs.chmod(0o1777)
    try:
        yield path, logs
    finally:
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(logs, ignore_errors=True)


def cell(value):
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def table(rows, head):
    """Aligned columns: texts to the left, numbers to the right."""
    cells = [[cell(c) for c in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for number, row in enumerate(cells):
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w)
                        for i, (c, w) in enumerate(zip(row, widths))))
        if number == 0:
            print("  ".join("-" * w for w in widths))
    sys.stdout.flush()


def verdict(what, figure, wanted, good):
    """One line that holds a figure against its aim."""
    print(f"{'reached' if good else 'MISSED ':8}{what}: {figure} (aim: {wanted})", flush=True)
    return good


def save(name, data):
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")


def plot(name, script):
    """Draws build/bench/NAME.svg with gnuplot; script has its data inline."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    svg = RESULTS / f"{name}.svg"
    head = f'set terminal svg size 800,420 font "sans,12" background "white"\nset output "{svg}"\n'
    subprocess.run(["gnuplot"], input=head + script, text=True, check=True)
    print(f"picture: {svg}")


def bars(name, title, ylabel, groups, series, extra=""):
    """Bars side by side in each group, their figures on top.

    groups is [(label, [height, ...])], series [(label, colour, how solid)], one for each height.
    """
    width, blocks, plots = 0.8 / len(series), [], []
    for number, (label, colour, solid) in enumerate(series):
        rows = [f'{place + (number + 0.5) * width - 0.4:.3f} {heights[number]:.4g} "{cell(heights[number])}"'
                for place, (_, heights) in enumerate(groups)]
        blocks.append(f"$s{number} << EOD\n" + "\n".join(rows) + "\nEOD")
        plots.append(f'$s{number} using 1:2 with boxes fs solid {solid} lc rgb "{colour}" title "{label}"')
        plots.append(f"$s{number} using 1:2:3 with labels offset 0,0.5 font \",9\" notitle")
    ticks = ", ".join(f'"{label}" {place}' for place, (label, _) in enumerate(groups))
    plot(name, "\n".join([*blocks, f'set title "{title}"', f'set ylabel "{ylabel}"', f"set boxwidth {width:.3f}",
                          f"set xtics ({ticks}) scale 0", f"set xrange [-0.5:{len(groups) - 0.5}]", "set grid y",
                          "set key outside below", extra, "plot " + ", ".join(plots)]) + "\n")


def arguments(description, **defaults):
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in defaults.items():
        option = f"--{name.replace('_', '-')}"
        if value is False:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(value), default=value, help=f"default {value}")
    return parser.parse_args()
