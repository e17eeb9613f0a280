"""The front matter of a model card, in YAML, which the Hugging Face Hub reads."""

import json
import re

from senet.errors import SpecError
from senet.experiments.result import Result

__all__ = ["MARK", "check_licence", "front_matter"]

MARK = "library_name: senet\n"
"""Marker of cards that senet writes."""
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def front_matter(title: str, *, licence: str | None = None, result: Result | None = None) -> str:
    """Return the front matter of a card, between its two lines of dashes.

    Strings are written as JSON has them, which is YAML, too.

    Args:
        title: name of the model.
        licence: identifier of the licence of the weights, such as `apache-2.0`; None leaves it open.
        result: of the training, whose accuracy the Hub shows; None without one.

    Raises:
        SpecError: if the licence is not an identifier.

    Source:
        https://huggingface.co/docs/hub/model-cards: the fields of the metadata, and `model-index`.
    """
    check_licence(licence)
    lines = [
        "---",
        MARK.rstrip(),
        *([f"license: {licence}"] if licence else []),
        "pipeline_tag: image-classification",
        "tags:",
        "- squeeze-and-excitation",
        "- image-classification",
        *(_results(title, result) if result else []),
        "---",
    ]
    return "\n".join(lines) + "\n"


def check_licence(licence: str | None) -> None:
    """Raise an error if a licence is not an identifier as the Hub has them.

    Raises:
        SpecError: if it is not.
    """
    if licence is not None and not LICENCE.fullmatch(licence):
        raise SpecError(
            f"licence = {licence!r} (--license) is not an identifier of the Hub; write one such as apache-2.0, mit or "
            "other."
        )


def _results(title: str, result: Result) -> list[str]:
    data = result.run.data
    return [
        "metrics:",
        "- accuracy",
        "model-index:",
        f"- name: {json.dumps(title)}",
        "  results:",
        "  - task:",
        "      type: image-classification",
        "    dataset:",
        f"      type: {json.dumps(data.name)}",
        f"      name: {json.dumps(data.title)}",
        "      split: test",
        "    metrics:",
        "    - type: accuracy",
        f"      value: {result.accuracy / 100:.6f}",
        "      name: top-1 accuracy [1]",
    ]
