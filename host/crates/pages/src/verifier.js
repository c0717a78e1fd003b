// The verifier's page: gives files to the core, and shows its answer. Decides nothing, and makes no request once the core is loaded.

const element = (id) => document.getElementById(id);
const TEXTS = ["checkpoint_key", "trail", "allowed_signers", "revoked_signers", "witness_keys"];
const LABELS = { holds: "holds", broken: "BROKEN", "not-shown": "not shown", "not-asked": "not asked" };
const RESULTS = {
  holds: "Every claim that was asked for holds.",
  broken: "The proof is broken.",
  "not-shown": "Nothing is broken, but not everything could be shown.",
};
// Characters that would not be seen, or would reorder others.
const HIDDEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const visible = (text) => text.replace(HIDDEN, (hidden) => `\\u{${hidden.codePointAt(0).toString(16)}}`);

async function loadCore() {
  const inline = element("core");
  if (!inline) {
    return WebAssembly.compile(await (await fetch("/assets/verifier.wasm")).arrayBuffer());
  }
  const text = atob(inline.textContent.trim());
  return WebAssembly.compile(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

// A new instance for each proof: nothing of one check can reach the next.
function ask(module, options, proof) {
  const core = new WebAssembly.Instance(module, {}).exports;
  const head = new TextEncoder().encode(JSON.stringify(options));
  const length = 4 + head.length + proof.length;
  const address = core.reserve(length) >>> 0;
  new DataView(core.memory.buffer).setUint32(address, head.length, true);
  const request = new Uint8Array(core.memory.buffer, address, length);
  request.set(head, 4);
  request.set(proof, 4 + head.length);
  const answer = core.check() >>> 0;
  return new TextDecoder().decode(new Uint8Array(core.memory.buffer, answer, core.answer_length()));
}

function show(json) {
  const answer = JSON.parse(json);
  const result = element("result");
  result.textContent = answer.error ? visible(answer.error) : RESULTS[answer.outcome];
  result.className = `verdict ${answer.error ? "not-shown" : answer.outcome}`;
  element("facts").textContent = answer.error ? "Nothing was checked." : visible(
    `${answer.task_id ?? answer.path} of the trail ${answer.origin}: entry ${answer.index + 1} of ${answer.size} in the checkpoint of ` +
    `${answer.time ?? "an unstated time"}${answer.commit ? `, commit ${answer.commit}` : ""}`);
  element("claims").replaceChildren(...(answer.claims ?? []).map(row));
  element("claims-scroll").hidden = Boolean(answer.error);
  element("entry").textContent = visible(answer.entry ?? "");
  element("json").textContent = json;
  element("answer").hidden = false;
  element("answer").focus();
}

function row(claim) {
  const badge = document.createElement("span");
  badge.className = `badge ${claim.verdict}`;
  badge.textContent = LABELS[claim.verdict];
  const cells = [document.createElement("td"), document.createElement("td")];
  cells[0].append(badge);
  cells[1].append(visible(claim.title));
  const more = claim.count > 1 ? ` (and ${claim.count - 1} more)` : "";
  const notes = [claim.commit && `commit ${claim.commit}`, claim.what && claim.what + more, claim.missing, claim.why, ...(claim.notes ?? [])];
  for (const note of notes.filter(Boolean)) {
    const line = document.createElement("span");
    line.className = "soft";
    line.textContent = visible(note);
    cells[1].append(document.createElement("br"), line);
  }
  const row = document.createElement("tr");
  row.append(...cells);
  return row;
}

const chosen = { proof: null, against: "checkpoint" };

// Tells by its first bytes what a file is, and puts it where it belongs.
async function take(file) {
  const start = await file.slice(0, 64).text();
  if (start.startsWith("chiffon-audit/proof/")) {
    chosen.proof = file;
    const files = new DataTransfer();
    files.items.add(file);
    element("proof").files = files.files;
    return;
  }
  const text = await file.text();
  if (/\n\n\u2014 /.test(text)) {
    chosen.against = file.name;
    element("against").value = text;
  } else if (/^[^\s+]+\+[0-9a-f]{8}\+BA/.test(text)) {
    element("witness_keys").value = text;
  } else if (/^[^\s+]+\+[0-9a-f]{8}\+A/.test(text)) {
    element("checkpoint_key").value = text;
  } else if (/^\S+ (\S+ )?(ssh|sk-ssh|ecdsa)/m.test(text)) {
    element("allowed_signers").value = text;
  } else {
    element("drop").textContent = visible(`${file.name} is not a proof, a key, a checkpoint or a list of signers.`);
  }
}

async function verify(module) {
  const proof = element("proof").files[0] ?? chosen.proof;
  if (!proof) return;
  // A former verdict is not this proof's.
  element("answer").hidden = true;
  const options = { file: proof.name };
  for (const name of TEXTS) {
    if (element(name).value.trim()) options[name] = element(name).value;
  }
  if (options.trail) options.trail = options.trail.trim();
  if (element("witness_quorum").value) options.witness_quorum = Number(element("witness_quorum").value);
  if (element("against").value.trim()) options.against = [[chosen.against, element("against").value]];
  const bytes = new Uint8Array(await proof.arrayBuffer());
  let json;
  try {
    json = ask(module, options, bytes);
  } catch (error) {
    json = JSON.stringify({ schema: 1, error: `the verifier stopped: ${error.message}` });
  }
  show(json);
}

const form = element("verify");
const module = await loadCore();
form.hidden = false;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  verify(module);
});
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => event.preventDefault());
}
document.addEventListener("drop", async (event) => {
  for (const file of event.dataTransfer.files) await take(file);
  if (chosen.proof) verify(module);
});
