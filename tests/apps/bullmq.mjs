// BullMQ, unchanged: a thousand jobs over several workers, delayed and repeated jobs, retries, rate limits, flows,
// pausing. Every job is done exactly once.
import assert from "node:assert/strict";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const open = [];
const keep = (thing) => (open.push(thing), thing);
const queue = (name) => keep(new Queue(name, { connection }));
const worker = (name, work, options = {}) => keep(new Worker(name, work, { connection, ...options }));
let passed = 0;
const check = async (name, test) => {
  try {
    await test();
    passed++;
  } catch (error) {
    console.log(`FAILED bullmq: ${name}: ${error.stack}`);
    process.exit(1);
  }
};
const until = async (what, ms = 20000) => {
  for (const end = Date.now() + ms; !(await what()); await sleep(20)) {
    assert.ok(Date.now() < end, `still waiting after ${ms} ms`);
  }
};

await check("a thousand jobs, each done once", async () => {
  const jobs = queue("many");
  const done = new Map();
  for (let w = 0; w < 4; w++) {
    worker("many", async (job) => (done.set(job.id, (done.get(job.id) ?? 0) + 1), job.data.n * 2), { concurrency: 10 });
  }
  for (let i = 0; i < 10; i++) {
    await jobs.addBulk(Array.from({ length: 100 }, (_, n) => ({ name: "job", data: { n: i * 100 + n } })));
  }
  await until(async () => (await jobs.getJobCounts("completed")).completed === 1000);
  assert.equal(done.size, 1000);
  assert.ok([...done.values()].every((times) => times === 1));
  const some = await jobs.getJobs(["completed"], 0, 9);
  for (const job of some) assert.equal(job.returnvalue, job.data.n * 2);
  const left = await jobs.getJobCounts("waiting", "active", "failed", "delayed");
  assert.deepEqual(left, { waiting: 0, active: 0, failed: 0, delayed: 0 });
});

await check("delayed jobs come late and in order of their times", async () => {
  const jobs = queue("later");
  const began = Date.now();
  const seen = [];
  worker("later", async (job) => seen.push([job.data.delay, Date.now() - began]));
  for (const delay of [600, 200, 400]) await jobs.add("job", { delay }, { delay });
  await until(() => seen.length === 3);
  assert.deepEqual(seen.map(([delay]) => delay), [200, 400, 600]);
  for (const [delay, at] of seen) assert.ok(at >= delay, `${at} < ${delay}`);
});

await check("priorities", async () => {
  const jobs = queue("priorities");
  for (const priority of [3, 1, 2]) await jobs.add("job", { priority }, { priority });
  const seen = [];
  worker("priorities", async (job) => seen.push(job.data.priority));
  await until(() => seen.length === 3);
  assert.deepEqual(seen, [1, 2, 3]);
});

await check("failures are tried again, with backoff, and kept", async () => {
  const jobs = queue("retries");
  let tries = 0;
  worker("retries", async (job) => {
    tries++;
    if (job.data.fails >= job.attemptsMade + 1) throw new Error("not yet");
    return "good";
  });
  const mended = await jobs.add("mended", { fails: 2 }, { attempts: 3, backoff: { type: "exponential", delay: 50 } });
  const broken = await jobs.add("broken", { fails: 9 }, { attempts: 2 });
  await until(async () => (await mended.getState()) === "completed" && (await broken.getState()) === "failed");
  assert.equal(tries, 5);
  const [failed] = await jobs.getFailed();
  assert.equal(failed.failedReason, "not yet");
  await failed.retry();
  await until(async () => (await failed.getState()) === "failed");
});

await check("repeated jobs", async () => {
  const jobs = queue("repeated");
  let times = 0;
  worker("repeated", async () => times++);
  await jobs.upsertJobScheduler("tick", { every: 150 }, { name: "job", data: {} });
  await until(() => times >= 4);
  await jobs.removeJobScheduler("tick");
  await sleep(200);
  const after = times;
  await sleep(400);
  assert.equal(times, after);
});

await check("a rate limit", async () => {
  const jobs = queue("limited");
  const at = [];
  worker("limited", async () => at.push(Date.now()), { concurrency: 20, limiter: { max: 5, duration: 300 } });
  await jobs.addBulk(Array.from({ length: 15 }, () => ({ name: "job", data: {} })));
  await until(() => at.length === 15);
  assert.ok(at[14] - at[0] >= 550, `15 jobs took ${at[14] - at[0]} ms`);
});

await check("flows: parents wait for their children", async () => {
  const flows = keep(new FlowProducer({ connection }));
  worker("children", async (job) => job.data.n * 10);
  worker("parents", async (job) => Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0));
  const tree = await flows.add({
    name: "parent", queueName: "parents", data: {},
    children: [1, 2, 3].map((n) => ({ name: "child", queueName: "children", data: { n } })),
  });
  await until(async () => (await tree.job.getState()) === "completed");
  const parents = queue("parents");
  assert.equal((await parents.getJob(tree.job.id)).returnvalue, 60);
});

await check("events, progress and results reach who waits", async () => {
  const jobs = queue("events");
  const events = keep(new QueueEvents("events", { connection }));
  await events.waitUntilReady();
  const progress = [];
  events.on("progress", ({ data }) => progress.push(data));
  worker("events", async (job) => {
    await job.updateProgress(50);
    await job.log("halfway");
    return { answer: 42 };
  });
  const job = await jobs.add("job", {});
  assert.deepEqual(await job.waitUntilFinished(events, 10000), { answer: 42 });
  await until(() => progress.length > 0);
  assert.deepEqual(progress, [50]);
  assert.deepEqual((await jobs.getJobLogs(job.id)).logs, ["halfway"]);
});

await check("a paused queue waits, a drained one is empty, an obliterated one is gone", async () => {
  const jobs = queue("paused");
  let done = 0;
  worker("paused", async () => done++);
  await jobs.pause();
  await jobs.add("job", {});
  await sleep(200);
  assert.equal(done, 0);
  await jobs.resume();
  await until(() => done === 1);
  await jobs.pause();
  await jobs.addBulk(Array.from({ length: 50 }, () => ({ name: "job", data: {} })));
  await jobs.drain();
  assert.equal(await jobs.count(), 0);
  await jobs.obliterate({ force: true });
});

await check("jobs of one deduplication id are one", async () => {
  const jobs = queue("once");
  const first = await jobs.add("job", {}, { deduplication: { id: "same", ttl: 5000 } });
  const second = await jobs.add("job", {}, { deduplication: { id: "same", ttl: 5000 } });
  assert.equal(first.id, second.id);
});

await Promise.all(open.map((thing) => thing.close()));
console.log(`${passed} passed bullmq`);
process.exit(0);
