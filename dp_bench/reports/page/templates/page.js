"use strict";
// Sorting of tables, the map of starts, and charts. Every text of a record is set as
// text, never as HTML.

const readJson = (id) => {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : null;
};
const data = readJson("data");
const figures = readJson("figures");

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  return element;
}

// ---- tables that sort ----

function keyOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  const number = Number.parseFloat(text);
  return Number.isNaN(number) || !/^[-+\d.]/.test(text) ? text : number;
}

function compareKeys(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return a.localeCompare(b);
}

function sortBy(table, column, heading) {
  const descending = heading.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  const sign = descending ? -1 : 1;
  rows.sort((a, b) => {
    const [first, second] = [keyOf(a, column), keyOf(b, column)];
    // Cells without a number stay at the end in both directions.
    if (typeof first !== typeof second) return compareKeys(first, second);
    return sign * compareKeys(first, second);
  });
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = make("button", heading.textContent, { type: "button", class: "sort" });
    heading.replaceChildren(button);
    button.addEventListener("click", () => sortBy(table, column, heading));
  });
}

// ---- what the address says ----

function readAddress() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function writeAddress(changes) {
  const state = { ...readAddress(), ...changes };
  for (const name of Object.keys(state)) {
    if (!["start", "map", "order", "training"].includes(name) || state[name] === "") {
      delete state[name];
    }
  }
  history.replaceState(null, "", `#${new URLSearchParams(state)}`);
}

// ---- the map of starts ----

const maps = [...document.querySelectorAll("table.map")];
const order = document.getElementById("order");
const training = document.getElementById("training");
const panel = document.getElementById("start");

const numbersOf = (text) => text.split(" ").map(Number);
const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

function scoreOf(row, start, seed) {
  const bySeed = data.played[row][start] ?? {};
  const scores = Object.entries(bySeed)
    .filter(([key]) => seed === "" || key === seed)
    .map(([, [score]]) => score);
  return scores.length ? mean(scores) : null;
}

function arrange(map) {
  const starts = numbersOf(map.dataset.starts);
  const spread = new Map(starts.map((start, k) => [
    start, numbersOf(map.dataset.disagreement)[k],
  ]));
  const rows = [...map.tBodies[0].rows];
  const means = new Map(starts.map((start) => [start, mean(rows.map(
    (row) => scoreOf(row.dataset.row, start, training.value) ?? 0))]));
  const sorted = [...starts];
  if (order.value === "disagreement") sorted.sort((a, b) => spread.get(b) - spread.get(a));
  if (order.value === "score") sorted.sort((a, b) => means.get(a) - means.get(b));
  const place = new Map(sorted.map((start, k) => [start, k]));
  const heads = [...map.tHead.rows[0].cells].slice(1);
  heads.sort((a, b) => place.get(Number(a.textContent)) - place.get(Number(b.textContent)));
  map.tHead.rows[0].append(...heads);
  for (const row of rows) {
    const cells = [...row.cells].slice(1);
    cells.sort((a, b) => place.get(startOf(a)) - place.get(startOf(b)));
    row.append(...cells);
    for (const cell of cells) colour(row, cell.firstElementChild);
  }
}

const startOf = (cell) => Number(cell.firstElementChild.dataset.start);

function colour(row, button) {
  const score = scoreOf(row.dataset.row, button.dataset.start, training.value);
  const known = score !== null;
  button.className = known ? `s${Math.round(data.shades * score)}` : "unknown";
  const name = row.cells[0].textContent;
  const words = known ? score.toFixed(2) : "not evaluated";
  button.title = `start ${button.dataset.start}, ${name}: ${words}`;
  button.setAttribute("aria-label", button.title);
}

function moveFocus(event) {
  const cell = event.target.closest("td");
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (!cell || !(event.key in moves)) return;
  event.preventDefault();
  const [down, right] = moves[event.key];
  const rows = [...cell.closest("tbody").rows];
  const row = rows[rows.indexOf(cell.parentElement) + down];
  const next = row?.cells[cell.cellIndex + right]?.querySelector("button");
  if (next) focusOn(next);
}

