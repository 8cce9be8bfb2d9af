// The code systems that are known, and one of them: searched, and walked as a tree.

import { showConcept } from "./concept.js";
import { concepts, found, get } from "./fhir.js";
import { badge, empty, facts, field, fill, later, make, many, table, tell, to } from "./make.js";
import { Tree } from "./tree.js";

const SHOWN = 40;
const PAGE = 50;
const WIDE = 100;
const FIELDS = "url,version,title,name,count,content,hierarchyMeaning,description,status";

let known = null;

// What is known of each version of each system: what the server states, and what is stored as a resource.
export async function systems() {
  known ||= read().catch((error) => { known = null; throw error; });
  return known;
}

async function read() {
  const [stated, stored] = await Promise.all([
    get("metadata", { mode: "terminology" }).catch(() => ({})),
    found("CodeSystem", { _elements: FIELDS, _count: 200 }),
  ]);
  const rows = new Map();
  for (const one of stated.codeSystem || []) {
    for (const version of one.version && one.version.length ? one.version : [{}]) {
      const { title, concepts: count, source } = atHand(version);
      const row = { url: one.uri, version: version.code || "", source, count, title };
      rows.set(`${row.url}|${row.version}`, row);
    }
  }
  for (const one of stored) {
    const key = `${one.url}|${one.version || ""}`;
    if (!one.url) continue;
    rows.set(key, { ...rows.get(key), url: one.url, version: one.version || "", title: one.title || one.name, count: one.count ?? rows.get(key)?.count,
      content: one.content, hierarchy: one.hierarchyMeaning, description: one.description, source: ["release", "package"].includes(rows.get(key)?.source) ? rows.get(key).source : "stored" });
  }
  return [...rows.values()].map((row) => ({ ...row, title: row.title || short(row.url) }))
    .sort((a, b) => rank(a) - rank(b) || a.title.localeCompare(b.title, "en") || b.version.localeCompare(a.version, "en", { numeric: true }));
}

// What was brought here comes first, what every server has comes last.
const rank = (row) => ["release", "stored", "package", "known", "fhir"].indexOf(row.source || "stored");
const SOURCES = { release: "release", package: "package", stored: "stored", fhir: "FHIR R4", known: "built in" };

// What the server says of a version beside R4's elements (the extension code-system-at-hand).
function atHand(version) {
  const found = (version.extension || []).find((one) => one.url.endsWith("/code-system-at-hand"));
  return Object.fromEntries(((found && found.extension) || []).map((one) => [one.url, one.valueString ?? one.valueUnsignedInt ?? one.valueCode]));
}

const short = (url) => url.replace(/\/+$/, "").split(/[/:]/).pop() || url;

export function showSystems(place) {
  const filter = field("filter", "Filter by name, URL or source", "", { type: "search", placeholder: "loinc, snomed, units …" });
  const list = make("div");
  const all = make("div");
  place.replaceChildren(make("h1", { tabindex: "-1" }, "Code systems"),
    make("p", { class: "lead" }, "Everything that codes can come from here: releases, packages, what is stored, and what FHIR itself defines."),
    filter, all);
  fill(all, systems, (rows) => {
    const draw = (most) => list.replaceChildren(...listed(rows, filter.querySelector("input").value, most, draw));
    filter.querySelector("input").addEventListener("input", later(() => draw(SHOWN), 80));
    draw(SHOWN);
    return list;
  });
}

function listed(rows, words, most, draw) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = rows.filter((row) => wanted.every((word) => `${row.title} ${row.url} ${row.version} ${SOURCES[row.source] || ""}`.toLowerCase().includes(word)));
  tell(many(hits.length, "code system"));
  if (!rows.length) return [empty("No code system is known yet", "Load one with: fhir-server terminology load")];
  if (!hits.length) return [empty("No code system is called so", "Type fewer letters, or a part of its URL.")];
  const shown = hits.slice(0, most).map((row) => [
    make("span", { class: "system" }, make("a", { href: to("system", { url: row.url, version: row.version }) }, row.title), make("code", {}, row.url)),
    row.version || "–",
    row.count === undefined ? "–" : row.count.toLocaleString("en"),
    row.source ? badge(SOURCES[row.source] || row.source, row.source) : "–",
  ]);
  const left = hits.length - shown.length;
  return [
    make("p", { class: "soft" }, wanted.length ? `${many(hits.length, "code system")} of ${rows.length.toLocaleString("en")}` : many(rows.length, "code system")),
    table("Code systems", ["Code system", "Version", "Concepts", "Source"], shown),
    left > 0 ? make("button", { type: "button", class: "plain", onclick: () => draw(most + 200) }, `Show ${many(Math.min(left, 200), "more", "more")}`) : "",
  ];
}

let opened = { key: "", tree: null, place: null };

// One system: on the left search and tree, on the right the concept that is chosen.
export function showSystem(place, { url, version = "", code = "" }) {
  const key = `${url}|${version}`;
  if (opened.key !== key || opened.place !== place.firstChild) open(place, url, version, key);
  const pane = place.querySelector(".pane");
  place.querySelector(".columns").classList.toggle("chosen", Boolean(code));
  opened.tree?.mark(code);
  for (const one of place.querySelectorAll(".hits a")) one.toggleAttribute("aria-current", one.dataset.code === code);
  if (!code) return pane.replaceChildren(empty("No concept is chosen", "Search, or walk down the tree, and choose one."));
  if (!place.contains(document.activeElement?.closest?.('[role="treeitem"]') || null)) reveal(opened.tree, url, version, code);
  return showConcept(pane, url, version, code).then(() => {
    if (!place.querySelector(".back").offsetParent) return;
    // On a narrow screen the concept stands in the place of the list.
    pane.querySelector("#concept")?.focus({ preventScroll: true });
    place.querySelector(".back").scrollIntoView({ block: "start" });
  });
}

