"use strict";

const get = (id) => document.getElementById(id);

/** Returns a new element. A child that is a string becomes text, so no text of a scan is ever read as HTML. */
function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// ---- The rules, in WebAssembly -----------------------------------------------------------------------------------------

const rules = {
  async load() {
    const zipped = Uint8Array.from(atob(get("wasm").textContent.trim()), (char) => char.charCodeAt(0));
    const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
    this.module = await WebAssembly.compile(await new Response(stream).arrayBuffer());
    await this.start();
  },

  async start() {
    this.exports = (await WebAssembly.instantiate(this.module, {})).exports;
  },

  /** Calls a function of src/lib.rs, with a request if it takes one, and returns its JSON. */
  call(name, request) {
    const { memory, input, output } = this.exports;
    if (request !== undefined) {
      const bytes = new TextEncoder().encode(JSON.stringify(request));
      const at = input(bytes.length);
      new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    }
    const length = this.exports[name]();
    return JSON.parse(new TextDecoder().decode(new Uint8Array(memory.buffer, output(), length)));
  },
};

// ---- Editors -----------------------------------------------------------------------------------------------------------

const SIGNS = { deny: "✕", warn: "!", audit: "i" };
const ORDER = ["audit", "warn", "deny"];

/** A text area with line numbers, and marks at the lines and the values of findings. */
class Editor {
  constructor(area) {
    this.area = area;
    this.marks = area.previousElementSibling;
    this.gutter = area.closest(".editor").querySelector(".gutter");
    area.addEventListener("scroll", () => this.scroll());
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
  }

  /** Returns the offset of a line and a column, which count from 1; columns count characters. */
  offset([line, column]) {
    const lines = this.text.split("\n");
    const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    return Math.min(before + [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length, this.text.length);
  }

  /** Returns the offsets of the value of a finding, or of its line if the value is absent or has several lines. */
  range({ line, column, value }) {
    if (value && value[0][0] === value[1][0] && value[0][0] === line && value[0][1] < value[1][1]) {
      return value.map((position) => this.offset(position));
    }
    return [this.offset([line, column]), this.offset([line, Infinity])];
  }

  show(findings) {
    const worst = new Map();
    for (const { line, action } of findings) {
      if (!worst.has(line) || ORDER.indexOf(action) > ORDER.indexOf(worst.get(line))) worst.set(line, action);
    }
    const width = String(this.text.split("\n").length).length;
    const numbers = this.text.split("\n").map((_, index) => {
      const action = worst.get(index + 1);
      return make("div", { className: action ?? "" }, `${SIGNS[action] ?? " "} ${String(index + 1).padStart(width)}`);
    });
    this.gutter.replaceChildren(...numbers);

    const ranges = findings.map((finding) => [...this.range(finding), finding.action]).sort((a, b) => a[0] - b[0]);
    const parts = [];
    let end = 0;
    for (const [from, to, action] of ranges) {
      if (from < end) continue;
      parts.push(this.text.slice(end, from), make("mark", { className: action }, this.text.slice(from, to)));
      end = to;
    }
    // A last empty line has no height without a character.
    this.marks.replaceChildren(...parts, `${this.text.slice(end)}\n`);
    this.scroll();
  }

  scroll() {
    this.marks.scrollTop = this.gutter.scrollTop = this.area.scrollTop;
    this.marks.scrollLeft = this.area.scrollLeft;
  }

  /** Selects the place of a finding. */
  go(finding) {
    this.area.focus();
    this.area.setSelectionRange(...this.range(finding));
    this.area.scrollTop = Math.max(0, (finding.line - 6) * 20);
  }
}

// ---- What the page shows -----------------------------------------------------------------------------------------------

const ACTIONS = { deny: "denies the write", warn: "is shown as a warning", audit: "is only written to the audit log" };
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function showFindings({ errors, findings, scans }) {
  const sorted = findings.toSorted((a, b) => ORDER.indexOf(b.action) - ORDER.indexOf(a.action));
  const items = errors.map((error) => item({ ...error, action: "deny", severity: "error", path: "", isUnread: true }));
  get("findings").replaceChildren(...items, ...sorted.map(item));
  const [denied, warned, audited] = ["deny", "warn", "audit"].map((of) => findings.filter(({ action }) => action === of).length);
  const parts = [
    denied && `${count(denied, "error")}: the write is denied`,
    warned && count(warned, "warning"),
    audited && `${audited} only audited`,
    errors.length && count(errors.length, "part") + " cannot be read",
    scans > 1 && `${scans} scans; the first one is shown below`,
  ];
  const clean = "No findings: the scan agrees with itself.";
  const summary = parts.filter(Boolean).join(", ");
  get("summary").textContent = editor.text.trim() ? summary || clean : "Paste a scan, or choose an example.";
}

function item(finding) {
  const { line, path, rule, severity, action, message, isUnread } = finding;
  const head = make("div", { className: "head" }, make("span", { className: "badge" }, `${SIGNS[action]} ${severity}`));
  if (path) head.append(make("code", {}, path));
  const go = make("button", { type: "button", className: "small" }, `Line ${line}`);
  go.addEventListener("click", () => editor.go(finding));
  head.append(go);
  const suggested = /; did you mean "([^"]*)"\?/.exec(message);
  if (suggested && finding.value) {
    const use = make("button", { type: "button", className: "small" }, `Use "${suggested[1]}"`);
    use.addEventListener("click", () => replace(editor.range(finding), JSON.stringify(suggested[1])));
    head.append(use);
  }
  const end = isUnread ? "The text cannot be judged." : `It ${ACTIONS[action]}.`;
  const note = make("p", { className: "soft" }, end);
  if (rule) {
    const explain = make("button", { type: "button", className: "small rule-id" }, rule);
    explain.addEventListener("click", () => {
      showRule(rule);
      get("rule").focus();
    });
    note.prepend("Rule ", explain, " ");
  }
  return make("li", { className: action }, head, make("p", {}, message), note);
}

