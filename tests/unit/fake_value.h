#pragma once
// A value over a heap, without key and keyspace, for the tests of the types.
#include "types/detached_value.h"

namespace brim {

// FakeValue v(&heap, Type::kHash); InitHash(v); — the encoding and size are what the type's Init wants or replaces.
class FakeValue final : public DetachedValue {
 public:
  FakeValue(Heap* heap, Type type, Encoding encoding = Encoding::kListpack, size_t bytes = 64)
      : DetachedValue(heap, type, encoding, bytes) {}
};

}  // namespace brim
