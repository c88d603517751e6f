#include "persist/rdb_reader.h"

#include <liblzf/lzf.h>

#include <cmath>
#include <cstring>

#include "base/numbers.h"
#include "persist/legacy_encodings.h"
#include "persist/rdb_format.h"
#include "types/hash.h"
#include "types/intset.h"
#include "types/limits.h"
#include "types/list.h"
#include "types/listpack.h"
#include "types/set.h"
#include "types/string.h"
#include "types/zset.h"

namespace brim {

namespace {

constexpr uint64_t kCompressedMax = 1 << 30;  // no text is larger, whatever a file says

std::span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Type TypeOf(uint8_t type) {
  switch (type) {
    case rdb::kString:
      return Type::kString;
    case rdb::kList:
    case rdb::kListZiplist:
    case rdb::kListQuicklist:
    case rdb::kListQuicklist2:
      return Type::kList;
    case rdb::kSet:
    case rdb::kSetIntset:
    case rdb::kSetListpack:
      return Type::kSet;
    case rdb::kZset:
    case rdb::kZset2:
    case rdb::kZsetZiplist:
    case rdb::kZsetListpack:
      return Type::kZset;
    case rdb::kHash:
    case rdb::kHashZipmap:
    case rdb::kHashZiplist:
    case rdb::kHashListpack:
    case rdb::kHashMetadata:
    case rdb::kHashListpackEx:
      return Type::kHash;
    default:
      return Type::kNone;
  }
}

std::unique_ptr<LoadedCollection> NewValue(Heap* heap, Type type) {
  std::unique_ptr<LoadedCollection> value;
  switch (type) {
    case Type::kList:
      value = std::make_unique<LoadedCollection>(heap, type, Encoding::kQuicklist, EmptyListBytes());
      InitList(*value);
      break;
    case Type::kSet:
      value = std::make_unique<LoadedCollection>(heap, type, Encoding::kIntset, EmptySetBytes());
      InitSet(*value);
      break;
    case Type::kZset:
      value = std::make_unique<LoadedCollection>(heap, type, Encoding::kListpack, EmptyZsetBytes());
      InitZset(*value);
      break;
    default:
      value = std::make_unique<LoadedCollection>(heap, Type::kHash, Encoding::kListpack, EmptyHashBytes());
      InitHash(*value);
      break;
  }
  return value;
}

}  // namespace

bool RdbReader::Fail(std::string_view what) {
  if (error_.empty()) error_ = "reading " + std::string(what) + " at offset " + std::to_string(input_.offset());
  return false;
}

bool RdbReader::LengthOrEncoding(uint64_t* n, bool* encoded) {
  uint8_t first;
  *encoded = false;
  if (!input_.Read(&first, 1)) return Fail("a length");
  uint8_t kind = first >> 6;
  if (kind == rdb::kLength6) {
    *n = first & 63;
    return true;
  }
  if (kind == rdb::kEncoded) {
    *encoded = true;
    *n = first & 63;
    return true;
  }
  if (kind == rdb::kLength14) {
    uint8_t second;
    if (!input_.Read(&second, 1)) return Fail("a length");
    *n = static_cast<uint64_t>(first & 63) << 8 | second;
    return true;
  }
  if (first == rdb::kLength32) {
    uint32_t big;
    if (!input_.Read(&big, 4)) return Fail("a length");
    *n = __builtin_bswap32(big);
    return true;
  }
  if (first == rdb::kLength64) {
    uint64_t big;
    if (!input_.Read(&big, 8)) return Fail("a length");
    *n = __builtin_bswap64(big);
    return true;
  }
  return Fail("a length of unknown form");
}

bool RdbReader::Length(uint64_t* n) {
  bool encoded;
  return LengthOrEncoding(n, &encoded) && (!encoded || Fail("a length, and found an encoded text"));
}

bool RdbReader::Compressed(std::string* text) {
  uint64_t packed;
  uint64_t size;
  std::string bytes;
  if (!Length(&packed) || !Length(&size)) return false;
  // LZF packs 264 bytes into 3 at best.
  if (size > kCompressedMax || packed > size || size / 264 > packed)
    return Fail("a compressed text of impossible size");
  if (!input_.ReadText(packed, &bytes)) return Fail("a compressed text");
  text->resize(size);
  unsigned got = lzf_decompress(bytes.data(), static_cast<unsigned>(packed), text->data(), static_cast<unsigned>(size));
  return got == size || Fail("a compressed text that does not unpack");
}

bool RdbReader::Encoded(uint64_t form, std::string* text) {
  if (form == rdb::kLzf) return Compressed(text);
  int64_t number;
  if (form == rdb::kInt8) {
    uint8_t n;
    if (!input_.Read(&n, 1)) return Fail("a number");
    number = n < 128 ? n : n - 256;
  } else if (form == rdb::kInt16) {
    int16_t n;
    if (!input_.Read(&n, 2)) return Fail("a number");
    number = n;
  } else if (form == rdb::kInt32) {
    int32_t n;
    if (!input_.Read(&n, 4)) return Fail("a number");
    number = n;
  } else {
    return Fail("a text of unknown encoding");
  }
  *text = std::to_string(number);
  return true;
}

bool RdbReader::String(std::string* text) {
  uint64_t n;
  bool encoded;
  if (!LengthOrEncoding(&n, &encoded)) return false;
  if (encoded) return Encoded(n, text);
  return input_.ReadText(n, text) || Fail("a text");
}

// ---- lists

bool RdbReader::ListNode(uint8_t type, Value& value) {
  auto& list = *value.As<brim::List>();
  uint64_t container = rdb::kPackedNode;
  if (type == rdb::kListQuicklist2 && !Length(&container)) return false;
  if (!String(&text_)) return false;
  auto push = [&list](std::string_view element) {
    ListPush(list, element, false);
    return true;
  };
  if (type == rdb::kListQuicklist || type == rdb::kListZiplist) {
    return WalkZiplist(BytesOf(text_), push) == WalkResult::kDone || Fail("a ziplist");
  }
  if (container == rdb::kPlainNode) return push(text_);
  if (container != rdb::kPackedNode) return Fail("a list's node of unknown form");
  return WalkListpack(BytesOf(text_), push) == WalkResult::kDone || Fail("a listpack");
}

bool RdbReader::List(uint8_t type, Value& value) {
  if (type == rdb::kListZiplist) return ListNode(type, value);
  uint64_t count;
  if (!Length(&count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    if (type == rdb::kList) {
      if (!String(&text_)) return false;
      ListPush(*value.As<brim::List>(), text_, false);
    } else if (!ListNode(type, value)) {
      return false;
    }
  }
  return true;
}

// ---- sets, sorted sets, hashes, element by element

bool RdbReader::Set(Value& value) {
  uint64_t count;
  if (!Length(&count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    if (!String(&text_)) return false;
    if (!SetAdd(value, text_)) return Fail("a set that names a member twice");
  }
  return true;
}

bool RdbReader::OldScore(double* score) {
  uint8_t size;
  if (!input_.Read(&size, 1)) return Fail("a score");
  if (size == 255) *score = -INFINITY;
  if (size == 254) *score = INFINITY;
  if (size == 253) return Fail("a score that is no number");
  if (size > 252) return true;
  if (!input_.ReadText(size, &other_)) return Fail("a score");
  return ParseDouble(other_, score) || Fail("a score");
}

bool RdbReader::Zset(uint8_t type, Value& value) {
  uint64_t count;
  if (!Length(&count)) return false;
  // A tree first, whatever its size: the sign of a zero would be lost in a listpack.
  ZsetConvertToTree(value);
  for (uint64_t i = 0; i < count; i++) {
    double score;
    if (!String(&text_)) return false;
    if (type == rdb::kZset ? !OldScore(&score) : !Raw(&score, sizeof score)) return false;
    if (std::isnan(score)) return Fail("a score that is no number");
    double kept;
    if (ZsetAdd(value, text_, score, ZsetAddRules(), &kept) != ZsetAddResult::kAdded) {
      return Fail("a sorted set that names a member twice");
    }
  }
  ZsetPackIfSmall(value);
  return true;
}

bool RdbReader::Hash(uint8_t type, Value& value) {
  uint64_t count;
  uint64_t ignored;
  if (type == rdb::kHashMetadata && !Raw(&ignored, sizeof ignored)) return false;
  if (!Length(&count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    // A field's own expiry: there is none here yet, the field stays for as long as its key.
    if (type == rdb::kHashMetadata && !Length(&ignored)) return false;
    if (!String(&text_) || !String(&other_)) return false;
    if (!HashSet(value, text_, other_)) return Fail("a hash that names a field twice");
  }
  return true;
}

// ---- what lies in one piece

bool RdbReader::AddPair(Value& value, std::string_view first, std::string_view second) {
  if (value.type() == Type::kHash) return HashSet(value, first, second);
  double score;
  double kept;
  if (!ParseDouble(second, &score) || std::isnan(score)) return false;
  return ZsetAdd(value, first, score, ZsetAddRules(), &kept) == ZsetAddResult::kAdded;
}

// Ziplists and listpacks of pairs (fields that expire: of triples).
bool RdbReader::Pairs(uint8_t type, Value& value) {
  size_t width = type == rdb::kHashListpackEx ? 3 : 2;
  size_t at = 0;
  auto add = [&](std::string_view text) {
    if (at == 0) other_ = text;
    bool good = at != 1 || AddPair(value, other_, text);
    at = (at + 1) % width;
    return good;
  };
  bool ziplist = type == rdb::kHashZiplist || type == rdb::kZsetZiplist;
  WalkResult result = ziplist ? WalkZiplist(BytesOf(text_), add) : WalkListpack(BytesOf(text_), add);
  return (result == WalkResult::kDone && at == 0) || Fail("pairs in one piece");
}

bool RdbReader::Packed(uint8_t type, Value& value) {
  uint64_t ignored;
  if (type == rdb::kHashListpackEx && !Raw(&ignored, sizeof ignored)) return false;
  if (!String(&text_)) return false;
  WalkResult result;
  switch (type) {
    case rdb::kSetIntset:
      result = WalkIntset(BytesOf(text_), [&](int64_t number) {
        char buffer[24];
        auto size = static_cast<size_t>(FormatInt64(number, buffer));
        return SetAdd(value, SetMember{{buffer, size}, true, number});
      });
      return result == WalkResult::kDone || Fail("an intset");
    case rdb::kSetListpack:
      result = WalkListpack(BytesOf(text_), [&](std::string_view member) { return SetAdd(value, member); });
      return result == WalkResult::kDone || Fail("a set's listpack");
    case rdb::kHashZipmap:
      result = WalkZipmap(BytesOf(text_),
                          [&](std::string_view field, std::string_view text) { return HashSet(value, field, text); });
      return result == WalkResult::kDone || Fail("a zipmap");
    default:
      return Pairs(type, value);
  }
}

bool RdbReader::Object(uint8_t type, Heap* heap, LoadedValue* loaded) {
  loaded->type = TypeOf(type);
  loaded->value.reset();
  loaded->empty = false;
  if (loaded->type == Type::kString) return String(&loaded->text);
  if (loaded->type == Type::kNone) {
    bool module = type == rdb::kModulePreGa || type == rdb::kModule2;
    bool stream = type == rdb::kStreamListpacks || type == rdb::kStreamListpacks2 || type == rdb::kStreamListpacks3;
    return Fail(module   ? "a value of a module: modules are not supported"
                : stream ? "a stream: not supported by this version"
                         : "a value of unknown type " + std::to_string(type));
  }
  loaded->value = NewValue(heap, loaded->type);
  bool good;
  switch (type) {
    case rdb::kList:
    case rdb::kListZiplist:
    case rdb::kListQuicklist:
    case rdb::kListQuicklist2:
      good = List(type, *loaded->value);
      break;
    case rdb::kSet:
      good = Set(*loaded->value);
      break;
    case rdb::kZset:
    case rdb::kZset2:
      good = Zset(type, *loaded->value);
      break;
    case rdb::kHash:
    case rdb::kHashMetadata:
      good = Hash(type, *loaded->value);
      break;
    default:
      good = Packed(type, *loaded->value);
      break;
  }
  if (!good) {
    loaded->value.reset();
    return Fail("a value");
  }
  loaded->empty = ValueLength(*loaded->value) == 0;
  return true;
}

bool RdbReader::SkipModuleAux() {
  uint64_t n;
  if (!Length(&n)) return false;  // the module's id
  for (;;) {
    if (!Length(&n)) return false;
    if (n == 0) return true;  // the end
    if (n == 1 || n == 2) {   // a signed, an unsigned number
      if (!Length(&n)) return false;
    } else if (n == 3 || n == 4) {  // a float, a double
      if (!input_.ReadText(n == 3 ? 4 : 8, &text_)) return Fail("a module's number");
    } else if (n != 5 || !String(&text_)) {
      return Fail("a module's field");
    }
  }
}

KeyRef InstallValue(Keyspace& keyspace, std::string_view key, uint64_t hash, LoadedValue& loaded, int64_t expiry_ms) {
  if (loaded.type == Type::kString) {
    StringForm form = PlanString(loaded.text);
    Blob* blob = form.blob ? NewBlob(loaded.text) : nullptr;
    KeyRef ref = keyspace.Insert(key, hash, Type::kString, form.encoding, form.bytes, expiry_ms);
    if (blob != nullptr) {
      ref.entry().SetExternal(true);
      ref.SetPointer(blob);
      return keyspace.Find(key, hash);
    }
    WriteString(ref.data(), form, loaded.text);
    return ref;
  }
  DetachedValue& value = *loaded.value;
  if (!value.external()) {
    KeyRef ref = keyspace.Insert(key, hash, loaded.type, value.encoding(), value.size(), expiry_ms);
    memcpy(ref.data(), value.data(), value.size());
    return ref;
  }
  KeyRef ref = keyspace.Insert(key, hash, loaded.type, value.encoding(), sizeof(void*), expiry_ms);
  ref.entry().SetExternal(true);
  ref.SetPointer(value.ReleaseStructure());
  return keyspace.Find(key, hash);
}

}  // namespace brim