function showMutations({ fixed, notFixed, answers, review }) {
  const parts = [];
  if (fixed !== null) {
    const take = make("button", { type: "button", id: "take" }, "Take it over");
    take.addEventListener("click", () => replace([0, editor.text.length], fixed));
    const lines = diff(...[editor.text, fixed].map((text) => text.replace(/\n$/, "").split("\n"))).map(([sign, text]) =>
      make("span", { className: { "+": "add", "-": "remove" }[sign] ?? "" }, `${sign} ${text}\n`));
    parts.push(make("pre", { className: "diff", tabIndex: 0, role: "region", ariaLabel: "Difference" }, ...lines), take);
  } else if (answers || review) {
    parts.push(make("p", { className: "soft" }, "Nothing."));
  }
  parts.push(make("ul", { className: "errors" }, ...notFixed.map(({ line, message }) => make("li", {}, `Line ${line}: ${message}`))));
  get("mutations").replaceChildren(...parts);
}

/** Returns the lines of two texts with their signs, and three equal lines around each difference. */
function diff(old, now) {
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const [before, after] = [old, now].map((lines) => lines.slice(start, lines.length - end));
  // The lengths of the longest common subsequences of all ends of both texts.
  const common = before.map(() => new Uint32Array(after.length + 1)).concat(new Uint32Array(after.length + 1));
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      common[i][j] = before[i] === after[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const lines = old.slice(0, start).map((line) => [" ", line]);
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push([" ", before[i]]);
      [i, j] = [i + 1, j + 1];
    } else if (j === after.length || (i < before.length && common[i + 1][j] >= common[i][j + 1])) {
      lines.push(["-", before[i++]]);
    } else {
      lines.push(["+", after[j++]]);
    }
  }
  lines.push(...old.slice(old.length - end).map((line) => [" ", line]));
  const isNear = (_, at) => lines.slice(Math.max(0, at - 3), at + 4).some(([sign]) => sign !== " ");
  return lines.filter(isNear);
}

