// Shared by browser and Node: from scores to the result. Keep it consistent with verify.py.

const RESULT_SCHEMA = "nhle-onnx/device-result/v1";
const ARRAYS = { float32: Float32Array, float16: Uint16Array };

const TRIAL = "{{ trial }}"; // a model of one product of 8-bit numbers, as base64
const DEPTH = 64;

// Whether this processor clips sums of uint8 times int8, as x86 without VNNI does.
async function saturates(ort, providers) {
  const model = Uint8Array.from(atob(TRIAL), (mark) => mark.charCodeAt(0));
  const session = await ort.InferenceSession.create(model, { executionProviders: providers });
  const left = new ort.Tensor("uint8", new Uint8Array(DEPTH).fill(255), [1, DEPTH]);
  const right = new ort.Tensor("int8", new Int8Array(DEPTH).fill(127), [DEPTH, 1]);
  const { sum } = await session.run({ left, right });
  await session.release();
  return Number(sum.data[0]) !== 255 * 127 * DEPTH;
}

// The kit's files that decide the result, with their expected digests.
function listFiles(kit) {
  const sidecars = Object.entries(kit.model.sidecars).map(([place, digest]) => [`model/${place}`, digest]);
  return [[kit.model.file, kit.model.sha256], [kit.images.file, kit.images.sha256], ...sidecars];
}

// Answers each image separately; returns the answers and milliseconds.
async function runImages(ort, session, kit, bytes, onImage) {
  const { dtype, shape, batch, input } = kit.images;
  const numbers = new ARRAYS[dtype](bytes.slice().buffer);
  const extent = shape.reduce((product, length) => product * length, 1);
  const predictions = [];
  const times = [];
  for (let index = -1; index < kit.classes.length; index += 1) {
    const start = Math.max(0, index) * extent; // the first run includes preparation, and is not counted
    const data = new ARRAYS[dtype](extent * batch);
    for (let copy = 0; copy < batch; copy += 1) data.set(numbers.subarray(start, start + extent), copy * extent);
    const feeds = { [input]: new ort.Tensor(dtype, data, [batch, ...shape]) };
    const begun = performance.now();
    const outputs = await session.run(feeds, [kit.output]);
    const spent = performance.now() - begun;
    if (index < 0) continue;
    times.push(spent);
    predictions.push(findWinner(outputs[kit.output], batch));
    await onImage(index + 1);
  }
  return { predictions, times };
}

// The class with the highest score of the first row, the first of equals. If that is not finite,
// there is no answer, which is not a wrong answer: it would count as forgotten.
function findWinner(output, batch) {
  const isHalf = output.type === "float16" && output.data instanceof Uint16Array;
  const row = Array.from(output.data.slice(0, output.data.length / batch), isHalf ? decodeHalf : Number);
  if (!Number.isFinite(Math.max(...row))) throw new Error("the best score of an image is not finite here");
  return row.reduce((best, score, index) => (score > row[best] ? index : best), 0);
}

const NOT_JUDGED = 6;

// The last word and the exit code: limits that were kept on too few images show nothing.
function conclude(kit, result) {
  if (!result.verdict.passed) return ["FAILED", 1];
  return (kit.gaps ?? []).length ? ["NOT JUDGED", NOT_JUDGED] : ["PASSED", 0];
}

function decodeHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
}

function makeResult(kit, text, digest, { predictions, times }, { runner, runtime, device }) {
  const { classes, expected, forget, labels } = kit;
  const hits = classes.map((index, place) => index === predictions[place]);
  const shareWhere = (keeps) => share(hits.filter((_, place) => keeps(classes[place])));
  const after = {
    acc_f: shareWhere((index) => forget.includes(index)),
    acc_r: shareWhere((index) => !forget.includes(index)),
    per_class: labels.map((_, each) => shareWhere((index) => index === each)),
  };
  const before = kit.host.before ? kit.host.before.acc_r : null;
  const delta = after.acc_r === null || before === null ? null : after.acc_r - before;
  const agreement = share(predictions.map((given, place) => given === expected[place]));
  const checks = judge(kit, after.acc_f, delta, agreement);
  return {
    schema: RESULT_SCHEMA,
    runner,
    measured_at: `${new Date().toISOString().slice(0, 19)}Z`,
    model_sha256: kit.model.sha256,
    runtime,
    device,
    samples: predictions.length,
    latency_ms: { p50: percentile(times, 50), p90: percentile(times, 90), p99: percentile(times, 99) },
    agreement,
    after,
    delta_acc_r: delta,
    per_class: labels.map((label, each) => ({
      label,
      total: count(classes, each),
      correct: hits.filter((hit, place) => hit && classes[place] === each).length,
      predicted: count(predictions, each),
    })),
    verdict: { passed: checks.every((check) => check.passed), checks },
    predictions,
    kit: { sha256: digest, document: text },
  };
}

// Checks each measured figure against its limit.
function judge(kit, accF, delta, agreement) {
  const { limits } = kit;
  return [
    ["after.acc_f", accF, limits.max_acc_f, "lower"],
    ["delta_acc_r", delta, -limits.max_acc_r_drop, "higher"],
    ["agreement", agreement, limits.min_agreement, "higher"],
  ]
    .filter(([, value]) => value !== null)
    .map(([name, value, limit, better]) => ({
      name, value, limit, better, passed: better === "lower" ? value <= limit : value >= limit,
    }));
}

function share(hits) {
  return hits.length ? hits.filter(Boolean).length / hits.length : null;
}

function count(classes, index) {
  return classes.filter((each) => each === index).length;
}

// As in NumPy: linear interpolation between two ranks.
function percentile(times, percent) {
  const sorted = [...times].sort((a, b) => a - b);
  const rank = ((sorted.length - 1) * percent) / 100;
  const [low, high] = [sorted[Math.floor(rank)], sorted[Math.ceil(rank)]];
  return Math.round((low + (high - low) * (rank - Math.floor(rank))) * 1e4) / 1e4;
}
