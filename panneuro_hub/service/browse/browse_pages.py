"""The HTML of the pages of datasets and notebooks."""

from __future__ import annotations

from panneuro_hub.catalog.dataset_rows import DatasetRow
from panneuro_hub.catalog.notebook_records import NotebookRecord
from panneuro_hub.service.browse.copy_targets import CopyTargets
from panneuro_hub.service.browse.dataset_views import DatasetView
from panneuro_hub.service.browse.notebook_views import NotebookCard, NotebookView
from panneuro_hub.service.browse.project_browser import PageViewer, SearchResult
from panneuro_hub.service.web.page_rendering import PageContext, render_page


def render_datasets(datasets: SearchResult[DatasetRow], page_context: PageContext) -> str:
    """Return the HTML of the page of datasets, with a form to look for some."""
    return render_page("datasets.html", page_context, result=datasets)


def render_dataset(dataset: DatasetView, viewer: PageViewer, page_context: PageContext) -> str:
    """Return the HTML of the page of one dataset."""
    return render_page("dataset.html", page_context, dataset=dataset, viewer=viewer)


def render_notebooks(notebooks: SearchResult[NotebookCard], page_context: PageContext) -> str:
    """Return the HTML of the page of notebooks, with a form to look for some."""
    return render_page("notebooks.html", page_context, result=notebooks)


def render_notebook(
    shown: NotebookView, viewer: PageViewer, page_context: PageContext, origin: str
) -> str:
    """Return the HTML of the page of one notebook, with a frame for the notebook itself.

    Parameters
    ----------
    origin : str
        Of the hub, such as ``https://hub.example.org``.
    """
    return render_page("notebook.html", page_context, shown=shown, viewer=viewer, origin=origin)


def render_copy_targets(
    targets: CopyTargets, published: NotebookRecord, page_context: PageContext
) -> str:
    """Return the HTML of the page that lets somebody choose where to open a copy."""
    return render_page("copy.html", page_context, targets=targets, published=published)
