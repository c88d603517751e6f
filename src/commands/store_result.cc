#include "commands/store_result.h"

#include <cstring>

#include "store/shard.h"
#include "types/listpack.h"

namespace brim {

void StoreResult(Context& context, std::string_view key, DetachedValue& result, NotifyClass event_class,
                 const char* event) {
  KeyRef ref = context.Lookup(key, LookupKind::kWrite);
  size_t size = ValueLength(result);
  if (size == 0) {
    if (ref) {
      context.Delete(ref, lazyfree.server_del);
      context.Changed(key, kNotifyGeneric, "del");
    }
    context.reply().Integer(0);
    return;
  }
  Type type = result.type();
  Encoding encoding = result.encoding();
  bool external = result.external();
  size_t bytes = external ? sizeof(void*) : result.size();
  if (ref) {
    ref.Retype(type, encoding, bytes, -1, external, lazyfree.server_del);
    if (external) ref.SetPointer(result.ReleaseStructure());
  } else if (external) {
    // Entries are born inline.
    ref = context.Create(key, type, Encoding::kListpack, listpack::kEmptyBytes);
    listpack::Init(ref.data());
    ref.MakeExternal(encoding, result.ReleaseStructure());
  } else {
    ref = context.Create(key, type, encoding, bytes);
  }
  if (!external) memcpy(ref.data(), result.data(), bytes);
  context.Changed(key, event_class, event);
  context.reply().Integer(static_cast<int64_t>(size));
}

}  // namespace brim
