#pragma once
// How big a database's keys are, type by type, in powers of two: INFO keysizes. docs/watching.md.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace brim {

class KeySizes {
 public:
  // Looks at the database's keys: at each where they are few, at a sample where they are many, counts put up to what
  // all would give. With `memory`, at what collections take too. Every thread paused.
  KeySizes(int db, bool memory);

  // "db0_distrib_strings_sizes:1=2,4K=1" and so on, a line a type that has keys; each ended as INFO's lines are.
  std::string Lines() const;

 private:
  static constexpr size_t kTypes = 5;  // strings, lists, sets, sorted sets, hashes
  static constexpr size_t kBins = 61;  // 0, then [2^i, 2^(i+1))
  using Bins = std::array<uint64_t, kBins>;
  struct Seen {
    std::array<Bins, kTypes> lengths{};
    std::array<Bins, kTypes> bytes{};
  };
  void LookAt(int shard, bool memory);
  void Look(Seen& seen, const class KeyRef& key, bool memory) const;
  void Add(const Seen& seen, double scale);

  int db_;
  Seen sum_;
};

}  // namespace brim
