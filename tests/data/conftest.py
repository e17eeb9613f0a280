"""Small sets in every layout, made by the tests themselves, and the real CIFAR-10 where it is at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.images import encoded, pixels, write_python_batch

CIFAR10 = Path(__file__).parents[2] / ".." / "shared" / "data" / "cifar10"
WEIGHTS = Path(__file__).parents[2] / ".." / "shared" / "data" / "weights"


@pytest.fixture(scope="session")
def cifar10() -> Path:
    if not CIFAR10.is_dir():
        pytest.skip("CIFAR-10 is not at ../shared/data/cifar10")
    return CIFAR10


@pytest.fixture(scope="session")
def kth_mean_file() -> Path:
    path = WEIGHTS / "rr_uint8_mean_3x32x32.npy"
    if not path.is_file():
        pytest.skip("the KTH mean is not at ../shared/data/weights")
    return path


@pytest.fixture
def cifar10_python(tmp_path: Path) -> Path:
    """Five batches of 20 images and a test batch of 20."""
    for i, name in enumerate([f"data_batch_{j}" for j in range(1, 6)] + ["test_batch"]):
        write_python_batch(
            tmp_path / "cifar-10-batches-py" / name, pixels(20, i), [j % 10 for j in range(20)], key="labels"
        )
    return tmp_path


@pytest.fixture
def cifar10_binary(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for i, name in enumerate([f"data_batch_{j}" for j in range(1, 6)] + ["test_batch"]):
        rows = np.concatenate([np.arange(20, dtype=np.uint8)[:, None] % 10, pixels(20, i).reshape(20, -1)], axis=1)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    return tmp_path


@pytest.fixture
def write_shard() -> Callable[..., None]:
    """Write a Parquet shard as the hub does."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    import pyarrow as pa

    def write(
        path: Path, blobs: list[bytes | None], labels: list[int | None], *, column: str = "img", names: str = ""
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table({column: [{"bytes": blob, "path": None} for blob in blobs], "label": labels})
        if names:
            table = table.replace_schema_metadata(
                {"huggingface": '{"info": {"features": {"label": {"names": [%s]}}}}' % names}  # noqa: UP031
            )
        parquet.write_table(table, path)

    return write


@pytest.fixture
def cifar10_parquet(tmp_path: Path, write_shard: Callable[..., None]) -> Path:
    for split, count in (("train", 2), ("test", 1)):
        for i in range(count):
            blobs = [encoded(image) for image in pixels(20, 10 * count + i)]
            write_shard(tmp_path / "data" / f"{split}-{i:05d}-of-{count:05d}.parquet", blobs, [*range(10), *range(10)])
    return tmp_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Pictures of 20 to 50 pixels: two classes, eight training and four test pictures of each."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for name in ("cat", "dog"):
            folder = tmp_path / "tree" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                height, width = random.integers(20, 50, 2)
                image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
                Image.fromarray(image).save(folder / f"{i}.{'png' if i % 2 else 'jpg'}")
    return tmp_path / "tree"
