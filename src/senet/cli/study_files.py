"""Where the studies lie: in the working directory, in a checkout, or in the installed package."""

from pathlib import Path

__all__ = ["complete_study", "find_study", "reports_beside", "studies_folder"]

_PACKAGE = Path(__file__).parents[1]
_PACKAGED = _PACKAGE / "studies"


def studies_folder() -> Path:
    """Return `studies` of the working directory, or the studies that belong to the package."""
    here = Path("studies")
    own = _PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parents[1] / "studies"  # installed, or in a checkout
    return here if here.is_dir() or not own.is_dir() else own


def find_study(given: Path | None) -> Path | None:
    """Return the file of a study or space: the path as it is, or one of the package's own by its name.

    Args:
        given: a path, or a name such as `variations_table1` or `studies/variations_table1.toml`.
    """
    if given is None or given.exists():
        return given
    folder, name = studies_folder(), given.name.removesuffix(".toml") + ".toml"
    return next((path for path in (folder / name, folder / "spaces" / name) if path.is_file()), given)


def reports_beside(study_file: Path) -> Path:
    """Return the folder of the reports of a study: beside its file, or in the working directory for a packaged one."""
    return (Path("studies") if study_file.is_relative_to(_PACKAGED) else study_file.parent) / "reports"


def complete_study(incomplete: str) -> list[str]:
    """Return the studies whose names start with the typed text."""
    return [path.stem for path in sorted(studies_folder().glob("*.toml")) if path.stem.startswith(incomplete)]
