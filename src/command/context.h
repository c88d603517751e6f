#pragma once
// What a command handler sees: arguments, the reply writer, the keys. Never a thread, a lock, a socket or a file. The
// shards of the command's keys are locked before the handler runs and unlocked after it.
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "command/effects.h"
#include "command/spec.h"
#include "resp/errors.h"
#include "resp/reply.h"
#include "store/keyspace.h"
#include "store/notify.h"
#include "types/limits.h"

namespace brim {

enum class LookupKind : uint8_t {
  kRead,     // counts keyspace_hits / keyspace_misses (with the keymiss event), refreshes the access (LRU, LFU)
  kWrite,    // refreshes the access; nothing counted
  kLook,     // as kRead, but refreshes nothing (EXISTS, TTL, TYPE)
  kInspect,  // as kLook, without the event (OBJECT)
  kPeek,     // none of it (DEBUG, MEMORY USAGE)
};

// What a blocking command waits for.
struct BlockRequest {
  Type type = Type::kList;                 // keys of this type wake it
  std::span<const std::string_view> keys;  // in the order of preference
  int64_t timeout_ms = 0;                  // 0: for ever
  enum OnTimeout : uint8_t { kNullArray, kNullBulk, kText } on_timeout = kNullArray;
  std::string_view text;  // kText: the reply as it is sent
  // What is run again, where that is not the command as it was sent (XREAD's "$" is what it was); empty: that.
  std::span<const std::string_view> words;
  int64_t look_again_ms = 0;  // then, and each second from then on, it is run again whether or not a key changed; 0: no
  bool ends_without_key = false;  // when a key goes or becomes another type, the wait ends with -UNBLOCKED
};

// Figures of one thread; written by it alone, summed by INFO (relaxed).
struct KeyspaceFigures {
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> misses{0};
  std::atomic<uint64_t> changes{0};
  static void Add(std::atomic<uint64_t>& counter, uint64_t n) {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
};

// Where keyspace events go (pub/sub sets it); null: nowhere. `classes` is notify-keyspace-events as a mask.
inline void (*notify_hook)(const char* event, std::string_view key, int db) = nullptr;
inline uint32_t notify_classes = 0;
// Whether the command's user may read every key (server/acl sets it): for keys that the arguments do not tell. Null:
// all may.
inline bool (*may_read_every_key)(Context& context) = nullptr;
// Who is told of each key that changes or goes, under its shard's lock (client-side caching); null: nobody wants to
// know. `by_command`: not by expiry or eviction.
inline std::atomic<void (*)(std::string_view key, uint64_t hash, bool by_command)> changed_hook{nullptr};
// The same when a database is emptied, under all shards' locks.
inline void (*flushed_hook)() = nullptr;
// Expired keys are not deleted meanwhile (CLIENT PAUSE WRITE), only hidden.
inline std::atomic<bool> expiry_paused{false};

class Context {
 public:
  virtual ~Context() = default;

  // --- arguments; arg(0) is the command's name as sent
  size_t argc() const { return argv_.size(); }
  std::string_view arg(size_t i) const { return argv_[i]; }
  std::span<const std::string_view> argv() const { return argv_; }
  const CommandSpec& spec() const { return *spec_; }

  Reply& reply() { return *reply_; }
  int db() const { return db_; }
  // Milliseconds since 1970, the same through one command, transaction or script.
  int64_t now_ms() const { return now_ms_; }

  // --- keys. A key that is past its time is absent (and deleted on the way, expired_keys counted, where allowed).
  KeyRef Lookup(std::string_view key, LookupKind kind) { return LookupIn(db_, key, kind); }
  KeyRef LookupIn(int db, std::string_view key, LookupKind kind);
  // As Lookup; when the key holds another type, replies WRONGTYPE and sets *wrong_type (the handler returns).
  KeyRef LookupTyped(std::string_view key, Type type, LookupKind kind, bool* wrong_type);
  // Adds an absent key with an inline value of `bytes` uninitialised bytes; wakes clients blocked on it after the
  // command. For collections use the types' own creators on the returned value (InitEmpty...).
  KeyRef Create(std::string_view key, Type type, Encoding encoding, size_t bytes, int64_t expiry_ms = -1) {
    return CreateIn(db_, key, type, encoding, bytes, expiry_ms);
  }
  // `replaces`: the key was there under this command, so that it is not `new` to those who listen.
  KeyRef CreateIn(int db, std::string_view key, Type type, Encoding encoding, size_t bytes, int64_t expiry_ms = -1,
                  bool replaces = false);
  // Removes the key; true if it was there. Big values are freed later when `lazy`. Neither notifies nor counts a
  // change.
  bool Delete(std::string_view key, bool lazy) { return DeleteIn(db_, key, lazy); }
  bool DeleteIn(int db, std::string_view key, bool lazy);
  void Delete(KeyRef& ref, bool lazy);

