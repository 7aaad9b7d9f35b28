// From a dropped file to findings. What is read is kept in this closure, and gone when the page is closed.

const root = element.querySelector(".thorax");
const one = (selector) => root.querySelector(selector);
const KEPT = 8; // readings of this session
const FAILED = "The page did not get an answer. Check that the service runs, then send the radiograph again.";

const viewer = new Viewer(root);
const readings = [];
let models = [];
let shown = null; // the reading on the screen
let chosen = null; // the finding whose heat map is shown
let turn = 0; // of the reading that may still write on the screen

function say(words) {
  one(".status").textContent = words;
}

function complain(words) {
  say("");
  one(".problem").textContent = words;
}

// ---- asking

async function read(name, source) {
  const mine = ++turn;
  const reading = { name, time: new Date().toTimeString().slice(0, 5) };
  clear();
  say("Reading …");
  try {
    const file = await source();
    const most = Number(root.dataset.maxBytes);
    if (file.size > most) throw new Error(`Expected at most ${most} bytes, but received ${file.size} bytes. Send a smaller file.`);
    const started = performance.now();
    await ask(file, (step) => {
      if (mine !== turn) return;
      if (step.problem) throw new Error(step.problem);
      Object.assign(reading, step);
      if (step.picture) showPicture(reading);
      if (step.answer) {
        reading.seconds = (performance.now() - started) / 1000;
        keep(reading);
        showFindings(reading);
      }
    });
  } catch (error) {
    if (mine === turn) complain(error instanceof TypeError ? FAILED : `No findings are shown. ${error.message}`);
    if (mine === turn) one(".empty").hidden = !one(".film").hidden;
  }
}

async function ask(file, onStep) {
  const query = one("#model").value ? `?${new URLSearchParams({ model: one("#model").value })}` : "";
  const response = await fetch(`readings${query}`, { method: "POST", body: file, cache: "no-store" });
  if (!response.ok) throw new TypeError(response.statusText);
  const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await lines.read();
    if (done) return;
    const parts = (text + value).split("\n");
    text = parts.pop();
    for (const line of parts) onStep(JSON.parse(line));
  }
}

// ---- showing

function clear() {
  shown = chosen = null;
  one(".problem").textContent = "";
  one("#findings").replaceChildren();
  one(".why").hidden = true;
  one(".film").hidden = one(".known").hidden = one(".legend").hidden = true;
  one(".empty").hidden = true;
  one("#where").textContent = "";
  for (const tool of root.querySelectorAll(".tools button, .tools input")) tool.disabled = true;
}

function showPicture(reading) {
  say("Scoring and explaining …");
  viewer.show(reading.picture, reading.words);
  one(".known").textContent = reading.words;
  one(".known").hidden = false;
  press("#invert", false);
  one(".stage").scrollIntoView({ block: "nearest" });
  for (const tool of root.querySelectorAll(".tools button:not(#heat)")) tool.disabled = false;
}

function showFindings(reading) {
  shown = reading;
  // The server has escaped all that it filled in.
  one("#findings").innerHTML = reading.findings;
  one("#why").innerHTML = reading.why;
  const model = models.find((known) => known.name === reading.answer.model.name && known.version === reading.answer.model.version);
  one("#card").innerHTML = model ? model.card : "";
  one(".why").hidden = false;
  say(`${reading.answer.model.name} v${reading.answer.model.version} answered in ${reading.seconds.toFixed(1)} s: ${reading.top}.`);
  const explained = Boolean(reading.answer.explanation);
  one("#heat").disabled = one("#opacity").disabled = !explained;
  for (const verdict of reading.verdicts ?? []) mark(verdict.finding, verdict.verdict);
  const first = one(".finding");
  if (first) choose(first.dataset.finding);
}

function choose(finding) {
  chosen = finding;
  for (const item of root.querySelectorAll(".finding")) {
    const it = item.dataset.finding === finding;
    item.classList.toggle("chosen", it);
    item.querySelector(".choose").setAttribute("aria-expanded", it);
    item.querySelector(".more").hidden = !it;
    if (it && item.closest("details")) item.closest("details").open = true;
  }
  const place = shown.places[finding];
  one("#where").textContent = place ? `Where: ${place}` : "Where: the model gives no heat map";
  const explanation = shown.answer.explanation;
  const map = explanation?.maps.find((known) => known.finding === finding);
  if (map) viewer.drawMap(map.values, explanation);
  showHeat(Boolean(map));
}

function showHeat(there = true) {
  const on = there && one("#heat").getAttribute("aria-pressed") === "true";
  one(".heat").hidden = one(".legend").hidden = !on;
}

function next(step) {
  const findings = [...root.querySelectorAll(".finding")].map((item) => item.dataset.finding);
  if (!findings.length) return;
  const at = findings.indexOf(chosen) + step;
  choose(findings.at(at % findings.length));
  one(".chosen .choose").focus();
}

function press(selector, on) {
  one(selector).setAttribute("aria-pressed", on);
}

// ---- earlier readings of this session

function keep(reading) {
  readings.unshift(reading);
  readings.length = Math.min(readings.length, KEPT);
  one(".earlier").replaceChildren(
    ...readings.map((known) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${known.time}  ${known.name}`;
      const top = document.createElement("span");
      top.className = "quiet";
      top.textContent = known.top;
      button.append(top);
      button.addEventListener("click", () => {
        turn++;
        clear();
        showPicture(known);
        showFindings(known);
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

// ---- verdicts and files

async function judge(verdict) {
  const said = { prediction_id: shown.answer.id, finding: chosen, verdict };
  const reading = shown;
  try {
    const { problem } = await server.feedback(said);
    if (problem) return complain(problem);
    (reading.verdicts ??= []).push(said);
    if (reading === shown) mark(said.finding, verdict);
    say(`Your verdict is kept: ${said.finding} ${verdict}.`);
  } catch {
    complain("Your verdict was not kept. Check that the service runs, then say it again.");
  }
}

function mark(finding, verdict) {
  const item = root.querySelector(`.finding[data-finding="${CSS.escape(finding)}"]`);
  for (const button of item.querySelectorAll("[data-verdict]")) button.setAttribute("aria-pressed", button.dataset.verdict === verdict);
}

function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function print() {
  const { answer, facts, picture } = shown;
  const finding = one(".heat").hidden ? null : chosen;
  say("Making the report …");
  try {
    const response = await fetch("reports", { method: "POST", body: JSON.stringify({ answer, facts, picture, finding }) });
    if (!response.ok) throw new Error(response.statusText);
    save(await response.blob(), `thorax-${answer.id}.pdf`);
    say("The report is made.");
  } catch {
    complain("The report was not made. Check that the service runs, then ask again.");
  }
}