function focusOn(button) {
  for (const other of button.closest("table").querySelectorAll("button")) {
    other.tabIndex = other === button ? 0 : -1;
  }
  button.focus();
}

// ---- one start ----

function filmOf(row, start, seed) {
  const run = data.weights[row][seed];
  const variant = data.variants[row];
  return data.films.find((film) => film.run === run && film.env_seed === start
    && film.variant === variant);
}

function episodes(map, start) {
  const lines = [];
  for (const row of map.tBodies[0].rows) {
    const place = Number(row.dataset.row);
    for (const [seed, episode] of Object.entries(data.played[place][start] ?? {})) {
      if (training.value !== "" && training.value !== seed) continue;
      const [score, success, length] = episode;
      const film = filmOf(place, start, seed);
      const label = row.cells[0].textContent;
      lines.push({ place, label, seed, score, success, length, film });
    }
  }
  return lines;
}

function show(map, start) {
  for (const button of document.querySelectorAll("table.map button")) {
    const same = button.closest("table") === map && button.dataset.start === String(start);
    button.classList.toggle("chosen", same);
  }
  const lines = episodes(map, start);
  panel.replaceChildren(make("h3", `Start ${start}`));
  panel.hidden = false;
  const films = lines.filter((line) => line.film);
  if (films.length) {
    panel.append(pathsOf(films), filmsOf(films));
  } else {
    panel.append(make("p", "There are no films of this start. "
      + `\`dp-bench report RESULTS --html --films ${start} --runs RUN ...\` makes them.`,
      { class: "note" }));
  }
  panel.append(tableOf(lines));
  if (films.length) drawPaths(films);
}

function tableOf(lines) {
  const box = make("div", undefined, { class: "wide" });
  const table = make("table");
  const head = table.createTHead().insertRow();
  for (const heading of ["row", "train seed", "score", "solved", "steps"]) {
    head.append(make("th", heading, { scope: "col" }));
  }
  const body = table.createTBody();
  for (const { label, seed, score, success, length } of lines) {
    const row = body.insertRow();
    row.append(make("th", label, { scope: "row" }));
    for (const text of [seed, score.toFixed(2), success ? "yes" : "no", length]) {
      row.append(make("td", text));
    }
  }
  box.append(table);
  return box;
}

function captionOf({ place, label, seed, score, success, film }) {
  const caption = make("figcaption");
  const key = make("span", undefined, { class: "key" });
  key.style.background = data.colours[place];
  const solved = success ? ", solved" : "";
  const other = Math.abs(film.score - score) > 0.01
    ? ` (${film.score.toFixed(2)} in this film, as rounding differs)` : "";
  caption.append(key, `${label}, seed ${seed}: ${score.toFixed(2)}${solved}${other}`);
  return caption;
}

function filmsOf(lines) {
  const box = make("div");
  const films = make("div", undefined, { class: "films" });
  for (const line of lines) {
    const figure = make("figure");
    const video = make("video", undefined, {
      src: `films/${line.film.film}`, poster: `films/${line.film.poster}`,
      controls: "", muted: "", playsinline: "", preload: "metadata",
      "aria-label": `${line.label}, train seed ${line.seed}`,
    });
    video.muted = true;
    figure.append(video, captionOf(line));
    films.append(figure);
  }
  const play = make("button", "Play all from the start", { type: "button" });
  play.addEventListener("click", () => playAll(films));
  box.append(make("p"), films);
  box.firstElementChild.append(play);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) playAll(films);
  return box;
}

function playAll(films) {
  for (const video of films.querySelectorAll("video")) {
    video.currentTime = 0;
    video.play().catch(() => {}); // a browser may wait for a click
  }
}

