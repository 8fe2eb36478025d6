// index.html: the kit in a browser, from the blocks of this page. Nothing is downloaded.

const RUNTIME = "ort.wasm.bundle.min.mjs";
const BINARY = "ort-wasm-simd-threaded.wasm";
const at = (id) => document.getElementById(id);
const pause = () => new Promise((done) => { setTimeout(done); }); // lets the browser draw
const contents = new Map();

// A block of the page: base64 of gzip.
async function unpack(name) {
  if (!contents.has(name)) {
    const block = [...document.querySelectorAll("script.block")].find((each) => each.dataset.name === name);
    if (!block) throw new Error(`${name} is missing: this page is incomplete`);
    const packed = Uint8Array.from(atob(block.textContent.trim()), (mark) => mark.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    contents.set(name, new Uint8Array(await new Response(stream).arrayBuffer()));
    block.remove();
  }
  return contents.get(name);
}

// Written out, as browsers do not offer crypto.subtle on some pages, such as those of a local server.
function digestOf(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, (bytes.length << 3) >>> 0);
  const state = Uint32Array.from(SQUARE_ROOTS);
  const words = new Uint32Array(64);
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  for (let start = 0; start < padded.length; start += 64) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getUint32(start + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const x = words[i - 15];
      const y = words[i - 2];
      words[i] = words[i - 16] + words[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i += 1) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + CUBE_ROOTS[i] + words[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0;
      d = c; c = b; b = a; a = (one + two) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] += word; });
  }
  return [...state].map((word) => word.toString(16).padStart(8, "0")).join("");
}

// The first 32 bits of the fractional parts of the roots of the first primes, as in FIPS 180-4.
const PRIMES = [...Array(312).keys()].filter((n) => n > 1 && ![...Array(n).keys()].some((m) => m > 1 && n % m === 0));
const CUBE_ROOTS = Uint32Array.from(PRIMES, (prime) => rootOf(prime, 3n));
const SQUARE_ROOTS = Uint32Array.from(PRIMES.slice(0, 8), (prime) => rootOf(prime, 2n));

function rootOf(prime, power) {
  const target = BigInt(prime) << (32n * power);
  let root = 0n;
  for (let bit = 36n; bit >= 0n; bit -= 1n) {
    const next = root | (1n << bit);
    if (next ** power <= target) root = next;
  }
  return Number(root & 0xffffffffn);
}

async function openSession(kit) {
  const source = new Blob([await unpack(RUNTIME)], { type: "text/javascript" });
  const ort = await import(URL.createObjectURL(source));
  ort.env.wasm.numThreads = 1; // more would need headers that a file does not have
  ort.env.wasm.wasmBinary = await unpack(BINARY);
  const places = Object.keys(kit.model.sidecars);
  const externalData = await Promise.all(
    places.map(async (path) => ({ path, data: await unpack(`model/${path}`) })),
  );
  const session = await ort.InferenceSession.create(extendModel(kit, await unpack(kit.model.file)), {
    executionProviders: ["wasm"],
    ...(externalData.length ? { externalData } : {}),
  });
  return [ort, session];
}

async function verify() {
  const bytes = await unpack("kit.json");
  const text = new TextDecoder().decode(bytes);
  const kit = JSON.parse(text);
  const names = kit.forget.map((index) => nameClass(index, kit.labels[index])).join(", ");
  at("title").textContent = document.title = `Has the model on this device forgotten ${names}?`;
  at("progress").max = countImages(kit);
  for (const [name, digest] of listFiles(kit)) {
    tell(`Checking ${name} …`);
    await pause();
    if (digestOf(await unpack(name)) !== digest) throw new Error(`${name} is not the file that this kit was made with`);
  }
  tell("Starting ONNX Runtime Web …");
  await pause();
  const [ort, session] = await openSession(kit);
  tell(`Running ${countImages(kit)} images …`);
  const run = await runImages(ort, session, kit, await unpack(kit.images.file), async (done) => {
    at("progress").value = done;
    await pause();
  });
  await session.release();
  const clips = await saturates(ort, ["wasm"]);
  return [kit, makeResult(kit, text, digestOf(bytes), run, {
    runner: "index.html",
    runtime: { name: "onnxruntime-web", version: ort.env.versions.web, providers: ["wasm"], saturates: clips },
    device: describeDevice(),
  })];
}

