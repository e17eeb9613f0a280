"""Sphinx: README, docs, committed reports and the docstrings as one site; the root of the project is the source."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from demo import write_demo  # noqa: E402
from llms import llms_text  # noqa: E402
from reference import write_reference  # noqa: E402

from senet import __version__  # noqa: E402

project, author, release = "senet", "the authors of senet", __version__
project_copyright = "Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/recipes/*.md",
    "docs/site/made/*.md",
    "benchmarks/*.md",
    "gpu/*.md",
    "studies/reports/**/*.md",
]
html_theme = "furo"
html_title = f"senet {release}"
html_show_sphinx = False
html_copy_source = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
smartquotes = False  # `--option` is no dash
suppress_warnings = [
    "toc.not_included",  # reports of studies are linked from the pages that speak of them
    "misc.highlighting_failure",  # TOML and output with symbols of no language
]

MADE = Path(__file__).parent / "made"
html_extra_path = ["made/extra"]  # what lies at the root of the site beside the pages

write_reference(MADE)
write_demo(MADE / "demo.md", MADE / "extra" / "demo" / "explain.html", ROOT / "src" / "senet")
(MADE / "extra" / "index.html").write_text('<meta http-equiv="refresh" content="0; url=docs/index.html">\n')
(MADE / "extra" / "llms.txt").write_text(llms_text().replace(".md)", ".html)"), encoding="utf-8")
