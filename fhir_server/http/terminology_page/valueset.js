// Value sets: which are stored, what one expands to, and whether a code is right.

import { said } from "./concept.js";
import { everything, first, found, get, isUnclosed, values } from "./fhir.js";
import { badge, empty, facts, field, fill, later, make, many, table, tell, to } from "./make.js";

const PAGE = 50;

export function showValueSets(place) {
  const url = field("url", "URL of a value set", "", { type: "text", inputmode: "url", required: true, placeholder: "http://hl7.org/fhir/ValueSet/administrative-gender" });
  const form = make("form", { class: "asking" }, url, make("button", { type: "submit" }, "Expand"));
  form.addEventListener("submit", (event) => { event.preventDefault(); location.hash = to("valueset", { url: url.querySelector("input").value.trim() }); });
  const list = make("div");
  place.replaceChildren(make("h1", { tabindex: "-1" }, "Value sets"),
    make("p", { class: "lead" }, "Expand any value set that is known here: stored, of a package, of FHIR itself, or implied by its URL."), form,
    make("h2", {}, "Stored here"), list);
  fill(list, () => found("ValueSet", { _elements: "url,version,title,name,status", _count: 200 }), (rows) => {
    if (!rows.length) return empty("No value set is stored", "Those of FHIR and of packages are expanded by their URL above.");
    const shown = rows.filter((one) => one.url).sort((a, b) => (a.title || a.name || a.url).localeCompare(b.title || b.name || b.url, "en"));
    return table("Value sets", ["Value set", "Version", "Status"], shown.map((one) => [
      make("span", { class: "system" }, make("a", { href: to("valueset", { url: one.url, version: one.version }) }, one.title || one.name || one.url), make("code", {}, one.url)),
      one.version || "–", badge(one.status || "")]));
  });
}

// An expansion, by URL; or of all the codes of a system.
export function showValueSet(place, { url = "", version = "", system = "" }) {
  const filter = field("filter", "Only with these words", "", { type: "search" });
  const language = field("language", "Language", "", { placeholder: "de, en-GB …" });
  const active = make("input", { type: "checkbox", id: "active" });
  const result = make("div", { class: "result" });
  const name = url || system;
  place.replaceChildren(make("p", { class: "crumbs" }, system ? make("a", { href: to("system", { url: system, version }) }, "Code system") : make("a", { href: "#/valuesets" }, "Value sets")),
    make("h1", { tabindex: "-1" }, system ? "All its codes" : "Value set"), make("p", { class: "id" }, make("code", {}, version ? `${name}|${version}` : name)),
    make("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, filter, language,
      make("p", { class: "tick" }, active, make("label", { for: "active" }, "Active codes only"))),
    result);
  const ask = (offset) => {
    const one = (place_) => place_.querySelector("input").value.trim();
    const asked = { filter: one(filter), displayLanguage: one(language), activeOnly: active.checked, offset, count: PAGE, excludeNested: true };
    fill(result, () => expansion(url, version, system, asked), (valueSet) => expanded(valueSet, offset, ask));
  };
  const again = later(() => ask(0));
  for (const input of place.querySelectorAll("form input")) input.addEventListener("input", again);
  ask(0);
}

const expansion = (url, version, system, asked) => (system
  ? everything(system, version, asked)
  : get("ValueSet/$expand", { url, valueSetVersion: version, ...asked }));

function expanded(valueSet, offset, ask) {
  const { expansion: { contains: rows = [], total = rows.length, parameter = [] } = {}, expansion: whole = {} } = valueSet;
  tell(many(total, "code"));
  if (!rows.length) return [empty("There are no codes", "Take away words, the language, or the tick.")];
  const used = [...new Set(parameter.filter((one) => one.name === "used-codesystem" || one.name === "version").map((one) => one.valueUri || one.valueCanonical || one.valueString))];
  const shown = rows.map((row) => [
    row.code ? make("a", { href: to("system", { url: row.system, version: row.version, code: row.code }) }, make("code", {}, row.code)) : "–",
    make("span", {}, row.display || "", " ", row.inactive ? badge("inactive", "warn") : "", row.abstract ? badge("group") : ""),
    make("code", {}, row.system || ""),
  ]);
  const last = offset + rows.length;
  return [
    facts([["Title", valueSet.title || valueSet.name || ""], ["Version", valueSet.version || ""], ["Made of", used.map((one) => make("code", {}, one))]]),
    isUnclosed(whole) ? make("p", { class: "alert warn" }, "There are more codes than can be listed; these are well-known ones.") : "",
    make("p", { class: "soft" }, total > rows.length ? `${(offset + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${total.toLocaleString("en")} codes` : many(total, "code")),
    table("Codes", ["Code", "Display", "Code system"], shown),
    make("p", { class: "pages" },
      offset ? make("button", { type: "button", class: "plain", onclick: () => ask(Math.max(0, offset - PAGE)) }, "Previous") : "",
      last < total ? make("button", { type: "button", class: "plain", onclick: () => ask(last) }, "Next") : ""),
  ];
}

// Whether a code is one of its system, or of a value set, and whether it is called so.
export function showCheck(place, given) {
  const fields = [
    field("system", "Code system", given.system || "", { inputmode: "url", required: true, placeholder: "http://loinc.org" }),
    field("code", "Code", given.code || "", { required: true, autocapitalize: "none" }),
    field("display", "Display, if you have one", given.display || ""),
    field("url", "Value set, if it is to be in one", given.url || "", { inputmode: "url" }),
  ];
  const result = make("div", { class: "result" });
  const form = make("form", { class: "filters" }, ...fields, make("button", { type: "submit" }, "Check"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    const { system, code, display, url } = asked;
    const question = url ? get("ValueSet/$validate-code", { url, system, code, display }) : get("CodeSystem/$validate-code", { url: system, code, display });
    fill(result, () => question, (answer) => verdict(values(answer.parameter), asked));
  });
  place.replaceChildren(make("h1", { tabindex: "-1" }, "Check a code"),
    make("p", { class: "lead" }, "Is it a code of its system, is it in the value set, and is it called so?"), form, result);
}

function verdict(answer, asked) {
  const right = first(answer, "result", false);
  const message = first(answer, "message");
  const display = first(answer, "display");
  tell(right ? "The code is right" : "The code is not right");
  const issues = (first(answer, "issues", {}).issue || []).map((one) => one.details?.text).filter((text) => text && text !== message);
  return [
    make("div", { class: `alert ${right ? "good" : "bad"}` }, make("p", { class: "title" }, right ? "The code is right" : "The code is not right"),
      message ? make("p", {}, message) : "", ...issues.map((text) => make("p", {}, text))),
    facts([["Display", display], ["Version", first(answer, "version")], ["Status", said(first(answer, "status"))],
      ["Concept", display ? make("a", { href: to("system", { url: asked.system, code: asked.code }) }, "Look at it") : ""]]),
  ];
}