function pathsOf(lines) {
  const figure = make("figure");
  if (lines.some((line) => line.film.path.length)) {
    figure.append(make("div", undefined, {
      id: "paths", role: "img", class: "chart",
      "aria-label": "Paths of the robot's tip from this start, over the scene",
    }));
  }
  return figure;
}

function drawPaths(lines) {
  const target = document.getElementById("paths");
  if (!target) return;
  const image = new Image();
  image.addEventListener("load", () => {
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const traces = lines.filter((line) => line.film.path.length).map((line) => ({
      x: line.film.path.map(([x]) => x * width), y: line.film.path.map(([, y]) => y * height),
      mode: "lines", line: { color: data.colours[line.place], width: 2.5 },
      name: `${plain(line.label)}, seed ${line.seed}`,
      text: line.film.path.map((_, k) => `step ${k}`), hovertemplate: "%{text}",
    }));
    const layout = {
      images: [{ source: image.src, xref: "x", yref: "y", x: 0, y: 0, sizex: width,
        sizey: height, sizing: "stretch", layer: "below" }],
      xaxis: { range: [0, width], visible: false, constrain: "domain" },
      yaxis: { range: [height, 0], visible: false, scaleanchor: "x", constrain: "domain" },
      margin: { l: 0, r: 0, t: 0, b: 0 }, height: 380, hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", ...inks(),
    };
    Plotly.newPlot(target, traces, layout, OPTIONS);
  });
  image.src = `films/${lines[0].film.poster}`;
}

// ---- charts ----

const OPTIONS = { responsive: true, displayModeBar: false };
const plain = (text) => text.replace(/</g, "‹"); // Plotly reads some tags in names

function inks() {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim();
  return {
    font: { color: ink, family: "system-ui, sans-serif", size: 13 },
    hoverlabel: {
      bgcolor: style.getPropertyValue("--panel").trim(), font: { color: ink },
    },
  };
}

function drawCharts() {
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  for (const target of document.querySelectorAll("[data-chart]")) {
    const figure = figures[target.dataset.chart];
    const layout = { ...figure.layout, ...inks() };
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis/.test(name)) {
        layout[name] = { ...layout[name], gridcolor: line, linecolor: line, zeroline: false };
      }
    }
    Plotly.react(target, figure.data, layout, OPTIONS);
  }
}

// ---- beginning ----

function begin() {
  const seeds = new Set(data.played.flatMap((byStart) => Object.values(byStart)
    .flatMap((bySeed) => Object.keys(bySeed))));
  for (const seed of [...seeds].sort((a, b) => a - b)) {
    training.append(make("option", `train seed ${seed}`, { value: seed }));
  }
  order.closest(".controls").hidden = false;
  for (const map of maps) {
    const [first, ...others] = map.querySelectorAll("button");
    if (first) first.tabIndex = 0;
    for (const button of others) button.tabIndex = -1;
    map.addEventListener("keydown", moveFocus);
    map.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      focusOn(button);
      writeAddress({ start: button.dataset.start, map: map.dataset.map });
      show(map, Number(button.dataset.start));
      panel.scrollIntoView({ block: "nearest" });
    });
  }
  for (const select of [order, training]) {
    select.addEventListener("change", () => {
      writeAddress({ order: order.value === "seed" ? "" : order.value, training: training.value });
      restore();
    });
  }
  addEventListener("hashchange", restore);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
  drawCharts();
  restore();
}

function restore() {
  const state = readAddress();
  const known = (select, value) => [...select.options].some((o) => o.value === value);
  order.value = known(order, state.order) ? state.order : "seed";
  training.value = known(training, state.training) ? state.training : "";
  maps.forEach(arrange);
  const map = maps[Number(state.map ?? 0)];
  if (map && state.start && numbersOf(map.dataset.starts).includes(Number(state.start))) {
    show(map, Number(state.start));
  }
}

if (data) begin();
