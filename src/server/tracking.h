#pragma once
// Client-side caching: which clients have read which keys, and telling them when those change. docs/pubsub.md.
//
// Each shard has a table of keys and the clients to be told, under the shard's lock: what a client remembers, and what
// invalidates it, have one order. Clients in broadcast mode have no entries; the keys that a batch of commands has
// changed go to all workers that have such clients when the batch ends, before its replies.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/registry.h"
#include "memory/account.h"

namespace brim {

class Connection;
class Worker;

using Prefix = std::basic_string<char, std::char_traits<char>, CountedAllocator<char, MemoryCategory::kPubSub>>;

// A connection's tracking, as CLIENT TRACKING has set it. Its worker's thread.
struct Tracking {
  bool broadcast = false;
  bool opt_in = false;
  bool opt_out = false;
  bool no_loop = false;
  bool caching = false;   // CLIENT CACHING was given for the next command
  bool broken = false;    // who it redirects to has gone
  uint64_t redirect = 0;  // another connection's number; 0: none
  Worker* redirect_worker = nullptr;
  std::set<Prefix, std::less<>, CountedAllocator<Prefix, MemoryCategory::kPubSub>> prefixes;

  size_t MemoryBytes() const;
};

struct TrackingOptions {
  bool broadcast = false;
  bool opt_in = false;
  bool opt_out = false;
  bool no_loop = false;
  uint64_t redirect = 0;
  Worker* redirect_worker = nullptr;
  std::vector<std::string_view> prefixes;
};

class KeyTracking {
 public:
  // --- the connection's worker
  static void Start(Connection& connection, const TrackingOptions& options);
  static void Stop(Connection& connection);
  // A command that reads has run for a connection that tracks; its keys' shards are locked.
  static void Remember(Connection& connection, const Command& command, std::span<const std::string_view> argv);
  // Any command of a connection that tracks is over, whatever came of it; null: there is none of its name.
  static void EndCommand(Connection& connection, const Command* command);

  // --- whoever changes keys; the key's shard is locked
  // The changed_hook of command/context.h, set once somebody tracks. `by_command`: not by expiry or eviction.
  static void Changed(std::string_view key, uint64_t hash, bool by_command);
  // Everything has gone; every shard is locked.
  static void Flushed();

  // --- a worker, no shard locked
  // What its commands have changed is told to clients in broadcast mode.
  static void EndBatch(Worker& worker);
  // A slice of half a millisecond: tables that nobody needs are freed, tracking-table-max-keys is kept. True when
  // nothing is left to do.
  static bool Cron(Worker& worker);
  // Under pressure: gives up remembered keys (their clients are told) of about that many bytes. Garbage goes before any
  // of them, at most a slice of it; what is left of it counts as if it had gone. Returns the bytes. O(workers) and 2048
  // entries; takes shards' locks in turn.
  static size_t Shrink(size_t bytes);

  // --- garbage: tables of keys that nobody remembers any more. Any thread, whatever locks it holds
  // Frees about that many entries of it. Returns the bytes; 0: there is none.
  static size_t FreeGarbage(size_t entries);
  // About what it takes. O(1) where there is none, else O(threads).
  static int64_t GarbageBytes();

  // --- figures for INFO; every thread paused
  static size_t Clients();
  static size_t Keys();
  static size_t Items();
  static size_t Prefixes();

  // tracking-table-max-keys; 0: no limit. Set while every thread is paused.
  static inline size_t max_keys = 1'000'000;
};

}  // namespace brim
