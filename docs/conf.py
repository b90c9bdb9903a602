"""Settings of Sphinx for the documentation; `make docs` builds it."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "PanNeuro hub"
copyright = "The PanNeuro hub contributors"  # noqa: A001
release = version_of("panneuro-hub")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "generated_reference",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["reference/generated/*"]

# -- Markdown -----------------------------------------------------------------------------
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# -- Python: `lab` from its docstrings ----------------------------------------------------
# Types in docstrings are words for people ("path", "sequence of str"), not names to look up.
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
autodoc_typehints = "none"
autodoc_member_order = "alphabetical"
nitpick_ignore_regex = [(r"py:.*", r".*")]

# -- Pages --------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = "PanNeuro hub"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "article_footer_items": ["prev-next"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
