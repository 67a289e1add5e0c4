"""A plot of dots as SVG: a line a cell, a dot a run, hollow where the run is in doubt, and where the
bar is. Nothing but python3."""
import html

WIDTH, ROW, TOP, FOOT, LETTER = 520, 16, 56, 34, 6


def ticks(most):
    """0, and up to ten steps of 1, 2 or 5 times a power of ten that reach `most`."""
    step = 10.0 ** -3
    while True:
        for factor in (1, 2, 5):
            if step * factor * 10 >= most:
                step *= factor
                return [round(step * i, 6) for i in range(int(most / step + 0.999) + 1)]
        step *= 10


def draw(title, legend, rows):
    """`legend`: {name: colour}; `rows`: (label, [(name, value, is_sure)], [values of the bar])."""
    shown = [value for _, runs, bars in rows for value in [*(one for _, one, _ in runs), *bars]]
    scale = ticks(max(shown, default=1))
    height = TOP + ROW * len(rows) + FOOT
    labels = 20 + LETTER * max((len(label) for label, _, _ in rows), default=0)

    def across(value):
        return labels + WIDTH * value / scale[-1]
    def upright(value, top, bottom, how):
        return f'<line x1="{across(value):.1f}" x2="{across(value):.1f}" y1="{top}" y2="{bottom}" {how}/>'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{labels + WIDTH + 30}" height="{height}" '
             'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="18" font-size="14">{html.escape(title)}</text>']
    for tick in scale:
        parts.append(upright(tick, TOP - 6, height - FOOT, 'stroke="#ddd"'))
        parts.append(f'<text x="{across(tick):.1f}" y="{height - FOOT + 16}" text-anchor="middle">{tick:g}</text>')
    for number, (name, colour) in enumerate(legend.items()):
        parts.append(f'<circle cx="{14 + 110 * number}" cy="34" r="3.5" fill="{colour}"/>'
                     f'<text x="{22 + 110 * number}" y="38">{html.escape(name)}</text>')
    for number, (label, runs, bars) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        parts.append(f'<text x="{labels - 8}" y="{y + 4:.1f}" text-anchor="end">{html.escape(label)}</text>')
        parts += [upright(bar, y - 6, y + 6, 'stroke="#b00" stroke-width="2"') for bar in bars]
        parts += [f'<circle cx="{across(value):.1f}" cy="{y}" r="3.5" fill="{legend[name]}" '
                  f'fill-opacity="{0.75 if is_sure else 0.1}" stroke="{legend[name]}"/>'
                  for name, value, is_sure in runs]
    return "\n".join(parts + ["</svg>", ""])
