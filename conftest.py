import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("tools", "data", "tests")]

from run_chapters import left_out

pytest_plugins = ["compare_outputs", "pytester"]
collect_ignore = [str(path) for path in left_out()]
