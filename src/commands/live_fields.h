#pragma once
// Hashes as commands see them: a field whose time is past is absent.
//
// A command that names fields deletes those that are due (LookupFields), as looking at a key that is past its time
// deletes the key; one that goes over all of them passes the due ones over (LiveTime, types/hash_expiry.h) and leaves
// them to the expiry cycle. HSET, HDEL and HLEN, as in Redis, take what is there.
#include <span>
#include <string_view>

#include "command/context.h"
#include "types/hash_expiry.h"

namespace brim {

// Fields whose time is before this are hidden. Never any while a record is replayed.
inline int64_t LiveTime(const Context& context) { return replaying ? INT64_MIN : context.now_ms(); }

// Deletes those of the fields (every `step`th of the words) that are due, unless expiry is paused. *ref is empty when
// the hash went with its last field.
void ExpireNamed(Context& context, KeyRef* ref, std::span<const std::string_view> words, size_t step);

// An empty hash at the key, which is absent.
inline KeyRef CreateHash(Context& context, std::string_view key) {
  KeyRef ref = context.Create(key, Type::kHash, Encoding::kListpack, EmptyHashBytes());
  InitHash(ref);
  return ref;
}

// The hash at the key, for a command about these fields; empty when there is none, or with WRONGTYPE replied.
inline KeyRef LookupFields(Context& context, LookupKind kind, std::span<const std::string_view> words, size_t step,
                           bool* wrong_type) {
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, kind, wrong_type);
  if (!*wrong_type && ref && HashIsTimed(ref)) [[unlikely]]
    ExpireNamed(context, &ref, words, step);
  return ref;
}

// HashGet, HashFieldTime and HashContains of a hash or of nothing, without fields that are due (as they may still be
// while expiry is paused).
inline bool LiveGet(const Context& context, const KeyRef& ref, std::string_view field, char* buffer,
                    std::string_view* text) {
  if (!ref || !HashGet(ref, field, buffer, text)) return false;
  return !HashIsTimed(ref) || !FieldIsDue(HashFieldTime(ref, field), LiveTime(context));
}
inline int64_t LiveFieldTime(const Context& context, const KeyRef& ref, std::string_view field) {
  if (!ref) return kNoField;
  int64_t at_ms = HashFieldTime(ref, field);
  return FieldIsDue(at_ms, LiveTime(context)) ? kNoField : at_ms;
}
inline bool LiveContains(const Context& context, const KeyRef& ref, std::string_view field) {
  return LiveFieldTime(context, ref, field) != kNoField;
}

}  // namespace brim
