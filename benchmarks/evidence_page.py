"""Write docs/evidence.md: question, verdict, table, figure, machine and command of every committed piece of evidence.

    python benchmarks/evidence_page.py

Every number is read from the results of its piece; `tests/test_benchmarks_cited.py` holds the page against this script.
What is missing, with its cost, is in `evidence_missing.py`.
"""

import re
from collections.abc import Set

import evidence_accuracy as accuracy  # beside this file
import evidence_costs as costs
from evidence_missing import missing
from evidence_piece import ROOT, Piece, one, study


def main() -> None:
    (ROOT / "docs" / "evidence.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page in Markdown."""
    lines = [HEAD]
    for title, pieces in CHAPTERS.items():
        lines.append(f"## {title}\n")
        for piece in pieces:
            lines += piece().lines()
    if others := further(set(re.findall(r"studies/reports/(\w+)/", "\n".join(lines)))):
        lines += ["## Further studies\n", *(line for piece in others for line in piece.lines())]
    return "\n".join([*lines, *missing()]) + "\n"


HEAD = """# Evidence

What is committed, what it says, and what is missing. Differences are percentage points of top-1 accuracy with 95 %
intervals, how: [statistics.md](statistics.md). An interval that contains 0 shows neither that there is a difference
nor that there is none; *equal within 0.5* needs the whole interval between -0.5 and +0.5. Made by `python
benchmarks/evidence_page.py` from the results. A test holds the page against the committed tables, and the tables of
studies and searches against their results; timings and the tables of networks are what a benchmark printed. `cpu
x86_64` is a shared virtual machine with 2 cores, in most cases of an AMD EPYC.

**Nothing has been measured on a GPU**; such results will come first on this page ([what is
missing](#what-is-missing)). **No committed comparison on photographs shows a gain by squeeze-and-excitation**, at
equal epochs or at equal time. Some short trainings show a loss; they do not say what a full training would show.
"""


def further(known: Set[str]) -> list[Piece]:
    """Describe the reports of studies that no chapter names."""
    paths = sorted((ROOT / "studies" / "reports").glob("*/table.csv"))
    names = [path.parent.name for path in paths if path.parent.name not in known]
    titles = [one("^# (.*)", f"studies/reports/{name}/report.md")[1] for name in names]
    return [study(name, title, "") for name, title in zip(names, titles, strict=True)]


CHAPTERS = {
    "Does it help?": (
        accuracy.authors,
        accuracy.chance,
        accuracy.digits,
        *([accuracy.cifar100] if accuracy.CIFAR100 else []),
        accuracy.table1,
        accuracy.finetune,
        accuracy.photos_finetune,
        accuracy.photos_scratch,
        accuracy.timm_resnet18,
        accuracy.kinds,
        accuracy.control,
    ),
    "Do searches help?": (accuracy.searches, accuracy.winners8, accuracy.winners20),
    "What does it cost?": (costs.step, costs.inference),
    "What do blocks do, and what can be done with them?": (
        *([costs.excitation] if costs.EXCITATION else []),
        costs.fold,
        costs.export,
        costs.insertion,
        costs.strangers,
    ),
}


if __name__ == "__main__":
    main()
