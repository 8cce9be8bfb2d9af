// One concept: what it is called and means, what is above and below it, and where it is used.

import { concepts, first, get, lookup, values } from "./fhir.js";
import { badge, empty, facts, fill, make, many, problem, table, tell, to } from "./make.js";

const PLACES = new Set(["parent", "child"]);
const STATES = new Set(["inactive", "abstract", "notSelectable", "status"]);
const MOST_CHILDREN = 30;

export function showConcept(place, system, version, code) {
  return fill(place, () => lookup(system, version, code).catch((error) => (error.status === 401 ? Promise.reject(error) : { error })),
    (found) => (found.error ? unknown(found.error, system, version, code) : drawn(found, system, version, code)));
}

// Records hold codes of systems that are not loaded, too, and codes that were written wrong.
const unknown = (error, system, version, code) => [
  make("h2", { tabindex: "-1", id: "concept" }, code), problem(error), part("Where it is used", usage(make("div", { class: "use" }), system, version, code)),
];

function drawn(found, system, version, code) {
  document.title = `${first(found, "display") || code} · Terminology`;
  const properties = (found.property || []).map((one) => ({ code: first(one, "code"), value: first(one, "value"), description: first(one, "description") }));
  const of = (name) => properties.filter((one) => one.code === name);
  const title = make("h2", { tabindex: "-1", id: "concept" }, first(found, "display") || code);
  const definition = first(found, "definition") || of("definition").map((one) => said(one.value))[0];
  const parents = make("div");
  const children = make("div");
  const used = make("div", { class: "use" });
  near(parents, of("parent"), () => concepts(system, version, [], { codes: of("parent").map((one) => said(one.value)) }), system, version);
  near(children, of("child").length <= MOST_CHILDREN ? of("child") : [], () => concepts(system, version, [["concept", "child-of", code]], { count: MOST_CHILDREN }), system, version, true);
  tell(`${first(found, "display") || code} is shown`);
  return [
    title,
    make("p", { class: "id" }, make("code", {}, code), copier(code), ...states(properties, first(found, "abstract", false))),
    definition ? make("p", { class: "definition" }, definition) : "",
    part("Above it", parents),
    part("Below it", children),
    part("Other words", designations((found.designation || []).filter((one) => first(one, "value") !== first(found, "display")))),
    part("Properties", stated(properties)),
    part("Where it is used", usage(used, system, version, code)),
    facts([["Code system", first(found, "name")], ["URL", make("code", {}, system)], ["Version", first(found, "version") || version]]),
  ];
}

const part = (title, content) => (content ? make("section", {}, make("h3", {}, title), content) : "");

