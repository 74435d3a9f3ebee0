// Makes the server's pictures of values over time explorable: a cursor with the values, zoom by dragging, back by a
// double click. Without this script, and in print, the picture stays.
"use strict";

(function () {
  const figures = new Map();

  // A canvas knows no variables: what one comes to in the present theme is read off an element.
  function colour(name) {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  // Steps in seconds, and how a mark is written there and where the day changes: UTC, 24 hours.
  const HOURS = "{HH}:{mm}";
  const DAYS = "{MM}-{DD}";
  const TIMES = [
    [86400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [86400, DAYS, null, null, null, null, null, null, 1],
    [60, HOURS, null, null, `\n${DAYS}`, null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", null, null, `\n${DAYS}`, null, null, null, 1],
  ];

  function draw(figure) {
    const data = JSON.parse(figure.dataset.plot);
    if (data.x.length < 3) return;
    const canvas = document.createElement("div");
    canvas.className = "plot-live";
    canvas.setAttribute("aria-hidden", "true");
    figure.prepend(canvas);
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const time = { ...axis, values: TIMES };
    const plot = new uPlot({
      width: figure.clientWidth,
      height: 230,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { live: true },
      axes: [time, axis],
      series: [
        { label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        ...data.series.map((series, index) => ({
          label: series.name,
          stroke: colour(`--series-${index + 1}`),
          width: 2,
          spanGaps: false,
        })),
      ],
    }, [data.x, ...data.series.map((series) => series.values)], canvas);
    figure.classList.add("is-live");
    figures.set(figure, plot);
  }

  function redraw() {
    figures.forEach((plot, figure) => {
      plot.destroy();
      figure.querySelector(".plot-live").remove();
    });
    figures.clear();
    document.querySelectorAll("figure[data-plot]").forEach(draw);
  }

  document.querySelectorAll("figure[data-plot]").forEach(draw);
  document.addEventListener("flxdr:refreshed", () => {
    figures.forEach((plot, figure) => {
      if (figure.isConnected) return;
      plot.destroy();
      figures.delete(figure);
    });
    document.querySelectorAll("figure[data-plot]").forEach((figure) => {
      if (!figures.has(figure)) draw(figure);
    });
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  window.addEventListener("resize", () => figures.forEach((plot, figure) => plot.setSize({ width: figure.clientWidth, height: 230 })));
})();
