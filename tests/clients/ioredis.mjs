// ioredis: every type, pipelines, transactions, blocking pops, scan streams, expiry, the OOM error.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Redis from "ioredis";

const port = Number(process.argv[2]);
// BRIM_TLS: a folder of certificates; the port is then one of TLS.
const folder = process.env.BRIM_TLS;
const pem = (name) => readFileSync(`${folder}/${name}`);
const tls = folder && { ca: pem("ca.crt"), cert: pem("client.crt"), key: pem("client.key"), servername: "localhost" };
const r = new Redis(folder ? { port, tls } : { port });
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
let passed = 0;
const check = async (name, test) => {
  try {
    await test();
    passed++;
  } catch (error) {
    console.log(`FAILED ioredis: ${name}: ${error.message}`);
    process.exit(1);
  }
};

await r.flushall();
await check("strings", async () => {
  assert.equal(await r.set("s", "v", "EX", 100, "NX"), "OK");
  assert.equal(await r.get("s"), "v");
  assert.equal(await r.incrby("n", 5), 5);
  assert.deepEqual(await r.mget("s", "none"), ["v", null]);
  assert.deepEqual(await r.getBuffer("s"), Buffer.from("v"));
});
await check("hashes", async () => {
  assert.equal(await r.hset("h", { x: 1, y: "z" }), 2);
  assert.deepEqual(await r.hgetall("h"), { x: "1", y: "z" });
});
await check("lists", async () => {
  assert.equal(await r.rpush("l", 1, 2, 3), 3);
  assert.deepEqual(await r.lrange("l", 0, -1), ["1", "2", "3"]);
  assert.equal(await r.lmove("l", "l2", "LEFT", "RIGHT"), "1");
});
await check("sets", async () => {
  assert.equal(await r.sadd("set", "p", "q"), 2);
  assert.deepEqual((await r.smembers("set")).sort(), ["p", "q"]);
});
await check("sorted sets", async () => {
  assert.equal(await r.zadd("z", 1.5, "m", 2, "n"), 2);
  assert.deepEqual(await r.zrange("z", 0, -1, "WITHSCORES"), ["m", "1.5", "n", "2"]);
  assert.deepEqual(await r.zpopmin("z"), ["m", "1.5"]);
});
await check("pipeline", async () => {
  const p = r.pipeline();
  for (let i = 0; i < 1000; i++) p.set(`p:${i}`, i);
  const replies = await p.exec();
  assert.ok(replies.length === 1000 && replies.every(([error, reply]) => error === null && reply === "OK"));
});
await check("transaction", async () => {
  assert.deepEqual(await r.multi().set("t", 1).incr("t").exec(), [[null, "OK"], [null, 2]]);
});
await check("watch conflict", async () => {
  const other = r.duplicate();
  await r.watch("t");
  await other.set("t", "changed");
  assert.equal(await r.multi().set("t", "lost").exec(), null);
  other.disconnect();
});
await check("blocking pops", async () => {
  const other = r.duplicate();
  setTimeout(() => other.rpush("bl", "x"), 100);
  assert.deepEqual(await r.blpop("bl", 5), ["bl", "x"]);
  assert.equal(await r.brpop("bl", 0.2), null);
  setTimeout(() => other.zadd("bz", 3, "m"), 100);
  assert.deepEqual(await r.bzpopmax("bz", 5), ["bz", "m", "3"]);
  other.disconnect();
});
await check("scan stream", async () => {
  const seen = new Set();
  for await (const keys of r.scanStream({ match: "p:*", count: 50 })) keys.forEach((key) => seen.add(key));
  assert.equal(seen.size, 1000);
});
await check("expiry", async () => {
  await r.set("gone", 1, "PX", 30);
  await sleep(60);
  assert.equal(await r.get("gone"), null);
  assert.equal(await r.pexpire("s", 5000), 1);
});
await check("pub/sub", async () => {
  const listener = r.duplicate();
  const heard = [];
  listener.on("message", (channel, message) => heard.push([channel, message]));
  listener.on("pmessage", (pattern, channel, message) => heard.push([pattern, channel, message]));
  assert.equal(await listener.subscribe("news", "other"), 2);
  assert.equal(await listener.psubscribe("n*"), 3);
  assert.equal(await r.publish("news", "hello"), 2);
  while (heard.length < 2) await sleep(5);
  assert.deepEqual(heard, [["news", "hello"], ["n*", "news", "hello"]]);
  await assert.rejects(listener.get("s"), /subscriber mode/);
  assert.equal(await listener.unsubscribe("news", "other"), 1);
  assert.equal(await listener.punsubscribe("n*"), 0);
  assert.equal(await listener.get("t"), "changed");
  listener.disconnect();
});
await check("shard channels", async () => {
  const listener = r.duplicate();
  const heard = [];
  listener.on("smessage", (channel, message) => heard.push([channel, message]));
  await listener.ssubscribe("shard");
  assert.equal(await r.spublish("shard", "1"), 1);
  while (heard.length < 1) await sleep(5);
  assert.deepEqual(heard, [["shard", "1"]]);
  listener.disconnect();
});
await check("a listener that comes back subscribes again", async () => {
  const listener = r.duplicate();
  const heard = [];
  listener.on("message", (channel, message) => heard.push(message));
  await listener.subscribe("news");
  assert.equal(await r.client("KILL", "TYPE", "pubsub"), 1);
  await sleep(20);
  while ((await r.publish("news", "again")) === 0) await sleep(10);
  while (heard.length < 1) await sleep(5);
  assert.equal(heard[0], "again");
  listener.disconnect();
});
await check("keyspace events", async () => {
  await r.config("SET", "notify-keyspace-events", "Kl");
  const listener = r.duplicate();
  const heard = [];
  listener.on("pmessage", (pattern, channel, event) => heard.push([channel, event]));
  await listener.psubscribe("__keyspace@0__:*");
  await r.rpush("told", 1);
  while (heard.length < 1) await sleep(5);
  assert.deepEqual(heard, [["__keyspace@0__:told", "rpush"]]);
  await r.config("SET", "notify-keyspace-events", "");
  listener.disconnect();
});
await check("client-side caching by redirection", async () => {
  const listener = r.duplicate();
  const reader = r.duplicate();
  const id = await listener.client("ID");
  const heard = [];
  listener.on("message", (channel, keys) => heard.push(keys));
  await listener.subscribe("__redis__:invalidate");
  assert.equal(await reader.client("TRACKING", "ON", "REDIRECT", id), "OK");
  await reader.get("t");
  await r.set("t", "changed");
  while (heard.length < 1) await sleep(5);
  assert.equal(String(heard[0]), "t");
  listener.disconnect();
  reader.disconnect();
});
await check("OOM error", async () => {
  const used = Number(/used_memory:(\d+)/.exec(await r.info("memory"))[1]);
  await r.config("SET", "maxmemory", used);
  let seen;
  try {
    await r.set("more", "x".repeat(100000));
    await r.set("more2", "x");
  } catch (error) {
    seen = error;
  }
  assert.equal(seen?.name, "ReplyError");
  assert.equal(seen.message, "OOM command not allowed when used memory > 'maxmemory'.");
  assert.equal(await r.get("p:1"), "1");
  await r.config("SET", "maxmemory", 0);
  assert.equal(await r.set("more", "x"), "OK");
});
r.disconnect();
console.log(`ioredis: ${passed} passed, 0 failed`);
