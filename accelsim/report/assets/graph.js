"use strict";
// Draws the graph of a workload: a row an op in execution order, skip connections as arcs on the left, other long
// edges on the right. Repeated blocks are one row until they are opened. Only rows in view are in the document.
(() => {
  const graph = JSON.parse(document.getElementById("graph").textContent);
  const view = document.getElementById("view"), svg = document.getElementById("drawing");
  const find = document.getElementById("find"), zoom = document.getElementById("zoom"), all = document.getElementById("all");
  const says = document.getElementById("says");
  const SPACE = "http://www.w3.org/2000/svg";
  const COLOURS = {conv: "#2f6fde", matmul: "#2f6fde", recurrent: "#7b4fd0", loop: "#7b4fd0", elementwise: "#3a9a5f",
    reduce: "#c98a1b", move: "#8d949c", host: "#b3261e", input: "#1d2126", repeat: "#1d2126"};
  const SKIPS = ["", "identity add", "projected add", "identity concat", "projected concat"];
  const STROKES = ["#a9b0b8", "#d9480f", "#e8890c", "#ae3ec9", "#c77ddb"];
  const SPINE = 230, TEXT = SPINE + 22;
  const open = new Set();
  let rows = [], rowOf = [], edges = [], most = 1, widest = 2;

  // What is shown: ops one by one, a closed repeat as one row, an open one as its first block and one row for the rest.
  function layOut() {
    rows = []; rowOf = new Array(graph.ops.length);
    const inside = (begin, end, groups, depth) => {
      let here = begin;
      for (const group of all.checked ? [] : groups) {
        const [start, ops, count, , inner] = group, stop = start + ops * count;
        if (group[7] === "repeat" && (stop - start < 9 || ops < 3)) continue;  // folding so little hides more than it saves
        for (; here < start; here++) put(here, depth);
        if (open.has(start + ":" + ops)) {
          rows.push({group, depth, opened: true});
          inside(start, start + ops, inner, depth + 1);
          if (count > 1) hide(start + ops, stop, {group, depth: depth + 1, rest: true});
        } else hide(start, stop, {group, depth});
        here = stop;
      }
      for (; here < end; here++) put(here, depth);
    };
    const put = (op, depth) => { rowOf[op] = rows.length; rows.push({op, depth}); };
    const hide = (begin, end, row) => { for (let op = begin; op < end; op++) rowOf[op] = rows.length; rows.push(row); };
    inside(0, graph.ops.length, graph.groups, 0);
    const seen = new Map();
    for (const [from, to, bytes, kind] of graph.edges) {
      const a = rowOf[from], b = rowOf[to];
      if (a === b || (kind === 0 && b - a === 1)) continue;
      const key = a + ":" + b + ":" + kind, known = seen.get(key);
      if (known) known.count++; else seen.set(key, {a, b, bytes, kind, from, to, count: 1});
    }
    edges = [...seen.values()];
    most = rows.reduce((best, row) => Math.max(best, work(row)), 1);
    widest = edges.reduce((best, edge) => Math.max(best, edge.b - edge.a), 2);
    draw();
  }

  const height = () => Number(zoom.value);
  const made = (tag, attributes, text) => {
    const element = document.createElementNS(SPACE, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const quantity = value => {
    if (!value) return "";
    const power = Math.min(5, Math.floor(Math.log10(value) / 3));
    return (value / 1000 ** power).toPrecision(3) + " " + ["", "k", "M", "G", "T", "P"][power];
  };

  function draw() {
    const step = height(), top = view.scrollTop;
    svg.setAttribute("height", rows.length * step + 8);
    const first = Math.max(0, Math.floor(top / step) - 5);
    const last = Math.min(rows.length, Math.ceil((top + view.clientHeight) / step) + 5);
    svg.setAttribute("width", Math.max(900, view.clientWidth - 20));
    svg.replaceChildren();
    drawEdges(step, first, last);
    for (let index = first; index < last; index++) drawRow(rows[index], index, step);
  }
  const work = row => row.op !== undefined ? graph.ops[row.op][4] : row.opened || row.rest ? 0 : row.group[5] * row.group[2];

  function drawEdges(step, first, last) {
    for (const edge of edges) {
      if (edge.b < first || edge.a > last) continue;
      const y0 = (edge.a + 0.5) * step, y1 = (edge.b + 0.5) * step, skip = edge.kind > 0;
      const reach = 14 + (skip ? 190 : 0) * Math.log(1 + edge.b - edge.a) / Math.log(1 + widest);
      const side = skip ? SPINE - reach : SPINE + 12;
      const path = made("path", {d: `M${SPINE} ${y0} C${side} ${y0} ${side} ${y1} ${SPINE} ${y1}`, fill: "none",
        stroke: STROKES[edge.kind], "stroke-width": skip ? 2.4 : 0.8, opacity: skip ? 0.9 : 0.6});
      const words = `${graph.ops[edge.from][0]} to ${graph.ops[edge.to][0]}, ${quantity(edge.bytes)}B`;
      path.append(made("title", {}, (skip ? SKIPS[edge.kind] + " skip: " : "") + words + (edge.count > 1 ? ` (${edge.count} such)` : "")));
      svg.append(path);
    }
  }

  function drawRow(row, index, step) {
    const y = (index + 0.5) * step, line = made("g", {class: row.group ? "group" : "op"});
    const indent = row.depth * 18, x = TEXT + indent;
    const hit = row.op !== undefined && matches(graph.ops[row.op][0]);
    if (hit) line.append(made("rect", {x: TEXT - 4, y: y - step / 2, width: 2000, height: step, class: "hit"}));
    const bar = work(row) / most * 120;
    line.append(made("rect", {x: SPINE + 520, y: y - step * 0.3, width: bar, height: step * 0.6, class: "bar"}));
    const kind = row.op === undefined ? "repeat" : graph.ops[row.op][1];
    line.append(made("circle", {cx: SPINE, cy: y, r: Math.min(row.group ? 6 : 4.5, step / 2.4), fill: COLOURS[kind] || "#8d949c",
      class: row.group ? "ring" : ""}));
    if (step >= 11) for (const [at, text, style] of words(row)) line.append(made("text", {x: at === 0 ? x : TEXT + at, y: y + 4, class: style}, text));
    line.append(made("title", {}, title(row)));
    if (row.group) line.addEventListener("click", () => toggle(row.group));
    svg.append(line);
  }

  const inner = group => group[6] ? `, ${group[6]} skip${group[6] > 1 ? "s" : ""}` : "";
  const cut = (text, length) => text.length <= length ? text : text.slice(0, length / 2 - 1) + ".." + text.slice(text.length - length / 2 + 1);
  function words(row) {
    if (row.rest) return [[0, `and ${row.group[2] - 1} more blocks like it`, "soft"]];
    if (row.group) {
      const [, ops, count, name] = row.group, sign = row.opened ? "\u25be" : "\u25b8";
      const work = row.group[5] ? `${quantity(row.group[5] * count)}MAC` : "";
      const head = group => group[7] === "repeat" ? `${count} \u00d7 ${cut(name, 34)}` : name;
      const size = row.group[7] === "inputs" ? "" : ` (${ops} rows${inner(row.group)})`;
      return [[0, `${sign} ${head(row.group)}${size}`, "strong"], ...(row.opened ? [] : [[630, work, "soft"]])];
    }
    const [name, , detail, shape, macs] = graph.ops[row.op];
    return [[0, cut(name, 38 - 2 * row.depth), ""], [280, cut(detail, 20), "soft"], [400, cut(shape, 17), "soft"],
      [630, macs ? quantity(macs) + "MAC" : "", "soft"]];
  }
  function title(row) {
    if (row.group) {
      const equal = row.group[2] > 1 ? `${row.group[2]} equal blocks of ${row.group[1]} rows: ` : "";
      return `${equal}click to ${row.opened ? "close" : "open"}`;
    }
    const [name, kind, detail, shape, macs, parameters, note] = graph.ops[row.op];
    return [name, `${kind} ${detail}`, shape, macs ? `${macs.toLocaleString("en")} MACs` : "",
      parameters ? `${parameters.toLocaleString("en")} parameters` : "", note].filter(Boolean).join("\n");
  }
  const toggle = group => { const key = group[0] + ":" + group[1]; if (!open.delete(key)) open.add(key); layOut(); };
  const matches = name => find.value !== "" && name.toLowerCase().includes(find.value.toLowerCase());

  find.addEventListener("input", () => {
    const hits = rows.map((row, index) => row.op !== undefined && matches(graph.ops[row.op][0]) ? index : -1).filter(index => index >= 0);
    says.textContent = find.value ? `${hits.length} of ${rows.length} rows` : "";
    if (hits.length) view.scrollTop = hits[0] * height() - view.clientHeight / 3;
    draw();
  });
  zoom.addEventListener("input", draw);
  all.addEventListener("change", layOut);
  view.addEventListener("scroll", () => requestAnimationFrame(draw));
  window.addEventListener("resize", draw);
  layOut();
  // Where there is room, repeats show their first block.
  const openUp = groups => {
    for (const group of groups) {
      if (group[7] === "inputs") continue;
      toggle(group);
      if (rows.length > 90) toggle(group); else openUp(group[4]);
    }
  };
  openUp(graph.groups);
})();
