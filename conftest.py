import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("tools", "data")]

from run_chapters import figures, same_figure  # noqa: E402


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """After nbval has run a cell and compared its text, compare its figures too: nbval passes over pictures."""
    result = yield
    if hasattr(item, "test_outputs") and item.options["check"]:
        stored, fresh = figures(item.cell.outputs), figures(item.test_outputs)
        same = len(stored) == len(fresh) and all(map(same_figure, stored, fresh))
        if not same:
            item.raise_cell_error("A stored figure differs from the one this cell draws.")
    return result
