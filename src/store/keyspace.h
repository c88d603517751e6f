#pragma once
// One database's keys in one shard, and the handle on one of them. All calls need the shard's lock.
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "store/entry.h"
#include "types/table.h"
#include "types/value.h"

namespace brim {

class Keyspace;
class Shard;

// A handle on one key's entry. Valid while its shard stays locked and the key exists; inserting or erasing OTHER keys
// does not invalidate it. Cheap to copy, but after a mutating call through one copy the others are stale.
class KeyRef final : public Value {
 public:
  KeyRef() = default;
  KeyRef(Keyspace* keyspace, Entry* entry, uint64_t hash) : keyspace_(keyspace), hash_(hash) { Attach(entry); }
  explicit operator bool() const { return entry_ != nullptr; }

  std::string_view key() const { return entry_->key(); }
  uint64_t hash() const { return hash_; }
  Entry& entry() const { return *entry_; }
  Keyspace& keyspace() const { return *keyspace_; }

  // Milliseconds since 1970, or -1 without expiry.
  int64_t expiry_ms() const { return entry_->expiry_ms(); }
  // Sets (at_ms >= 0) or removes (-1) the expiry; may move the entry. O(1).
  void SetExpiry(int64_t at_ms);

  uint8_t* data() override { return entry_->value(); }
  const uint8_t* bytes() const { return entry_->value(); }
  size_t size() const override { return entry_->value_bytes(); }
  uint8_t* Resize(size_t bytes) override;
  void* pointer() const override { return entry_->pointer(); }
  uint8_t* MakeInline(Encoding encoding, size_t bytes) override;
  void MakeExternal(Encoding encoding, void* structure) override;
  void SetEncoding(Encoding encoding) override;
  size_t int_width() const { return entry_->int_width(); }
  int64_t GetInt() const override;
  void MakeInt(int64_t number) override;

  // Frees what the value holds and gives the entry another type, encoding and expiry: `bytes` uninitialised bytes for
  // the caller to fill (Encoding::kInt: 1, 2, 4 or 8; external: 8, to be set with SetPointer). With `lazy`, a big
  // structure goes to the shard's lazy-free list.
  uint8_t* Retype(Type type, Encoding encoding, size_t bytes, int64_t expiry_ms, bool external, bool lazy);
  void SetPointer(void* structure) { entry_->SetPointer(structure); }
  // Frees the external structure, if any (the value is then to be replaced).
  void FreeStructure(bool lazy);

 private:
  // Gives the external structure away: the key is left with a number, to be erased.
  friend void* GiveStructure(KeyRef& ref) { return ref.GiveStructure(); }
  void* GiveStructure();
  friend class Keyspace;
  void Attach(Entry* entry) {
    entry_ = entry;
    if (entry == nullptr) return;
    type_ = entry->type();
    encoding_ = entry->encoding();
    external_ = entry->external();
    heap_ = KeyspaceHeap();
  }
  Heap* KeyspaceHeap() const;
  // Gives the entry a block with room for `value_bytes`, header and key kept, the value's first `keep` bytes too.
  void Reblock(size_t value_bytes, size_t keep, int64_t expiry_ms);
  void Refresh() { Attach(entry_); }
  // A hash with field expiry: its next field is due then (types/hash_expiry.h tells by itself when that changes).
  void NoteDue(int64_t at_ms) override;
  // The value's encoding was `old` until now.
  void NoteEncoding(Encoding old);

  Keyspace* keyspace_ = nullptr;
  Entry* entry_ = nullptr;
  uint64_t hash_ = 0;
};

class Keyspace {
 public:
  Keyspace(Shard* shard, Heap* heap, int db);
  ~Keyspace();

  // The key's entry, expired or not; empty when absent. Touches nothing. O(1).
  KeyRef Find(std::string_view key, uint64_t hash) {
    Table::Slot slot = table_.Find(hash, [key](const void* b) { return static_cast<const Entry*>(b)->KeyIs(key); });
    return slot ? KeyRef(this, slot.As<Entry>(), hash) : KeyRef();
  }
  // As Find; *state is where the slot's eviction byte lies (valid until the next insert or erase).
  KeyRef Find(std::string_view key, uint64_t hash, Table::Slot* slot) {
    *slot = table_.Find(hash, [key](const void* b) { return static_cast<const Entry*>(b)->KeyIs(key); });
    return *slot ? KeyRef(this, slot->As<Entry>(), hash) : KeyRef();
  }
  // Adds a key that is absent, with an inline value of `bytes` uninitialised bytes to be filled by the caller.
  KeyRef Insert(std::string_view key, uint64_t hash, Type type, Encoding encoding, size_t bytes,
                int64_t expiry_ms = -1);
  // Removes the key and frees its value; with `lazy`, a big structure goes to the shard's lazy-free list.
  void Erase(KeyRef& ref, bool lazy);
  // Frees everything at once.
  void Clear();
  void SwapContents(Keyspace& other) {
    table_.Swap(other.table_);
    std::swap(expires_, other.expires_);
    std::swap(timed_hashes_, other.timed_hashes_);
  }
  // Frees up to `segments` segments with their keys; the keyspace takes no other call until it returns true: empty.
  bool DrainSome(size_t segments);

  size_t size() const { return table_.size(); }
  size_t expires() const { return expires_; }
  // Hashes some of whose fields have an expiry.
  size_t timed_hashes() const { return timed_hashes_; }
  // A slot's flag: the key has an expiry, or is a hash some of whose fields have one. Its hint (types/expiry_hint.h)
  // is no later than the earliest of them.
  Table& table() { return table_; }
  const Table& table() const { return table_; }
  Shard& shard() const { return *shard_; }
  Heap& heap() const { return *heap_; }
  int db() const { return db_; }
  void SetDb(int db) { db_ = db; }

  // Sum of the expiry times' distance, for INFO's avg_ttl: kept as a running estimate by the expiry cycle.
  int64_t avg_ttl_ms = 0;

 private:
  friend class KeyRef;
  void NoteExpiry(uint64_t hash, const Entry* entry, bool had, bool has, int64_t at_ms);

  Shard* shard_;
  Heap* heap_;
  int db_;
  Table table_;
  size_t expires_ = 0;
  size_t timed_hashes_ = 0;
};

}  // namespace brim
