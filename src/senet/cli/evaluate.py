"""`senet eval`: test a network on all test images."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from senet.cli.completion import complete_model, complete_network
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    NETWORK,
    NETWORKS,
    Builder,
    ClassMap,
    DataChoice,
    DataDir,
    Device,
    Json,
    Normalization,
    Origin,
    Weights,
    ZooDesignOrPlain,
)
from senet.cli.printing import print_json
from senet.cli.settings_words import ImageSettings
from senet.errors import UsageError
from senet.execution.asked_run import asked_values, refuse_other_settings, refuse_zoo_options, run_of_network
from senet.text import one_line

if TYPE_CHECKING:
    from senet.known_names import Origins

__all__ = ["evaluate"]

MOST_CLASSES = 200  # larger confusion matrices are left out of the JSON


@unfolded
def evaluate(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN | NAME=VALUE",
            autocompletion=complete_network,
            help="The folder of a finished run or of a network, an exported .onnx or .pt2 file, or none with --model; "
            "and settings such as data.test_size=1000 workers=4.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="NAME", rich_help_panel=NETWORK, autocompletion=complete_model, help=NETWORKS
        ),
    ] = None,
    se: ZooDesignOrPlain = None,
    weights: Weights = None,
    origin: Origin = "senet",
    builder: Builder = None,
    data: DataChoice = None,
    data_dir: DataDir = None,
    normalize: Normalization = "auto",
    class_map: ClassMap = None,
    device: Device = "auto",
    *,
    settings: ImageSettings,
    as_json: Json = False,
) -> None:
    """Test a finished run, or a network with weights from elsewhere: exact counts over the whole test set.

    Example: `senet eval --model kth_resnet52 --se standard:reduction=8 --weights FILE --origin kth data.normalize=kth`

    Example: `senet eval --model timm:tf_mobilenetv3_small_100 --weights FILE --data-dir PHOTOS --class-map FILE`
    """
    from senet.experiments import decoding
    from senet.networks import Named, is_network, named, origin_of
    from senet.networks.built_weights import weights_of
    from senet.networks.own_images import refuse_foreign
    from senet.training.evaluate_saved import (
        evaluate_folder,
        evaluate_foreign,
        evaluate_run,
        evaluate_weights,
        read_run,
    )
    from senet.weights.exported_file import is_exported

    words = list(words or [])
    folder = Path(words.pop(0)) if words and "=" not in words[0] else None
    seen = None
    if (tested := str(folder) if folder is not None else model) is not None:
        refuse_zoo_options(tested, se=se, origin=origin, inserts=True)
    design = se or "plain"
    setup = make_setup(settings, data_dir=data_dir, device=device)
    run = None
    if folder is not None and not (folder / "run.json").exists() and is_network(folder):
        if model is not None or weights is not None:
            raise UsageError(f"{folder} has its own network and weights; leave out --model and --weights.")
        what = str(folder)
        planned, said = run_of_network(what, words, data=data, data_dir=data_dir, se=design, weights=None)
        assert planned is not None
        name = str(origin_of(what)["name"]) if builder is None or is_exported(folder) else builder
        of_classes = planned.data.name == "folder" and (is_exported(folder) or named(name).is_foreign)
        if class_map is not None or of_classes:
            measured, seen = evaluate_foreign(
                what, Named("folder", what), planned, None, setup,
                normalize=normalize, class_map=class_map, builder=builder, said=said,
            )  # fmt: skip
        else:
            refuse_foreign(what, normalize, class_map)
            measured = evaluate_folder(folder, planned, setup, builder=builder, said=said)
        network = name, "the blocks of the folder"
    elif folder is not None:
        if model is not None:
            raise UsageError(f"{folder} is a run and has its own network; leave out --model.")
        planned = read_run(folder)
        refuse_other_settings(str(folder), words, data=data, data_dir=data_dir, weights=weights)
        refuse_foreign(str(folder), normalize, class_map)
        measured, what = evaluate_run(folder, setup, builder=builder), str(folder)
        network, run = (planned.model, planned.design), planned.id
    elif model is not None and weights is not None and (found := named(model)).is_foreign:
        images = data or (None if data_dir else "folder")
        planned, said = run_of_network(model, words, data=images, data_dir=data_dir, se=design, weights=weights)
        assert planned is not None
        measured, seen = evaluate_foreign(
            model, found, planned, weights, setup, normalize=normalize, class_map=class_map, said=said
        )
        what = seen.title
        network = seen.title, "the blocks of its library"
    elif model is not None and (weights is not None or weights_of(named(model)).loaded):
        if class_map is not None or normalize != "auto":
            raise UsageError(
                f"--class-map and --normalize are for networks of timm and torchvision; {model} has data.normalize."
            )
        planned = decoding.run(asked_values(words, data=data, data_dir=data_dir, model=model, se=design))
        measured = evaluate_weights(planned, weights, setup, origin=cast("Origins", origin))
        what = f"{model} {planned.design}"
        network = planned.model, planned.design
    else:
        raise UsageError("there is nothing to test; pass the folder of a run, or --model with --weights.")
    if as_json:
        print_json(
            {
                "what": what,
                "run": run,
                "model": network[0],
                "se": network[1],
                "data": asdict(planned.data),
                "preprocessing": asdict(seen.preprocessing) if seen is not None and seen.preprocessing else None,
                "weights": str(weights or folder or model),
                "correct": measured.correct,
                "total": measured.total,
                "accuracy": measured.accuracy,
                "correct5": measured.correct5,
                "loss": measured.loss,
                "confusion": measured.confusion if len(measured.confusion) <= MOST_CLASSES else None,
                "notes": [] if seen is None else seen.notes,
            }
        )
    else:
        for note in () if seen is None else seen.notes:
            print(one_line(f"- {note}"))
        print(
            one_line(
                f"{what}: {measured.correct:,} of {measured.total:,} correct, top-1 {measured.accuracy:.2f} %, "
                f"top-5 {100 * measured.correct5 / measured.total:.2f} %, loss {measured.loss:.5f}"
            )
        )
