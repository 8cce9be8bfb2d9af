// The FHIR API as this page uses it: an ordinary client. Where people sign in, the session of the page stands for a token.

const BASE = document.body.dataset.base;
const KIND = "application/fhir+json";

export class Refused extends Error {
  constructor(status, said) {
    super(said[0]);
    this.status = status;
    this.said = said;
    this.title = status === 404 ? "This is not known here" : status === 401 ? "You are not signed in" : "This did not work";
  }
}

function sentences(body, status) {
  const found = (body.issue || []).map((one) => (one.details && one.details.text) || one.diagnostics || "").filter(Boolean);
  return found.length ? [...new Set(found)] : [`The server answered ${status}.`];
}

async function answered(path, options) {
  let answer;
  try {
    answer = await fetch(`${BASE}/${path}`, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(0, ["The server cannot be reached. Look whether the network is there, then try again."]);
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, sentences(body, answer.status));
  return body;
}

export function get(path, values = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of [value].flat()) if (one !== "" && one !== undefined && one !== false) query.append(name, String(one));
  }
  return answered(query.size ? `${path}?${query}` : path, { headers: { Accept: KIND } });
}

const post = (path, parameter) => answered(path, {
  method: "POST", headers: { Accept: KIND, "Content-Type": KIND }, body: JSON.stringify({ resourceType: "Parameters", parameter }),
});

// The values of a Parameters resource: by name, each a list; parts likewise.
export function values(parameters) {
  const found = {};
  for (const row of parameters || []) {
    const key = Object.keys(row).find((one) => one.startsWith("value") || one.startsWith("_value"));
    (found[row.name] ||= []).push(row.part ? values(row.part) : row.resource || (key && key.startsWith("_") ? { masked: true } : row[key]));
  }
  return found;
}

export const first = (found, name, otherwise = "") => (found[name] && found[name][0] !== undefined ? found[name][0] : otherwise);

// An expansion of a value set that is made here, of one part of a code system.
async function expand(include, asked) {
  const valueSet = { resourceType: "ValueSet", status: "active", compose: { inactive: true, include: [include] } };
  const kinds = { number: "valueInteger", boolean: "valueBoolean", string: "valueString" };
  const rows = Object.entries(asked).filter(([, value]) => value !== "" && value !== false);
  const named = (name, value) => ({ name, [name === "displayLanguage" ? "valueCode" : kinds[typeof value]]: value });
  return post("ValueSet/$expand", [{ name: "valueSet", resource: valueSet }, ...rows.map(([name, value]) => named(name, value))]);
}

const of = (system, version) => ({ system, ...(version ? { version } : {}) });

// A page of all the codes of a system.
export const everything = (system, version, asked) => expand(of(system, version), asked);

// A page of the concepts of a system that fulfil all filters, [property, op, value] each; or of some codes.
export async function concepts(system, version, filters, { text = "", offset = 0, count = 50, codes = [] } = {}) {
  const include = of(system, version);
  if (filters.length) include.filter = filters.map(([property, op, value]) => ({ property, op, value }));
  if (codes.length) include.concept = codes.map((code) => ({ code }));
  const { expansion = {} } = await expand(include, { filter: text, offset, count, excludeNested: true });
  return { total: expansion.total ?? (expansion.contains || []).length, rows: expansion.contains || [], unclosed: isUnclosed(expansion) };
}

export const isUnclosed = (expansion) => (expansion.extension || []).some((one) => one.url.endsWith("/valueset-unclosed") && one.valueBoolean);

export async function lookup(system, version, code) {
  return values((await get("CodeSystem/$lookup", { system, version, code })).parameter);
}

// All pages of a search, at most so many.
export async function found(path, query, most = 5) {
  const rows = [];
  let bundle = await get(path, query);
  for (let page = 1; ; page += 1) {
    rows.push(...(bundle.entry || []).map((one) => one.resource).filter((one) => one.resourceType === path));
    const next = (bundle.link || []).find((one) => one.relation === "next");
    if (!next || page >= most) return rows;
    bundle = await answered(`${path}?${next.url.split("?")[1]}`, { headers: { Accept: KIND } });
  }
}
