"""Ends what a notebook has started when the notebook is gone: `watchdog.py MARK`.

Standard input is a pipe that the notebook holds; it ends with the notebook, however that ends.
"""

import sys
import time

MARK = "SANDBOX_CONTAINER"  # the variable by which all processes of a container are known


def kill_marked(mark):
    """End every process of this user whose mark begins so; what forks meanwhile is found again."""
    import psutil

    for _ in range(250):
        found = False
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARK, "").startswith(mark)
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    process.kill()
                    found = True
            except (psutil.Error, OSError):
                continue  # it has ended, or is another user's
        if not found:
            return
        time.sleep(0.02)  # not psutil's wait, which would take the exit status from its owner


if __name__ == "__main__":
    sys.stdin.buffer.read()
    kill_marked(sys.argv[1])