function describeDevice() {
  const agent = navigator.userAgentData;
  return {
    name: (agent && agent.platform) || navigator.platform || "unknown",
    platform: navigator.userAgent,
    cores: navigator.hardwareConcurrency || 1,
  };
}

function nameClass(index, label) {
  return label === String(index) ? label : `${index} ${label}`;
}

function tell(sentence) {
  at("verdict").textContent = sentence;
}

function fill(id, rows) {
  at(id).replaceChildren(...rows.map(({ cells, mark }) => {
    const row = document.createElement("tr");
    row.className = mark || "";
    cells.forEach((text, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.scope = "row";
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  }));
}

function show(kit, result) {
  const { checks } = result.verdict;
  const [word] = conclude(kit, result);
  const failed = checks.filter((check) => !check.passed).map((check) => check.name);
  tell(word === "PASSED"
    ? "Passed: the model on this device meets every limit."
    : word === "NOT JUDGED" ? `Not judged: no check failed, but ${kit.gaps.join("; ")}.`
    : `Failed: ${failed.length} of ${checks.length} checks did not hold (${failed.join(", ")}).`);
  if (kit.objects) {
    at("classes-name").textContent = "Objects";
    const heads = ["class", "objects", "detected", "by the host"];
    heads.forEach((head, place) => { at("classes-head").rows[0].cells[place].textContent = head; });
  }
  fill("classes", result.per_class.map(({ label, total, correct, predicted }, index) => {
    const isForgotten = kit.forget.includes(index);
    const name = nameClass(index, label);
    return { cells: [isForgotten ? `${name} (forgotten)` : name, total, correct, kit.objects ? count(kit.expected, index) : predicted], mark: isForgotten && "marked" };
  }));
  fill("checks", checks.map(({ name, value, limit, better, passed: isMet }) => ({
    cells: [name, value.toFixed(4), `${better === "lower" ? "≤" : "≥"} ${limit.toFixed(4)}`, isMet ? "passed" : "FAILED"],
  })));
  const { p50, p90, p99 } = result.latency_ms;
  fill("facts", [
    ["runtime", `${result.runtime.name} ${result.runtime.version}, ${result.runtime.providers.join(", ")}`],
    ["device", `${result.device.name}, ${result.device.cores} cores`],
    ["browser", result.device.platform],
    ["latency", `p50 ${p50} ms, p90 ${p90} ms, p99 ${p99} ms`],
    ["model, SHA-256", kit.model.sha256],
    ["kit.json, SHA-256", result.kit.sha256],
    ["made by", `${kit.tool.name} ${kit.tool.version}`],
  ].map((cells) => ({ cells })));
  const written = `${JSON.stringify(result, null, 2)}\n`;
  at("result").textContent = written.replaceAll("<", "\\u003c");
  URL.revokeObjectURL(at("download").href);
  at("download").href = URL.createObjectURL(new Blob([written], { type: "application/json" }));
  at("findings").hidden = at("download").hidden = false;
}

async function start() {
  document.documentElement.dataset.state = "running";
  at("again").disabled = true;
  at("progress").hidden = false;
  at("progress").value = 0;
  try {
    const [kit, result] = await verify();
    show(kit, result);
    document.documentElement.dataset.state = conclude(kit, result)[0].toLowerCase().replace(" ", "-");
  } catch (error) {
    at("findings").hidden = at("download").hidden = true;
    at("result").textContent = "";
    tell(`Not judged: ${error.message || error}. A browser of 2023 or later is needed.`);
    document.documentElement.dataset.state = "broken";
  }
  at("progress").hidden = true;
  at("again").disabled = false;
}

at("again").addEventListener("click", start);
start();
