"""Allocators are told before they are asked; what follows in memory is measured in docs/performance.md."""

import subprocess
import sys

import pytest

IMPORTED_LATER = """
from warehouse import memory
memory.give_back()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""
IMPORTED_BEFORE = """
import pyarrow
from warehouse import memory
memory.give_back()
print(pyarrow.default_memory_pool().backend_name)
"""
# What a worker writes Parquet with is decided when Arrow is imported.
IN_WORKERS = """
import sys
from tasks import worker
from warehouse import memory
real, there = memory.give_back, []
memory.give_back = lambda: (there.append("pyarrow" in sys.modules), real())
worker.warm(None)
import pyarrow
print(there[0], pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [(IMPORTED_LATER, "system"), (IMPORTED_BEFORE, "system"), (IN_WORKERS, "False system")],
    ids=["Arrow is imported later", "Arrow was imported", "in workers"],
)
def test_arrow_takes_the_memory_that_goes_back(code: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n") == [said, ""], done.stderr