function showKubectl({ kubectl, answers }) {
  const lines = kubectl ? [make("b", {}, `$ ${kubectl.command}`), `\n${kubectl.lines.join("\n")}`] : ["There is no scan to write."];
  get("kubectl").replaceChildren(...lines);
  get("mutating").textContent = answers?.mutating ?? "";
  get("validating").textContent = answers?.validating ?? "";
}

function showScan({ scan }) {
  const { phase, oldPhase, hasOld, meaning, verdict, conditions, cveCount } = scan ?? { conditions: [] };
  const known = catalog.phases.find((row) => row.phase === phase);
  const isStep = hasOld && oldPhase && phase && oldPhase !== phase;
  const step = isStep ? `From ${oldPhase} to ${phase}. ` : "";
  const parts = [step, ...(phase ? [make("b", {}, phase), ": "] : []), `${meaning}. `, known ? `${known.next} ` : "", `Verdict: ${verdict}.`];
  get("phase").replaceChildren(...(scan ? parts : ["There is no scan to show."]));

  for (const mark of document.querySelectorAll(".is-now, .is-step")) mark.classList.remove("is-now", "is-step");
  const light = (selector, name) => document.querySelectorAll(selector).forEach((found) => found.classList.add(name));
  if (known) light(`[data-phase="${phase}"]`, "is-now");
  if (known && isStep) light(`[data-from="${CSS.escape(oldPhase)}"][data-to="${phase}"]`, "is-step");
  if (known) lightConditions(scan, phase, light);
  showConditions(conditions, scan?.moreConditions ?? 0);
  showCounts(cveCount);
}

/** Marks the statuses of the current conditions in the row of the phase. */
function lightConditions({ conditions, scanPolicy }, phase, light) {
  for (const type of new Set([...get("phases").querySelectorAll("[data-condition]")].map((mark) => mark.dataset.condition))) {
    const found = conditions.find((condition) => condition.type === type && condition.state === "current");
    const isStale = conditions.some((condition) => condition.type === type && condition.state === "stale");
    const status = found ? found.status : isStale ? "stale" : "absent";
    const policy = type === "PolicySucceeded" ? `[data-policy="${scanPolicy !== undefined}"]` : "";
    light(`.row[data-phase="${phase}"] [data-condition="${type}"]${policy} [data-status="${CSS.escape(status)}"]`, "is-now");
  }
}

function showConditions(conditions, more) {
  if (conditions.length === 0) {
    get("conditions").replaceChildren(make("p", { className: "soft" }, "None."));
    return;
  }
  const head = ["Type", "Status", "Reason", "State"].map((title) => make("th", { scope: "col" }, title));
  const rows = conditions.map(({ type, status, reason, message, error, since, state, why }) => {
    const texts = [message, error && `error: ${error}`, since && `since ${since}`].filter(Boolean);
    return make("tr", {},
      make("td", {}, type ?? "–", ...texts.map((text) => make("small", {}, text))),
      make("td", {}, status ?? "–"),
      make("td", {}, reason ?? "–"),
      make("td", {}, make("span", { className: state }, state), ...(why ? [make("small", {}, why)] : [])));
  });
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
  get("conditions").replaceChildren(table, ...(more ? [make("p", {}, `and ${count(more, "more condition")}`)] : []));
}

