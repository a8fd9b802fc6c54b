"""The style sheet of the HTML report.

Colours come from `theme`, so that page and figures turn dark together.
"""

from collections.abc import Sequence

from spanmatch.reporting.theme import ThemeColour

__all__ = ["style_sheet"]

_RULES = """\
* { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
p, ul, dl { max-width: 46rem; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
dt { font-weight: 600; }
dd { margin: 0 0 .8rem; }
a { color: var(--group-0); }
figure { margin: 0; }
figcaption, caption { color: var(--muted); font-size: .88rem; text-align: left; max-width: 46rem; }
caption { padding-bottom: .35rem; white-space: nowrap; }
svg { display: block; width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.wide { overflow-x: auto; margin-bottom: 1.25rem; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.beside > * { max-width: 100%; }
.beside caption { white-space: normal; }
.note, summary { color: var(--muted); font-size: .88rem; }
.note { margin: -.5rem 0 1.25rem; }
summary { cursor: pointer; padding: .4rem 0; }
.warning { border-left: .3rem solid var(--group-1); padding: .2rem .9rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; text-align: left; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child { padding-left: 0; }
thead th { white-space: normal; max-width: 9rem; vertical-align: bottom; }
thead th { color: var(--muted); font-weight: 600; border-bottom-color: var(--muted); }
tbody th { font-weight: 500; }
.names-1 :is(td, th):nth-child(n+2), .names-2 :is(td, th):nth-child(n+3) { text-align: right; }
"""


def style_sheet(colours: Sequence[ThemeColour]) -> str:
    """Write the style sheet, with each colour as the variable `--name` in light and in dark."""
    light = " ".join(f"--{colour.name}: {colour.light};" for colour in colours)
    dark = " ".join(f"--{colour.name}: {colour.dark};" for colour in colours)
    screen = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    return f":root {{ color-scheme: light dark; {light} }}\n{screen}\n{_RULES}"
