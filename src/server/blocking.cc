#include "server/blocking.h"

#include <x86intrin.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <mutex>
#include <unordered_set>

#include "resp/errors.h"
#include "server/acl_log.h"
#include "server/command_watch.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/shard_locks.h"
#include "server/worker.h"

namespace brim {

std::atomic<int> Blocking::blocked_clients{0};

void ServerContext::Block(const BlockRequest& request) {
  blocked_ = true;
  if (waking_waiter_ == nullptr) Blocking::Begin(*this, request);
}

void Blocking::Begin(ServerContext& context, const BlockRequest& request) {
  Connection& connection = context.connection();
  auto waiter = std::make_shared<Waiter>();
  waiter->worker = connection.worker;
  waiter->connection_id = connection.id;
  waiter->command = &context.command();
  for (std::string_view arg : request.words.empty() ? context.argv() : request.words)
    waiter->argv_bytes.emplace_back(arg);
  for (const std::string& arg : waiter->argv_bytes) waiter->argv.push_back(arg);
  waiter->db = context.db();
  waiter->resp = connection.resp;
  waiter->user = connection.user;
  waiter->type = request.type;
  waiter->on_timeout = request.on_timeout;
  waiter->text = request.text;
  waiter->ends_without_key = request.ends_without_key;
  std::unordered_set<std::string_view> seen;
  for (std::string_view key : request.keys) {
    if (request.keys.size() == 1 || seen.insert(key).second) waiter->keys.emplace_back(key);
  }
  waiter->key_views.assign(waiter->keys.begin(), waiter->keys.end());
  // BLMOVE and BRPOPLPUSH wait for one key and write to another.
  waiter->mover = waiter->command->spec->keys[1].begin != KeySpec::kNone;
  if (request.timeout_ms > 0) {
    waiter->deadline_ms = context.now_ms() + request.timeout_ms;
    connection.worker->deadlines.emplace(waiter->deadline_ms, connection.id);
  }
  if (request.look_again_ms > 0) {
    waiter->look_again_ms = request.look_again_ms;
    connection.worker->deadlines.emplace(waiter->look_again_ms, connection.id);
  }
  waiter->muted = context.reply().suppressed();
  waiter->charge.Set(MemoryUsage(*waiter));
  size_t added = 0;
  try {
    for (; added < waiter->keys.size(); added++) {
      shards.Of(HashBytes(waiter->keys[added])).AddWaiter(waiter->db, waiter->keys[added], waiter.get());
    }
  } catch (const std::bad_alloc&) {
    // The one that failed too: it may have got its list.
    for (size_t i = 0; i <= added; i++) {
      shards.Of(HashBytes(waiter->keys[i])).RemoveWaiter(waiter->db, waiter->keys[i], waiter.get());
    }
    RemoveDeadlines(*waiter);
    throw;
  }
  if (waiter->mover) {
    for (const std::string& key : waiter->keys) shards.Of(HashBytes(key)).movers++;
  }
  connection.waiter = std::move(waiter);
  blocked_clients.fetch_add(1, std::memory_order_relaxed);
}

void Blocking::RemoveDeadlines(const Waiter& waiter) {
  if (waiter.deadline_ms > 0) waiter.worker->deadlines.erase({waiter.deadline_ms, waiter.connection_id});
  if (waiter.look_again_ms > 0) waiter.worker->deadlines.erase({waiter.look_again_ms, waiter.connection_id});
}

// Takes the waiter out of all its shards' lists, and out of its worker's deadlines. The owner's thread, no locks held
// (or all of them paused).
void Blocking::Withdraw(Waiter& waiter) {
  RemoveDeadlines(waiter);
  for (const std::string& key : waiter.keys) {
    Shard& shard = shards.Of(HashBytes(key));
    LockPatiently(*waiter.worker, shard);
    shard.RemoveWaiter(waiter.db, key, &waiter);
    if (waiter.mover) shard.movers--;
    shard.lock().unlock();
  }
}

// What serving took is the blocked command's time, not the one's that filled the key, nor the next one's.
void Blocking::CountServed(Worker& worker, Waiter& waiter, const Reply& reply, uint64_t began) {
  worker.ticks = __rdtsc();
  waiter.served = true;
  waiter.serving_ticks = worker.ticks - began;
  CommandFigures& figures = worker.figures.commands_by_id[static_cast<size_t>(waiter.command->id)];
  figures.ticks += waiter.serving_ticks;
  if (reply.errors() == 0) return;
  figures.failed++;
  server.CountError(worker, reply);
}

// Runs the blocked command again into a buffer of its own. True when it was served.
bool Blocking::TryServe(Worker& worker, Waiter& waiter, std::string_view key, uint64_t locked) {
  if (waiter.claimed.exchange(true, std::memory_order_acq_rel)) return false;
  OutputBuffer buffer;
  Reply reply(&buffer, waiter.resp);
  // The user may have changed since.
  if (!waiter.user->unrestricted) {
    waiter.verdict = CheckAcl(*waiter.user, *waiter.command, waiter.argv, &waiter.denied);
    if (waiter.verdict != AclVerdict::kAllowed) {
      reply.Error(DenialText(waiter.verdict, *waiter.command));
      server.CountError(worker, reply);
      Send(waiter, std::move(buffer));
      return true;
    }
  }
  ServerContext context(&worker);
  context.reply_ = &reply;
  context.argv_ = waiter.argv;
  context.command_ = waiter.command;
  context.spec_ = waiter.command->spec;
  context.db_ = waiter.db;
  context.now_ms_ = worker.now_ms;
  context.figures_ = &worker.keyspace_figures;
  context.locked_ = locked;
  context.waking_ = true;
  context.waking_key_ = key;
  context.waking_keys_ = waiter.key_views;
  context.waking_waiter_ = &waiter;
  uint64_t began = __rdtsc();
  try {
    EffectScope scope(context, *waiter.command);
    waiter.command->handler(context);
    // It is done, but that it is done is not recorded: nobody may be told that it is.
    if (!scope.End()) throw std::bad_alloc();
  } catch (const std::bad_alloc&) {
    buffer.Clear();
    reply.Error(errors::kNoMemory);
  }
  if (context.blocked_) {
    waiter.claimed.store(false, std::memory_order_release);
    return false;
  }
  CountServed(worker, waiter, reply, began);
  Send(waiter, std::move(buffer));
  return true;
}

// To the connection's thread.
void Blocking::Send(Waiter& waiter, OutputBuffer&& reply) {
  auto shared = waiter.shared_from_this();
  auto sent = std::make_shared<OutputBuffer>(std::move(reply));
  waiter.worker->loop().Post([shared, sent] { Finish(shared, std::move(*sent)); });
}

// The key that an XREADGROUP waits for is gone, or is no stream.
bool Blocking::EndWithoutKey(Waiter& waiter) {
  if (waiter.claimed.exchange(true, std::memory_order_acq_rel)) return false;
  OutputBuffer buffer;
  Reply(&buffer, waiter.resp).Error(errors::kUnblockedNoKey);
  waiter.broken_off = true;
  Send(waiter, std::move(buffer));
  return true;
}

// Takes what the command has signalled out of the shards, in the order in which it did.
std::vector<Shard::ReadyKey> Blocking::TakeReady(uint64_t locked) {
  std::vector<Shard::ReadyKey> all;
  for (uint64_t rest = locked; rest; rest &= rest - 1) {
    Shard& shard = shards[std::countr_zero(rest)];
    if (shard.ready.empty()) continue;
    std::move(shard.ready.begin(), shard.ready.end(), std::back_inserter(all));
    shard.ready.clear();
  }
  std::sort(all.begin(), all.end(),
            [](const Shard::ReadyKey& a, const Shard::ReadyKey& b) { return a.order < b.order; });
  return all;
}

void Blocking::ServeReady(Worker& worker, uint64_t locked) {
  // Nobody waits, nearly always.
  bool any = false;
  for (uint64_t rest = locked; rest; rest &= rest - 1) any = any || !shards[std::countr_zero(rest)].ready.empty();
  if (!any) return;
  // Serving may fill further keys (BLMOVE).
  for (auto ready = TakeReady(locked); !ready.empty(); ready = TakeReady(locked)) {
    for (const Shard::ReadyKey& key : ready) ServeKey(worker, key, locked);
  }
}

void Blocking::ServeKey(Worker& worker, const Shard::ReadyKey& key, uint64_t locked) {
  uint64_t hash = HashBytes(key.key);
  Shard& shard = shards.Of(hash);
  auto* waiting = shard.WaitersOf(key.db, key.key);
  if (waiting == nullptr) return;
  std::deque<KeyWaiter*> in_order = *waiting;  // served ones leave the list meanwhile
  for (KeyWaiter* each : in_order) {
    KeyRef ref = shard.db(key.db).Find(key.key, hash);
    auto* waiter = static_cast<Waiter*>(each);
    if (!ref || ref.type() != waiter->type) {
      if (waiter->ends_without_key && EndWithoutKey(*waiter)) shard.RemoveWaiter(key.db, key.key, each);
      continue;
    }
    if (TryServe(worker, *waiter, key.key, shard_locking ? locked : ~uint64_t{0})) {
      shard.RemoveWaiter(key.db, key.key, each);
    }
  }
}

// On the waiting connection's thread.
void Blocking::Finish(const std::shared_ptr<Waiter>& waiter, OutputBuffer&& reply) {
  Connection* connection = waiter->worker->FindConnection(waiter->connection_id);
  if (connection == nullptr || connection->waiter != waiter) return;  // it went away; Abandon has withdrawn the waiter
  Withdraw(*waiter);
  if (waiter->verdict != AclVerdict::kAllowed) {
    NoteDenial(*connection, ReasonOf(waiter->verdict), AclContext::kTopLevel,
               DeniedObject(waiter->verdict, *waiter->command, waiter->argv, waiter->denied), waiter->user->name);
  }
  if (waiter->broken_off) {
    waiter->worker->figures.commands_by_id[static_cast<size_t>(waiter->command->id)].failed++;
    server.CountError(*waiter->worker, "UNBLOCKED");
  }
  if (waiter->served) CommandWatch::NoteServed(*connection, *waiter, reply.size_bytes());
  connection->waiter.reset();
  blocked_clients.fetch_sub(1, std::memory_order_relaxed);
  if (waiter->muted) reply.Clear();
  connection->Deliver(std::move(reply));
  connection->ResumeInput();
}

void Blocking::LookAgain(Connection& connection) {
  constexpr int64_t kEveryMs = 1000;
  std::shared_ptr<Waiter> waiter = connection.waiter;
  Worker& worker = *waiter->worker;
  waiter->look_again_ms = worker.now_ms + kEveryMs;
  worker.deadlines.emplace(waiter->look_again_ms, connection.id);
  for (const std::string& key : waiter->keys) {
    Shard& shard = shards.Of(HashBytes(key));
    std::lock_guard guard(shard.lock());
    shard.SignalReady(waiter->db, key);
    ServeReady(worker, uint64_t{1} << shard.index());
  }
}

bool Blocking::TimeOut(Connection& connection) { return Unblock(connection, false); }

bool Blocking::Unblock(Connection& connection, bool with_error) {
  std::shared_ptr<Waiter> waiter = connection.waiter;
  if (waiter == nullptr || waiter->claimed.exchange(true, std::memory_order_acq_rel)) return false;
  OutputBuffer buffer;
  Reply reply(&buffer, waiter->resp);
  if (with_error) {
    reply.Error(errors::kUnblocked);
    waiter->broken_off = true;
  } else if (waiter->on_timeout == BlockRequest::kText) {
    buffer.Append(waiter->text);
  } else if (waiter->on_timeout == BlockRequest::kNullBulk) {
    reply.Null();
  } else {
    reply.NullArray();
  }
  Send(*waiter, std::move(buffer));
  return true;
}

void Blocking::Abandon(Connection& connection) {
  // Claimed already: somebody serves it right now and holds a reference; the reply finds no connection.
  connection.waiter->claimed.store(true, std::memory_order_release);
  Withdraw(*connection.waiter);
  connection.waiter.reset();
  blocked_clients.fetch_sub(1, std::memory_order_relaxed);
}

size_t Blocking::MemoryUsage(const Waiter& waiter) {
  size_t bytes = sizeof(Waiter) + waiter.text.capacity();
  for (const std::string& word : waiter.argv_bytes)
    bytes += sizeof(std::string) + sizeof(std::string_view) + word.size();
  for (const std::string& key : waiter.keys) bytes += sizeof(std::string) + sizeof(std::string_view) + key.size();
  return bytes;
}

}  // namespace brim
