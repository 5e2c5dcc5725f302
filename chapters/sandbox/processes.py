"""Processes that stand for containers: a group each, which ends as a whole.

A container's process is started without the notebook's input and with a named list of variables.
It and all that it starts carry a mark in their environment, by which they are found when it ends,
in whatever session or group they are. A watchdog ends them when the notebook itself is killed.
"""

import collections
import contextlib
import os
import signal
import site
import subprocess
import sys
import threading
import uuid
from pathlib import Path

from . import guard
from .images.watchdog import MARK, kill_marked

GRACE = 120  # seconds from SIGTERM to SIGKILL, as documented for StopTrainingJob
LINES = 10_000  # kept of a log's beginning, and as many of its end
LONGEST = 262_144  # bytes of a line, the largest event of CloudWatch Logs
# what a container's process takes over from this machine: where things are, language and time, and
# what decides with which threads and instructions the libraries compute
INHERITED = """
    PATH PYTHONPATH LD_LIBRARY_PATH TMPDIR LANG LC_ALL TZ PYTHONHASHSEED
    SYSTEMROOT WINDIR COMSPEC PATHEXT APPDATA LOCALAPPDATA TEMP TMP
    OPENBLAS_NUM_THREADS OPENBLAS_CORETYPE MKL_NUM_THREADS NPY_DISABLE_CPU_FEATURES GLIBC_TUNABLES
    TF_NUM_INTRAOP_THREADS TF_NUM_INTEROP_THREADS TF_ENABLE_ONEDNN_OPTS TF_CPP_MIN_LOG_LEVEL
    ONEDNN_MAX_CPU_ISA XLA_FLAGS JAX_PLATFORMS CUDA_VISIBLE_DEVICES MPLCONFIGDIR
""".split()
FIXED = {
    "AWS_REGION": "us-east-1",
    "MPLBACKEND": "Agg",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "1",  # small jobs are quicker so, and repeat exactly
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",  # their output is read as UTF-8
    "PYTHON_COLORS": "0",  # from Python 3.13 on, a traceback would have colours
}
WINDOWS = sys.platform == "win32"

_notebook = f"{os.getpid()}-{uuid.uuid4().hex}"  # begins the marks of all its containers
_watchdog = None


def container_environment():
    """Return the variables with which the process of every container starts, a dict of strings.

    These are the variables of this process that INHERITED names, as far as they are set, and some
    that are the same everywhere. All else in the notebook's environment stays out of jobs and
    endpoints, as a container's would: its terminal, its colours, its credentials.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return inherited | FIXED


def watch_over():
    """Start the process that ends all containers when this one is gone, however it ends."""
    global _watchdog
    if _watchdog and _watchdog.poll() is None:
        return
    command = [sys.executable, str(Path(__file__).parent / "images" / "watchdog.py"), _notebook]
    _watchdog = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # its end tells that this process is gone
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parent,
        **_apart(),
    )


def _apart():
    """Return the arguments of Popen by which a process gets a group of its own."""
    if WINDOWS:
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


class Log:
    """The first and the last LINES lines that a container printed."""

    def __init__(self):  # noqa: D107
        self.first, self.last, self.dropped = [], collections.deque(), 0

    def append(self, line):
        """Add a line."""
        if len(self.first) < LINES:
            self.first.append(line)
            return
        self.last.append(line)
        if len(self.last) > LINES:
            self.last.popleft()
            self.dropped += 1

    def lines(self):
        """Return the lines, a list, with a note where some were left out."""
        gap = [f"[the sandbox left out {self.dropped} lines here]"] if self.dropped else []
        return [*self.first, *gap, *self.last]


class Process:
    """A container's process; `hear(line)` is told what it prints, and None when all has ended.

    `command` is a list, `folder` where it starts, `home` its own home folder, `variables` its
    environment, over which the guard's are put. Raises OSError or ValueError if it cannot start.
    """

    def __init__(self, command, folder, home, variables, hear, stdin=subprocess.DEVNULL):  # noqa: D107
        watch_over()
        self.mark = f"{_notebook}-{uuid.uuid4().hex}"
        home.mkdir(exist_ok=True)
        own = {"HOME": str(home), "USERPROFILE": str(home), MARK: self.mark}
        if site.ENABLE_USER_SITE:
            own["PYTHONUSERBASE"] = site.getuserbase()
        self.popen = subprocess.Popen(
            command,
            cwd=folder,
            env=guard.guarded(variables) | own,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **_apart(),
        )
        self._hear = hear
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def returncode(self):
        """Return how it ended, or None while it runs."""
        return self.popen.returncode

    def _read(self):
        with self.popen.stdout as stream:
            while line := stream.readline(LONGEST):
                self._hear(line.decode("utf8", "replace").rstrip("\r\n"))

    def _wait(self):
        # the end of the process counts, not that of its pipe, which a child may hold
        self.popen.wait()
        self.kill()
        self._reader.join(2)
        self._hear(None)

    def terminate(self):
        """Ask the whole group to end: SIGTERM (on Windows there is no asking)."""
        if WINDOWS:
            self.kill()
        elif self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGTERM)

    def kill(self):
        """End the process and all that it has started, wherever they are."""
        if not WINDOWS:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)
        elif self.returncode is None:
            self.popen.kill()
        kill_marked(self.mark)


@contextlib.contextmanager
def uninterrupted():
    """Put off the interrupts of the main thread while a block runs, one of them to its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = []
    try:
        usual = signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    except ValueError:  # an interpreter inside another program
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if heard and callable(usual):
            usual(signal.SIGINT, None)