function showCounts(counts) {
  const severities = ["critical", "high", "medium", "low", "unknown"].filter((name) => counts?.[name] !== undefined);
  if (severities.length === 0 && counts?.total === undefined) {
    get("counts").replaceChildren(make("p", { className: "soft" }, "None."));
    return;
  }
  const bar = make("div", { className: "counts", ariaHidden: "true" });
  for (const name of severities.filter((name) => counts[name] > 0)) {
    const part = make("div", { className: name }, name[0].toUpperCase());
    part.style.flexGrow = counts[name];
    bar.append(part);
  }
  const legend = severities.map((name) => make("li", {}, make("i", { className: name }), `${counts[name]} ${name}`));
  legend.push(make("li", {}, make("b", {}, counts.total === undefined ? "no total" : `${counts.total} in total`)));
  get("counts").replaceChildren(...(bar.children.length ? [bar] : []), make("ul", { className: "legend" }, ...legend));
}

function showRule(id) {
  const rule = catalog.rules.find((known) => known.id === id);
  get("rule").hidden = !rule;
  if (!rule) return;
  const title = make("p", {}, make("b", {}, rule.id), ": ", ...prose(rule.title));
  const example = make("p", {}, make("a", { href: `#${rule.id}` }, "Show an example of this rule"));
  get("rule").replaceChildren(title, ...["checks", "why"].map((name) => make("p", {}, ...prose(rule[name]))),
    make("p", {}, "How to repair: ", ...prose(rule.repair)), example);
}

/** Returns the parts of a sentence in which backticks mark code. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

// ---- State -------------------------------------------------------------------------------------------------------------

/** Returns everything that a link restores. */
function state() {
  const modes = [...get("modes").querySelectorAll("select")].filter((mode) => mode.value !== "deny");
  return {
    text: editor.text,
    old: get("old-pane").hidden ? "" : oldEditor.text,
    write: get("write").value,
    now: get("now").value.trim(),
    user: get("user").value.trim(),
    statusWriters: get("writers").value.split(",").map((writer) => writer.trim()).filter(Boolean),
    modes: Object.fromEntries(modes.map((mode) => [mode.name, mode.value])),
  };
}

function restore({ text = "", old = "", write = "file", now = "", user = "", statusWriters = [], modes = {} }) {
  [editor.text, oldEditor.text] = [text, old];
  [get("write").value, get("now").value, get("user").value, get("writers").value] = [write, now, user, statusWriters.join(", ")];
  for (const mode of get("modes").querySelectorAll("select")) mode.value = modes[mode.name] ?? "deny";
  compare(old !== "");
  judge();
}

function compare(isShown) {
  get("old-pane").hidden = !isShown;
  get("work").classList.toggle("has-old", isShown);
  get("compare").setAttribute("aria-pressed", isShown);
}

/** Judges what the page holds, and shows the result. */
function judge() {
  const request = state();
  // As kubectl writes it: without fractions of a second.
  request.now ||= new Date().toISOString().replace(/\.\d+/, "");
  let judgement;
  try {
    judgement = rules.call("judge", request);
  } catch (error) {
    get("summary").textContent = `The rules failed, which is a bug: ${error.message}`;
    rules.start();
    return;
  }
  if (!editor.text.trim()) judgement.errors = [];
  const { errors, oldErrors, findings, review } = judgement;
  editor.show([...errors.map((error) => ({ ...error, action: "deny" })), ...findings]);
  oldEditor.show(oldErrors.map((error) => ({ ...error, action: "deny" })));
  get("old-errors").replaceChildren(...oldErrors.map(({ line, message }) => make("li", {}, `Line ${line}: ${message}`)));
  get("split").hidden = !review?.object;
  // A review says itself what is written.
  get("write").disabled = review !== null;
  get("split").querySelector("button").onclick = () => restore({ ...state(), ...review, text: review.object });
  showFindings(judgement);
  showMutations(judgement);
  showKubectl(judgement);
  showScan(judgement);
}

/** Replaces a part of the text, so that the change can be undone where the browser allows it. */
function replace([from, to], text) {
  editor.area.focus();
  editor.area.setSelectionRange(from, to);
  if (!document.execCommand("insertText", false, text)) editor.area.setRangeText(text);
  edited();
}

let timer;
function edited() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    judge();
    get("example").value = "";
    keepLink();
  }, 150);
}

