"""The memory of a process is the smallest of its limits: of the machine, of its container, of its shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from senet.memory import memory_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/\n", {"memory.max": f"{64 * MIB}\n"}),  # within a container
        ("0::/user/me\n", {"user/memory.max": f"{64 * MIB}\n", "user/me/memory.max": "max\n"}),
        ("0::/a/b\n", {"a/memory.max": f"{99 * MIB}\n", "a/b/memory.max": f"{64 * MIB}\n"}),
        ("4:cpu:/x\n3:memory:/x\n", {"memory/x/memory.limit_in_bytes": f"{64 * MIB}\n"}),  # of the first version
    ],
)
def test_a_container_has_the_smallest_limit_on_the_way_to_its_group(tmp_path: Path, membership, files) -> None:
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "of").write_text(membership)
    assert memory_bytes(cgroups=tmp_path / "groups", membership=tmp_path / "of") == 64 * MIB


@pytest.mark.parametrize("membership", ["", "0::/\n", "nonsense\n", "0::/../../..\n"])
def test_without_a_limit_it_is_that_of_the_machine(tmp_path: Path, membership: str) -> None:
    (tmp_path / "of").write_text(membership)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_bytes(cgroups=tmp_path, membership=tmp_path / "of") == machine


def test_the_limit_of_a_shell_counts() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (900 << 20, -1)); "
        "from senet.memory import memory_bytes; print(memory_bytes() <= 900 << 20)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
