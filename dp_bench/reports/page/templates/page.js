"use strict";
// Tables that sort, the map of starts, and charts. Every text of a record is set as
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

function keyOf(row, column, isText) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  if (isText) return text;
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? null : number;
}

function sortBy(table, column, heading) {
  const isText = "text" in heading.dataset;
  const usual = isText ? "ascending" : "descending";
  const other = isText ? "descending" : "ascending";
  const order = heading.getAttribute("aria-sort") === usual ? other : usual;
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column, isText), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // these come last
    return sign * (isText ? a.localeCompare(b) : a - b);
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = make("button", heading.textContent, { type: "button", class: "sort" });
    heading.replaceChildren(button);
    button.addEventListener("click", () => sortBy(table, column, heading));
  });
}

// ---- the state of the page, which its address holds ----

const maps = [...document.querySelectorAll("table.map")];
const order = document.getElementById("order");
const training = document.getElementById("training");
const panel = document.getElementById("start");
let chosen = null; // { map, start }

function writeAddress() {
  const state = new URLSearchParams();
  if (chosen) {
    state.set("start", chosen.start);
    state.set("map", chosen.map.dataset.map);
  }
  if (order.value !== "seed") state.set("order", order.value);
  if (training.value !== "") state.set("training", training.value);
  history.replaceState(null, "", `#${state}`);
}

function readAddress() {
  const text = location.hash.slice(1);
  if (text && !text.includes("=")) return; // a part of the page, not a state
  const state = Object.fromEntries(new URLSearchParams(text));
  const known = (select, value) => [...select.options].some((o) => o.value === value);
  order.value = known(order, state.order) ? state.order : "seed";
  training.value = known(training, state.training) ? state.training : "";
  const map = maps[Number(state.map ?? 0)];
  const start = Number(state.start);
  const met = map && map.querySelector(`td[data-start="${start}"]`);
  chosen = met ? { map, start } : null;
  render();
}

function render() {
  maps.forEach(arrange);
  showStart();
}

// ---- the map of starts ----

const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

function scoreOf(row, start) {
  const bySeed = data.rows[row].played[start] ?? {};
  const scores = Object.entries(bySeed)
    .filter(([seed]) => training.value === "" || seed === training.value)
    .map(([, [score]]) => score);
  return scores.length ? mean(scores) : null;
}

function rankOf(rows, start) {
  const scores = rows.map((row) => scoreOf(row, start)).filter((score) => score !== null);
  if (!scores.length) return Infinity;
  if (order.value === "score") return mean(scores);
  return Math.min(...scores) - Math.max(...scores);
}

function arrange(map) {
  const lines = [...map.tBodies[0].rows];
  const heads = [...map.tHead.rows[0].cells].slice(1);
  const starts = heads.map((head) => Number(head.textContent)).sort((a, b) => a - b);
  if (order.value !== "seed") {
    const rows = lines.map((line) => line.dataset.row);
    const ranks = new Map(starts.map((start) => [start, rankOf(rows, start)]));
    starts.sort((a, b) => ranks.get(a) - ranks.get(b) || a - b);
  }
  const place = new Map(starts.map((start, k) => [start, k]));
  const inOrder = (cells, startOf) =>
    cells.sort((a, b) => place.get(startOf(a)) - place.get(startOf(b)));
  map.tHead.rows[0].append(...inOrder(heads, (head) => Number(head.textContent)));
  for (const line of lines) {
    const cells = [...line.cells].slice(1);
    line.append(...inOrder(cells, (cell) => Number(cell.dataset.start)));
    for (const cell of cells) if (cell.firstElementChild) colour(line, cell);
  }
}

