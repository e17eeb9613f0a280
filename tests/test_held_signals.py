"""Signals wait while processes start, and these processes keep them out."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from senet.signals import SIGNALS, held, stoppable

BLOCKED_INSIDE = """
import signal
from multiprocessing import resource_tracker
from senet.signals import SIGNALS, held
with held():
    resource_tracker.ensure_running()  # what starts a process does so too
    print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == set(SIGNALS))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""

CHILD = """
import multiprocessing, os, subprocess, time
from senet.signals import end_with_parent, held

def wait(ready):
    end_with_parent()
    ready.send(True)
    time.sleep(60)

ours, theirs = multiprocessing.Pipe()
with held():
    child = multiprocessing.get_context("fork").Process(target=wait, args=(theirs,), daemon=True)
    child.start()
ours.recv()
subprocess.run(["kill", "-TERM", str(child.pid)], check=True)
child.join(0.5)
print(child.is_alive(), flush=True)
"""  # it leaves with the child still there


def test_a_signal_comes_through_when_the_processes_have_started() -> None:
    with stoppable() as stop:
        with held():
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            assert not stop
        assert stop.signal == signal.SIGUSR1


def test_what_is_started_inside_outlives_a_signal() -> None:
    with held():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for number in SIGNALS:
        os.kill(child.pid, number)
    child.communicate(b"\n")
    assert child.returncode == 0


def test_the_first_process_of_all_lets_no_signal_in() -> None:
    said = subprocess.run([sys.executable, "-c", BLOCKED_INSIDE], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:2] == ["True", "set()"]


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system does not tell who sent a signal")
def test_a_child_that_holds_signals_back_ends_with_its_parent() -> None:
    said = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=40).stdout
    assert said == "True\n"


INTERRUPTED = """
import os, pathlib, signal, sys
pathlib.Path("slow_module.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT); x = 1")
sys.path.insert(0, "")
import senet.cli, senet.cli.commands
def call():
    {what}
senet.cli.commands.call = call
senet.cli.main()
"""


@pytest.mark.parametrize(
    "what",
    [
        "import slow_module",
        "os.kill(os.getpid(), signal.SIGINT)",
        "try:\n        import slow_module\n    except BaseException:\n        pass",
    ],
)
def test_ctrl_c_is_one_line_from_the_first_moment(what: str, tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(what=what)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert said.returncode == 130
    assert said.stderr == "senet: stopped by Ctrl-C; the same command starts again.\n"
