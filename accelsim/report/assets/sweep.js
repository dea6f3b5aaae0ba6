"use strict";
// A brush over the trade-off plot lists the designs that it covers, and shows them among the parallel coordinates.
document.addEventListener("DOMContentLoaded", () => {
  const plot = document.getElementById("tradeoff");
  const place = document.getElementById("chosen");
  if (!plot || !place || !plot.on) return;
  const rows = JSON.parse(document.getElementById("designs").textContent);
  const most = 50;

  const cell = (line, tag, words, kind) => {
    const made = document.createElement(tag);
    made.textContent = words;
    if (kind) made.className = kind;
    line.appendChild(made);
  };

  const show = (designs) => {
    place.replaceChildren();
    if (!designs.length) return;
    const table = document.createElement("table");
    table.className = "small";
    const head = table.createTHead().insertRow();
    rows.head.forEach((name) => cell(head, "th", name));
    const body = table.createTBody();
    designs.slice(0, most).forEach((design) => {
      const line = body.insertRow();
      (rows.designs[design] || [String(design)]).forEach((words) => cell(line, "td", words, "tight"));
    });
    const note = document.createElement("p");
    note.className = "soft";
    note.textContent = designs.length > most ? `${designs.length} designs, the first ${most} of them` : `${designs.length} designs`;
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.appendChild(table);
    place.append(note, scroll);
  };

  const draw = (designs) => {
    const lines = document.getElementById("parallel");
    if (!lines || !lines.data) return;
    const x = [], y = [];
    designs.map((design) => rows.lines[design]).filter(Boolean).forEach((line) => {
      line.forEach((height, place) => { x.push(place); y.push(height); });
      x.push(null);
      y.push(null);
    });
    Plotly.restyle(lines, { x: [x], y: [y] }, [lines.data.findIndex((trace) => trace.name === "chosen")]);
  };

  const choose = (designs) => {
    show(designs);
    draw(designs);
  };

  const numbers = (event) => [...new Set(event.points.map((point) => point.id).filter((id) => id !== undefined))];
  plot.on("plotly_selected", (event) => choose(event ? numbers(event) : []));
  plot.on("plotly_click", (event) => choose(numbers(event)));
  plot.on("plotly_deselect", () => choose([]));
});
