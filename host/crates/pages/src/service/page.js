// Extras for pages that work without scripts: local times, copy buttons, a live list, and keys.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });

function addLocalTimes(root) {
  for (const element of root.querySelectorAll("time")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime()) || element.querySelector(".local")) continue;
    const line = document.createElement("span");
    line.className = "local";
    line.textContent = `${local.format(at)} ${zone}`;
    element.append(line);
  }
}

for (const block of document.querySelectorAll(".copy")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("pre").textContent);
    button.textContent = "Copied";
  });
  block.append(button);
}

// The list asks again every few seconds. It stands still while a person reads further down, points at it or has something selected.
const live = document.getElementById("live");
const table = document.getElementById("entries");
if (live && table && !new URLSearchParams(location.search).has("cursor")) {
  live.hidden = false;
  let timer;
  const isBeingRead = () => window.scrollY > 200 || table.matches(":hover, :focus-within") || !getSelection().isCollapsed || document.hidden;
  const ask = async () => {
    if (!isBeingRead()) {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
      const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
      const rows = page && page.querySelector("#entries tbody");
      if (rows && !isBeingRead()) {
        table.tBodies[0].replaceWith(document.adoptNode(rows));
        addLocalTimes(table);
      }
    }
    timer = setTimeout(ask, 3000);
  };
  live.addEventListener("click", () => {
    const isOn = live.getAttribute("aria-pressed") !== "true";
    live.setAttribute("aria-pressed", String(isOn));
    clearTimeout(timer);
    if (isOn) ask();
  });
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const field = document.getElementById("task") ?? document.querySelector("main input");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  } else if (event.key === "n") {
    document.querySelector('a[rel="next"]')?.click();
  }
});

const label = document.querySelector(".local-label");
if (label) label.hidden = false;
addLocalTimes(document);
