// What goes by itself when its time has come: keys, and fields of hashes.
//
// A key's slot is flagged when it has an expiry or is a hash some of whose fields have one, and each segment of the
// table has a hint of its earliest time. So a cycle looks only into segments in which something is due; in a big hash
// the same hints lead to the fields.
#include "store/expiry.h"

#include <algorithm>

#include "base/monotonic.h"
#include "store/shard.h"
#include "types/expiry_hint.h"
#include "types/hash_expiry.h"

namespace brim {

namespace {

constexpr size_t kSegmentsAStep = 256;
constexpr size_t kMostDue = 1024;  // keys in a step
constexpr size_t kKeysAHash = 4;   // a hash with fields to delete takes as long as so many

// When the hash's next field is due; INT64_MAX for all other values.
int64_t NextFieldDue(Keyspace* keyspace, Entry* entry) {
  return IsTimedEncoding(entry->encoding()) ? HashNextDue(KeyRef(keyspace, entry, 0)) : INT64_MAX;
}

// After fields have gone, and the key too when none is left.
void NoteShrunk(KeyRef& ref) {
  Shard& shard = ref.keyspace().shard();
  bool emptied = HashLength(ref) == 0;
  int db = ref.keyspace().db();
  if (shard_observer != nullptr) shard_observer->HashShrunk(shard, db, ref.key(), emptied);
  shard.TouchWatchers(db, ref.key());
  if (emptied) ref.keyspace().Erase(ref, lazyfree.expire);
}

// Before they go.
void NoteDueFields(const KeyRef& ref, std::span<const std::string_view> fields) {
  Shard& shard = ref.keyspace().shard();
  Cut::Before(ref);
  if (shard_observer != nullptr) shard_observer->FieldsRemoved(shard, ref.keyspace().db(), ref.key(), fields);
  shard.expired_fields.fetch_add(fields.size(), std::memory_order_relaxed);
}

}  // namespace

void RemoveDueFields(KeyRef& ref, std::span<const std::string_view> fields) {
  NoteDueFields(ref, fields);
  for (std::string_view field : fields) HashDelete(ref, field);
  NoteShrunk(ref);
}

bool ExpireFields(KeyRef& ref, int64_t now_ms, int64_t deadline_us) {
  DueFields due;
  bool any = false;
  bool over = false;
  while (!over && due.Find(ref, now_ms)) {
    NoteDueFields(ref, due.names());
    due.Delete(ref);
    any = true;
    over = MonotonicUs() >= deadline_us;
  }
  if (any) NoteShrunk(ref);
  return !over;
}

void Shard::RemoveExpired(KeyRef& ref) { RemoveByItself(ref, Removal::kExpired, lazyfree.expire); }

// One step through the hints: what is due comes into due_ and due_hashes_. True at the end of the table.
bool Shard::FindDue(Keyspace& keyspace, int64_t now_ms) {
  due_.clear();
  due_hashes_.clear();
  bool full = false;
  auto look = [&](uint64_t word, uint32_t hint) {
    full = due_.size() + kKeysAHash * due_hashes_.size() >= kMostDue;
    if (full) return hint;
    uint32_t earliest = Table::kNoHint;
    Table::VisitSegment(word, [](Table::Slot slot) {
      if (slot.flag()) __builtin_prefetch(slot.block());
    });
    Table::VisitSegment(word, [&](Table::Slot slot) {
      if (!slot.flag()) return;
      auto* entry = slot.As<Entry>();
      if (entry->has_expiry()) {
        if (entry->expiry_ms() < now_ms) {
          due_.push_back(entry);
          return;
        }
        earliest = std::min(earliest, ExpiryHint(entry->expiry_ms()));
      }
      int64_t next_field_ms = NextFieldDue(&keyspace, entry);
      if (next_field_ms < now_ms) {
        due_hashes_.push_back(entry);  // its hint is set again behind it
      } else if (next_field_ms != INT64_MAX) {
        earliest = std::min(earliest, ExpiryHint(next_field_ms));
      }
    });
    return earliest;
  };
  uint64_t position = expire_position_;
  bool end = keyspace.table().VisitHints(&expire_position_, kSegmentsAStep, ExpiryHint(now_ms), look);
  // What was left is looked at in the next step; of what was not, the hints say so.
  if (full) expire_position_ = position;
  return end && !full;
}

// False when the time was over before the end.
bool Shard::RemoveDue(Keyspace& keyspace, int64_t now_ms, int64_t deadline_us) {
  for (Entry* entry : due_) {
    KeyRef ref(&keyspace, entry, HashBytes(entry->key()));
    RemoveExpired(ref);
  }
  bool over = false;
  for (Entry* entry : due_hashes_) {
    KeyRef ref(&keyspace, entry, HashBytes(entry->key()));
    if (!over) over = !ExpireFields(ref, now_ms, deadline_us) || MonotonicUs() >= deadline_us;
    if (ref) NoteFieldTimes(ref);
  }
  return !over;
}

bool Shard::ExpireCycle(int64_t now_ms, int64_t deadline_us) {
  for (int visited = 0; visited < databases();) {
    Keyspace& keyspace = db(expire_db_);
    bool end = true;
    if (keyspace.expires() + keyspace.timed_hashes() > 0) {
      end = FindDue(keyspace, now_ms);
      if (!RemoveDue(keyspace, now_ms, deadline_us)) return false;
    }
    if (end) {
      visited++;
      expire_position_ = 0;
      expire_db_ = expire_db_ + 1 == databases() ? 0 : expire_db_ + 1;
    }
    if (MonotonicUs() > deadline_us) return false;
  }
  return true;
}

}  // namespace brim
