// How dispatch runs a series: neighbours in one pipeline that are the same command of the same key, where the command
// knows how to do several as one (CommandSpec::series). They share a lock, a look-up and the room that is made; to
// everybody else they are the commands that they are. Whenever somebody could tell the difference each is run for
// itself. docs/threads.md.
#include <x86intrin.h>

#include "base/raw_array.h"
#include "server/command_watch.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/memory_guard.h"
#include "server/server.h"
#include "server/shard_locks.h"
#include "server/watching.h"
#include "server/worker.h"
#include "store/access.h"
#include "store/cut.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr size_t kSeriesBytes = 16 << 10;  // of requests: together they are no heavy command

// Nobody wants to see, record, time or stop a single one of them.
bool NobodyLooks(const Worker& worker, const CommandFigures& figures) {
  return !journal.on() && !Cut::running() && !MemoryGuard::NeedsRelief() && notify_classes == 0 && !eviction.IsLfu() &&
         watching.load(std::memory_order_relaxed) == 0 && worker.watch.ticks > worker.long_command_ticks &&
         (!worker.watch.histograms || figures.times != nullptr);
}

// All have taken the same time, as far as anybody knows; who made it long is not known, so that the first one stands
// for them.
void CountCalls(ServerContext& context, const Command& command, CommandFigures& figures, uint64_t calls) {
  Worker& worker = context.worker();
  uint64_t now = __rdtsc();
  uint64_t took = now - worker.ticks;
  uint64_t each = took / calls;
  figures.calls += calls;
  figures.ticks += took;
  figures.recent_ticks += each / 8 - figures.recent_ticks / 8;
  worker.ticks = now;
  worker.figures.commands += calls;
  if (worker.watch.histograms) figures.times->Count(each, calls);
  if (took >= worker.watch.ticks) [[unlikely]]
    CommandWatch::Note(context, command, took, 0);
}

}  // namespace

size_t Dispatcher::RunSeries(Connection& connection, const Plan* plans, size_t at, size_t count) {
  Worker& worker = *connection.worker;
  ServerContext& context = worker.context;
  const Command& command = *plans[at].command;
  CommandFigures& figures = worker.figures.commands_by_id[static_cast<size_t>(command.id)];
  if (!NobodyLooks(worker, figures)) return 0;
  RawArray<std::span<const std::string_view>, kMaxPlans> requests;
  size_t wanted = 0;
  size_t bytes = 0;
  for (size_t i = at; i < count && (i == at || plans[i].repeats); i++) {
    const ParsedCommand& parsed = worker.parsed[i];
    bytes += parsed.end - (i > 0 ? worker.parsed[i - 1].end : 0);
    if (bytes > kSeriesBytes || !command.ArityFits(parsed.argc)) break;
    requests[wanted++] = {worker.args.data() + parsed.first_arg, parsed.argc};
  }
  if (wanted < 2) return 0;
  Shard& shard = shards.Of(plans[at].hash);
  uint64_t mask = uint64_t{1} << shard.index();
  if (!LockShards(worker, mask)) return 0;
  size_t done = 0;
  // Who waits for the list gets the first element, not the last. And while this waited, things may have changed.
  if (!shard.has_waiters() && shard.movers == 0 && NobodyLooks(worker, figures)) {
    context.spec_ = command.spec;
    context.hashed_ = requests[0][static_cast<size_t>(command.first_key)];
    context.hash_ = plans[at].hash;
    context.argv_ = requests[0];
    context.blocked_ = false;
    context.in_transaction_ = false;
    context.locked_ = shard_locking ? mask : ~uint64_t{0};
    done = command.series(context, {requests.at, wanted});
    if (done > 0) CountCalls(context, command, figures, done);
  }
  UnlockShards(mask);
  return done;
}

}  // namespace brim
