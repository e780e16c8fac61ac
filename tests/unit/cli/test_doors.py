"""What helps somebody whose command is stuck."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGUSR1])
def test_a_command_shows_where_its_threads_are_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    line = [sys.executable, "-m", "cookline.cli", "push", "--watch", str(tmp_path)]
    environment = {**os.environ, "COOKLINE_DIRECTORY": str(tmp_path / "state")}
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("watching ")
        process.send_signal(number)
        shown = process.stderr.readline()
        while "watched.py" not in shown:
            shown += process.stderr.readline()
        assert "Thread 0x" in shown
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
