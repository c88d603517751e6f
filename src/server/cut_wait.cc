#include "server/cut_wait.h"

#include <algorithm>

#include "base/hash.h"
#include "base/monotonic.h"
#include "command/keys.h"
#include "server/connection.h"
#include "server/shard_locks.h"
#include "server/transaction.h"
#include "server/worker.h"
#include "store/cut.h"

namespace brim {

namespace {

constexpr int64_t kSliceUs = 500;
constexpr int64_t kLongestUs = 3'000'000;
constexpr size_t kFewBlocks = 64;  // of a value that takes no time

// Whether the command may change the key now, as far as the cut goes.
bool IsHandedOver(int db, std::string_view key, int64_t deadline_us) {
  uint64_t hash = HashBytes(key);
  Shard& shard = shards.Of(hash);
  KeptGuard guard(shard);
  if (!guard || !shard.cut.running) return true;
  KeyRef ref = shard.db(db).Find(key, hash);
  if (!ref || !ref.external()) return true;
  if (FreeEffort(ref.type(), ref.encoding(), ref.pointer()) <= kFewBlocks) return true;
  return Cut::HandSome(shard, ref, deadline_us);
}

// Strings are handed over at once, whatever their size.
bool MayChangeBigValues(const Command& command) {
  return (command.flags & (kWrite | kRunsScript)) != 0 && command.spec->group != Group::kString;
}

bool AreHandedOver(Worker& worker, int db, const Command& command, std::span<const std::string_view> argv,
                   int64_t deadline_us) {
  if (!MayChangeBigValues(command)) return true;
  worker.key_positions.clear();
  if (!FindKeys(command, argv, &worker.key_positions)) return true;
  return std::all_of(worker.key_positions.begin(), worker.key_positions.end(), [&](const KeyPosition& key) {
    return (key.flags & (kKeyNotKey | kKeyRO)) != 0 || IsHandedOver(db, argv[key.index], deadline_us);
  });
}

}  // namespace

bool WaitsForCut(Connection& connection, const Command& command, std::span<const std::string_view> argv) {
  Worker& worker = *connection.worker;
  const Transaction* transaction = connection.transaction.get();
  bool in_multi = transaction != nullptr && transaction->in_multi;
  bool exec = in_multi && Transactions::IsExec(command);
  if (worker.in_busy_turn || (in_multi && !exec) || (!exec && !MayChangeBigValues(command))) return false;
  int64_t now = MonotonicUs();
  if (connection.awaits_cut_us != 0 && now - connection.awaits_cut_us > kLongestUs) {
    connection.awaits_cut_us = 0;
    return false;
  }
  int64_t deadline = now + kSliceUs;
  bool handed_over;
  if (exec) {
    handed_over = std::all_of(transaction->queue.begin(), transaction->queue.end(), [&](const QueuedCommand& queued) {
      return AreHandedOver(worker, connection.db, *queued.command, queued.argv, deadline);
    });
  } else {
    handed_over = AreHandedOver(worker, connection.db, command, argv, deadline);
  }
  if (handed_over) {
    connection.awaits_cut_us = 0;
  } else if (connection.awaits_cut_us == 0) {
    connection.awaits_cut_us = now;
  }
  return !handed_over;
}

}  // namespace brim
