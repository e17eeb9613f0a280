"""The files of CIFAR-10 and CIFAR-100: folders, names, keys, digests, classes. No torch here.

Source:
    Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; the digests are those of its web page's
    archives and of the files in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CIFARS", "Cifar"]

_NAMES_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_NAMES_100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split()  # noqa: SIM905 -- a hundred quoted names are no easier to read
)


@dataclass(frozen=True)
class Cifar:
    """One of the two sets and its files.

    Attributes:
        title: name for messages.
        classes: standard class names, for layouts without names.
        python: folder of the Python batches.
        train: its files of training images.
        test: its files of test images.
        meta: its file of class names.
        label: key of the labels in these files.
        names: key of the class names in the meta file.
        md5: digests of the published Python files.
        binary: folder of the binary batches.
        binary_train: its files of training images.
        binary_test: its files of test images.
        label_bytes: bytes before the pixels of a binary row; the last is the label.
        url: address of the archive of the Python batches.
        archive_md5: digest of that archive.
    """

    title: str
    classes: tuple[str, ...]
    python: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    label: str
    names: str
    md5: Mapping[str, str]
    binary: str
    binary_train: tuple[str, ...]
    binary_test: tuple[str, ...]
    label_bytes: int
    url: str
    archive_md5: str


CIFARS: Mapping[str, Cifar] = {
    "cifar10": Cifar(
        title="CIFAR-10",
        classes=_NAMES_10,
        python="cifar-10-batches-py",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test=("test_batch",),
        meta="batches.meta",
        label="labels",
        names="label_names",
        md5={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        binary="cifar-10-batches-bin",
        binary_train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        binary_test=("test_batch.bin",),
        label_bytes=1,
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        archive_md5="c58f30108f718f92721af3b95e74349a",
    ),
    "cifar100": Cifar(
        title="CIFAR-100",
        classes=_NAMES_100,
        python="cifar-100-python",
        train=("train",),
        test=("test",),
        meta="meta",
        label="fine_labels",
        names="fine_label_names",
        md5={"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        binary="cifar-100-binary",
        binary_train=("train.bin",),
        binary_test=("test.bin",),
        label_bytes=2,  # the coarse label comes first
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    ),
}
