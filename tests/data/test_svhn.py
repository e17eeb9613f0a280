import numpy as np
import pytest
import torch
from scipy import io
from support.images import pixels

from senet.data import DataSpec, load
from senet.errors import DataError

SVHN = DataSpec(name="svhn")


@pytest.fixture
def svhn(tmp_path):
    for i, name in enumerate(("train_32x32.mat", "test_32x32.mat")):
        labels = np.array([10, 1, 9, *range(1, 11)], dtype=np.uint8)[:, None]
        io.savemat(tmp_path / name, {"X": pixels(13, i).transpose(2, 3, 1, 0), "y": labels}, do_compression=True)
    return tmp_path


def test_label_ten_is_the_digit_zero_and_images_are_upright(svhn):
    data = load(SVHN, root=svhn)
    assert data.train.labels.tolist() == [0, 1, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert torch.equal(data.train.images, torch.from_numpy(pixels(13, 0)))
    assert data.classes == tuple("0123456789")


def test_half_a_set_names_the_missing_file(svhn):
    (svhn / "test_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"an incomplete SVHN: test_32x32\.mat is missing"):
        load(SVHN, root=svhn)


@pytest.mark.parametrize("keep", [0, 10, 100, 200, 5000])
def test_a_truncated_file_is_named(svhn, keep):
    path = svhn / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"train_32x32\.mat is not (an SVHN|a MATLAB 5) file"):
        load(SVHN, root=svhn)


def test_another_mat_file_is_refused(svhn):
    io.savemat(svhn / "train_32x32.mat", {"X": np.zeros((3, 3)), "y": np.zeros(3)})
    with pytest.raises(DataError, match="is not an SVHN file: it needs X"):
        load(SVHN, root=svhn)


def test_a_label_above_ten_is_out_of_range(svhn):
    io.savemat(svhn / "test_32x32.mat", {"X": pixels(2, 0).transpose(2, 3, 1, 0), "y": np.array([[1], [11]])})
    with pytest.raises(DataError, match="svhn test: label 11 of image 1 is out of range; 10 classes allow 0 to 9"):
        load(SVHN, root=svhn)
