// A whole SMART app, without a library: discovery, launch with PKCE, exchange of the code, two reads (SMART App Launch 2.2).
// launch.html begins it, by itself or when a record opens it with `iss` and `launch`; index.html is its redirect URI.

const SCOPE = "openid fhirUser patient/Patient.rs patient/Observation.rs";
const REDIRECT = new URL("index.html", location).href;

const element = (id) => document.getElementById(id);
const put = (id, text) => { element(id).textContent = text; };
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function challenge(verifier) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(digest));
}

// Returns the JSON of an answer; an error says what the server said.
async function json(url, options = {}) {
  const response = await fetch(url, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const said = body.error_description ?? body.issue?.[0]?.details?.text ?? body.issue?.[0]?.diagnostics ?? "";
    throw new Error(`${new URL(url).pathname} answered ${response.status}. ${said}`);
  }
  return body;
}

// Sends the browser to the authorization server. What is needed afterwards waits in this tab, under an unguessable name.
async function launch(clientId, base, scope, handle) {
  const found = await json(`${base}/.well-known/smart-configuration`);
  const [state, verifier] = [random(), random()];
  const kept = { clientId, base, verifier, token: found.token_endpoint, issuer: found.issuer };
  sessionStorage.setItem(`launch ${state}`, JSON.stringify(kept));
  localStorage.setItem("client_id", clientId);
  const query = new URLSearchParams({
    response_type: "code", client_id: clientId, redirect_uri: REDIRECT, scope, state, aud: base,
    code_challenge: await challenge(verifier), code_challenge_method: "S256", ...(handle ? { launch: handle } : {}),
  });
  location.assign(`${found.authorization_endpoint}?${query}`);
}

async function begin() {
  const asked = new URLSearchParams(location.search);
  const handle = asked.get("launch");
  element("client").value = asked.get("client_id") ?? localStorage.getItem("client_id") ?? "";
  element("base").value = asked.get("iss") ?? new URL("/fhir", location).href;
  element("scope").value = `${handle ? "launch" : "launch/patient"} ${SCOPE}`;
  const go = () => launch(element("client").value.trim(), element("base").value, element("scope").value, handle);
  element("start").addEventListener("submit", (event) => {
    event.preventDefault();
    go().catch(fail);
  });
  if (handle && element("client").value) await go();
}

// Exchanges the code of the redirect for a token, and shows what it opens.
async function finish() {
  const answer = new URLSearchParams(location.search);
  const name = `launch ${answer.get("state")}`;
  const kept = JSON.parse(sessionStorage.getItem(name));
  sessionStorage.removeItem(name);
  history.replaceState(null, "", location.pathname);
  if (!kept) throw new Error("This page is not the answer to a launch of this tab.");
  if (answer.get("iss") !== kept.issuer) throw new Error("The answer is from another authorization server.");
  if (answer.has("error")) throw new Error(`${answer.get("error")}: ${answer.get("error_description")}`);
  const form = {
    grant_type: "authorization_code", code: answer.get("code"), redirect_uri: REDIRECT, client_id: kept.clientId,
    code_verifier: kept.verifier,
  };
  const token = await json(kept.token, { method: "POST", body: new URLSearchParams(form) });
  put("granted", `Granted for ${Math.round(token.expires_in / 60)} minutes: ${token.scope}`);
  await show(token, (path) => json(`${kept.base}/${path}`, { headers: { Authorization: `Bearer ${token.access_token}` } }));
}

async function show(token, read) {
  const patient = await read(`Patient/${token.patient}`);
  const called = patient.name?.find((one) => one.use === "official") ?? patient.name?.[0] ?? {};
  put("name", called.text ?? [...(called.given ?? []), called.family].filter(Boolean).join(" "));
  put("born", `born ${patient.birthDate ?? "on an unknown day"}`);
  const found = await read(`Observation?patient=${token.patient}&_sort=-date&_count=10`);
  const rows = (found.entry ?? []).map(({ resource }) => row(resource)).filter(Boolean);
  element("observations").replaceChildren(...rows);
  element("table").hidden = rows.length === 0;
  put("said", rows.length ? "" : "There are no observations.");
}

function row(resource) {
  if (resource.resourceType !== "Observation") return null;
  const line = document.createElement("tr");
  for (const text of [(resource.effectiveDateTime ?? "").slice(0, 10), words(resource.code), value(resource)]) {
    line.append(Object.assign(document.createElement("td"), { textContent: text }));
  }
  return line;
}

const words = (concept) => concept?.text ?? concept?.coding?.[0]?.display ?? concept?.coding?.[0]?.code ?? "";

function value(one) {
  if (one.valueQuantity) return `${one.valueQuantity.value} ${one.valueQuantity.unit ?? ""}`.trim();
  if (one.component) return one.component.map((part) => `${words(part.code)} ${value(part)}`).join(", ");
  return one.valueString ?? words(one.valueCodeableConcept);
}

const fail = (error) => put("said", `This did not work. ${error.message}`);

({ launch: begin, index: finish })[document.body.dataset.page]().catch(fail);
