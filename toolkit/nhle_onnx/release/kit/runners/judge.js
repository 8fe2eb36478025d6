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

// How many images the kit has; a detector's answers are about the objects in them.
function countImages({ objects, classes }) {
  return objects ? objects.places[objects.places.length - 1] + 1 : classes.length;
}

// The model, with the bytes that make boxes and scores outputs, if some follow.
function extendModel({ objects }, model) {
  const appended = Uint8Array.from(atob(objects?.appended ?? ""), (mark) => mark.charCodeAt(0));
  const whole = new Uint8Array(model.length + appended.length);
  whole.set(model);
  whole.set(appended, model.length);
  return whole;
}

// Answers each image separately; returns the answers and milliseconds.
async function runImages(ort, session, kit, bytes, onImage) {
  const { dtype, shape, batch, input } = kit.images;
  const numbers = new ARRAYS[dtype](bytes.slice().buffer);
  const extent = shape.reduce((product, length) => product * length, 1);
  const predictions = [];
  const times = [];
  const names = [kit.output, ...(kit.objects && kit.objects.boxes.name !== kit.output ? [kit.objects.boxes.name] : [])];
  for (let index = -1; index < countImages(kit); index += 1) {
    const start = Math.max(0, index) * extent; // the first run includes preparation, and is not counted
    const data = new ARRAYS[dtype](extent * batch);
    for (let copy = 0; copy < batch; copy += 1) data.set(numbers.subarray(start, start + extent), copy * extent);
    const feeds = { [input]: new ort.Tensor(dtype, data, [batch, ...shape]) };
    const begun = performance.now();
    const outputs = await session.run(feeds, names);
    const spent = performance.now() - begun;
    if (index < 0) continue;
    times.push(spent);
    predictions.push(...(kit.objects ? findObjects(kit, index, outputs, batch) : [findWinner(outputs[kit.output], batch)]));
    await onImage(index + 1);
  }
  return { predictions, times };
}

// The class with the highest score of the first row, the first of equals. If that is not finite,
// there is no answer, which is not a wrong answer: it would count as forgotten.
function findWinner(output, batch) {
  const row = readNumbers(output, batch);
  if (!Number.isFinite(Math.max(...row))) throw new Error("the best score of an image is not finite here");
  return row.reduce((best, score, index) => (score > row[best] ? index : best), 0);
}

// An output's numbers for the first image of the batch.
function readNumbers(output, batch) {
  const isHalf = output.type === "float16" && output.data instanceof Uint16Array;
  return Array.from(output.data.slice(0, output.data.length / batch), isHalf ? decodeHalf : Number);
}

// The answer to each object of an image: its class, if a box of that class overlaps it enough; otherwise null.
function findObjects(kit, place, outputs, batch) {
  const { objects, classes } = kit;
  const boxes = readRows(outputs[objects.boxes.name], objects.boxes.axis, batch, 4).map((row) => readCorners(objects.boxes, row));
  const scores = readRows(outputs[kit.output], objects.scores.axis, batch).map((row) => readScores(objects.scores, row));
  if (!scores.every((row) => row.every(Number.isFinite))) throw new Error(`a score of image ${place} is not finite here`);
  const seen = listSeen(objects, boxes, scores, place);
  const isFound = (index, given) => seen.some(
    ([row, each]) => each === index && measureOverlap(given, boxes[row]) >= objects.least_overlap,
  );
  return classes
    .map((index, object) => (isFound(index, objects.corners[object]) ? index : null))
    .filter((_, object) => objects.places[object] === place);
}

// A tensor's rows, one for each box, whichever axis they are along; and no more than `most` columns.
function readRows(output, axis, batch, most = Infinity) {
  const numbers = readNumbers(output, batch);
  const [, first, second] = output.dims;
  const [count, width] = axis === 1 ? [second, first] : [first, second];
  const at = axis === 1 ? (row, column) => column * count + row : (row, column) => row * width + column;
  return Array.from({ length: count }, (_, row) => Array.from({ length: Math.min(width, most) }, (_, column) => numbers[at(row, column)]));
}

// Left, top, right and bottom.
function readCorners({ form }, [first, second, third, fourth]) {
  if (form === "centre") return [first - third / 2, second - fourth / 2, first + third / 2, second + fourth / 2];
  return form === "corners-yx" ? [second, first, fourth, third] : [first, second, third, fourth];
}

function readScores({ columns, background, objectness, activation }, row) {
  const numbers = columns.map((column) => row[column]);
  if (activation === "softmax") {
    const competing = background === null ? numbers : [...numbers, row[background]];
    const best = Math.max(...competing);
    const total = competing.reduce((sum, number) => sum + Math.exp(number - best), 0);
    return numbers.map((number) => Math.exp(number - best) / total);
  }
  const scores = activation === "sigmoid" ? numbers.map((number) => 1 / (1 + Math.exp(-number))) : numbers;
  return objectness === null ? scores : scores.map((score) => score * row[objectness]);
}

// The boxes that people would see, each by its row and class, best first.
function listSeen({ least_score: least, suppression, most }, boxes, scores, place) {
  const kept = [];
  for (let index = 0; index < (scores[0] ?? []).length; index += 1) {
    const rows = [...scores.keys()].filter((row) => scores[row][index] >= least);
    if (!rows.every((row) => boxes[row].every(Number.isFinite))) throw new Error(`a box of image ${place} is not finite here`);
    const chosen = [];
    for (const row of rows.sort((a, b) => scores[b][index] - scores[a][index]))
      if (!chosen.some((other) => measureOverlap(boxes[row], boxes[other]) > suppression)) chosen.push(row);
    kept.push(...chosen.map((row) => [row, index]));
  }
  return kept.sort(([a, one], [b, other]) => scores[b][other] - scores[a][one]).slice(0, most);
}

// The intersection over union of two boxes.
function measureOverlap(one, other) {
  const areaOf = ([left, top, right, bottom]) => Math.max(0, right - left) * Math.max(0, bottom - top);
  const shared = areaOf([0, 1, 2, 3].map((side) => (side < 2 ? Math.max : Math.min)(one[side], other[side])));
  const union = areaOf(one) + areaOf(other) - shared;
  return union > 0 ? shared / union : 0;
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
    samples: times.length,
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
  const [forgotten, retained] = kit.objects ? ["after.detected", "delta_detected_r"] : ["after.acc_f", "delta_acc_r"];
  return [
    [forgotten, accF, limits.max_acc_f, "lower"],
    [retained, delta, -limits.max_acc_r_drop, "higher"],
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
