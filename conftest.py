import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("tools", "data", "tests")]

pytest_plugins = ["compare_outputs", "pytester"]