function copier(code) {
  const button = make("button", { type: "button", class: "small", "aria-label": `Copy the code ${code}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not possible here";
    }
    tell(button.textContent);
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return button;
}

function states(properties, abstract) {
  const has = (name, value = true) => properties.some((one) => one.code === name && one.value === value);
  const status = properties.find((one) => one.code === "status");
  return [
    has("inactive") ? badge("inactive", "warn") : "",
    abstract || has("abstract") || has("notSelectable") ? badge("groups others, not to be chosen") : "",
    status && !["active", "A"].includes(status.value) ? badge(said(status.value), "warn") : "",
  ];
}

export function said(value) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value !== "object") return String(value);
  return value.display ? `${value.display} (${value.code})` : value.code || JSON.stringify(value);
}

// Concepts right above or below; what is only named by its code is looked up together.
async function near(place, named, ask, system, version, opens = false) {
  const known = named.map((one) => ({ code: said(one.value), display: one.description }));
  const complete = known.length && known.every((one) => one.display);
  if (!known.length && !opens) return place.replaceChildren(make("p", { class: "soft" }, "Nothing: it stands at the top."));
  if (complete) return place.replaceChildren(...links(known, known.length, system, version));
  return fill(place, () => ask().catch(() => ({ rows: known, total: known.length })), ({ rows, total }) => links(rows, total, system, version));
}

function links(rows, total, system, version) {
  if (!rows.length) return [make("p", { class: "soft" }, "Nothing.")];
  const items = rows.map((row) => make("li", {},
    make("a", { href: to("system", { url: system, version, code: row.code }) }, row.display || row.code), " ", make("code", {}, row.display ? row.code : "")));
  const left = total - rows.length;
  return [make("ul", { class: "near" }, ...items), left > 0 ? make("p", { class: "soft" }, `and ${many(left, "more", "more")}; the tree shows them all.`) : ""];
}

function designations(rows) {
  if (!rows.length) return "";
  return table("Other words", ["Word", "Language", "Use"], rows.map((row) => [first(row, "value"), first(row, "language") || "–", first(row, "use").display || first(row, "use").code || "–"]));
}

function stated(properties) {
  const rows = properties.filter((one) => !PLACES.has(one.code) && !STATES.has(one.code) && one.code !== "definition");
  if (!rows.length) return "";
  return table("Properties", ["Property", "Value"], rows.map((one) => [make("code", {}, one.code), one.description ? `${said(one.value)} – ${one.description}` : said(one.value)]));
}

// Counts by type and facility, asked for when it is wished: they are of the whole record.
function usage(place, system, version, code) {
  const below = make("input", { type: "checkbox", id: "below", checked: true });
  const thorough = make("input", { type: "checkbox", id: "thorough" });
  const button = make("button", { type: "submit" }, "Count");
  const form = make("form", { class: "row" },
    make("span", { class: "tick" }, below, make("label", { for: "below" }, "with all below it")),
    make("span", { class: "tick" }, thorough, make("label", { for: "thorough" }, "also where there is no index (slow)")),
    button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = { system, version, code, below: below.checked, thorough: thorough.checked };
    const ask = async () => {
      try {
        return { answer: await get("CodeSystem/$usage", asked) };
      } catch (error) {
        // What is below a code may not be known; then the code alone is what there is to count.
        if (!asked.below || error.status !== 400 || !error.said.some((text) => text.includes("leave 'below' out"))) throw error;
        return { answer: await get("CodeSystem/$usage", { ...asked, below: false }), alone: true };
      }
    };
    fill(place, ask, counted);
  });
  return make("div", {}, form, place);
}

function counted({ answer, alone = false }) {
  const found = values(answer.parameter);
  const rows = (found.use || []).map((one) => ({ type: first(one, "type"), facility: first(one, "facility"), count: first(one, "count", 0) }));
  const searched = (found.searched || []).map((one) => ({ type: first(one, "type"), report: first(one, "basis") === "report", passed: one.passed || [] }));
  const codes = first(found, "codes", 1);
  tell(rows.length ? `${many(rows.length, "count")}` : "It is used nowhere");
  const notes = [alone ? "What is below this code is not known here, so it was counted alone. " : codes > 1 ? `${many(codes, "code")} were looked for. ` : ""];
  if (searched.some((one) => one.report)) notes.push("Of records that you do not read, counts below 5 are masked, and what labels restrict is left out. ");
  const passed = searched.filter((one) => one.passed.length);
  const left = passed.length ? make("details", {}, make("summary", {}, "Not looked at"),
    make("p", { class: "soft" }, "No index leads to these elements. Count once more with the box above ticked to include them."),
    make("ul", { class: "plain" }, ...passed.map((one) => make("li", {}, make("strong", {}, one.type), `: ${one.passed.join(", ")}`)))) : "";
  if (!rows.length) return [empty("It is used nowhere", "Nothing that you may be told of holds this code."), make("p", { class: "soft" }, ...notes), left];
  const most = Math.max(...rows.map((row) => (row.count.masked ? 4 : row.count)));
  const shown = rows.map((row) => [
    row.type,
    row.facility ? row.facility.display || row.facility.reference.split("/")[1] : "Elsewhere",
    row.count.masked ? make("span", { class: "soft" }, "fewer than 5") : bar(row.count, most),
  ]);
  return [table("Where it is used", ["Type", "Facility", "Count"], shown), make("p", { class: "soft" }, ...notes), left];
}

function bar(count, most) {
  const tenth = Math.max(1, Math.round((count / most) * 10));
  return make("span", { class: "count" }, make("span", { class: "number" }, count.toLocaleString("en")), make("span", { class: `bar b${tenth}`, "aria-hidden": "true" }));
}