// ---- Links -------------------------------------------------------------------------------------------------------------

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

/** Returns the fragment of a link to what the page holds. */
async function fragment() {
  const bytes = await through(new TextEncoder().encode(JSON.stringify(state())), new CompressionStream("deflate-raw"));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `#~${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

async function keepLink() {
  history.replaceState(null, "", await fragment());
}

/** Opens a fragment: a state, or the example of a rule such as `#cve-total` or `#cve-total/2`. */
async function openLink(hash) {
  if (hash.startsWith("#~")) {
    try {
      const text = atob(hash.slice(2).replaceAll("-", "+").replaceAll("_", "/"));
      const bytes = await through(Uint8Array.from(text, (char) => char.charCodeAt(0)), new DecompressionStream("deflate-raw"));
      restore(JSON.parse(new TextDecoder().decode(bytes)));
      get("example").value = "";
      showRule("");
      return;
    } catch {
      get("shared").textContent = "The link is damaged.";
    }
  }
  const [id, number] = hash.slice(1).split("/");
  const known = catalog.rules.find((rule) => rule.id === id);
  // Another fragment is a place in the page.
  if (!known && editor.text) return;
  const rule = known ?? catalog.rules.find((rule) => rule.id === "phase-disagrees");
  const first = rule.examples.findIndex(({ expect }) => expect !== "passes");
  const index = rule.examples[number - 1] ? number - 1 : first;
  const { text, old, write, user, statusWriters } = rule.examples[index];
  get("example").value = `${rule.id}/${index + 1}`;
  showRule(rule.id);
  restore({ text, old, write, user, statusWriters, now: catalog.now });
}

async function share() {
  await keepLink();
  try {
    await navigator.clipboard.writeText(location.href);
    get("shared").textContent = "Copied.";
  } catch {
    get("shared").textContent = "The address of this page is the link.";
  }
}

// ---- Start -------------------------------------------------------------------------------------------------------------

const RESULTS = { passes: "passes", warns: "warning", denies: "error", mutates: "mutation" };

function fillLists() {
  const groups = catalog.rules.map(({ id, examples }) => {
    const options = examples.map(({ title, expect }, index) =>
      make("option", { value: `${id}/${index + 1}` }, `${RESULTS[expect]}: ${title}`));
    return make("optgroup", { label: id }, ...options);
  });
  get("example").append(make("option", { value: "" }, "Choose an example of a rule"), ...groups);
  for (const { id, title } of catalog.rules) {
    const select = make("select", { name: id, id: `mode-${id}`, className: "small" });
    select.append(...["deny", "warn", "audit", "off"].map((mode) => make("option", {}, mode)));
    const label = make("label", { htmlFor: select.id, title }, id);
    get("modes").append(make("div", {}, label, select));
  }
}

let catalog, editor, oldEditor;

async function start() {
  [editor, oldEditor] = [new Editor(get("text")), new Editor(get("old"))];
  await rules.load();
  catalog = rules.call("catalog");
  fillLists();
  for (const { area } of [editor, oldEditor]) area.addEventListener("input", edited);
  for (const id of ["write", "user", "writers", "now", "modes"]) get(id).addEventListener("input", edited);
  get("bar").addEventListener("submit", (event) => event.preventDefault());
  get("share").addEventListener("click", share);
  get("example").addEventListener("change", ({ target }) => target.value && (location.hash = target.value));
  get("compare").addEventListener("click", () => {
    const isShown = get("old-pane").hidden;
    compare(isShown);
    // A scan in a file has no old object.
    if (isShown && get("write").value === "file") get("write").value = "status";
    edited();
  });
  addEventListener("hashchange", () => openLink(location.hash));
  await openLink(location.hash);
  document.body.dataset.ready = "";
}

start().catch((error) => {
  get("summary").textContent = `The page cannot start: ${error.message}. It needs WebAssembly and DecompressionStream.`;
});
