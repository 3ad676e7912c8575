"use strict";
// Keeps the tables of the live page as the server tells it, once a second. Every text is set as text, never as markup.
(() => {
  const root = document.querySelector("[data-live]");
  if (!root || !window.EventSource) return;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const size = (bytes) => {
    let unit = 0;
    while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1024; unit++; }
    return (unit === 0 ? bytes : bytes.toFixed(1)) + " " + units[unit];
  };
  const row = (body, id, cells) => {
    let line = [...body.rows].find((one) => one.dataset.id === id);
    if (line) return line;
    line = body.insertRow();
    line.dataset.id = id;
    const headings = body.closest("table").tHead.rows[0].cells;
    for (const name of cells) {
      const cell = line.insertCell();
      cell.dataset.cell = name;
      cell.dataset.label = headings[cell.cellIndex].textContent;
      cell.className = name === "name" ? "name" : ["bytes", "speed", "clients"].includes(name) ? "n" : "";
    }
    return line;
  };
  const set = (line, name, text) => {
    const cell = line.querySelector(`[data-cell="${name}"]`);
    if (cell && cell.textContent !== text) cell.textContent = text;
  };
  const bar = (line, one) => {
    const cell = line.querySelector('[data-cell="bar"]');
    if (!cell) return;
    let progress = cell.querySelector("progress");
    if (!progress) {
      progress = document.createElement("progress");
      progress.setAttribute("aria-label", "downloaded of " + one.name);
      cell.replaceChildren(progress);
    }
    if (one.length) { progress.max = one.length; progress.value = one.bytes; }
  };
  const show = (name, list, cells) => {
    const body = root.querySelector(`[data-list="${name}"]`);
    const none = root.querySelector(`[data-none="${name}"]`);
    const ids = new Set(list.map((one) => one.id));
    for (const line of [...body.rows]) if (!ids.has(line.dataset.id)) line.remove();
    for (const one of list) {
      const line = row(body, one.id, cells);
      set(line, "name", one.name);
      set(line, "what", one.what.slice(0, 19));
      set(line, "origin", one.origin);
      set(line, "bytes", one.length ? `${size(one.bytes)} of ${size(one.length)}` : size(one.bytes));
      set(line, "speed", size(one.speed) + "/s");
      set(line, "clients", one.who ? `${one.clients}: ${one.who}` : String(one.clients));
      bar(line, one);
    }
    none.hidden = list.length > 0;
    body.closest(".wide").hidden = list.length === 0;
  };
  const state = root.querySelector("[data-state]");
  const source = new EventSource(root.dataset.live);
  source.onopen = () => { state.textContent = "The figures follow each second."; };
  source.onerror = () => {
    state.textContent = source.readyState === EventSource.CLOSED
      ? "The server sends no more figures: load the page again. These are old."
      : "The server does not answer; the figures are old. The page tries again.";
  };
  source.onmessage = (message) => {
    const now = JSON.parse(message.data);
    show("fills", now.fills, ["name", "what", "bar", "bytes", "speed", "origin", "clients"]);
    show("uploads", now.uploads, ["name", "bytes", "speed", "origin"]);
    root.querySelector("[data-held]").textContent = String(now.held);
  };
})();
