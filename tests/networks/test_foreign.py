"""Networks of other libraries before pictures: their preprocessing, their outputs as labels, their accuracy."""

import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from senet.data.file_split import Files
from senet.data.normalize import Normalize
from senet.data.resize_crop import frame_of
from senet.errors import SpecError
from senet.experiments.data_spec import DataSpec
from senet.networks import named
from senet.networks.preprocessing import preprocessing_of as preprocessing
from senet.weights.config import Preprocessing

pytestmark = pytest.mark.parity
WEIGHTS = "mobilenetv3_small_100_imagenet_timm_fp32.safetensors"


@pytest.mark.parametrize(
    ("name", "size", "resize", "interpolation", "mean"),
    [
        ("timm:tf_mobilenetv3_small_100", 224, 256, "bilinear", 0.5),
        ("timm:mobilenetv3_small_100", 224, 256, "bicubic", 0.485),
        ("timm:resnet50.a1_in1k", 224, 235, "bicubic", 0.485),
        ("timm:inception_v3.tf_in1k", 299, 341, "bicubic", 0.5),
        ("torchvision:resnet50", 224, 232, "bilinear", 0.485),
        ("torchvision:resnet50.IMAGENET1K_V1", 224, 256, "bilinear", 0.485),
        ("torchvision:inception_v3", 299, 342, "bilinear", 0.485),
    ],
)
def test_the_preprocessing_is_that_of_the_library(name, size, resize, interpolation, mean):
    pytest.importorskip(name.partition(":")[0])
    wanted, _ = preprocessing(named(name))
    assert (wanted.size, round(wanted.size / wanted.crop), wanted.interpolation) == (size, resize, interpolation)
    assert wanted.mean[0] == mean


SIZES = ((300, 280), (500, 333), (90, 200), (224, 224))


def compare_with(transform, name: str) -> None:
    """Compare the input of a network for pictures of several sizes with that of the library's transform."""
    wanted, _ = preprocessing(named(name))
    spec = wanted.applied(DataSpec(name="folder"))
    frame = frame_of(spec, set(SIZES), kept=0)
    pictures = [Image.effect_noise(size, 90).convert("RGB") for size in SIZES]
    files = []
    for picture in pictures:
        picture.save(file := io.BytesIO(), "png")
        files.append(file.getvalue())
    labels = torch.arange(len(SIZES))
    split = Files(tuple(files), tuple(map(str, SIZES)), labels, frame=frame, normalize=Normalize(spec.mean, spec.std))
    [(seen, _)] = split.batches([(labels, 0)], augment=None, device="cpu")
    torch.testing.assert_close(seen, torch.stack([transform(picture) for picture in pictures]), rtol=1e-5, atol=1e-5)


def test_pictures_come_out_as_those_of_torchvision():
    models = pytest.importorskip("torchvision.models")
    compare_with(models.get_model_weights("resnet50").DEFAULT.transforms(), "torchvision:resnet50")


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "tf_mobilenetv3_small_100", "resnet50.a1_in1k"])
def test_pictures_come_out_as_those_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    config = timm.data.resolve_model_data_config(timm.create_model(name))
    compare_with(timm.data.create_transform(**config, is_training=False), f"timm:{name}")


def test_sizes_and_numbers_are_changed_on_request():
    own, _ = preprocessing(named("torchvision:resnet50.IMAGENET1K_V1"))
    small = own.applied(DataSpec(name="folder", size=112))
    assert (small.size, small.crop, round(small.size / small.crop)) == (112, 0.875, 128)
    assert own.applied(DataSpec(name="folder", mean=(0.1,) * 3, std=(1.0,) * 3)).mean == (0.1,) * 3
    assert own.applied(DataSpec(name="folder", normalize="unit")).mean == ()
    assert own.applied(DataSpec(name="cifar10"), sized=False) == DataSpec(
        name="cifar10", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert own.applied(DataSpec(name="digits"), sized=False) == DataSpec(name="digits")  # one channel
    timm = Preprocessing.from_timm(
        {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, 224, 224), "crop_pct": 0.95}
    )
    assert timm is not None
    typed = timm.applied(DataSpec(name="folder", crop=0.875, interpolation="bilinear"), said=("crop", "interpolation"))
    assert (typed.size, typed.crop, typed.interpolation, typed.mean) == (224, 0.875, "bilinear", (0.5,) * 3)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"mean": (0.5,) * 3, "input_size": (3, 224, 224)},
        {"mean": 0.5, "std": 0.5, "input_size": (3, 224, 224)},
        {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, None, None)},
        {"mean": (123.7,) * 3, "std": (58.4,) * 3, "input_size": (3, 224, 224)},
        {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, 224, 224), "interpolation": "random"},
    ],
)
def test_a_configuration_that_describes_no_preprocessing_is_none(config: dict[str, object]) -> None:
    assert Preprocessing.from_timm(config) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:fasterrcnn_resnet50_fpn", "does not classify images"),
        ("deeplabv3_resnet50", "does not classify images"),
        ("torchvision:r3d_18", "does not classify images"),
        ("torchvision:raft_small", "does not classify images"),
        ("timm:resnet50.nonsense", r"timm:resnet50: weights = 'nonsense' is not known; choose one of"),
        ("torchvision:resnet50.V1", r"choose one of: DEFAULT, IMAGENET1K_V1"),
        ("se_resnet50", r"resnet50 with --se standard"),
        ("SE-ResNet50", r"resnet50 with --se standard"),
        ("senet:seresnet50", r"resnet50 with --se standard"),
        ("timm/resnet50.a1_in1k", r"Did you mean resnet50.a1_in1k"),
    ],
)
def test_names_that_libraries_know_otherwise_are_explained(name, message):
    pytest.importorskip("timm")
    pytest.importorskip("torchvision")
    with pytest.raises(SpecError, match=message):
        named(name)


