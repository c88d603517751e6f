#include "types/value.h"

#include <cstring>

#include "types/hash.h"
#include "types/intset.h"
#include "types/list.h"
#include "types/listpack.h"
#include "types/set.h"
#include "types/stream.h"
#include "types/string.h"
#include "types/zset.h"

namespace brim {

const char* TypeName(Type type) {
  switch (type) {
    case Type::kString:
      return "string";
    case Type::kList:
      return "list";
    case Type::kSet:
      return "set";
    case Type::kZset:
      return "zset";
    case Type::kHash:
      return "hash";
    case Type::kStream:
      return "stream";
    case Type::kModule:
      return "module";
    case Type::kNone:
      break;
  }
  return "none";
}

const char* EncodingName(Encoding encoding) {
  constexpr const char* kNames[] = {"raw",      "int",       "embstr", "listpack",   "intset",   "hashtable",
                                    "skiplist", "quicklist", "stream", "listpackex", "hashtable"};
  return kNames[static_cast<int>(encoding)];
}

size_t MeasureInline(Encoding encoding, const uint8_t* bytes, size_t int_width) {
  switch (encoding) {
    case Encoding::kInt:
      return int_width;
    case Encoding::kRaw:
    case Encoding::kEmbstr:
      return bytes[0] < 128 ? size_t{1} + bytes[0] : 2 + (static_cast<size_t>(bytes[0] & 127) << 8 | bytes[1]);
    case Encoding::kListpack:
    case Encoding::kListpackEx:
      return listpack::TotalBytes(bytes);
    case Encoding::kIntset:
      return intset::TotalBytes(bytes);
    default:
      return sizeof(void*);
  }
}

size_t ValueLength(const Value& value) {
  switch (value.type()) {
    case Type::kList:
      return ListLength(value);
    case Type::kSet:
      return SetLength(value);
    case Type::kZset:
      return ZsetLength(value);
    case Type::kHash:
      return HashLength(value);
    case Type::kStream:
      return StreamLength(value);
    default:
      return 1;
  }
}

const Table* ElementTable(const Value& value) {
  if (!value.external()) return nullptr;
  switch (value.type()) {
    case Type::kSet:
      return &value.As<SetTable>()->table;
    case Type::kZset:
      return &value.As<Zset>()->table;
    case Type::kHash:
      return &value.As<HashTable>()->table;
    default:
      return nullptr;
  }
}

// The structures count their blocks as they change, so nothing needs to be sampled.
size_t ExternalBytes(const Value& value, size_t) {
  if (!value.external()) return 0;
  switch (value.type()) {
    case Type::kString:
      return Heap::GrantedSize(sizeof(Blob) + value.As<Blob>()->capacity);
    case Type::kList:
      return ListExternalBytes(*value.As<List>());
    case Type::kSet:
      return SetExternalBytes(*value.As<SetTable>());
    case Type::kZset:
      return ZsetExternalBytes(*value.As<Zset>());
    case Type::kHash:
      return HashExternalBytes(*value.As<HashTable>(), value.encoding());
    case Type::kStream:
      return StreamExternalBytes(*value.As<Stream>());
    default:
      return 0;
  }
}

size_t FreeEffort(Type type, Encoding, void* structure) {
  switch (type) {
    case Type::kList:
      return ListFreeEffort(*static_cast<List*>(structure));
    case Type::kSet:
      return SetFreeEffort(*static_cast<SetTable*>(structure));
    case Type::kZset:
      return ZsetFreeEffort(*static_cast<Zset*>(structure));
    case Type::kHash:
      return HashFreeEffort(*static_cast<HashTable*>(structure));
    case Type::kStream:
      return StreamFreeEffort(*static_cast<Stream*>(structure));
    default:
      return 1;
  }
}

bool FreeSome(Heap& heap, Detached* detached, size_t budget) {
  switch (detached->type) {
    case Type::kString:
      static_cast<Blob*>(detached->structure)->Release();
      return true;
    case Type::kList:
      return ListFreeSome(heap, static_cast<List*>(detached->structure), budget);
    case Type::kSet:
      return SetFreeSome(heap, static_cast<SetTable*>(detached->structure), budget);
    case Type::kZset:
      return ZsetFreeSome(heap, static_cast<Zset*>(detached->structure), budget);
    case Type::kHash:
      return HashFreeSome(heap, static_cast<HashTable*>(detached->structure), detached->encoding, budget);
    case Type::kStream:
      return StreamFreeSome(heap, static_cast<Stream*>(detached->structure), budget);
    default:
      return true;
  }
}

void FreeExternal(Heap& heap, Type type, Encoding encoding, void* structure) {
  Detached detached{type, encoding, structure};
  while (!FreeSome(heap, &detached, size_t{1} << 20)) {
  }
}

namespace {

// Moves the slot's block when that helps; its content knows no address of its own.
void MoveBlock(Heap& heap, Table::Slot slot) {
  void* block = slot.block();
  if (!heap.WorthMoving(block)) return;
  size_t bytes = Heap::BlockSize(block);
  void* moved = heap.Allocate(bytes, MemoryCategory::kData);
  memcpy(moved, block, bytes);
  slot.SetBlock(moved);
  heap.Free(block, bytes, MemoryCategory::kData);
}

bool TidyTable(Heap& heap, Table& table, uint64_t* cursor) {
  constexpr int kSegments = 8;
  for (int i = 0; i < kSegments; i++) {
    *cursor = table.Tidy(*cursor, [&](Table::Slot slot) { MoveBlock(heap, slot); });
    if (*cursor == 0) return true;
  }
  return false;
}

}  // namespace

bool TidyStructure(Heap& heap, Type type, Encoding encoding, void* structure, uint64_t* cursor) {
  if (type == Type::kList) return ListTidySome(*static_cast<List*>(structure), cursor);
  if (type == Type::kZset) return ZsetTidy(heap, static_cast<Zset*>(structure), cursor);
  if (type == Type::kStream) return StreamTidySome(*static_cast<Stream*>(structure), cursor);
  if (type == Type::kHash) return TidyTable(heap, static_cast<HashTable*>(structure)->table, cursor);
  if (type == Type::kSet && encoding == Encoding::kHashtable) {
    return TidyTable(heap, static_cast<SetTable*>(structure)->table, cursor);
  }
  return true;
}

void CopyValue(const Value& src, Value& dst) {
  switch (src.type()) {
    case Type::kList:
      CopyList(src, dst);
      return;
    case Type::kSet:
      CopySet(src, dst);
      return;
    case Type::kZset:
      CopyZset(src, dst);
      return;
    case Type::kHash:
      CopyHash(src, dst);
      return;
    case Type::kStream:
      CopyStream(src, dst);
      return;
    default:
      break;
  }
  if (src.external()) {
    Blob* blob = src.As<Blob>();
    blob->Retain();
    dst.MakeExternal(src.encoding(), blob);
  } else if (src.encoding() == Encoding::kInt) {
    dst.MakeInt(src.GetInt());
  } else {
    size_t bytes = src.size();
    uint8_t* to = dst.MakeInline(src.encoding(), bytes);
    memcpy(to, const_cast<Value&>(src).data(), bytes);
  }
}

}  // namespace brim
