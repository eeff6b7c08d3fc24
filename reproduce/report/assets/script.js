"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, place = document) => [...place.querySelectorAll(selector)];

  // Colours: as the system, light, dark.
  const themes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const paint = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    button.textContent = `◐ ${theme}`;
    button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system" : theme}`);
  };
  let theme = "auto";
  try { theme = localStorage.getItem("theme") || theme; } catch { /* pages from disk may have none */ }
  paint(themes.includes(theme) ? theme : "auto");
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    paint(theme);
    try { localStorage.setItem("theme", theme); } catch { /* as above */ }
  });

  // Sorting: down, up, as it was. What is no number comes last.
  const number = (text) => {
    const found = text.replace("−", "-").match(/[+-]?\d[\d,]*(\.\d+)?/);
    return found ? Number(found[0].replaceAll(",", "")) : null;
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
  };
  for (const table of all("table.sortable")) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const order = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const next = order[(order.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      const value = (row) => {
        const text = row.cells[place].textContent.trim();
        return numeric ? number(text) : text;
      };
      const sign = next === "ascending" ? 1 : -1;
      const rows = next ? [...original].sort((a, b) => compare(value(a), value(b), sign)) : original;
      body.append(...rows);
    }));
  }

  // Names of the numbers in the claims, shown on narrow screens.
  for (const table of all("table.claims")) {
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, place) => { cell.dataset.name = names[place].toLowerCase(); });
    }
  }

  // Before and after.
  for (const figure of all(".compare")) {
    const range = figure.querySelector("input[type=range]");
    const split = () => figure.style.setProperty("--split", `${range.value}%`);
    range.addEventListener("input", split);
    const stage = figure.querySelector(".stage");
    const drag = (event) => {
      const area = stage.getBoundingClientRect();
      range.value = 100 * (event.clientX - area.left) / area.width;
      split();
    };
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      drag(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) drag(event);
    });
    figure.querySelector("input[type=checkbox]").addEventListener("change", (event) => {
      figure.classList.toggle("true", event.target.checked);
    });
  }

  // Curves.
  const holder = document.getElementById("curve-data");
  const data = holder ? JSON.parse(holder.textContent) : { quantities: {}, runs: {}, networks: {} };
  const tip = document.getElementById("tip");
  const WIDTH = 360, HEIGHT = 230, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 26;
  const node = (name, attributes = {}, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const ticks = (low, high, count) => {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
    const out = [];
    for (let at = Math.ceil(low / step) * step; at <= high + 1e-9 * step; at += step) out.push(Number(at.toPrecision(10)));
    return out;
  };
  const mean = (series) => {
    const sums = new Map();
    for (const [steps, values] of series) steps.forEach((step, i) => {
      const [sum, count] = sums.get(step) || [0, 0];
      sums.set(step, [sum + values[i], count + 1]);
    });
    const full = [...sums].filter(([, [, count]]) => count === series.length).sort((a, b) => a[0] - b[0]);
    return [full.map(([step]) => step), full.map(([, [sum, count]]) => sum / count)];
  };
  const at = ([steps, values], step) => {
    let best = 0;
    steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
    return [steps[best], values[best]];
  };
  const smooth = ([steps, values], reach) => [steps, values.map((_, i) => {
    const near = values.slice(Math.max(i - reach, 0), i + reach + 1);
    return near.reduce((a, b) => a + b, 0) / near.length;
  })];

  const chart = (quantity, label, network) => {
    const cells = network.runs.map((ids) => ids
      .map((id) => data.runs[id].series[quantity]).filter(Boolean)
      .map((series) => (quantity === "miou" ? series : smooth(series, 2))));
    if (!cells[0].length && !cells[1].length) return null;
    const means = cells.map((series) => (series.length ? mean(series) : null));
    const points = cells.flat();
    const xs = points.flatMap((s) => s[0]), ys = points.flatMap((s) => s[1]);
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
    const sorted = [...ys].sort((a, b) => a - b);
    if (quantity !== "miou") y1 = Math.min(y1, 1.35 * sorted[Math.floor(0.96 * (sorted.length - 1))]);
    const margin = 0.05 * (y1 - y0) || 1;
    [y0, y1] = [y0 - margin, y1 + margin];
    const px = (x) => LEFT + (WIDTH - LEFT - RIGHT) * (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5);
    const py = (y) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - y0) / (y1 - y0);
    const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: 0, "aria-label": `${label} over training; arrow keys read values` });
    const clip = `clip-${quantity}-${network.names.join("")}`.replace(/\W/g, "");
    const box = node("clipPath", { id: clip });
    box.append(node("rect", { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM }));
    svg.append(box);
    for (const y of ticks(y0, y1, 7)) {
      svg.append(node("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: py(y), y2: py(y) }));
      svg.append(node("text", { x: LEFT - 5, y: py(y) + 4, "text-anchor": "end" }, y));
    }
    for (const x of ticks(x0, x1, 5)) {
      const anchor = px(x) > WIDTH - RIGHT - 12 ? "end" : "middle";
      svg.append(node("text", { x: anchor === "end" ? WIDTH - 2 : px(x), y: HEIGHT - 8, "text-anchor": anchor }, x));
    }
    const draw = ([steps, values], style) => svg.append(node("path", {
      class: style, "clip-path": `url(#${clip})`, d: steps.map((s, i) => `${i ? "L" : "M"}${px(s).toFixed(1)} ${py(values[i]).toFixed(1)}`).join(""),
    }));
    ["base", "ours"].forEach((style, i) => cells[i].forEach((series) => draw(series, style)));
    ["base", "ours"].forEach((style, i) => means[i] && draw(means[i], `mean ${style}`));
    if (quantity === "miou") ["base", "ours"].forEach((style, i) => means[i] && means[i][0].forEach((step, j) => {
      svg.append(node("circle", { class: style, cx: px(step).toFixed(1), cy: py(means[i][1][j]).toFixed(1), r: 3 }));
    }));
    const cross = node("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    svg.append(cross);
    const steps = (means[1] || means[0])[0];
    let place = steps.length - 1;
    const show = (step, left, top) => {
      cross.setAttribute("x1", px(step));
      cross.setAttribute("x2", px(step));
      cross.setAttribute("visibility", "visible");
      const lines = means.map((m, i) => m && `${network.names[i]}: ${at(m, step)[1].toPrecision(4)} (${cells[i].map((s) => at(s, step)[1].toPrecision(4)).join(", ")})`);
      tip.textContent = [`step ${step}`, ...lines.filter(Boolean)].join("\n");
      tip.hidden = false;
      tip.style.left = `${Math.max(4, Math.min(left + 12, innerWidth - tip.offsetWidth - 6))}px`;
      tip.style.top = `${Math.max(4, top - tip.offsetHeight - 10)}px`;
    };
    const hide = () => { cross.setAttribute("visibility", "hidden"); tip.hidden = true; };
    svg.addEventListener("pointermove", (event) => {
      const area = svg.getBoundingClientRect();
      const x = (event.clientX - area.left) * WIDTH / area.width;
      const step = at([steps, steps], x0 + (x - LEFT) / (WIDTH - LEFT - RIGHT) * (x1 - x0))[0];
      place = steps.indexOf(step);
      show(step, event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      event.preventDefault();
      place = Math.max(0, Math.min(steps.length - 1, place + (event.key === "ArrowLeft" ? -1 : 1)));
      const area = svg.getBoundingClientRect();
      show(steps[place], area.left + px(steps[place]) * area.width / WIDTH, area.top + area.height / 2);
    });
    const figure = document.createElement("figure");
    figure.className = "chart";
    const caption = document.createElement("figcaption");
    caption.textContent = label;
    figure.append(caption, svg);
    return figure;
  };

  const select = document.getElementById("network");
  const choose = (key) => {
    for (const panel of all(".network")) panel.hidden = panel.id !== key;
    const charts = document.querySelector(`#${CSS.escape(key)} .charts`);
    if (!charts.childElementCount) {
      const made = Object.entries(data.quantities).map(([name, label]) => chart(name, label, data.networks[key]));
      charts.append(...made.filter(Boolean));
      if (!charts.childElementCount) charts.textContent = "These records hold no curves.";
    }
  };
  if (select) {
    select.addEventListener("change", () => choose(select.value));
    choose(select.value);
  }

  // A link into folded runs unfolds them.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.classList.contains("network")) { select.value = target.id; choose(target.id); }
    for (let place = target; place; place = place.parentElement) {
      if (place.tagName === "DETAILS") place.open = true;
    }
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) reveal();
  });
  if (location.hash) reveal();
})();