function colour(line, cell) {
  const button = cell.firstElementChild;
  const score = scoreOf(line.dataset.row, cell.dataset.start);
  button.className = score === null ? "unknown" : `s${Math.round(data.shades * score)}`;
  const words = score === null ? "not evaluated" : `score ${score.toFixed(2)}`;
  const name = data.rows[line.dataset.row].name;
  button.title = `start ${cell.dataset.start}, ${name}: ${words}`;
  button.setAttribute("aria-label", button.title);
}

const MOVES = {
  ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
};

function moveFocus(event) {
  let cell = event.target.closest("td");
  const move = MOVES[event.key];
  if (!cell || !move) return;
  event.preventDefault();
  const lines = [...cell.closest("tbody").rows];
  do { // skips starts that a row did not meet
    const line = lines[lines.indexOf(cell.parentElement) + move[0]];
    cell = line?.cells[cell.cellIndex + move[1]];
  } while (cell && cell.tagName === "TD" && !cell.firstElementChild);
  const button = cell?.querySelector("button");
  if (button) focusOn(button);
}

function focusOn(button) {
  for (const other of button.closest("table").querySelectorAll("button")) {
    other.tabIndex = other === button ? 0 : -1;
  }
  button.focus();
}

// ---- one start ----

function episodesOf(map, start) {
  const episodes = [];
  for (const line of map.tBodies[0].rows) {
    const row = data.rows[line.dataset.row];
    for (const [seed, [score, success, length]] of Object.entries(row.played[start] ?? {})) {
      if (training.value !== "" && training.value !== seed) continue;
      const film = row.films[start];
      const own = film && String(film.seed) === seed ? film : null;
      episodes.push({ row, seed, score, success, length, film: own });
    }
  }
  return episodes;
}

function showStart() {
  for (const button of document.querySelectorAll("table.map .chosen")) {
    button.classList.remove("chosen");
  }
  panel.replaceChildren();
  panel.hidden = !chosen;
  if (!chosen) return;
  const { map, start } = chosen;
  for (const button of map.querySelectorAll(`td[data-start="${start}"] button`)) {
    button.classList.add("chosen");
  }
  panel.append(make("h3", `Start ${start}`));
  const episodes = episodesOf(map, start);
  const filmed = episodes.filter((episode) => episode.film);
  if (filmed.length) {
    if (filmed.some((episode) => episode.film.path.length)) {
      panel.append(make("div", undefined, {
        id: "paths", role: "img", class: "chart",
        "aria-label": "Paths of the robot's tip from this start, over the scene",
      }));
    }
    panel.append(filmsOf(filmed));
  } else if (data.rows.some((row) => row.films[start])) {
    panel.append(make("p", "No film shows this training. Choose all trainings to see the "
      + "films of this start.", { class: "note" }));
  } else {
    const words = make("p", "Nobody has filmed this start. To film it: ", { class: "note" });
    words.append(make("code", `dp-bench report RESULTS --html --films ${start} --runs RUN ...`));
    panel.append(words);
  }
  panel.append(tableOf(episodes));
  drawPaths(filmed);
}

function tableOf(episodes) {
  const box = make("div", undefined, { class: "wide" });
  const table = make("table");
  const head = table.createTHead().insertRow();
  for (const heading of ["row", "train seed", "score", "solved", "steps"]) {
    head.append(make("th", heading, { scope: "col" }));
  }
  const body = table.createTBody();
  for (const { row, seed, score, success, length } of episodes) {
    const line = body.insertRow();
    line.append(make("th", row.name, { scope: "row" }));
    for (const text of [seed, score.toFixed(2), success ? "yes" : "no", length]) {
      line.append(make("td", text));
    }
  }
  box.append(table);
  return box;
}

const addressOf = (name) => `films/${encodeURIComponent(name)}`;

function captionOf({ row, seed, score, success, film }) {
  const caption = make("figcaption");
  const key = make("span", undefined, { class: "key" });
  key.style.background = row.colour;
  const solved = success ? ", solved" : "";
  caption.append(key, `${row.name}, train seed ${seed}: ${score.toFixed(2)}${solved}`);
  if (Math.abs(film.score - score) > 0.01) {
    caption.append(make("p", `This film scored ${film.score.toFixed(2)}: it was played `
      + "beside other starts, and rounding differs.", { class: "note" }));
  }
  return caption;
}

