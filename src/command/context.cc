#include "command/context.h"

#include <algorithm>
#include <cassert>

#include "store/shard.h"

namespace brim {

KeyRef Context::LookupIn(int db, std::string_view key, LookupKind kind) {
  uint64_t hash = HashOf(key);
  Shard& shard = shards.Of(hash);
  if (!(locked_ >> shard.index() & 1)) {
    assert(waking_ && "key of a shard that is not locked");
    return {};
  }
  if (waking_ && key != waking_key_ && std::find(waking_keys_.begin(), waking_keys_.end(), key) != waking_keys_.end())
    return {};
  Table::Slot slot;
  KeyRef ref = shard.db(db).Find(key, hash, &slot);
  if (ref && ref.entry().has_expiry() && TimeHasCome(*this, ref.expiry_ms())) {
    if (!expiry_paused.load(std::memory_order_relaxed)) shard.RemoveExpired(ref);
    ref = KeyRef();
  }
  if (!ref) {
    if (kind == LookupKind::kRead || kind == LookupKind::kLook || kind == LookupKind::kInspect) {
      KeyspaceFigures::Add(figures_->misses, 1);
      if (kind != LookupKind::kInspect) NotifyIn(db, kNotifyKeyMiss, "keymiss", key);
    }
    return ref;
  }
  // What a command that writes has looked at, it may change next.
  if (spec_->flags & kWrite) Cut::Before(ref);
  if (kind == LookupKind::kPeek) return ref;
  if (kind != LookupKind::kWrite) KeyspaceFigures::Add(figures_->hits, 1);
  if (kind == LookupKind::kLook || kind == LookupKind::kInspect) return ref;
  if (!no_touch_) StampUse(shard.clock(), ref.keyspace(), ref.entry(), slot, false);
  return ref;
}

KeyRef Context::LookupTyped(std::string_view key, Type type, LookupKind kind, bool* wrong_type) {
  KeyRef ref = Lookup(key, kind);
  *wrong_type = ref && ref.type() != type;
  if (*wrong_type) reply_->Error(errors::kWrongType);
  return ref;
}

KeyRef Context::CreateIn(int db, std::string_view key, Type type, Encoding encoding, size_t bytes, int64_t expiry_ms,
                         bool replaces) {
  uint64_t hash = HashOf(key);
  Shard& shard = shards.Of(hash);
  KeyRef ref = shard.db(db).Insert(key, hash, type, encoding, bytes, expiry_ms);
  if (shard.has_waiters()) shard.SignalReady(db, key);
  if (!replaces) NotifyIn(db, kNotifyNew, "new", key);
  return ref;
}

bool Context::DeleteIn(int db, std::string_view key, bool lazy) {
  KeyRef ref = LookupIn(db, key, LookupKind::kPeek);
  if (!ref) return false;
  Delete(ref, lazy);
  return true;
}

void Context::Delete(KeyRef& ref, bool lazy) { ref.keyspace().Erase(ref, lazy); }

void Context::ChangedIn(int db, std::string_view key, NotifyClass event_class, const char* event, size_t changes) {
  KeyspaceFigures::Add(figures_->changes, changes);
  uint64_t hash = HashOf(key);
  Shard& shard = shards.Of(hash);
  shard.TouchWatchers(db, key);
  if (auto* hook = changed_hook.load(std::memory_order_relaxed); hook != nullptr) [[unlikely]]
    hook(key, hash, true);
  if (eviction.IsLrm()) {
    Table::Slot slot;
    if (KeyRef ref = shard.db(db).Find(key, hash, &slot))
      StampUse(shard.clock(), ref.keyspace(), ref.entry(), slot, true);
  }
  if (event != nullptr) NotifyIn(db, event_class, event, key);
}

void Context::NotifyIn(int db, NotifyClass event_class, const char* event, std::string_view key) {
  if (notify_hook != nullptr && (notify_classes & event_class)) notify_hook(event, key, db);
}

void Context::CountChanges(int64_t n) {
  if (n > 0) KeyspaceFigures::Add(figures_->changes, static_cast<uint64_t>(n));
}

void Context::SignalReady(int db, std::string_view key) {
  Shard& shard = shards.Of(HashOf(key));
  if (shard.has_waiters()) shard.SignalReady(db, key);
}

}  // namespace brim
