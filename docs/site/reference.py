"""Write the pages that are made of the code: every public name, and every command with its options."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import senet
from senet.cli.commands import app
from senet.cli.setting_list import COMMANDS, RUN, SEARCH, Setting, setting_list, shown_default
from senet.experiments.recipe import RECIPES
from senet.spec_words import EXAMPLES

GROUPS = {
    "Compare and explain": ("compare", "Comparison", "explain", "Explanation", "cost", "Cost", "bench"),
    "Blocks": ("SESpec", "SqueezeExcite"),
    "Networks": ("create_model", "list_models", "save_pretrained", "from_pretrained", "load_weights", "state_dict_as"),
    "A network that exists": ("find", "plan", "insert", "Insertion", "remove", "fold", "Folded"),
    "Fast, and shipped": ("accelerate", "decelerate", "optimize", "export", "Exported"),
    "With timm": ("timm_models", "timm_attention"),
    "Errors": ("SenetError", "SpecError"),
}


def write_reference(folder: Path) -> None:
    """Write `api.md`, `commands.md` and `settings.md` into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "api.md").write_text("\n".join(_api()), encoding="utf-8")
    (folder / "commands.md").write_text("\n".join(_commands()), encoding="utf-8")
    (folder / "settings.md").write_text("\n".join(_settings()), encoding="utf-8")


def _api() -> Iterator[str]:
    yield "# Python reference\n"
    told = [name for names in GROUPS.values() for name in names]
    words = [name for name in senet.__all__ if name.isupper()]
    if missing := set(senet.__all__) - {*told, *words, "__version__"}:
        raise ValueError(f"public names without a group in docs/site/reference.py: {sorted(missing)}")
    for group, names in GROUPS.items():
        yield f"## {group}\n"
        for name in names:
            kind = "class" if isinstance(getattr(senet, name), type) else "function"
            extra = "   :members:\n" if kind == "class" else ""
            yield f"```{{eval-rst}}\n.. auto{kind}:: senet.{name}\n{extra}```\n"
    yield "## Names\n"
    for name in words:
        yield f"- `senet.{name}`: {', '.join(f'`{value}`' for value in getattr(senet, name))}"


def _commands() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    yield "# Commands\n"
    yield "Every command prints errors as one line; `--help` shows the same text in the terminal.\n"
    for name, command in group.commands.items():
        if command.hidden:
            continue
        yield f"## senet {name}\n"
        yield f"{(command.help or '').strip()}\n"
        yield "| option | meaning | default |\n|---|---|---|"
        for option in command.params:
            if getattr(option, "hidden", False) or option.name == "help":
                continue
            yield _row(option)
        for setting in command.settings:
            value = "" if setting.default in (None, "") else f"`{setting.default}`"
            yield f"| `{setting.name}=` | {_cell(setting.metadata['help'])} | {value} |"
        yield ""


KINDS = {
    RUN: "Settings of a run: they are part of what it means, and of its id.",
    SEARCH: "Fields of the space of a search.",
    COMMANDS: "Settings of commands: they do not change what a run means. `--help` of a command lists those it takes.",
}


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield "Typed as `NAME=VALUE` after any command that takes them; `senet settings 'optim.*'` prints the same text.\n"
    found = setting_list()
    for of, meaning in KINDS.items():
        yield f"## Of {of}\n\n{meaning}\n"
        own = [one for one in found if one.of == of and not one.name.startswith("se.")]
        homes = dict.fromkeys(one.name.rpartition(".")[0] for one in own)
        for home in homes:
            yield f"### {home}\n" if home else ""
            yield "| setting | default | values | meaning |\n|---|---|---|---|"
            yield from (_setting(one) for one in own if one.name.rpartition(".")[0] == home)
            yield ""
    yield "## Designs: the words of --se\n"
    yield "`VARIANT:KEY=VALUE,...`, or a kind in place of the variant; [designs.md](../../designs.md) explains them. A"
    yield "training takes them as `se.KEY=VALUE`, too.\n"
    yield "| key | default | values | meaning | example |\n|---|---|---|---|---|"
    for one in found:
        key = one.name.removeprefix("se.")
        if key != one.name:
            yield f"{_setting(one).replace('`se.', '`', 1)} `--se {EXAMPLES[key]}` |"
    yield ""
    yield "## Recipes\n"
    yield "`recipe.preset=NAME` or `--recipe NAME` sets all fields of `recipe`, `optim`, `schedule` and `augment`;"
    yield "other settings change single ones.\n"
    yield "| recipe | trains |\n|---|---|"
    yield from (f"| `{name}` | {recipe.in_words} |" for name, recipe in RECIPES.items())
    yield ""


def _setting(one: Setting) -> str:
    default = shown_default(one.default)
    shown = f"`{default}`" if default else ""
    return f"| `{one.name}` | {shown} | {_cell(one.values)} | {_cell(one.meaning)} |"


def _row(option: Any) -> str:
    names = ", ".join(f"`{text}`" for text in option.opts if text.startswith("-"))
    shown = names or f"`{option.metavar or option.name.upper()}`"
    default = option.default
    said = "" if default in (None, False, [], "") or callable(default) else f"`{default}`"
    help_text = _cell(getattr(option, "help", None) or "")
    return f"| {shown} | {help_text} | {said} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
