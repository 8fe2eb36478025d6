// verify.mjs: the kit in Node, with verify.py's exit codes.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const KIT_JSON_SHA256 = "{{ kit_json_sha256 }}";
const FOLDER = path.dirname(fileURLToPath(import.meta.url));
const digestOf = (bytes) => createHash("sha256").update(bytes).digest("hex");

function refuse(code, reason) {
  console.error(`error: ${reason}`);
  process.exit(code);
}

process.env.ORT_DISABLE_TELEMETRY = "1"; // before the runtime is loaded

// Searched in the current folder, so that the kit's folder need not change.
function loadRuntime() {
  try {
    const require = createRequire(path.join(process.cwd(), "here.js"));
    return [require("onnxruntime-node"), require("onnxruntime-node/package.json").version];
  } catch (error) {
    return refuse(4, `onnxruntime-node does not load (npm install onnxruntime-node): ${error.message}`);
  }
}

function readKitFile(name, digest) {
  let bytes;
  try {
    bytes = readFileSync(path.join(FOLDER, name));
  } catch (error) {
    refuse(3, `${name} cannot be read: unpack the whole kit: ${error.message}`);
  }
  if (digestOf(bytes) !== digest) refuse(3, `${name} is not the file that this kit was made with`);
  return bytes;
}

// No file of the kit, device or pipe is written over. An earlier result may go.
function checkOut(out) {
  const found = statSync(out, { throwIfNoEntry: false });
  if (!found) return;
  const kept = readdirSync(FOLDER, { recursive: true }).filter((name) => path.basename(name) !== "device-result.json");
  const isFound = ({ dev, ino }) => dev === found.dev && ino === found.ino;
  if (!found.isFile() || kept.some((name) => isFound(statSync(path.join(FOLDER, name)))))
    refuse(3, `${out} belongs to this kit, or is not a regular file`);
}

const flag = process.argv.indexOf("--out");
const out = flag < 0 ? "device-result.json" : process.argv[flag + 1];
if (!out || process.argv.length > (flag < 0 ? 2 : 4)) refuse(2, "usage: node verify.mjs [--out FILE]");
checkOut(out);
const text = readKitFile("kit.json", KIT_JSON_SHA256).toString("utf-8");
const kit = JSON.parse(text);
const contents = new Map(listFiles(kit).map(([name, digest]) => [name, readKitFile(name, digest)]));
const [ort, version] = loadRuntime();
let run;
let clips;
try {
  const file = path.join(FOLDER, kit.model.file);
  const source = kit.objects?.appended ? extendModel(kit, new Uint8Array(contents.get(kit.model.file))) : file;
  const session = await ort.InferenceSession.create(source, { executionProviders: ["cpu"] });
  clips = await saturates(ort, ["cpu"]);
  run = await runImages(ort, session, kit, new Uint8Array(contents.get(kit.images.file)), () => undefined);
} catch (error) {
  refuse(4, `ONNX Runtime cannot run the model: ${error.message}`);
}
const result = makeResult(kit, text, KIT_JSON_SHA256, run, {
  runner: "verify.mjs",
  runtime: { name: "onnxruntime-node", version, providers: ["cpu"], saturates: clips },
  device: {
    name: os.cpus()[0]?.model ?? os.arch(),
    platform: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    cores: os.cpus().length,
  },
});
writeFileSync(`${out}.part`, `${JSON.stringify(result, null, 2)}\n`);
renameSync(`${out}.part`, out);
console.table(result.per_class);
console.table(result.verdict.checks);
const [word, code] = conclude(kit, result);
if (code === NOT_JUDGED) for (const gap of kit.gaps) console.log(`not judged: ${gap}`);
console.log(`result   ${out}\n${word}`);
process.exitCode = code;
