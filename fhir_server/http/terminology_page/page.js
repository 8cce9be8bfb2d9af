// The terminology page: which view is shown, by the part of the URL behind "#".

import { showSystem, showSystems } from "./systems.js";
import { showCheck, showValueSet, showValueSets } from "./valueset.js";

const VIEWS = {
  "": { show: showSystems, title: "Code systems", nav: "systems" },
  system: { show: showSystem, title: "Code system", nav: "systems" },
  valuesets: { show: showValueSets, title: "Value sets", nav: "valuesets" },
  valueset: { show: showValueSet, title: "Value set", nav: "valuesets" },
  check: { show: showCheck, title: "Check a code", nav: "check" },
};
const main = document.getElementById("main");
let shown = "";

function show() {
  if (location.hash && !location.hash.startsWith("#/")) return;
  const [name, query = ""] = location.hash.slice(2).split("?");
  const view = VIEWS[name] || VIEWS[""];
  const values = Object.fromEntries(new URLSearchParams(query));
  document.title = `${view.title} · Terminology`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view.nav) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // A view is drawn into a place of its own; one that stays on the page goes on where it was.
  const kept = shown === name && name === "system" ? main.firstElementChild : null;
  const place = kept || document.createElement("div");
  if (!kept) main.replaceChildren(place);
  view.show(place, values);
  if (shown && !kept) main.querySelector("h1")?.focus();
  if (!kept) scrollTo(0, 0);
  shown = name;
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", show);
show();
