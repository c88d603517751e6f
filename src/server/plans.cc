// What dispatch finds out about a batch before any of it runs: commands, hashes of keys, and the keys' cache lines,
// which are fetched meanwhile. docs/threads.md.
#include <cstring>

#include "resp/parser.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr size_t kPeekArgs = 4;

// Of names and keys, which are short.
inline bool SameText(std::string_view a, std::string_view b) {
  size_t size = a.size();
  if (size != b.size()) return false;
  if (size < 4 || size > 16) return a == b;
  auto same = [&a, &b, size]<class Word>(Word) {
    Word words[4];
    memcpy(&words[0], a.data(), sizeof(Word));
    memcpy(&words[1], b.data(), sizeof(Word));
    memcpy(&words[2], a.data() + size - sizeof(Word), sizeof(Word));
    memcpy(&words[3], b.data() + size - sizeof(Word), sizeof(Word));
    return ((words[0] ^ words[1]) | (words[2] ^ words[3])) == 0;
  };
  return size < 8 ? same(uint32_t{}) : same(uint64_t{});
}

}  // namespace

// The first key is at argv[1] of nearly every command that has keys, and of a script behind their number.
size_t Dispatcher::FirstKey(const Command& command) {
  constexpr size_t kScriptKey = 3;
  return (command.flags & kRunsScript) != 0 ? kScriptKey : static_cast<size_t>(command.first_key);
}

void Dispatcher::MakePlans(Connection& connection, Plan* plans, size_t count) {
  Worker& worker = *connection.worker;
  std::string_view last_name;
  std::string_view last_key;
  size_t to_fetch = 0;
  for (size_t i = 0; i < count; i++) {
    const ParsedCommand& parsed = worker.parsed[i];
    std::span<const std::string_view> argv(worker.args.data() + parsed.first_arg, parsed.argc);
    Plan& plan = plans[i];
    const Plan* before = i > 0 ? &plans[i - 1] : nullptr;
    if (before == nullptr && worker.peeked != nullptr) {
      const Peeked& peeked = *worker.peeked;
      worker.peeked = nullptr;
      if (argv.size() > 1 && argv[0].data() == peeked.name && argv[1].data() == peeked.second) {
        bool hashed = peeked.table != nullptr && peeked.command->one_key;
        plan = {peeked.command, nullptr, peeked.hash, hashed, false, false};
        last_name = argv[0];
        if (hashed) last_key = argv[FirstKey(*plan.command)];
        continue;
      }
    }
    // Pipelines repeat their commands: a name that is the last one's, byte for byte, needs no look-up.
    bool same = before != nullptr && SameText(argv[0], last_name) && before->command != nullptr && !before->container &&
                before->command->subcommands.empty();
    plan = {nullptr, nullptr, 0, false, false, false};
    plan.command = same ? before->command : registry.Resolve(argv, &plan.container);
    last_name = argv[0];
    if (plan.command == nullptr) continue;
    size_t first = FirstKey(*plan.command);
    plan.hashed = plan.command->one_key && first < argv.size();
    if (first == 0 || first >= argv.size() || (count == 1 && !plan.hashed)) continue;
    std::string_view key = argv[first];
    // And their keys, where they fill a collection: what was done for the last one need not be done again.
    if (same && before->hashed && plan.hashed && SameText(key, last_key)) {
      plan.hash = before->hash;
      plan.repeats = true;
      continue;
    }
    last_key = key;
    plan.hash = HashBytes(key);
    if (count == 1) return;
    shards.Of(plan.hash).db(connection.db).table().PrefetchBucket(plan.hash);
    plan.fetches = true;
    to_fetch++;
  }
  for (size_t i = 0; to_fetch > 0; i++) {
    if (!plans[i].fetches) continue;
    shards.Of(plans[i].hash).db(connection.db).table().PrefetchBlock(plans[i].hash);
    to_fetch--;
  }
}

Peeked Dispatcher::PrefetchFirst(Connection& connection, std::string_view data) {
  Peeked peeked;
  std::string_view args[kPeekArgs];
  size_t count = RequestParser::Peek(data, args, 2);
  if (count < 2) return peeked;
  const Command* container;
  const Command* command = registry.Resolve({args, count}, &container);
  peeked.command = command;
  if (command == nullptr) return peeked;
  peeked.name = args[0].data();
  peeked.second = args[1].data();
  size_t first = FirstKey(*command);
  if (first >= count && first < kPeekArgs) count = RequestParser::Peek(data, args, first + 1);
  if (first == 0 || first >= count) return peeked;
  peeked.hash = HashBytes(args[first]);
  peeked.table = &shards.Of(peeked.hash).db(connection.db).table();
  peeked.table->PrefetchBucket(peeked.hash);
  return peeked;
}

}  // namespace brim
