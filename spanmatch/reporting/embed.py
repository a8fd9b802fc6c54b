"""Figures as text: SVG inside a page, PNG inside a line of Markdown."""

import base64
import io
import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from matplotlib.figure import Figure
from PIL import Image

from spanmatch.reporting.theme import ThemeColour

__all__ = ["inline_svg", "png_data_uri"]

_PNG_RESOLUTIONS_DPI = (110, 80, 55, 40)
_PNG_COLOURS = 96
_CSS_PIXELS_PER_INCH = 96
_MIN_LEGIBLE_PIXELS = 640  # a narrower screen scrolls

# What only a file needs: comments repeat every label, the style sheet names every element of a page
_FILE_ONLY = re.compile(r"^.*?(?=<svg)|<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_ID = re.compile(r' id="([^"]*)"')
_LONG_LINE = re.compile(r' d="(M [-\d.]+ [-\d.]+ (?:L [-\d.]+ [-\d.]+ ?){40,})"')
_POINT = re.compile(r"[ML] ([-\d.]+) ([-\d.]+)")
_REFERENCE = re.compile(r'(href="#|url\(#)([^")]*)')
_OPENING_TAG = re.compile(r'<svg[^>]*(viewBox="[^"]*")[^>]*>')


def inline_svg(figure: Figure, *, alt: str, prefix: str, colours: Sequence[ThemeColour]) -> str:
    """Render a figure as an `<svg>` element for an HTML page.

    Parameters
    ----------
    figure
        What to render.
    alt
        What a reader who cannot see it is told.
    prefix
        Start of every id inside, different for each figure of a page.
    colours
        Each light colour in the figure becomes the page's variable `--name`.

    Notes
    -----
    matplotlib draws ids at random and writes the date: ids are numbered anew and the date is left out, so
    equal figures give equal bytes.
    """
    buffer = io.StringIO()
    _lay_out(figure)
    figure.savefig(buffer, format="svg")
    body = _number_ids(_FILE_ONLY.sub("", buffer.getvalue()), prefix)
    for colour in colours:
        body = body.replace(colour.light, f"var(--{colour.name})")
    body = re.sub(r"\s*\n\s*", " ", body).strip()
    body = _LONG_LINE.sub(lambda line: f' d="{_shortened(line.group(1))}"', body)
    width = round(figure.get_figwidth() * _CSS_PIXELS_PER_INCH)
    least = min(width, _MIN_LEGIBLE_PIXELS)
    start = f'<svg role="img" aria-label="{escape(alt)}" style="max-width:{width}px; min-width:{least}px"'
    # a function, since backslashes in the text of a replacement would be read as references
    return _OPENING_TAG.sub(lambda tag: f"{start} {tag.group(1)}>", body, count=1)


def _lay_out(figure: Figure) -> None:
    """Place the panels once, for good: matplotlib would draw all of a figure twice to do it when it saves.

    Axes without a label need no place for one, which matplotlib finds by measuring the labels of all ticks.
    """
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if not axis.label.get_text():
                axis.set_label_coords(0.0, 0.0)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def _shortened(line: str) -> str:
    """Write a line of many points, to a tenth of one, each from the one before it.

    matplotlib writes six decimals of every coordinate: most of a page of many networks were these.
    """
    places = [(round(10 * float(x)), round(10 * float(y))) for x, y in _POINT.findall(line)]
    parts = [f"M{_tenths(places[0][0])} {_tenths(places[0][1])}"]
    for (x, y), (next_x, next_y) in pairwise(places):
        across, down = _tenths(next_x - x), _tenths(next_y - y)
        parts.append(f"h{across}" if down == "0" else f"v{down}" if across == "0" else f"l{across} {down}")
    return "".join(parts)


def _tenths(number: int) -> str:
    """Write a number of tenths, without the zero before a point."""
    return f"{number / 10:g}".replace("0.", ".") if abs(number) < 10 else f"{number / 10:g}"


def _number_ids(svg: str, prefix: str) -> str:
    """Keep only the ids that something refers to, numbered in order of appearance."""
    used = {match.group(2) for match in _REFERENCE.finditer(svg)}
    declared = [match.group(1) for match in _ID.finditer(svg) if match.group(1) in used]
    names = {name: f"{prefix}-{number}" for number, name in enumerate(dict.fromkeys(declared))}
    svg = _ID.sub(lambda match: f' id="{names[match.group(1)]}"' if match.group(1) in names else "", svg)
    svg = _REFERENCE.sub(lambda match: match.group(1) + names.get(match.group(2), match.group(2)), svg)
    return svg.replace("xlink:href", "href")


def png_data_uri(figure: Figure, *, max_bytes: int) -> str | None:
    """Render a figure as a `data:image/png;base64` address, at the best resolution that fits.

    None where even the lowest takes more than `max_bytes`: at a lower one nobody could read it.
    """
    _lay_out(figure)
    for resolution in _PNG_RESOLUTIONS_DPI:
        drawn, buffer = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png", dpi=resolution, pil_kwargs={"compress_level": 0})
        colours = Image.open(drawn).convert("RGB")
        # a palette takes a quarter of the bytes, and less time than it saves
        few = colours.quantize(_PNG_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(buffer, format="png")
        address = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
        if len(address) <= max_bytes:
            return address
    return None
