// A tree of concepts that is walked by mouse, touch and keyboard (WAI-ARIA, tree view); what is below is asked for when it is opened.

import { make, many, problem, tell, waiting } from "./make.js";

const STEP = 100;

export class Tree {
  // roots(offset) and below(code, offset) return {total, rows, wide}: rows are concepts, wide the set of codes with something below.
  constructor(label, { roots, below, href, chosen }) {
    this.below = below;
    this.href = href;
    this.chosen = chosen;
    const list = make("ul", { class: "tree", role: "tree", "aria-label": label, onkeydown: (event) => this.key(event) });
    list.addEventListener("focusin", (event) => this.rove(event.target));
    this.element = make("div", {}, list);
    this.ready = this.load(list, roots, 1, 0);
  }

  // What is no concept (waiting, a failure, nothing at all) stands behind the list, for a list of a tree holds nothing else.
  async load(list, ask, level, offset) {
    const note = make("div", { class: "note" }, waiting());
    list.after(note);
    list.hidden = !list.hasChildNodes();
    try {
      const { total, rows, wide } = await ask(offset);
      list.append(...rows.map((row) => this.item(row, wide.has(row.code), level)));
      const left = total - offset - rows.length;
      if (left > 0 && rows.length) list.append(this.more(list, ask, level, offset + rows.length, left));
      list.hidden = !list.hasChildNodes();
      if (total) note.remove();
      else note.replaceChildren(make("p", { class: "soft" }, "There is nothing here."));
      const items = this.items();
      if (items.length && !items.some((one) => one.tabIndex === 0)) items[0].tabIndex = 0;
      return rows.length;
    } catch (error) {
      note.replaceChildren(problem(error));
      return 0;
    }
  }

  item(row, opens, level) {
    const name = make("a", { href: this.href(row.code), tabindex: "-1" }, make("span", { class: "display" }, row.display || row.code),
      row.display ? make("code", {}, row.code) : "", row.inactive ? make("span", { class: "badge warn" }, "inactive") : "");
    const line = make("span", { class: "line" }, make("span", { class: "twist", "aria-hidden": "true" }), name);
    const item = make("li", { role: "treeitem", "aria-level": level, tabindex: "-1", "data-code": row.code,
      "aria-expanded": opens ? "false" : undefined, "aria-selected": String(row.code === this.chosen) }, line);
    if (opens) line.firstChild.addEventListener("click", () => this.turn(item));
    return item;
  }

  more(list, ask, level, offset, left) {
    const next = Math.min(left, STEP);
    const button = make("a", { href: "#", tabindex: "-1" }, `Show ${many(next, "more", "more")} of ${left.toLocaleString("en")}`);
    const item = make("li", { role: "treeitem", "aria-level": level, tabindex: "-1", "aria-selected": "false", class: "more" },
      make("span", { class: "line" }, make("span", { class: "twist" }), button));
    item.act = async () => {
      item.remove();
      const before = list.children.length;
      await this.load(list, ask, level, offset);
      list.children[before]?.focus();
    };
    button.addEventListener("click", (event) => { event.preventDefault(); item.act(); });
    return item;
  }

  async turn(item, open = item.getAttribute("aria-expanded") !== "true") {
    if (!item.hasAttribute("aria-expanded")) return;
    item.setAttribute("aria-expanded", String(open));
    let list = item.querySelector(":scope > ul");
    if (list) list.hidden = !open;
    else if (open) {
      list = make("ul", { role: "group" });
      item.append(list);
      const shown = await this.load(list, (offset) => this.below(item.dataset.code, offset), Number(item.getAttribute("aria-level")) + 1, 0);
      tell(`${many(shown, "concept")} below ${item.querySelector(".display").textContent}`);
    }
  }

  items() {
    return [...this.element.querySelectorAll('[role="treeitem"]')].filter((one) => !one.closest("ul[hidden]"));
  }

  rove(target) {
    const item = target.closest('[role="treeitem"]');
    for (const one of this.element.querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
    item.tabIndex = 0;
    if (target !== item) item.focus();
  }

  key(event) {
    const item = event.target.closest('[role="treeitem"]');
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = this.items();
    const place = items.indexOf(item);
    const open = item.getAttribute("aria-expanded");
    const go = (one) => { one?.focus(); one?.scrollIntoView({ block: "nearest" }); };
    const does = {
      ArrowDown: () => go(items[place + 1]),
      ArrowUp: () => go(items[place - 1]),
      Home: () => go(items[0]),
      End: () => go(items.at(-1)),
      ArrowRight: () => (open === "false" ? this.turn(item, true) : open === "true" && go(item.querySelector("li"))),
      ArrowLeft: () => (open === "true" ? this.turn(item, false) : go(item.parentElement.closest('[role="treeitem"]'))),
      Enter: () => (item.act ? item.act() : item.querySelector("a").click()),
      " ": () => (item.act ? item.act() : this.turn(item)),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  // Opens the shown concepts of these codes, and what appears of them.
  async open(codes) {
    await this.ready;
    for (let depth = 0; depth < 30; depth += 1) {
      const closed = this.items().filter((one) => codes.has(one.dataset.code) && one.getAttribute("aria-expanded") === "false");
      if (!closed.length) return;
      await Promise.all(closed.map((one) => this.turn(one, true)));
    }
  }

  mark(code) {
    this.chosen = code;
    for (const one of this.element.querySelectorAll('[role="treeitem"]')) one.setAttribute("aria-selected", String(one.dataset.code === code));
  }
}
