// Elements of the page. Everything is set as text, never as HTML.

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== "" && child !== null && child !== undefined));
  return element;
}

export const many = (count, one, several = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : several}`;

export const badge = (text, kind = "") => make("span", { class: `badge ${kind}`.trim() }, text);

// A link to a view of this page.
export function to(view, values = {}) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  return `#/${view}${query.size ? `?${query}` : ""}`;
}

export function facts(rows) {
  const shown = rows.filter(([, value]) => value !== "" && value !== undefined && value !== null && value.length !== 0);
  return make("dl", { class: "facts" }, ...shown.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

export function table(caption, titles, rows) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, make("table", {},
    make("caption", { class: "unseen" }, caption),
    make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, number) =>
      make(number ? "td" : "th", { ...(number ? {} : { scope: "row" }), "data-title": titles[number] }, cell)))))));
}

export function empty(title, text = "") {
  return make("div", { class: "empty" }, make("p", { class: "title" }, title), text && make("p", {}, text));
}

// What went wrong, as the server said it, and what can be done.
export function problem(error) {
  const again = error.status === 401
    ? make("p", {}, make("a", { href: location.pathname, onclick: (event) => { event.preventDefault(); location.reload(); } }, "Sign in again"))
    : "";
  return make("div", { class: "alert bad", role: "alert" }, make("p", { class: "title" }, error.title || "This did not work"),
    ...(error.said || [error.message]).map((text) => make("p", {}, text)), again);
}

export const waiting = (text = "Asking …") => make("p", { class: "waiting" }, text);

// Tells those who do not see the page what has changed on it.
export function tell(text) {
  document.getElementById("live").textContent = text;
}

// Fills a place with what is asked for; of several questions for one place, the last one counts.
const asked = new WeakMap();
export async function fill(place, question, show) {
  const turn = {};
  asked.set(place, turn);
  place.setAttribute("aria-busy", "true");
  if (!place.hasChildNodes()) place.replaceChildren(waiting());
  let shown;
  try {
    shown = [await show(await question())].flat();
  } catch (error) {
    shown = [problem(error)];
  }
  if (asked.get(place) !== turn) return;
  place.removeAttribute("aria-busy");
  place.replaceChildren(...shown.filter(Boolean));
}

export function later(action, milliseconds = 220) {
  let timer;
  return (...values) => { clearTimeout(timer); timer = setTimeout(() => action(...values), milliseconds); };
}

export function field(name, label, value = "", more = {}) {
  const input = make("input", { id: `f-${name}`, name, value, autocomplete: "off", spellcheck: "false", ...more });
  return make("p", { class: "field" }, make("label", { for: `f-${name}` }, label), input);
}
