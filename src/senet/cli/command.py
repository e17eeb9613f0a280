"""The classes of the program and its commands: settings as NAME=VALUE words, and their help."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

from typer.core import TyperCommand, TyperGroup

from senet.cli.settings_words import as_words
from senet.errors import UsageError
from senet.text import one_line

if TYPE_CHECKING:
    from dataclasses import Field

__all__ = ["Command", "Group"]


class Command(TyperCommand):
    """A command whose callback may have a `settings` dataclass, see `senet.cli.option_groups.unfolded`."""

    words_of_options: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "search": {
            "--budget-trials": "budget.trials",
            "--budget-minutes": "budget.minutes",
            "--budget-params": "budget.params",
            "--stop-early": "stop_early.rule",
        },
        "compare": {
            "--recipe": "recipe.preset",
            "--batch-size": "recipe.batch_size",
            "-b": "recipe.batch_size",
            "--lr": "optim.lr",
            "-j": "jobs",
        },
    }
    """Options of earlier versions that are words now, by command."""

    @property
    def settings(self) -> "Sequence[Field[Any]]":
        """The settings of this command; empty if it takes none."""
        kind = getattr(self.callback, "settings", None)
        return () if kind is None else fields(kind)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept settings that are typed as options, and `--out` for `--output`.

        Raises:
            UsageError: if `--se` is given more than once where one design is taken; typer would use the last one.
        """
        if ctx.resilient_parsing:  # completion of an unfinished command
            return super().parse_args(ctx, args)
        designs = sum(arg == "--se" or arg.startswith("--se=") for arg in args)
        if designs > 1 and not any(one.name == "se" and getattr(one, "multiple", False) for one in self.params):
            raise UsageError(
                f"--se is given {designs} times, and {self.name} takes one design; `senet compare` compares several, "
                "and one network has several as --se A+B, e.g. --se standard+standard:slot=pre."
            )
        args = [f"--output{arg[5:]}" if arg.partition("=")[0] == "--out" else arg for arg in args]
        if self.settings:
            args = as_words(args, self.settings, also=self.words_of_options.get(self.name or "", {}))
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            option = getattr(error, "option_name", "")
            unknown = type(error).__name__ == "NoSuchOption"  # of typer, under no public name
            if unknown and (hint := _elsewhere(option, ctx)):
                raise UsageError(f"{self.name} has no {option}; {hint}.") from None
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with `--help` in the last panel of the options."""
        *params, help_option = _untyped(super().get_params(ctx))
        panels = [panel for one in params if (panel := getattr(one, "rich_help_panel", None))]
        help_option.rich_help_panel = panels[-1] if panels else None
        return [*params, help_option]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help of the command, of its settings, and of designs where it takes them."""
        super().format_help(ctx, formatter)
        if self.settings:
            rows = [(f"{one.name}={_default(one.default)}", one.metadata["help"]) for one in self.settings]
            words = self.words_of_options.get(self.name or "", {})
            rows += [(f"{word}=...", f"Typed as {option}, too.") for option, word in words.items() if option[1] == "-"]
            _panel("Settings, typed as NAME=VALUE with these defaults", rows)
        if any(one.name == "se" for one in self.params):
            _panel("Designs of blocks, --se", _designs())


class Group(TyperGroup):
    """The program, whose help shows its switches without a type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of the program."""
        return _untyped(super().get_params(ctx))


def _untyped(params: Sequence[Any]) -> list[Any]:
    """Return parameters whose help shows no `<bool>` for a switch and no `<list[str]>` for words."""
    for one in params:
        if one.param_type_name == "argument":
            one.display_type_rich = lambda ctx: None
        elif one.is_flag:
            one.metavar = ""
    return list(params)


def _elsewhere(option: str, ctx: Any) -> str:
    """Return which other commands take an option, and how; empty if none does."""
    others = getattr(getattr(ctx.parent, "command", None), "commands", {})
    by_form: dict[str, list[str]] = {}
    for name, other in sorted(others.items()):
        names = {word for one in other.params for word in (*one.opts, *one.secondary_opts)}
        if option in names:
            by_form.setdefault(option, []).append(name)
        for one in getattr(other, "settings", ()):
            if option.removeprefix("--").removeprefix("no-").replace("-", "_") == one.name:
                by_form.setdefault(f"{one.name}=...", []).append(name)
    return "; ".join(
        f"{form} is {'a setting' if form.endswith('...') else 'an option'} of {', '.join(names)}"
        for form, names in by_form.items()
    )


def _default(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _designs() -> list[tuple[str, str]]:
    from senet.kinds import KINDS
    from senet.spec import SLOTS, VARIANTS

    return [
        ("VARIANT", f"plain (no blocks), {', '.join(VARIANTS)}."),
        ("KIND", f"A published kind (senet models --kinds): {', '.join(KINDS)}."),
        ("VARIANT:KEY=VALUE,...", "With settings of the block: standard:reduction=8,bias=false."),
        ("reduction=16", "The ratio: 8 for all blocks, 16-8-4-4 for each stage, 8.8.4-2-16 for each block of a stage."),
        ("slot=standard", f"Where in a residual unit: {', '.join(SLOTS)}."),
        ("DESIGN+DESIGN", "Several blocks in one network: standard+standard:slot=pre."),
        ("More keys", "squeeze, norm, gate, activation, bias, stages, slow_rule, rounding."),
        ("All of it", "senet settings 'se.*', and docs/designs.md."),
    ]


def _panel(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a panel that looks like those of the options."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for name, text in rows:
        table.add_row(Text(one_line(name), style="bold cyan"), Text(one_line(text)))
    Console(highlight=False).print(Panel(table, title=Text(one_line(title)), title_align="left", border_style="dim"))
