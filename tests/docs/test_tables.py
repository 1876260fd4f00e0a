"""Tables of measurements are what the benchmarks found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECK = """
import sys
sys.path.insert(0, 'docs')
import write_tables
found = list(write_tables.tables())
assert found
print('\\n'.join(path.name for path, text in found if path.read_text('utf-8') != text))
"""


def test_they_are_written_from_the_figures_beside_them():
    """In a process of its own, as the benchmarks are scripts with common names."""
    call = [sys.executable, '-c', CHECK]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ''), done.stderr
