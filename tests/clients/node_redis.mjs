// node-redis: every type, pipelines, transactions, blocking pops, scan iterators, expiry, the OOM error; it also asks
// for RESP3 features on connecting (HELLO, CLIENT SETINFO).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createClient, WatchError, commandOptions } from "redis";

// BRIM_TLS: a folder of certificates; the port is then one of TLS.
const folder = process.env.BRIM_TLS;
const pem = (name) => readFileSync(`${folder}/${name}`);
const keys = folder && { ca: pem("ca.crt"), cert: pem("client.crt"), key: pem("client.key"), servername: "localhost" };
const tls = keys && { tls: true, ...keys };
const r = createClient({ socket: { host: "127.0.0.1", port: Number(process.argv[2]), ...tls } });
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
await check("pub/sub", async () => {
  const listener = r.duplicate();
  await listener.connect();
  const heard = [];
  await listener.subscribe("news", (message, channel) => heard.push([channel, message]));
  await listener.pSubscribe("n*", (message, channel) => heard.push(["n*", channel, message]));
  assert.equal(await r.publish("news", "hello"), 2);
  while (heard.length < 2) await sleep(5);
  assert.deepEqual(heard, [["news", "hello"], ["n*", "news", "hello"]]);
  await listener.sSubscribe("shard", (message) => heard.push(message));
  assert.equal(await r.sPublish("shard", "s"), 1);
  while (heard.length < 3) await sleep(5);
  assert.deepEqual(await r.pubSubChannels(), ["news"]);
  assert.deepEqual({ ...(await r.pubSubNumSub(["news", "none"])) }, { news: 1, none: 0 });
  await listener.unsubscribe("news");
  await listener.pUnsubscribe("n*");
  await listener.sUnsubscribe("shard");
  assert.equal(await listener.get("t"), "changed");
  await listener.disconnect();
});
await check("client-side caching by redirection", async () => {
  const listener = r.duplicate();
  const reader = r.duplicate();
  await listener.connect();
  await reader.connect();
  const id = await listener.clientId();
  const heard = [];
  await listener.subscribe("__redis__:invalidate", (keys) => heard.push(keys));
  assert.equal(await reader.clientTracking(true, { REDIRECT: id }), "OK");
  assert.equal((await reader.clientTrackingInfo()).redirect, id);
  await reader.get("t");
  await r.set("t", "changed");
  while (heard.length < 1) await sleep(5);
  assert.equal(String(heard[0]), "t");
  await listener.disconnect();
  await reader.disconnect();
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
