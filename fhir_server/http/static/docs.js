// Lists the operations of /openapi.json and lets the reader try them. Everything is set as text, never as HTML.
"use strict";

const GROUPS = { system: "The whole record", type: "Resources of a type", instance: "A single resource" };
const METHODS = ["get", "post", "put", "patch", "delete"];

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== ""));
  return element;
}

function resolve(api, value) {
  if (!value || !value.$ref) return value || {};
  return value.$ref.slice(2).split("/").reduce((node, key) => node[key.replace(/~1/g, "/").replace(/~0/g, "~")], api) || {};
}

function table(titles, rows) {
  return make("table", {}, make("tr", {}, ...titles.map((title) => make("th", {}, title))), ...rows);
}

function field(api, parameter) {
  const schema = resolve(api, parameter.schema);
  const label = `${parameter.name} (${parameter.in})`;
  if (schema.enum && schema.enum.length <= 500) {
    const options = schema.enum.map((value) => make("option", { value }, String(value)));
    if (!parameter.required) options.unshift(make("option", { value: "" }, ""));
    const select = make("select", { "aria-label": label }, ...options);
    if (parameter.required && schema.enum.includes("Patient")) select.value = "Patient";
    return select;
  }
  const example = parameter.example ?? schema.example ?? schema.default ?? (schema.type === "object" ? "name=smith&gender=female" : "");
  return make("input", { "aria-label": label, placeholder: String(example) });
}

function fill(api, path, method, operation, shared, box) {
  if (operation.description) box.append(make("p", { class: "soft" }, operation.description));
  const parameters = [...shared, ...(operation.parameters || [])].map((parameter) => resolve(api, parameter));
  const fields = parameters.map((parameter) => [parameter, field(api, parameter)]);
  if (fields.length) {
    const rows = fields.map(([parameter, input]) => make("tr", {},
      make("td", {}, make("code", {}, parameter.name), make("div", { class: "soft" }, parameter.in)),
      make("td", { class: "soft" }, parameter.description || ""),
      make("td", {}, input)));
    box.append(make("h3", {}, "Parameters"), table(["Name", "Meaning", "Value"], rows));
  }
  const content = resolve(api, operation.requestBody).content || {};
  const kinds = Object.keys(content);
  const text = make("textarea", { "aria-label": "Request body", spellcheck: "false" });
  if (kinds.length) {
    const example = content[kinds[0]].example;
    if (example !== undefined) text.value = typeof example === "string" ? example : JSON.stringify(example, null, 2);
    box.append(make("h3", {}, `Body: ${kinds.join(" or ")}`), text);
  }
  const answers = Object.entries(operation.responses || {}).map(([status, answer]) => make("tr", {},
    make("td", {}, make("code", {}, status)), make("td", {}, resolve(api, answer).description || "")));
  const send = make("button", { type: "button" }, "Send");
  const line = make("p", { class: "soft" });
  const output = make("pre", { hidden: "" });
  send.addEventListener("click", () => run(api, path, method, fields, kinds[0], text.value, line, output));
  box.append(make("h3", {}, "Answers"), table(["Status", "Meaning"], answers), send, line, output);
}

async function run(api, path, method, fields, kind, body, line, output) {
  let url = path;
  const query = new URLSearchParams();
  const headers = { Accept: "application/fhir+json" };
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  for (const [parameter, input] of fields) {
    const value = input.value;
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.in === "query") {
      if (parameter.style === "form" && /=/.test(value) && parameter.schema && parameter.schema.type === "object")
        new URLSearchParams(value).forEach((part, name) => query.append(name, part));
      else query.append(parameter.name, value);
    } else if (value && parameter.in === "header") headers[parameter.name] = value;
  }
  const base = new URL(api.servers && api.servers[0] ? api.servers[0].url : "/", location.href).pathname.replace(/\/$/, "");
  url = base + url + (query.size ? `?${query}` : "");
  const options = { method: method.toUpperCase(), headers };
  if (kind && body) { options.body = body; headers["Content-Type"] = kind; }
  line.textContent = `${options.method} ${url} …`;
  try {
    const answer = await fetch(url, options);
    const said = await answer.text();
    line.textContent = `${options.method} ${url} → ${answer.status} ${answer.statusText}`;
    try { output.textContent = JSON.stringify(JSON.parse(said), null, 2); } catch { output.textContent = said; }
    output.hidden = !said;
  } catch (error) {
    line.textContent = `${options.method} ${url}: ${error.message}`;
  }
}

function show(api) {
  const place = document.getElementById("operations");
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = item[method];
      const group = (operation.tags || ["interactions"])[0];
      const box = make("div");
      const details = make("details", { class: "operation" },
        make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), make("code", {}, path),
          make("span", { class: "soft" }, operation.summary || "")), box);
      details.dataset.text = `${method} ${path} ${operation.summary || ""} ${group}`.toLowerCase();
      details.addEventListener("toggle", () => {
        if (details.open && !box.hasChildNodes()) fill(api, path, method, operation, item.parameters || [], box);
      });
      groups.set(group, [...(groups.get(group) || []), details]);
    }
  }
  for (const [name, operations] of groups) place.append(make("section", {}, make("h2", {}, GROUPS[name] || name), ...operations));
  document.getElementById("access").hidden = !(api.components && api.components.securitySchemes);
  document.getElementById("about").prepend(`${api.info.title} ${api.info.version}. `);
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of place.querySelectorAll("section")) {
      let any = false;
      for (const details of section.querySelectorAll("details")) {
        details.hidden = !words.every((word) => details.dataset.text.includes(word));
        any ||= !details.hidden;
      }
      section.hidden = !any;
    }
  });
}

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`/openapi.json answered ${answer.status}`))))
  .then(show)
  .catch((error) => document.getElementById("operations").append(make("p", {}, error.message)));
