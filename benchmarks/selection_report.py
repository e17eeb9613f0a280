"""Write SELECTION.md and selection.png: how far the best of equal ratio schemes leads by chance.

    python benchmarks/selection_report.py

Everything comes from committed results; nothing is trained. Prints the page.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import selection  # beside this file
from selection import DRAWS, SEED, chance

from senet.reports.canvas import canvas, legend
from senet.reports.looks import BLACK, COLORS, GREY
from senet.tables import Table

HERE = Path(__file__).parent


def main() -> None:
    text = page()
    (HERE / "SELECTION.md").write_text(text, encoding="utf-8")
    print(text, end="")
    draw(HERE / "selection.png")


def questions() -> list[tuple[str, float]]:
    """Return pairs of a reference and a lead over it: those of the report, and all three over the plain network."""
    seen = selection.observed()
    return [*(("plain", lead) for lead in sorted(seen.values())), *((name, seen[name]) for name in list(seen)[1:])]


def page() -> str:
    """Return the page in Markdown."""
    table, seen, images = selection.schemes(), selection.observed(), selection.image_leads()
    count, total = selection.discordant()
    exact = "\n".join(f"- {lead:+.2f} over {name}: {chance(images[name], lead):.1f} %" for name, lead in questions())
    plain, constant, last = (f"{lead:+.2f}" for lead in seen.values())
    small = selection.results_of("variations_table1_quick")
    reached = sorted(round(result.accuracy) for result in small)
    epochs, seeds = small[0].run.recipe.epochs, len({result.run.seed for result in small})
    networks, winner = len(table), max(table, key=table.__getitem__)
    return f"""# How far the best of equal schemes leads by chance

Table 3 of the KTH report has {networks} networks, one training each: the plain one and {networks - 1} schemes of
ratios. The winner, {winner}, was chosen by its accuracy on the test images. It leads the plain network by {plain}
points, the best constant scheme by {constant} and (16, 16, 16) by {last}. Suppose that all {networks} are equally good:
how often does the winner lead by at least that much?

Chance [percent], in brackets with the ends of the 95 % interval of the noise:

{Table(heads(), rows()).markdown()}
The first line again, drawn image by image in place of the normal distribution:

{exact}

The mean lead over plain is then {images["plain"].mean():+.2f} points.

![chance of a lead by its size](selection.png)

## What is assumed

- All {networks} networks have the same true accuracy; the noise of each is independent of the others' and normal.
- The search keeps its best scheme as a candidate of the next phase, so its winner is the best of all it trained.
- Test images: of {total:,} images, {count:,.0f} are right in exactly one of two of the authors' three networks, on
  average ([report](../studies/reports/kth_authors/report.md)). If the networks are equal, each such image falls to
  either by a fair coin. What a seed does to many images at once is in the next lines and not in these.
- Seeds: the spread within designs, pooled over designs, of what was trained here: ResNet-8 on digits (15 epochs, 18
  seeds); quick trainings of ResNet-8 (6 epochs) and ResNet-20 (4 epochs) on 2,000 CIFAR-10 images, which reach 35 to
  40 % (3 seeds); and the 3-layer network of the variations paper on all of CIFAR-10 ({epochs} epochs,
  {seeds} seeds), which reaches {reached[0]} to {reached[-1]} %. **Fresh seeds of the KTH network were not trained.**
  The networks here are smaller and their trainings shorter: they show that the spread matters, not how large it is
  there. Scaled: the spread if all of it came from the number of test images.
- Schemes of the report: the spread of its 13 accuracies taken as noise, as if nothing else were in its table.
- A lead that chance explains may still be real: one training of each scheme cannot tell.

Made by `python benchmarks/selection_report.py`: {DRAWS:,} tables, seed {SEED}, numpy; standard error of a
chance at most 0.12 percent.
"""


def heads() -> list[str]:
    asked = [f"{lead:+.2f} over {name}" for name, lead in questions()]
    return ["noise of one training", "images", "sd [points]", "mean lead over plain", *asked]


def rows() -> list[Sequence[object]]:
    """Return a row for each source of noise."""
    normal = selection.normal_leads()
    table: list[Sequence[object]] = []
    for noise in selection.noises():
        ends = (noise.sd, noise.low, noise.high)
        chances = [[chance(normal[name], lead / sd) for sd in ends] for name, lead in questions()]
        cells = [f"{value:.0f} [{low:.0f}, {high:.0f}]" for value, low, high in chances]
        spread = f"{noise.sd:.2f} [{noise.low:.2f}, {noise.high:.2f}]"
        table.append([noise.name, noise.images, spread, f"{noise.sd * normal['plain'].mean():+.2f}", *cells])
    return table


def style(name: str) -> dict[str, Any]:
    """Return how a source is drawn: a colour for each study, dashed where its spread is scaled."""
    source = name.removesuffix(", scaled")
    colors = dict(zip(selection.SEEDS.values(), COLORS, strict=False))
    return {"color": colors.get(source, BLACK), "linestyle": STYLES.get(source, "-" if source == name else "--")}


STYLES = {"test images alone": "-", "schemes of the report": "-."}


def draw(path: Path) -> None:
    """Draw the chance of a lead by its size, a panel for each reference."""
    seen, normal, found = selection.observed(), selection.normal_leads(), selection.noises()
    names = [noise.name for noise in found]
    sizes = np.linspace(0.005, 1.5, 300)
    title = f"lead of the best of {len(selection.schemes()) - 1} equal schemes"
    caption = "lines: by the noise of one training; vertical: the lead in the report, dotted: its other two leads"
    with canvas(path, 11, 5.2, title=title, caption=caption) as figure:
        panels = figure.subplots(1, len(seen), sharey=True)
        for axes, (name, lead) in zip(panels, seen.items(), strict=True):
            lines = []
            for noise in found:
                shares = [chance(normal[name], size / noise.sd) for size in sizes]
                lines += axes.plot(sizes, shares, **style(noise.name))
            axes.axvline(lead, color=BLACK, linewidth=1)
            for other in set(seen.values()) - {lead} if name == "plain" else ():
                axes.axvline(other, color=GREY, linewidth=0.8, linestyle=":")
            axes.set(title=f"over {name}: {lead:+.2f} in the report", xlabel="lead [points]", xlim=(0, 1.5))
        panels[0].set_ylabel("chance of at least this lead [%]")
        legend(figure, lines, names, columns=2)


if __name__ == "__main__":
    main()