def tree(root: Path, names: tuple[str, ...], each: int) -> None:
    for place, name in enumerate(names):
        for number in range(each):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (90, 80), (60 * place, 10 * number, 200)).save(path)


def test_a_foreign_network_is_tested_on_folders_that_a_map_names(call, tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    model = models.shufflenet_v2_x0_5(num_classes=12)
    torch.nn.init.zeros_(model.fc.weight)
    with torch.no_grad():
        model.fc.bias.copy_(torch.eye(12)[7])  # it answers 7
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    model12 = ("eval", "--model", "torchvision:shufflenet_v2_x0_5", "--weights", "w.safetensors", "--device", "cpu")
    words = ("data.size=80", "--data-dir")
    tree(tmp_path / "numbers", ("0", "7", "11"), 4)
    tree(tmp_path / "names", ("cat", "dog", "emu"), 4)
    (tmp_path / "map.csv").write_text("cat,7\ndog,1\nemu,7\n")
    # the file has 12 outputs and the library's network 1000, so it is not known how many there are
    code, out, err = call(*model12, *words, "numbers")
    assert code == 4, out
    assert "(12, 1024) in the file" in err
    model = models.shufflenet_v2_x0_5()
    torch.nn.init.zeros_(model.fc.weight)
    with torch.no_grad():
        model.fc.bias.copy_(torch.eye(1000)[7])
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    code, out, err = call(*model12, *words, "numbers")
    assert code == 0, err
    assert "4 of 12 correct" in out
    assert "numbers of the network's outputs" in out
    assert "tested on all 12 images" in out
    assert "preprocessing: short side to 91, center crop 80x80 (bilinear" in out
    code, out, err = call(*model12, *words, "names", "--class-map", "map.csv", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["correct"], told["total"], told["confusion"]) == (8, 12, None)
    assert told["preprocessing"]["size"] == 80
    code, out, err = call(*model12, *words, "names")
    assert code == 3
    assert "1000 outputs, but the data has 3 classes ('cat', ...); use --class-map FILE" in err
    code, _, err = call("eval", "--model", "resnet8", "--weights", "w.safetensors", "--class-map", "map.csv")
    assert code == 2
    assert "are for networks of timm and torchvision" in err


@pytest.fixture
def photographs(shared: Path, tmp_path: Path) -> Path:
    """The 500 photographs in folders named by the output, the same ones for training and test."""
    parquet = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("timm")
    path = shared / "data" / "imagenet_val_500" / "validation-00000-of-00001.parquet"
    if not path.exists() or not (shared / "data" / "weights" / WEIGHTS).exists():
        pytest.skip("the photographs or the weights are not in the folder shared with the repository")
    for number, row in enumerate(parquet.read_table(path).to_pylist()):
        place = tmp_path / "photos" / str(row["label"]) / f"{number:03}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(row["image"]["bytes"])
        assert Image.open(io.BytesIO(row["image"]["bytes"])).size == (224, 224)
    return tmp_path / "photos"


@pytest.mark.slow
def test_the_documented_network_has_333_of_500_photographs_right_and_the_other_one_is_warned_of(
    call, shared: Path, photographs: Path
) -> None:
    words = ("--weights", str(shared / "data" / "weights" / WEIGHTS), "--data-dir", str(photographs), "--device", "cpu")
    code, out, err = call("eval", "--model", "timm:tf_mobilenetv3_small_100", *words)
    assert code == 0, err
    assert "326 of 500 correct" in out  # resized to 256 and cropped a second time
    assert "data.crop=1 keeps them whole" in out
    words += ("data.crop=1",)
    code, out, err = call("eval", "--model", "timm:tf_mobilenetv3_small_100", *words)
    assert code == 0, err
    assert "333 of 500 correct, top-1 66.60 %" in out
    assert "--normalize" not in out
    code, out, err = call("eval", "--model", "timm:mobilenetv3_small_100", *words)
    assert code == 0, err
    assert "141 of 500 correct" in out
    assert "with --normalize half" in out


@pytest.mark.slow
@pytest.mark.timeout(1500)  # 20 passes over 500 photographs: 3 minutes on an idle core
def test_the_documented_fold_begins_with_the_saturated_blocks(call, shared: Path, photographs: Path) -> None:
    code, out, err = call(
        "fold", "timm:tf_mobilenetv3_small_100", "--weights", str(shared / "data" / "weights" / WEIGHTS),
        "--data-dir", str(photographs), "--tolerance", "0.5", "--statistics", "100", "--device", "cpu", "--json",
        "--blocks", "2", "data.crop=1",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out)
    assert told["measure"] == "accuracy"
    order = sorted((block["rank"], block["name"]) for block in told["blocks"])
    assert {name for _, name in order[:2]} == {"blocks.0.0.se", "blocks.3.0.se"}  # the saturated ones
    assert told["chosen"] == 2
    assert told["steps"][2]["changed"] == 0


def test_a_folder_of_a_foreign_network_is_tested_on_numbered_classes(call, tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    from senet import save_pretrained

    model = models.shufflenet_v2_x0_5()
    torch.nn.init.zeros_(model.fc.weight)
    with torch.no_grad():
        model.fc.bias.copy_(torch.eye(1000)[7])  # it answers 7
    save_pretrained(model, tmp_path / "net", name="torchvision:shufflenet_v2_x0_5")
    tree(tmp_path / "numbers", ("0", "7", "11"), 4)
    code, out, err = call("eval", "net", "--device", "cpu", "data.size=80", "--data-dir", "numbers")
    assert code == 0, err
    assert "4 of 12 correct" in out
    assert "numbers of the network's outputs" in out


def test_what_was_noticed_of_the_images_is_kept_when_all_of_them_are_tested(call, tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    from senet import save_pretrained

    save_pretrained(models.shufflenet_v2_x0_5(), tmp_path / "net", name="torchvision:shufflenet_v2_x0_5")
    for name in ("0", "7"):
        for number in range(4):
            path = tmp_path / "numbers" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (80, 80), (30 * number, 10, 200)).save(path)
    (tmp_path / "numbers" / "7" / "4.png").write_bytes(b"no image")
    words = ("eval", "net", "--device", "cpu", "data.size=80", "--data-dir", "numbers")
    code, out, err = call(*words, "on_bad_image=skip", "data.mean=[0.5, 0.5, 0.5]", "data.std=[1, 1, 1]")
    assert code == 0, err
    assert "tested on all 8 images" in out
    assert "4.png" in out
    assert (
        "all images have 80x80 pixels already, but are resized to 91 and cropped; data.crop=1 keeps them whole" in out
    )
    assert "mean and deviation 0.5 and 1 [data.mean and data.std]" in out
    code, out, err = call(*words, "on_bad_image=skip", "data.crop=1", "data.normalize=unit")
    assert code == 0, err
    assert "keeps them whole" not in out
    assert "mean and deviation 0 and 1 [data.normalize=unit]" in out
    code, out, err = call(*words, "on_bad_image=skip", "data.train_size=4")  # a part is asked for: the split counts
    assert code == 0, err
    assert "a fixed choice of 1 of 8 images is the test set" in out
    assert "of 1 correct" in out
    code, out, err = call(*words, "on_bad_image=skip", "--normalize", "half")
    assert code == 0, err
    assert "[--normalize half]" in out
    code, _, err = call(*words, "on_bad_image=skip", "--normalize", "halve")
    assert code == 2
    assert "--normalize = 'halve' is not known; choose one of: auto, half, imagenet, unit. Did you mean 'half'?" in err
    code, _, err = call(*words, "on_bad_image=skip", "--normalize", "half", "data.normalize=unit")
    assert code == 2
    assert "contradicts" in err


def test_options_of_other_libraries_are_refused_for_a_run(call, tmp_path: Path) -> None:
    code, _, err = call("train", "--model", "resnet8", "--epochs", "1", "data.train_size=20", "-o", "run")
    assert code == 0, err
    (tmp_path / "map.txt").write_text("0\n")
    for words in (("--class-map", "map.txt"), ("--normalize", "half")):
        code, _, err = call("eval", "run", *words)
        assert code == 2
        assert f"{words[0]} is only for networks of other libraries, not for run; leave it out" in err
    code, _, err = call("eval", "no.onnx", "--class-map", "map.txt")
    assert code == 3
    assert "no.onnx does not exist" in err
