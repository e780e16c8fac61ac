"""What becomes of a command whose reader has seen enough."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_reader_that_leaves_ends_the_output_and_not_the_command(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "cookline.cli", "schema"]
    environment = {**os.environ, "COOKLINE_DIRECTORY": str(tmp_path)}
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
