"""Signals wait while processes start, and these processes keep them out."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
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
from senet.signals import obey_parent, held

def wait(ready):
    obey_parent()
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


PARENT = """
import ctypes, multiprocessing, os, time
from senet.execution.child import begin

def work(pipe, holds):
    pipe.send(os.getpid())
    ctypes.PyDLL(None).sleep(60) if holds else time.sleep(60)

if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=begin, args=(theirs, {by_main})).start()
    theirs.close()
    ours.send((work, {holds}))
    print(ours.recv(), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("by_main", "holds"), [(True, True), (True, False), (False, False)])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an operator that holds Python's lock delays the end")
def test_a_process_that_trains_ends_at_once_with_its_parent(by_main: bool, holds: bool, tmp_path: Path) -> None:
    """Also while one operator holds Python's lock, when no thread of it can run."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(by_main=by_main, holds=holds))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    end = time.monotonic() + 5  # milliseconds on an idle machine; it would sleep for 60
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_that_trains_can_end_before_it_imports_torch() -> None:
    look = "import sys, senet.execution.child; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "False\n"


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
    assert said.stderr == "senet: stopped by Ctrl-C; run the same command to start again.\n"
