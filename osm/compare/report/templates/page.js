"use strict";
/* All of this adds to a page that is whole without it: tables in their own order, figures as drawn. */
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  // ---- tables are sorted by a click on a head, within the rows of a detector
  const missing = (text) => text === "" || text === "–";
  const number = (text) => {
    const found = text.replaceAll("−", "-").replaceAll(",", "").match(/[+-]?\d+(\.\d+)?/);
    return found ? Number(found[0]) : NaN;
  };
  const compare = (a, b, numbers, sign) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return sign * (numbers ? number(a) - number(b) : a.localeCompare(b, undefined, { numeric: true }));
  };
  const sort = (table, index, head) => {
    const sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const numbers = head.classList.contains("number");
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => row.cells.length > index && !row.querySelector("th.block"));
      const text = (row) => row.cells[index].textContent.trim();
      rows.sort((a, b) => compare(text(a), text(b), numbers, sign)).forEach((row) => body.append(row));
    }
  };
  for (const table of document.querySelectorAll("table")) {
    if (Math.max(...[...table.tBodies].map((body) => body.rows.length)) < 2) continue;
    [...table.tHead.rows].at(-1).querySelectorAll("th").forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, index, head));
      head.append(button);
    });
  }

  // ---- what is folded is printed where it belongs to the findings
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.printed:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => opened.forEach((one) => (one.open = false)));

  // ---- curves that answer to a pointer; the drawn ones stay for print, and wherever this fails
  const library = document.getElementById("library");
  const places = [...document.querySelectorAll(".plot")];
  if (!library || !places.length || !window.DecompressionStream || !window.IntersectionObserver) return;
  let loading = null;
  const load = () => {
    loading ??= (async () => {
      const packed = Uint8Array.from(atob(library.textContent.trim()), (letter) => letter.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
    })();
    return loading;
  };
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const draw = async (place) => {
    const chart = JSON.parse(place.querySelector("script").textContent);
    await load();
    const ink = colour("--ink");
    const line = colour("--line");
    const axis = (title) => ({
      title: { text: title, standoff: 6 }, range: [0, 1.02], gridcolor: line, linecolor: ink, zeroline: false, fixedrange: false,
    });
    const traces = chart.lines.map((one) => ({
      name: one.name, y: one.y, x0: chart.x0, dx: chart.dx, mode: "lines", type: "scatter", legendgroup: String(one.arm),
      showlegend: !one.thin, opacity: one.thin ? 0.35 : 1, hoverinfo: one.thin ? "skip" : undefined,
      hovertemplate: one.thin ? undefined : "%{y:.3f}",
      line: { color: colour(`--arm-${one.colour}`), width: one.thin ? 1 : 2.4, dash: one.thin ? "solid" : one.dash },
    }));
    const layout = {
      autosize: true, height: Math.max(280, Math.min(360, place.parentElement.clientWidth * 0.7)),
      margin: { l: 48, r: 8, t: 8, b: 40 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { family: "system-ui, sans-serif", size: 12, color: ink },
      modebar: { bgcolor: "transparent", color: colour("--soft"), activecolor: ink },
      xaxis: { ...axis(chart.x), range: [0, 1], unifiedhovertitle: { text: `${chart.x} %{x:.2f}` } }, yaxis: axis(chart.y),
      legend: { orientation: "h", y: -0.2 }, hovermode: "x unified",
      hoverlabel: { bgcolor: colour("--panel"), bordercolor: line, font: { color: ink } },
      // a finger scrolls the page
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    };
    place.hidden = false;
    await window.Plotly.react(place.querySelector("div"), traces, layout, { responsive: true, displaylogo: false });
    place.parentElement.classList.add("drawn");
  };
  const shown = new Set();
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        watch.unobserve(target);
        shown.add(target.parentElement.querySelector(".plot"));
        draw(target.parentElement.querySelector(".plot"));
      }
    },
    { rootMargin: "400px" },
  );
  for (const place of places) watch.observe(place.parentElement.querySelector(".still"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown.forEach(draw));
})();
