"""Runs one command as a child of its own and writes down what it took: wall, CPU, largest memory of any process.

A script of nothing but the standard library, started for each measurement: Linux counts the memory of whoever forks
into a child's peak, so that a benchmark suite full of libraries cannot measure a small process itself.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """``launcher.py REPORT COMMAND…``: the exit code is the command's."""
    report, command = sys.argv[1], sys.argv[2:]
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    found = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}
    with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be memory of its own
        json.dump(found, file)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
