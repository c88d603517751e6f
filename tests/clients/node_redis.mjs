// node-redis: every type, pipelines, transactions, blocking pops, scan iterators, expiry, the OOM error; it also asks
// for RESP3 features on connecting (HELLO, CLIENT SETINFO).
import assert from "node:assert/strict";
import { createClient, WatchError, commandOptions } from "redis";

const url = `redis://127.0.0.1:${process.argv[2]}`;
const r = createClient({ url });
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
let passed = 0;
const check = async (name, test) => {
  try {
    await test();
    passed++;
  } catch (error) {
    console.log(`FAILED node-redis: ${name}: ${error.message}`);
    process.exit(1);
  }
};

await r.connect();
await r.flushAll();
await check("strings", async () => {
  assert.equal(await r.set("s", "v", { EX: 100, NX: true }), "OK");
  assert.equal(await r.get("s"), "v");
  assert.equal(await r.incrBy("n", 5), 5);
  assert.deepEqual(await r.mGet(["s", "none"]), ["v", null]);
});
await check("hashes", async () => {
  assert.equal(await r.hSet("h", { x: 1, y: "z" }), 2);
  assert.deepEqual({ ...(await r.hGetAll("h")) }, { x: "1", y: "z" });
});
await check("lists", async () => {
  assert.equal(await r.rPush("l", ["1", "2", "3"]), 3);
  assert.deepEqual(await r.lRange("l", 0, -1), ["1", "2", "3"]);
});
await check("sets", async () => {
  assert.equal(await r.sAdd("set", ["p", "q"]), 2);
  assert.equal(Boolean(await r.sIsMember("set", "p")), true);
});
await check("sorted sets", async () => {
  assert.equal(await r.zAdd("z", [{ score: 1.5, value: "m" }, { score: 2, value: "n" }]), 2);
  assert.deepEqual(await r.zRangeWithScores("z", 0, -1), [{ score: 1.5, value: "m" }, { score: 2, value: "n" }]);
});
await check("automatic pipeline", async () => {
  const replies = await Promise.all(Array.from({ length: 1000 }, (_, i) => r.set(`p:${i}`, String(i))));
  assert.ok(replies.every((reply) => reply === "OK"));
});
await check("transaction", async () => {
  assert.deepEqual(await r.multi().set("t", "1").incr("t").exec(), ["OK", 2]);
});
await check("watch conflict", async () => {
  const other = r.duplicate();
  await other.connect();
  await r.watch("t");
  await other.set("t", "changed");
  await assert.rejects(r.multi().set("t", "lost").exec(), WatchError);
  await other.disconnect();
});
await check("blocking pop", async () => {
  setTimeout(() => r.rPush("bl", "x"), 100);
  assert.deepEqual({ ...(await r.blPop(commandOptions({ isolated: true }), "bl", 5)) }, { key: "bl", element: "x" });
});
await check("scan iterator", async () => {
  const seen = new Set();
  for await (const key of r.scanIterator({ MATCH: "p:*", COUNT: 50 })) seen.add(key);
  assert.equal(seen.size, 1000);
});
await check("expiry", async () => {
  await r.set("gone", "1", { PX: 30 });
  await sleep(60);
  assert.equal(await r.get("gone"), null);
});
await check("OOM error", async () => {
  const used = /used_memory:(\d+)/.exec(await r.info("memory"))[1];
  await r.configSet("maxmemory", used);
  let seen;
  try {
    await r.set("more", "x".repeat(100000));
    await r.set("more2", "x");
  } catch (error) {
    seen = error;
  }
  assert.equal(seen?.message, "OOM command not allowed when used memory > 'maxmemory'.");
  await r.configSet("maxmemory", "0");
  assert.equal(await r.set("more", "x"), "OK");
});
await r.disconnect();
console.log(`node-redis: ${passed} passed, 0 failed`);