function open(place, url, version, key) {
  const head = make("div", { class: "head" });
  const search = field("text", "Search for words or a code", "", { type: "search", placeholder: "diab mel typ 2" });
  const hits = make("div", { class: "hits" });
  const tree = make("div", { class: "walk" });
  const input = search.querySelector("input");
  const back = make("p", { class: "back" }, make("a", { href: to("system", { url, version }) }, "← Search and tree"));
  place.replaceChildren(head, make("div", { class: "columns" },
    make("section", { class: "list", "aria-label": "Search and tree" }, make("search", {}, search), hits, tree),
    make("div", {}, back, make("section", { class: "pane", "aria-label": "Concept" }))));
  opened = { key, tree: null, place: head };
  head.replaceChildren(...heading([], url, version).filter(Boolean));
  fill(head, () => counted(url, version), (rows) => heading(rows, url, version));
  input.addEventListener("input", later(() => {
    tree.hidden = Boolean(input.value.trim());
    if (input.value.trim()) searched(hits, url, version, input.value.trim(), 0);
    else hits.replaceChildren();
  }));
  opened.tree = new Tree("Concepts", {
    // Of what a grammar makes there is no top; then well-known codes are what there is to begin with.
    roots: (offset) => level(url, version, [["parent", "exists", "false"]], offset).catch((error) => (
      error.status >= 400 && error.status < 500 && error.status !== 401 ? level(url, version, [], offset) : Promise.reject(error))),
    below: (code, offset) => level(url, version, [["concept", "child-of", code]], offset),
    href: (code) => to("system", { url, version, code }),
  });
  tree.append(opened.tree.element);
}

// Opens the way down to a concept, so that the tree shows where it stands.
async function reveal(tree, system, version, code) {
  const above = await concepts(system, version, [["concept", "generalizes", code]], { count: 200 }).catch(() => ({ rows: [] }));
  await tree.open(new Set(above.rows.map((row) => row.code).filter((one) => one !== code)));
  tree.mark(code);
}

// One level of the tree: its concepts, and which of them have something below.
async function level(system, version, filters, offset) {
  const [all, wide] = await Promise.all([
    concepts(system, version, filters, { offset, count: WIDE }),
    concepts(system, version, [...filters, ["child", "exists", "true"]], { count: 1000 }).catch(() => ({ rows: [] })),
  ]);
  return { total: all.total, rows: all.rows, wide: new Set(wide.rows.map((row) => row.code)) };
}

// What is known of the systems; of this one also how many concepts it has, where its resource does not say it.
async function counted(url, version) {
  const rows = await systems().catch(() => []);
  const row = rows.find((one) => one.url === url && (one.version === version || !version));
  if (row && row.count === undefined) row.count = (await concepts(url, version, [], { count: 0 }).catch(() => ({}))).total;
  return rows;
}

function heading(rows, url, version) {
  const versions = rows.filter((row) => row.url === url);
  const row = versions.find((one) => one.version === version) || versions[0] || { url, title: short(url) };
  const others = versions.filter((one) => one.version !== row.version);
  document.title = `${row.title} · Terminology`;
  return [
    make("p", { class: "crumbs" }, make("a", { href: "#/" }, "Code systems")),
    make("h1", { tabindex: "-1" }, row.title),
    row.description ? make("p", { class: "lead" }, row.description.length > 320 ? `${row.description.slice(0, 320)} …` : row.description) : "",
    facts([
      ["URL", make("code", {}, url)],
      ["Version", version || row.version || ""],
      ["Concepts", row.count === undefined ? "" : row.count.toLocaleString("en")],
      ["Hierarchy", row.hierarchy || ""],
      ["Other versions", others.map((one) => make("a", { href: to("system", { url, version: one.version }) }, one.version || "without"))],
      ["All its codes", make("a", { href: to("valueset", { system: url, version }) }, "Expand")],
    ]),
  ];
}

function searched(place, url, version, text, offset) {
  fill(place, () => concepts(url, version, [], { text, offset, count: PAGE }), ({ total, rows }) => {
    tell(many(total, "concept"));
    if (!rows.length) return empty("Nothing has these words", "Each word may be cut short, in any order; or type a code.");
    const items = rows.map((row) => make("li", {}, make("a", { href: to("system", { url, version, code: row.code }), "data-code": row.code },
      make("span", { class: "display" }, row.display || row.code), make("code", {}, row.code), row.inactive ? badge("inactive", "warn") : "")));
    const left = total - offset - rows.length;
    return [
      make("p", { class: "soft" }, total > rows.length ? `${(offset + 1).toLocaleString("en")} to ${(offset + rows.length).toLocaleString("en")} of ${total.toLocaleString("en")}` : many(total, "concept")),
      make("ul", { class: "found" }, ...items),
      make("p", { class: "pages" },
        offset ? make("button", { type: "button", class: "plain", onclick: () => searched(place, url, version, text, Math.max(0, offset - PAGE)) }, "Previous") : "",
        left > 0 ? make("button", { type: "button", class: "plain", onclick: () => searched(place, url, version, text, offset + PAGE) }, "Next") : ""),
    ];
  });
}
