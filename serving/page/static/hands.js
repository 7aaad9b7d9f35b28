// What a reader does with mouse and keys, and who answers.

for (const kind of ["dragover", "dragleave", "drop"]) {
  root.addEventListener(kind, (event) => {
    event.preventDefault();
    const over = kind === "dragover";
    one(".dropping").hidden = !over;
    one(".drop").classList.toggle("over", over);
    if (kind === "drop" && event.dataTransfer.files.length) read("Upload", async () => event.dataTransfer.files[0]);
  });
}
one("#file").addEventListener("change", ({ target }) => {
  const file = target.files[0];
  if (file) read("Upload", async () => file);
  target.value = ""; // forgets the file's name
});
one(".examples").addEventListener("click", ({ target }) => {
  const name = target.dataset.example;
  if (name) read(name, async () => (await fetch(`examples/${encodeURIComponent(name)}`)).blob());
});
one("#findings").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.dataset.verdict) judge(button.dataset.verdict);
  else if (button) choose(button.closest(".finding").dataset.finding);
});
one("#heat").addEventListener("click", () => {
  press("#heat", one("#heat").getAttribute("aria-pressed") !== "true");
  showHeat();
});
one("#opacity").addEventListener("input", ({ target }) => (one(".heat").style.opacity = target.value / 100));
one("#invert").addEventListener("click", () => press("#invert", viewer.invert()));
for (const drags of ["window", "move"]) {
  one(`#${drags}`).addEventListener("click", () => {
    viewer.drags = one(".stage").dataset.drags = drags;
    press("#window", drags === "window");
    press("#move", drags === "move");
  });
}
one("#closer").addEventListener("click", () => viewer.zoomBy(1.25));
one("#farther").addEventListener("click", () => viewer.zoomBy(0.8));
one("#fit").addEventListener("click", () => viewer.fit());
one("#json").addEventListener("click", () => {
  save(new Blob([JSON.stringify(shown.answer, null, 1)], { type: "application/json" }), `thorax-${shown.answer.id}.json`);
});
one("#pdf").addEventListener("click", print);

const KEYS = {
  h: () => one("#heat").click(),
  i: () => one("#invert").click(),
  0: () => one("#fit").click(),
  "+": () => one("#closer").click(),
  "-": () => one("#farther").click(),
  ArrowDown: () => next(1),
  ArrowRight: () => next(1),
  ArrowUp: () => next(-1),
  ArrowLeft: () => next(-1),
};
document.addEventListener("keydown", (event) => {
  const types = event.target.matches?.("input, select, textarea");
  const hand = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!hand || types || one(".film").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  hand();
});

// ---- who answers

async function introduce() {
  try {
    const told = await server.models(null);
    if (told.problem) return complain(told.problem);
    models = told.models;
  } catch {
    return complain("The platform does not say which models it has. Check that the service runs, then load the page again.");
  }
  const names = models.filter((model, at) => models.findIndex((other) => other.name === model.name) === at);
  one("#model").replaceChildren(...names.map((model) => new Option(model.label, model.name)));
  one("#model").disabled = names.length === 0;
}
one(".heat").style.opacity = one("#opacity").value / 100;
introduce();
