// Commands about keys whatever they hold: DEL, EXISTS, TYPE, RENAME, COPY, MOVE, TOUCH ...
#include <string>

#include "base/ascii.h"
#include "base/numbers.h"
#include "command/context.h"
#include "commands/arguments.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/hash_expiry.h"

namespace brim {

namespace {

void DeleteKeys(Context& context, bool lazy) {
  int64_t deleted = 0;
  for (size_t i = 1; i < context.argc(); i++) {
    std::string_view key = context.arg(i);
    if (!context.Delete(key, lazy)) continue;
    context.Changed(key, kNotifyGeneric, "del");
    deleted++;
  }
  context.reply().Integer(deleted);
}

void Del(Context& context) { DeleteKeys(context, lazyfree.user_del); }
void Unlink(Context& context) { DeleteKeys(context, true); }

void CountKeys(Context& context, LookupKind kind) {
  int64_t found = 0;
  for (size_t i = 1; i < context.argc(); i++) {
    if (context.Lookup(context.arg(i), kind)) found++;
  }
  context.reply().Integer(found);
}

void Exists(Context& context) { CountKeys(context, LookupKind::kLook); }
void Touch(Context& context) { CountKeys(context, LookupKind::kRead); }

void TypeOf(Context& context) {
  KeyRef ref = context.Lookup(context.arg(1), LookupKind::kLook);
  context.reply().Simple(TypeName(ref ? ref.type() : Type::kNone));
}

// Puts src's value, expiry and access under another key (which is absent) and removes src. A value keeps its
// structure when both keys lie in one shard; else it is copied into the other shard's heap.
void MoveValue(Context& context, KeyRef& source, int db, std::string_view name) {
  std::string_view from = source.key();
  int64_t expiry_ms = source.expiry_ms();
  uint32_t access = source.entry().access();
  Type type = source.type();
  Encoding encoding = source.encoding();
  KeyRef target;
  if (!source.external()) {
    size_t bytes = source.size();
    if (encoding == Encoding::kInt) bytes = source.int_width();
    target = context.CreateIn(db, name, type, encoding, bytes, expiry_ms);
    memcpy(target.data(), source.bytes(), bytes);
  } else if (type == Type::kString || shards.Of(HashBytes(name)).index() == shards.Of(HashBytes(from)).index()) {
    target = context.CreateIn(db, name, type, encoding, sizeof(void*), expiry_ms);
    target.MakeExternal(encoding, GiveStructure(source));
  } else {
    target = context.CreateIn(db, name, type, Encoding::kInt, sizeof(int64_t), expiry_ms);
    CopyValue(source, target);
  }
  NoteFieldTimes(target);
  target.entry().SetAccess(access);
  context.Delete(source, true);
}

void RenameKey(Context& context, bool only_if_absent) {
  std::string_view from = context.arg(1);
  std::string_view to = context.arg(2);
  KeyRef source = context.Lookup(from, LookupKind::kWrite);
  if (!source) {
    context.reply().Error("ERR no such key");
    return;
  }
  if (from == to) {
    only_if_absent ? context.reply().Integer(0) : context.reply().Ok();
    return;
  }
  KeyRef target = context.Lookup(to, LookupKind::kWrite);
  if (target) {
    if (only_if_absent) {
      context.reply().Integer(0);
      return;
    }
    context.Delete(target, lazyfree.server_del);
  }
  MoveValue(context, source, context.db(), to);
  context.Changed(from, kNotifyGeneric, "rename_from", 0);
  context.ChangedIn(context.db(), to, kNotifyGeneric, "rename_to");
  only_if_absent ? context.reply().Integer(1) : context.reply().Ok();
}

void Rename(Context& context) { RenameKey(context, false); }
void Renamenx(Context& context) { RenameKey(context, true); }

int Databases() { return shards[0].databases(); }

void Move(Context& context) {
  int64_t db;
  if (!ParseInt64(context.arg(2), &db) || db != static_cast<int>(db)) {
    context.reply().Error("ERR value is not an integer or out of range");
    return;
  }
  if (db < 0 || db >= Databases()) {
    context.reply().Error("ERR DB index is out of range");
    return;
  }
  if (db == context.db()) {
    context.reply().Error("ERR source and destination objects are the same");
    return;
  }
  std::string_view key = context.arg(1);
  KeyRef source = context.Lookup(key, LookupKind::kWrite);
  if (!source || context.LookupIn(static_cast<int>(db), key, LookupKind::kWrite)) {
    context.reply().Integer(0);
    return;
  }
  MoveValue(context, source, static_cast<int>(db), key);
  context.Changed(key, kNotifyGeneric, "move_from", 0);
  context.ChangedIn(static_cast<int>(db), key, kNotifyGeneric, "move_to");
  context.reply().Integer(1);
}

void Copy(Context& context) {
  int64_t db = context.db();
  bool replace = false;
  for (size_t i = 3; i < context.argc(); i++) {
    if (ArgIs(context, i, "REPLACE")) {
      replace = true;
    } else if (ArgIs(context, i, "DB") && i + 1 < context.argc()) {
      if (!ParseIntArg(context, ++i, &db)) return;
      if (db < 0 || db >= Databases()) {
        context.reply().Error("ERR DB index is out of range");
        return;
      }
    } else {
      context.reply().Error(errors::kSyntax);
      return;
    }
  }
  std::string_view from = context.arg(1);
  std::string_view to = context.arg(2);
  int target_db = static_cast<int>(db);
  if (from == to && target_db == context.db()) {
    context.reply().Error("ERR source and destination objects are the same");
    return;
  }
  KeyRef source = context.Lookup(from, LookupKind::kRead);
  if (!source) {
    context.reply().Integer(0);
    return;
  }
  KeyRef target = context.LookupIn(target_db, to, LookupKind::kWrite);
  if (target) {
    if (!replace) {
      context.reply().Integer(0);
      return;
    }
  }
  if (source.external()) RequireRoom(ExternalBytes(source, 0));
  if (target) context.Delete(target, lazyfree.server_del);
  if (source.external()) {
    target = context.CreateIn(target_db, to, source.type(), Encoding::kInt, sizeof(int64_t), source.expiry_ms());
    CopyValue(source, target);
  } else {
    size_t bytes = source.encoding() == Encoding::kInt ? source.int_width() : source.size();
    target = context.CreateIn(target_db, to, source.type(), source.encoding(), bytes, source.expiry_ms());
    memcpy(target.data(), source.bytes(), bytes);
    NoteFieldTimes(target);
  }
  context.ChangedIn(target_db, to, kNotifyGeneric, "copy_to");
  context.reply().Integer(1);
}

constexpr KeySpec kFromKey = KeyAt(1, kKeyRW | kKeyAccess | kKeyDelete);

constexpr CommandSpec kRows[] = {
    {"del",
     -2,
     kWrite,
     {KeyRange(1, -1, 1, kKeyRM | kKeyDelete)},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(N) where N is the number of keys, and for each of them that holds a collection the number of its elements",
     "Deletes keys.",
     "key [key ...]",
     Del,
     nullptr,
     "request_policy:multi_shard,response_policy:agg_sum"},
    {"unlink",
     -2,
     kWrite | kFast,
     {KeyRange(1, -1, 1, kKeyRM | kKeyDelete)},
     kCatKeyspace,
     Group::kGeneric,
     "4.0.0",
     "O(1) for each key; the memory is given back later",
     "Deletes keys, and frees their values later.",
     "key [key ...]",
     Unlink,
     nullptr,
     "request_policy:multi_shard,response_policy:agg_sum"},
    {"exists",
     -2,
     kReadonly | kFast,
     {KeyRange(1, -1, 1, kKeyRO)},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(N) where N is the number of keys",
     "Counts which of the keys exist.",
     "key [key ...]",
     Exists,
     nullptr,
     "request_policy:multi_shard,response_policy:agg_sum"},
    {"touch",
     -2,
     kReadonly | kFast,
     {KeyRange(1, -1, 1, kKeyRO)},
     kCatKeyspace,
     Group::kGeneric,
     "3.2.1",
     "O(N) where N is the number of keys",
     "Counts which of the keys exist, and marks them as just used.",
     "key [key ...]",
     Touch,
     nullptr,
     "request_policy:multi_shard,response_policy:agg_sum"},
    {"type",
     2,
     kReadonly | kFast,
     {KeyAt(1, kKeyRO)},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(1)",
     "Answers the type of the key's value.",
     "key",
     TypeOf},
    {"rename",
     3,
     kWrite,
     {kFromKey, KeyAt(2, kKeyOW | kKeyUpdate)},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(1)",
     "Gives a key another name, replacing a key of that name.",
     "key newkey",
     Rename},
    {"renamenx",
     3,
     kWrite | kFast,
     {kFromKey, KeyAt(2, kKeyOW | kKeyInsert)},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(1)",
     "Gives a key another name if no key has it.",
     "key newkey",
     Renamenx},
    {"move",
     3,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate)},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(1)",
     "Moves a key to another database.",
     "key db",
     Move},
    {"copy",
     -3,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRO | kKeyAccess), KeyAt(2, kKeyOW | kKeyUpdate)},
     kCatKeyspace,
     Group::kGeneric,
     "6.2.0",
     "O(N) where N is the number of elements of a collection",
     "Copies a key's value to another key.",
     "source destination [DB destination-db] [REPLACE]",
     Copy},
};

}  // namespace

const CommandTable kKeyCommands = kRows;

}  // namespace brim