function filmsOf(episodes) {
  const box = make("div");
  const films = make("div", undefined, { class: "films" });
  for (const episode of episodes) {
    const figure = make("figure");
    const video = make("video", undefined, {
      src: addressOf(episode.film.film), poster: addressOf(episode.film.poster),
      controls: "", muted: "", playsinline: "", preload: "metadata",
      "aria-label": `${episode.row.name}, train seed ${episode.seed}`,
    });
    video.muted = true;
    video.addEventListener("error", () => video.replaceWith(
      make("p", "This film is missing, or the browser cannot play it.")));
    figure.append(video, captionOf(episode));
    films.append(figure);
  }
  const play = make("button", "Play all from the start", { type: "button" });
  play.addEventListener("click", () => playAll(films));
  const above = make("p");
  above.append(play);
  box.append(above, films);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) playAll(films);
  return box;
}

function playAll(films) {
  for (const video of films.querySelectorAll("video")) {
    video.currentTime = 0;
    video.play().catch(() => {}); // a browser may wait for a click
  }
}

function drawPaths(episodes) {
  const target = document.getElementById("paths");
  if (!target) return;
  const image = new Image();
  image.addEventListener("load", () => {
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const traces = episodes.filter(({ film }) => film.path.length).map(
      ({ row, seed, film }) => ({
        x: film.path.map(([x]) => x * width),
        y: film.path.map(([, y]) => y * height),
        mode: "lines",
        line: { color: row.colour, width: 2.5, dash: DASHES[row.again % DASHES.length] },
        name: plain(`${row.name}, train seed ${seed}`),
        text: film.path.map((_, k) => `step ${Math.round(
          (k * film.length) / Math.max(film.path.length - 1, 1))}`),
        hovertemplate: "%{text}",
      }));
    const layout = {
      images: [{
        source: image.src, xref: "x", yref: "y", x: 0, y: 0, sizex: width, sizey: height,
        sizing: "stretch", layer: "below",
      }],
      xaxis: { range: [0, width], visible: false, constrain: "domain" },
      yaxis: { range: [height, 0], visible: false, scaleanchor: "x", constrain: "domain" },
      margin: { l: 0, r: 0, t: 0, b: 0 }, height: 380, hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", ...inks(),
    };
    Plotly.newPlot(target, traces, layout, OPTIONS);
  });
  image.addEventListener("error", () => target.remove());
  image.src = addressOf(episodes[0].film.poster);
}

// ---- charts ----

const OPTIONS = { responsive: true, displayModeBar: false };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdashdot"];
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

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
  const seeds = new Set(data.rows.flatMap((row) => Object.values(row.played)
    .flatMap((bySeed) => Object.keys(bySeed))));
  for (const seed of [...seeds].sort((a, b) => a - b)) {
    training.append(make("option", `train seed ${seed}`, { value: seed }));
  }
  order.closest(".controls").hidden = false;
  for (const map of maps) {
    [...map.querySelectorAll("button")].forEach((button, k) => {
      button.tabIndex = k ? -1 : 0;
    });
    map.addEventListener("keydown", moveFocus);
    map.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      focusOn(button);
      chosen = { map, start: Number(button.parentElement.dataset.start) };
      writeAddress();
      showStart();
      panel.scrollIntoView({ block: "nearest" });
    });
  }
  for (const select of [order, training]) {
    select.addEventListener("change", () => {
      writeAddress();
      render();
    });
  }
  addEventListener("hashchange", readAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    drawCharts();
    showStart();
  });
  if (location.hash && !location.hash.includes("=")) render();
  else readAddress();
  drawCharts();
}

if (data) begin();
