#pragma once
// What is looked at when a command ends: is it worth an entry in SLOWLOG, COMMANDLOG or LATENCY, and how long did it
// take, for LATENCY HISTOGRAM. Nearly every command costs two comparisons and a counter; docs/watching.md.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "server/latency_histogram.h"

namespace brim {

class Connection;
class ServerContext;
class Worker;
struct Command;
struct Config;
struct Waiter;

// A worker's own copy of what its commands are compared with. Changed while every thread is paused, and by itself.
struct WatchLimits {
  uint64_t ticks = UINT64_MAX;                  // what takes that long is worth a look: the least of all thresholds
  size_t reply_bytes = kOff;                    // so is what answers that much
  size_t request_bytes = kOff;                  // or comes with that much
  uint64_t ns_per_tick = 0;                     // base/ticks
  bool histograms = true;                       // latency-tracking
  static constexpr size_t kOff = SIZE_MAX / 2;  // to which sizes can be added
};

class CommandWatch {
 public:
  // The settings, into effect at once. Every thread paused, or none yet.
  static void Configure(const Config& config);
  // Sets the worker's limits anew: the longer the process runs, the better it knows the rate of its clock.
  static void Refresh(Worker& worker);

  // The calling worker's command, which took `ticks`, may be worth entries.
  static void Note(ServerContext& context, const Command& command, uint64_t ticks, size_t reply_bytes);
  // What the connection waited for has come (or CLIENT UNBLOCK): its command is done. The connection's thread.
  static void NoteServed(Connection& connection, const Waiter& waiter, size_t reply_bytes);
  // The command, `ticks` long, into the worker's histogram of it.
  static void Count(Worker& worker, const Command& command, uint64_t ticks);

  // Instead of Count, for a command that may wait: it is counted when it is done.
  static void EndSpecial(ServerContext& context, const Command& command, uint64_t ticks);

  // The command's times of all workers; null: it was not called. Every thread paused.
  static std::unique_ptr<LatencyHistogram> Times(const Command& command);
};

// What the words take as a request in the protocol's usual form.
size_t RequestBytes(std::span<const std::string_view> words);

}  // namespace brim
