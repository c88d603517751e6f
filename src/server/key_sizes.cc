#include "server/key_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "store/shard.h"
#include "types/string.h"

namespace brim {

namespace {

// Each costs a cache miss or two while everybody waits, and monitors ask for INFO all every few seconds.
constexpr size_t kFewKeys = 10'000;          // of all shards: a millisecond
constexpr size_t kSampledBuckets = 1 << 10;  // of all shards, where there are more
constexpr size_t kFetchedBuckets = 32;
constexpr size_t kSampledElements = 5;  // of a collection whose memory is asked for

// Where each type stands; types that are not shown: none.
int PlaceOf(Type type) {
  switch (type) {
    case Type::kString:
      return 0;
    case Type::kList:
      return 1;
    case Type::kSet:
      return 2;
    case Type::kZset:
      return 3;
    case Type::kHash:
      return 4;
    default:
      return -1;
  }
}

constexpr const char* kLengthNames[] = {"strings_sizes", "lists_items", "sets_items", "zsets_items", "hashes_items"};
constexpr const char* kByteNames[] = {nullptr, "lists_sizes", "sets_sizes", "zsets_sizes", "hashes_sizes"};

size_t BinOf(size_t n) { return n == 0 ? 0 : static_cast<size_t>(std::bit_width(n)); }

// The least that falls into the bin: 0 1 2 4 ... 512 1K 2K ...
std::string BinName(size_t bin) {
  constexpr const char* kUnits[] = {"", "K", "M", "G", "T", "P"};
  if (bin == 0) return "0";
  size_t power = bin - 1;
  return fmt::format("{}{}", uint64_t{1} << power % 10, kUnits[power / 10]);
}

}  // namespace

KeySizes::KeySizes(int db, bool memory) : db_(db) {
  for (int i = 0; i < shards.count(); i++) LookAt(i, memory);
}

void KeySizes::Look(Seen& seen, const KeyRef& key, bool memory) const {
  int place = PlaceOf(key.type());
  if (place < 0) return;
  auto at = static_cast<size_t>(place);
  seen.lengths[at][BinOf(place == 0 ? StringLength(key) : ValueLength(key))]++;
  if (!memory || place == 0) return;
  size_t bytes = key.heap().BlockSize(&key.entry()) + ExternalBytes(key, kSampledElements);
  seen.bytes[at][BinOf(bytes)]++;
}

void KeySizes::LookAt(int shard, bool memory) {
  Keyspace& keyspace = shards[shard].db(db_);
  Seen seen;
  size_t looked_at = 0;
  auto look = [&](Table::Slot slot) {
    Look(seen, KeyRef(&keyspace, slot.As<Entry>(), 0), memory);
    looked_at++;
  };
  auto shard_count = static_cast<size_t>(shards.count());
  if (keyspace.size() <= kFewKeys / shard_count) {
    keyspace.table().ForEach(look);
    Add(seen, 1);
    return;
  }
  // Buckets, then entries, are fetched together: one after the other each would be waited for.
  std::array<uint8_t*, kFetchedBuckets> buckets;
  std::vector<Table::Slot> slots;
  for (size_t i = 0; i < kSampledBuckets / shard_count; i += buckets.size()) {
    for (uint8_t*& bucket : buckets) {
      bucket = keyspace.table().RandomBucket();
      __builtin_prefetch(bucket);
    }
    slots.clear();
    for (uint8_t* bucket : buckets) {
      Table::VisitBucket(bucket, [&](Table::Slot slot) {
        __builtin_prefetch(slot.As<Entry>());
        slots.push_back(slot);
      });
    }
    std::for_each(slots.begin(), slots.end(), look);
  }
  if (looked_at > 0) Add(seen, static_cast<double>(keyspace.size()) / static_cast<double>(looked_at));
}

void KeySizes::Add(const Seen& seen, double scale) {
  auto add = [scale](std::array<Bins, kTypes>& to, const std::array<Bins, kTypes>& from) {
    for (size_t type = 0; type < kTypes; type++) {
      for (size_t bin = 0; bin < kBins; bin++) {
        if (from[type][bin] == 0) continue;
        to[type][bin] += static_cast<uint64_t>(std::llround(static_cast<double>(from[type][bin]) * scale));
      }
    }
  };
  add(sum_.lengths, seen.lengths);
  add(sum_.bytes, seen.bytes);
}

std::string KeySizes::Lines() const {
  std::string text;
  auto line = [&](const char* name, const Bins& bins) {
    std::string counts;
    for (size_t bin = 0; bin < kBins; bin++) {
      if (bins[bin] == 0) continue;
      counts += fmt::format("{}{}={}", counts.empty() ? "" : ",", BinName(bin), bins[bin]);
    }
    if (!counts.empty()) text += fmt::format("db{}_distrib_{}:{}\r\n", db_, name, counts);
  };
  for (size_t type = 0; type < kTypes; type++) line(kLengthNames[type], sum_.lengths[type]);
  for (size_t type = 1; type < kTypes; type++) line(kByteNames[type], sum_.bytes[type]);
  return text;
}

}  // namespace brim
