#include "store/keyspace.h"

#include <algorithm>
#include <cstring>

#include "store/cut.h"
#include "store/shard.h"
#include "types/expiry_hint.h"
#include "types/hash_expiry.h"

namespace brim {

namespace {

uint64_t HashOfEntry(const void* block) { return HashBytes(static_cast<const Entry*>(block)->key()); }

size_t WidthOf(int64_t n) {
  if (n == static_cast<int8_t>(n)) return 1;
  if (n == static_cast<int16_t>(n)) return 2;
  return n == static_cast<int32_t>(n) ? 4 : 8;
}

}  // namespace

Heap* KeyRef::KeyspaceHeap() const { return &keyspace_->heap(); }

void KeyRef::Reblock(size_t value_bytes, size_t keep, int64_t expiry_ms) {
  Heap& heap = keyspace_->heap();
  Entry* old = entry_;
  bool same_head = old->has_expiry() == (expiry_ms >= 0);
  size_t old_bytes = heap.BlockSize(old);
  size_t bytes = Entry::BytesFor(old->key_size(), expiry_ms >= 0, value_bytes);
  if (same_head) {
    if (Heap::GrantedSize(bytes) != old_bytes) {
      entry_ = static_cast<Entry*>(heap.Reallocate(old, old_bytes, bytes, MemoryCategory::kData, BlockKind::kEntry));
    }
    if (expiry_ms >= 0) entry_->WriteExpiry(expiry_ms);
  } else {
    auto* fresh = static_cast<Entry*>(heap.Allocate(bytes, MemoryCategory::kData, BlockKind::kEntry));
    fresh->CopyIdentity(*old, expiry_ms);
    memcpy(fresh->value(), old->value(), std::min(keep, value_bytes));
    heap.Free(old, old_bytes, MemoryCategory::kData);
    entry_ = fresh;
  }
  if (entry_ != old) {
    Table::Slot slot = keyspace_->table().FindBlock(hash_, old);
    slot.SetBlock(entry_);
  }
}

uint8_t* KeyRef::Resize(size_t bytes) {
  Reblock(bytes, bytes, entry_->expiry_ms());
  return entry_->value();
}

uint8_t* KeyRef::MakeInline(Encoding encoding, size_t bytes) {
  Encoding old = entry_->encoding();
  Reblock(bytes, 0, entry_->expiry_ms());
  entry_->SetExternal(false);
  entry_->SetType(entry_->type(), encoding);
  Refresh();
  NoteEncoding(old);
  return entry_->value();
}

void KeyRef::MakeExternal(Encoding encoding, void* structure) {
  Encoding old = entry_->encoding();
  Reblock(sizeof(void*), 0, entry_->expiry_ms());
  entry_->SetExternal(true);
  entry_->SetType(entry_->type(), encoding);
  entry_->SetPointer(structure);
  Refresh();
  NoteEncoding(old);
}

void KeyRef::SetEncoding(Encoding encoding) {
  entry_->SetType(entry_->type(), encoding);
  encoding_ = encoding;
}

int64_t KeyRef::GetInt() const {
  const uint8_t* bytes = entry_->value();
  switch (entry_->int_width()) {
    case 1:
      return static_cast<int8_t>(bytes[0]);
    case 2: {
      int16_t n;
      memcpy(&n, bytes, 2);
      return n;
    }
    case 4: {
      int32_t n;
      memcpy(&n, bytes, 4);
      return n;
    }
    default: {
      int64_t n;
      memcpy(&n, bytes, 8);
      return n;
    }
  }
}

void KeyRef::MakeInt(int64_t number) {
  size_t width = WidthOf(number);
  uint8_t* bytes = MakeInline(Encoding::kInt, width);
  entry_->SetIntWidth(width);
  memcpy(bytes, &number, width);
}

void KeyRef::FreeStructure(bool lazy) {
  Cut::Before(*this);
  if (!entry_->external()) return;
  void* structure = entry_->pointer();
  if (lazy && FreeEffort(type_, encoding_, structure) > 64) {
    keyspace_->shard().FreeLater({type_, encoding_, structure});
  } else {
    FreeExternal(keyspace_->heap(), type_, encoding_, structure);
  }
}

uint8_t* KeyRef::Retype(Type type, Encoding encoding, size_t bytes, int64_t expiry_ms, bool external, bool lazy) {
  Cut::Before(*this);
  // Who waits for a stream has to hear that there is none any more.
  if (type_ == Type::kStream && type != type_) keyspace_->shard().SignalReady(keyspace_->db(), key());
  FreeStructure(lazy);
  bool had = entry_->has_expiry();
  if (had || expiry_ms >= 0) keyspace_->NoteExpiry(hash_, entry_, had, expiry_ms >= 0, expiry_ms);
  Reblock(bytes, 0, expiry_ms);
  entry_->SetExternal(external);
  Encoding old = entry_->encoding();
  entry_->SetType(type, encoding);
  if (encoding == Encoding::kInt) entry_->SetIntWidth(bytes);
  Refresh();
  NoteEncoding(old);
  return entry_->value();
}

void* KeyRef::GiveStructure() {
  void* structure = entry_->pointer();
  Encoding old = entry_->encoding();
  entry_->SetExternal(false);  // the 8 bytes left count as an integer
  entry_->SetType(type_, Encoding::kInt);
  entry_->SetIntWidth(sizeof structure);
  Refresh();
  NoteEncoding(old);
  return structure;
}

void KeyRef::NoteEncoding(Encoding old) {
  if (IsTimedEncoding(old) == IsTimedEncoding(encoding_)) return;
  bool timed = IsTimedEncoding(encoding_);
  keyspace_->timed_hashes_ += timed ? size_t{1} : ~size_t{0};
  keyspace_->table().FindBlock(hash_, entry_).SetFlag(timed || entry_->has_expiry());
}

void KeyRef::NoteDue(int64_t at_ms) { keyspace_->table().LowerHint(hash_, ExpiryHint(at_ms)); }

void KeyRef::SetExpiry(int64_t at_ms) {
  Cut::Before(*this);
  bool had = entry_->has_expiry();
  if (!had && at_ms < 0) return;
  keyspace_->NoteExpiry(hash_, entry_, had, at_ms >= 0, at_ms);
  Reblock(entry_->value_bytes(), entry_->value_bytes(), at_ms);
}

Keyspace::Keyspace(Shard* shard, Heap* heap, int db) : shard_(shard), heap_(heap), db_(db), table_(heap, HashOfEntry) {}

Keyspace::~Keyspace() { Clear(); }

void Keyspace::NoteExpiry(uint64_t hash, const Entry* entry, bool had, bool has, int64_t at_ms) {
  if (had != has) {
    expires_ += has ? size_t{1} : ~size_t{0};
    table_.FindBlock(hash, entry).SetFlag(has || IsTimedEncoding(entry->encoding()));
  }
  if (has) table_.LowerHint(hash, ExpiryHint(at_ms));
}

KeyRef Keyspace::Insert(std::string_view key, uint64_t hash, Type type, Encoding encoding, size_t bytes,
                        int64_t expiry_ms) {
  auto* entry = static_cast<Entry*>(
      heap_->Allocate(Entry::BytesFor(key.size(), expiry_ms >= 0, bytes), MemoryCategory::kData, BlockKind::kEntry));
  entry->Init(type, encoding, key, expiry_ms, false);
  if (encoding == Encoding::kInt) entry->SetIntWidth(bytes);
  Table::Slot slot = table_.Insert(hash, entry);
  if (expiry_ms >= 0) {
    slot.SetFlag(true);
    expires_++;
    table_.LowerHint(hash, ExpiryHint(expiry_ms));
  }
  if (IsTimedEncoding(encoding)) {
    slot.SetFlag(true);
    timed_hashes_++;
  }
  StampNew(shard_->clock(), *entry, slot);
  return {this, entry, hash};
}

void Keyspace::Erase(KeyRef& ref, bool lazy) {
  Cut::Before(ref);
  if (ref.type() == Type::kStream) shard_->SignalReady(db_, ref.key());
  ref.FreeStructure(lazy);
  Entry* entry = ref.entry_;
  if (entry->has_expiry()) expires_--;
  if (IsTimedEncoding(entry->encoding())) timed_hashes_--;
  table_.Erase(ref.hash_, table_.FindBlock(ref.hash_, entry));
  heap_->Free(entry, heap_->BlockSize(entry), MemoryCategory::kData);
  ref.entry_ = nullptr;
}

void Keyspace::Clear() {
  while (!DrainSome(1024)) {
  }
}

bool Keyspace::DrainSome(size_t segments) {
  expires_ = 0;
  timed_hashes_ = 0;
  return table_.Drain(segments, [this](Table::Slot slot) {
    auto* entry = slot.As<Entry>();
    if (entry->external()) FreeExternal(*heap_, entry->type(), entry->encoding(), entry->pointer());
    heap_->Free(entry, heap_->BlockSize(entry), MemoryCategory::kData);
  });
}

}  // namespace brim
