"""What the networks of the zoo cost, plain and with blocks of the default design: counted once, checked by a test.

Counting them all takes 20 s of one core and gives the same numbers every time, so `senet models` reads them here and
loads no torch. `senet.networks.count.counted_row` counts a row again.
"""

from fnmatch import fnmatch

__all__ = ["COSTS", "matching", "titled"]

Numbers = tuple[int, int, int, int, int, int]

# name: side of the input [pixels], parameters and multiply-adds plain, the same with blocks, number of blocks
COSTS: dict[str, Numbers] = {
    "bn_inception": (224, 11_285_224, 2_032_600_064, 11_931_622, 2_033_239_424, 10),
    "cnn3": (32, 2_127_210, 31_294_720, 2_118_124, 21_857_664, 1),
    "cnn3.gate": (32, 2_127_210, 31_294_720, 2_127_372, 31_294_848, 1),
    "inception_resnet_v2": (299, 55_843_464, 13_155_794_016, 64_387_444, 13_164_289_376, 40),
    "inception_resnet_v2.figures": (299, 32_433_928, 9_257_953_632, 37_083_598, 9_262_577_632, 20),
    "kth_resnet52": (32, 760_266, 111_592_064, 766_643, 111_597_472, 25),
    "kth_resnet52.paper": (32, 760_458, 111_592_064, 766_786, 111_597_440, 24),
    "mobilenet_v1": (224, 4_231_976, 568_740_352, 4_718_044, 569_220_096, 13),
    "preact_resnet110": (32, 1_730_522, 253_149_824, 1_744_760, 253_161_920, 54),
    "preact_resnet164": (32, 1_703_258, 244_500_992, 1_905_362, 244_694_528, 54),
    "resnet101": (224, 44_549_160, 7_570_194_432, 49_326_872, 7_574_937_600, 33),
    "resnet101.v15": (224, 44_549_160, 7_801_405_440, 49_326_872, 7_806_148_608, 33),
    "resnet110": (32, 1_727_962, 252_887_680, 1_742_200, 252_899_776, 54),
    "resnet152": (224, 60_192_808, 11_282_415_616, 66_821_848, 11_288_993_792, 50),
    "resnet152.v15": (224, 60_192_808, 11_513_626_624, 66_821_848, 11_520_204_800, 50),
    "resnet18": (224, 11_689_512, 1_814_073_344, 11_778_592, 1_814_160_384, 8),
    "resnet18.cifar": (32, 11_681_832, 555_929_600, 11_770_912, 556_016_640, 8),
    "resnet20": (32, 269_722, 40_551_040, 272_095, 40_553_056, 9),
    "resnet32": (32, 464_154, 68_862_592, 468_109, 68_865_952, 15),
    "resnet34": (224, 21_797_672, 3_663_761_408, 21_958_868, 3_663_918_592, 16),
    "resnet44": (32, 658_586, 97_174_144, 664_123, 97_178_848, 21),
    "resnet50": (224, 25_557_032, 3_857_973_248, 28_088_024, 3_860_488_192, 16),
    "resnet50.v15": (224, 25_557_032, 4_089_184_256, 28_088_024, 4_091_699_200, 16),
    "resnet56": (32, 853_018, 125_485_696, 860_137, 125_491_744, 27),
    "resnet8": (32, 75_290, 12_239_488, 76_081, 12_240_160, 3),
    "resnext101_32x4d": (224, 44_177_704, 7_969_996_800, 48_955_416, 7_974_739_968, 33),
    "resnext50_32x4d": (224, 25_028_904, 4_230_479_872, 27_559_896, 4_232_994_816, 16),
    "senet154": (224, 108_459_944, 20_681_785_344, 115_088_984, 20_688_363_520, 50),
    "shake26_2x96d": (32, 26_192_922, 3_776_892_672, 26_392_170, 3_777_086_208, 24),
    "shake29_2x4x64d": (32, 34_529_700, 5_387_358_208, 35_573_316, 5_388_390_400, 18),
    "shufflenet_v1": (224, 1_865_728, 137_460_672, 2_484_533, 138_071_088, 16),
    "vgg16_bn": (224, 138_365_992, 15_470_264_320, 138_596_784, 15_470_490_624, 13),
    "wrn16_8": (32, 10_961_370, 1_548_145_664, 11_049_290, 1_548_231_680, 6),
    "wrn28_10": (32, 36_479_194, 5_243_328_768, 36_752_754, 5_243_597_568, 12),
}


def matching(pattern: str) -> list[dict[str, object]]:
    """Return a record of each network whose name matches a pattern with `*` and `?`, sorted by name.

    Returns:
        `network`, `image_size` [pixels], `params`, `macs` of one image, the two `_with_se`, `se_params_percent` [%] and
        `blocks`.

    Example:
        >>> matching("kth*52")[0]["params_with_se"]
        766643
    """
    return [record(name, numbers) for name, numbers in COSTS.items() if fnmatch(name, pattern)]


def record(name: str, numbers: Numbers) -> dict[str, object]:
    """Return the record of a network from its row."""
    side, params, macs, params_with_se, macs_with_se, blocks = numbers
    return {
        "network": name,
        "image_size": side,
        "params": params,
        "macs": macs,
        "params_with_se": params_with_se,
        "macs_with_se": macs_with_se,
        "se_params_percent": 100 * (params_with_se / params - 1),
        "blocks": blocks,
    }


def titled(records: list[dict[str, object]]) -> list[dict[str, object]]:
    """Turn records into the rows of a table for people: millions of multiply-adds, percents with their sign."""
    return [
        {
            "network": one["network"],
            "input": one["image_size"],
            "params": one["params"],
            "MMAC": _millions(one["macs"]),
            "params with SE": one["params_with_se"],
            "MMAC with SE": _millions(one["macs_with_se"]),
            "SE params [%]": f"{one['se_params_percent']:+.2f}",
            "blocks": one["blocks"],
        }
        for one in records
    ]


def _millions(macs: object) -> float:
    assert isinstance(macs, int)
    return round(macs / 1e6, 2)