  // --- effects. Call Changed once for each key whose value, expiry or existence changed: it marks watching
  // transactions, counts rdb_changes_since_last_save, refreshes LRM, and fires the keyspace event (class and name as
  // Redis documents them, e.g. kNotifyHash, "hset"). `event` may be null (no event).
  // `changes` is what counts: none, as in redis-server, for a key from which something moves, or a trim of nothing.
  void Changed(std::string_view key, NotifyClass event_class, const char* event, size_t changes = 1) {
    ChangedIn(db_, key, event_class, event, changes);
  }
  void ChangedIn(int db, std::string_view key, NotifyClass event_class, const char* event, size_t changes = 1);
  // Only the event, or only the count of changes.
  void Notify(NotifyClass event_class, const char* event, std::string_view key) {
    NotifyIn(db_, event_class, event, key);
  }
  void NotifyIn(int db, NotifyClass event_class, const char* event, std::string_view key);
  void CountChanges(int64_t n);

  // --- blocking: false inside MULTI or a script, where the handler answers as if the time were over.
  virtual bool may_block() const = 0;
  // The connection waits; the handler is run again, as if just received, when one of the keys gets a value of the type.
  // The handler returns without a reply.
  virtual void Block(const BlockRequest& request) = 0;
  // Wakes clients blocked on the key after the command, if it holds a type that they wait for (Create does it itself;
  // RENAME, COPY and the like put values there by other ways).
  void SignalReady(int db, std::string_view key);

 protected:
  Context() = default;
  // The command has waited and is run again, by this thread on behalf of its client, for that one of its keys.
  friend bool IsWaking(const Context& context) { return context.waking_; }
  friend std::string_view WakingKey(const Context& context) { return context.waking_key_; }
  // The command is a script's.
  friend bool IsInScript(const Context& context) { return context.in_script_; }
  friend class ContextAccess;
  std::span<const std::string_view> argv_;
  const CommandSpec* spec_ = nullptr;
  Reply* reply_ = nullptr;
  int db_ = 0;
  int64_t now_ms_ = 0;
  // The hash of a key; the dispatcher leaves that of the command's first key here.
  uint64_t HashOf(std::string_view key) const {
    return key.data() == hashed_.data() && key.size() == hashed_.size() ? hash_ : HashBytes(key);
  }

  KeyspaceFigures* figures_ = nullptr;
  std::string_view hashed_;
  uint64_t hash_ = 0;
  uint64_t locked_ = ~uint64_t{0};  // the shards that are locked, a bit each
  bool waking_ = false;             // a blocked command is tried again: keys of shards not locked count as absent
  std::string_view waking_key_;     // then: the one key, of those it waits for, that counts as present
  std::span<const std::string_view> waking_keys_;
  bool no_touch_ = false;  // CLIENT NO-TOUCH
  bool in_script_ = false;
};

// What is recorded for this command in place of its own words (command/effects.h). May be called several times, each
// time with one command that does part of what was done, after it was done. Call Changed as well.
inline void Tell(const Context& context, std::span<const std::string_view> words) {
  if (effects == nullptr) return;
  effects->told = true;
  effects->Add(context.db(), words);
}
inline void Tell(const Context& context, std::initializer_list<std::string_view> words) {
  Tell(context, std::span(words.begin(), words.size()));
}

// Whether a time (ms since 1970) has come. Never while a record is replayed: what was there when it was written is
// there again.
inline bool TimeHasCome(const Context& context, int64_t at_ms) { return at_ms < context.now_ms() && !replaying; }

}  // namespace brim
