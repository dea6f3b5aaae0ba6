"""One self-contained HTML file: no request leaves the page, which its content policy also forbids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from accelsim.report.plots import Plot
from accelsim.report.quantities import short
from accelsim.version import __version__

__all__ = ["POLICY", "Cell", "code", "figures", "folded", "notes_box", "page", "paragraph", "section", "table", "text"]

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


class Cell(str):
    """HTML that has been escaped already. Any other string is text, and is escaped when it enters a page."""


def text(words: str) -> Cell:
    """Text as HTML, without characters that do not print."""
    return Cell(escape("".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in words)))


def code(words: str, width: int = 200) -> Cell:
    """A name or value as it is written in files."""
    return Cell(f"<code>{text(short(words, width))}</code>")


def _html(words: str) -> str:
    return words if isinstance(words, Cell) else text(words)


def paragraph(words: str, kind: str = "") -> Cell:
    """A paragraph; ``kind`` is a class of the style sheet."""
    return Cell(f'<p class="{kind}">{_html(words)}</p>' if kind else f"<p>{_html(words)}</p>")


def section(title: str, parts: Iterable[str]) -> Cell:
    """A titled section."""
    return Cell(f"<section><h2>{_html(title)}</h2>\n" + "\n".join(_html(part) for part in parts) + "</section>")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kinds: Sequence[str] = (), style: str = "small") -> Cell:
    """A table; ``kinds`` are the classes of the columns (``number``, ``name``, ``figure``)."""
    classes = [*kinds, *[""] * (len(head) - len(kinds))]

    def line(tag: str, cells: Sequence[str]) -> str:
        made = (
            f'<{tag} class="{kind}">{_html(cell)}</{tag}>' if kind else f"<{tag}>{_html(cell)}</{tag}>"
            for cell, kind in zip(cells, classes, strict=True)
        )  # fmt: skip
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    top = f"<thead>{line('th', head)}</thead>" if any(head) else ""
    return Cell(f'<div class="scroll"><table class="{style}">{top}<tbody>{body}</tbody></table></div>')


def folded(title: str, part: str) -> Cell:
    """Something that opens on a click."""
    return Cell(f"<details><summary>{_html(title)}</summary>{_html(part)}</details>")


def notes_box(notes: Sequence[str], *, bad: bool = False) -> Cell:
    """Notes that no reader may miss; empty where there are none."""
    if not notes:
        return Cell("")
    items = "".join(f"<li>{_note(note)}</li>" for note in notes)
    return Cell(f"<aside{' class=bad' if bad else ''}><ul>{items}</ul></aside>")


def _note(note: str) -> str:
    """A note whose first word is its kind ("calibrated: ...") says that word in bold."""
    kind, colon, rest = note.partition(":")
    return f"<strong>{text(kind)}</strong>:{text(rest)}" if colon and kind.isalpha() else _html(note)


def figures(plots: Sequence[Plot | None]) -> Cell:
    """The places of plots; neighbours that are not wide stand side by side."""
    made: list[str] = []
    narrow: list[str] = []
    for plot in [*plots, None]:
        place = "" if plot is None else (
            f'<figure><div id="{escape(plot.key)}" style="height:{plot.layout["height"]}px"></div>'
            f"<figcaption>{plot.caption}</figcaption></figure>"
        )  # fmt: skip
        if plot is not None and not plot.wide:
            narrow.append(place)
            continue
        if narrow:
            made.append(f'<div class="pair">{"".join(narrow)}</div>')
            narrow = []
        made.append(place)
    return Cell("\n".join(made))


def page(title: str, body: Iterable[str], plots: Sequence[Plot | None]) -> str:
    """The whole file: style, ``body``, plotly.js once, the data of ``plots``, and the script that draws them."""
    data = [{"key": plot.key, "data": plot.data, "layout": plot.layout} for plot in plots if plot is not None]
    # "<" cannot end the script element or open a comment in it when it is written as an escape.
    embedded = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    assets = files("accelsim.report") / "assets"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta name="generator" content="accelsim {escape(__version__)}">',
            f"<title>{text(title)}</title>",
            f"<style>{(assets / 'page.css').read_text('utf-8')}</style></head><body>",
            *(_html(part) for part in body),
            "<noscript><p>The plots need JavaScript; all of it is in this file.</p></noscript>",
            f"<script>{_plotly()}</script>",
            f'<script type="application/json" id="figures">{embedded}</script>',
            f"<script>{(assets / 'page.js').read_text('utf-8')}</script>",
            "</body></html>\n",
        ]
    )


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
