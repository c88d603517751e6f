#include "persist/rdb_reader.h"

#include <liblzf/lzf.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/numbers.h"
#include "persist/legacy_encodings.h"
#include "persist/rdb_format.h"
#include "types/hash.h"
#include "types/hash_expiry.h"
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
    case rdb::kHashMetadataPreGa:
    case rdb::kHashListpackExPreGa:
    case rdb::kHashMetadata:
    case rdb::kHashListpackEx:
    case rdb::kHashTriples:
      return Type::kHash;
    case rdb::kStreamListpacks:
    case rdb::kStreamListpacks2:
    case rdb::kStreamListpacks3:
    case rdb::kStreamListpacks4:
      return Type::kStream;
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
    case Type::kStream:
      value = std::make_unique<LoadedCollection>(heap, type, Encoding::kStream, EmptyStreamBytes());
      InitStream(*value);
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

// How many of a collection's elements to make room for: no more than its bytes can be.
size_t RdbReader::Expected(uint64_t count) const { return std::min(count, input_.left()); }

bool RdbReader::Set(Value& value) {
  uint64_t count;
  if (!Length(&count)) return false;
  SetExpect(value, Expected(count));
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
  ZsetExpect(value, Expected(count));
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

bool RdbReader::Hash(Value& value) {
  uint64_t count;
  if (!Length(&count)) return false;
  HashExpect(value, Expected(count));
  for (uint64_t i = 0; i < count; i++) {
    if (!String(&text_) || !String(&other_)) return false;
    if (!HashSet(value, text_, other_)) return Fail("a hash that names a field twice");
  }
  return true;
}

// Adds a field that is not there, unless its time is past.
bool RdbReader::AddTimed(Value& value, std::string_view field, std::string_view text, int64_t at_ms) {
  if (FieldIsDue(at_ms, drop_before_ms_)) {
    dropped_++;
    return true;
  }
  if (!HashSet(value, field, text)) return Fail("a hash that names a field twice");
  if (at_ms != kNoTime) HashSetFieldTime(value, field, at_ms);
  return true;
}

// The time that stands before (in Valkey's form: behind) a field.
bool RdbReader::FieldTime(uint8_t type, int64_t earliest, int64_t* at_ms) {
  uint64_t n;
  if (type == rdb::kHashTriples) {
    if (!Raw(at_ms, sizeof *at_ms)) return false;
  } else {
    if (!Length(&n)) return false;
    if (n > static_cast<uint64_t>(kFieldTimeMax)) return Fail("a field's time");
    *at_ms = n == 0                       ? kNoTime
             : type == rdb::kHashMetadata ? static_cast<int64_t>(n) - 1 + earliest
                                          : static_cast<int64_t>(n);
  }
  return *at_ms == kNoTime || (*at_ms > 0 && *at_ms <= kFieldTimeMax) || Fail("a field's time");
}

bool RdbReader::TimedHash(uint8_t type, Value& value) {
  uint64_t count;
  int64_t earliest = 0;
  int64_t at_ms;
  if (type == rdb::kHashMetadata) {
    if (!Raw(&earliest, sizeof earliest)) return false;
    // Without times the earliest is a mark above all times.
    if (earliest < 0 || earliest > kFieldTimeMax + 1) return Fail("a hash's earliest time");
  }
  if (!Length(&count)) return false;
  HashExpect(value, Expected(count));
  for (uint64_t i = 0; i < count; i++) {
    if (type != rdb::kHashTriples && !FieldTime(type, earliest, &at_ms)) return false;
    if (!String(&text_) || !String(&other_)) return false;
    if (type == rdb::kHashTriples && !FieldTime(type, earliest, &at_ms)) return false;
    if (!AddTimed(value, text_, other_, at_ms)) return false;
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

// Listpacks of field, value, time; 0 for none.
bool RdbReader::Triples(uint8_t type, Value& value) {
  int64_t earliest;
  if (type == rdb::kHashListpackEx && !Raw(&earliest, sizeof earliest)) return false;
  if (!String(&text_)) return false;
  std::string words[2];
  size_t at = 0;
  auto add = [&](std::string_view text) {
    if (at < 2) {
      words[at++] = text;
      return true;
    }
    at = 0;
    int64_t at_ms;
    if (!ParseInt64(text, &at_ms) || at_ms < 0 || at_ms > kFieldTimeMax) return false;
    return AddTimed(value, words[0], words[1], at_ms == 0 ? kNoTime : at_ms);
  };
  WalkResult result = WalkListpack(BytesOf(text_), add);
  return (result == WalkResult::kDone && at == 0) || Fail("fields with times in one piece");
}

// Ziplists and listpacks of pairs.
bool RdbReader::Pairs(uint8_t type, Value& value) {
  size_t at = 0;
  auto add = [&](std::string_view text) {
    if (at == 0) other_ = text;
    bool good = at != 1 || AddPair(value, other_, text);
    at = 1 - at;
    return good;
  };
  bool ziplist = type == rdb::kHashZiplist || type == rdb::kZsetZiplist;
  WalkResult result = ziplist ? WalkZiplist(BytesOf(text_), add) : WalkListpack(BytesOf(text_), add);
  return (result == WalkResult::kDone && at == 0) || Fail("pairs in one piece");
}

bool RdbReader::Packed(uint8_t type, Value& value) {
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
  if (type == rdb::kHashTriples) return Fail("a value of unknown type");
  if (valkey_ && type == rdb::kHashMetadataPreGa) type = rdb::kHashTriples;
  loaded->type = TypeOf(type);
  loaded->value.reset();
  loaded->empty = false;
  dropped_ = 0;
  if (loaded->type == Type::kString) return String(&loaded->text);
  if (loaded->type == Type::kNone) {
    bool module = type == rdb::kModulePreGa || type == rdb::kModule2;
    return Fail(module ? "a value of a module: modules are not supported"
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
      good = Hash(*loaded->value);
      break;
    case rdb::kHashMetadataPreGa:
    case rdb::kHashMetadata:
    case rdb::kHashTriples:
      good = TimedHash(type, *loaded->value);
      break;
    case rdb::kHashListpackExPreGa:
    case rdb::kHashListpackEx:
      good = Triples(type, *loaded->value);
      break;
    case rdb::kStreamListpacks:
    case rdb::kStreamListpacks2:
    case rdb::kStreamListpacks3:
    case rdb::kStreamListpacks4:
      good = Stream(type, *loaded->value);
      break;
    default:
      good = Packed(type, *loaded->value);
      break;
  }
  if (!good) {
    loaded->value.reset();
    return Fail("a value");
  }
  // A stream may be without entries.
  loaded->empty = loaded->type != Type::kStream && ValueLength(*loaded->value) == 0;
  loaded->dropped = dropped_;
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
    NoteFieldTimes(ref);
    return ref;
  }
  KeyRef ref = keyspace.Insert(key, hash, loaded.type, value.encoding(), sizeof(void*), expiry_ms);
  ref.entry().SetExternal(true);
  ref.SetPointer(value.ReleaseStructure());
  ref = keyspace.Find(key, hash);
  NoteFieldTimes(ref);
  return ref;
}

}  // namespace brim
