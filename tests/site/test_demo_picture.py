"""The demo's picture shows every row at its value and stands alone."""

from xml.etree import ElementTree

from flxdr.demo.picture import draw

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = {
    "local: <bank>": {"macro_binary_f1": 0.25, "macro_binary_f1_known": 0.375},
    "local: mean": {"macro_binary_f1": 0.5, "macro_binary_f1_known": 0.625},
    "federated": {"macro_binary_f1": 1.0, "macro_binary_f1_known": 0.875},
}


def test_bars_are_as_long_as_the_values() -> None:
    svg = ElementTree.fromstring(draw(FIGURES, caption="three & a half"))
    bars = [bar for bar in svg.findall(f"{SVG}rect") if bar.get("class") != "ground"]
    assert [bar.get("class") for bar in bars] == ["local", "mean", "federated"]
    widths = [float(bar.get("width", "")) for bar in bars]
    assert widths == [widths[2] / 4, widths[2] / 2, widths[2]]


def test_names_and_values_are_written_out() -> None:
    texts = ["".join(text.itertext()) for text in ElementTree.fromstring(draw(FIGURES, caption="c")).iter(f"{SVG}text")]
    assert {"local: <bank>", "0.250 (0.375)", "federated", "1.000 (0.875)"} <= set(texts)
