"""How the page for people opens, and how its results are declared."""

from pathlib import Path

from crdscache.page import opening


def page_opening():
    """Tell what the page shall open with: label and text, escaped; nothing before its data are made."""
    return opening.load(Path(opening.FILE))


def page_table(name, category, about):
    """Declare a table of the page, with its caption."""
    return page_result(f"tables/{name}.html", name, category, about, "table")


def page_plot(name, category, about):
    """Declare a plot of the page, with its caption."""
    return page_result(f"plots/{name}.svg", name, category, about, "plot")


def page_result(path, name, category, about, form):
    """Declare a result of the page."""
    labels = {"about": f"{about} ({form})"}
    return report(path, caption=f"../report/{name}.rst", category=category, labels=labels)
