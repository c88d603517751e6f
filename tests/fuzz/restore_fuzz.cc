// The payload of RESTORE, without its version and checksum, up to where rdb_fuzz does not go: at a key. The value is
// walked and asked for each of its elements, written as DUMP and as commands, changed and freed in slices; nothing of
// it is left in the heap.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "persist/command_writer.h"
#include "persist/rdb_input.h"
#include "persist/rdb_reader.h"
#include "persist/rdb_writer.h"
#include "server/debug_digest.h"
#include "store/expiry.h"
#include "store/shard.h"
#include "types/hash_expiry.h"
#include "types/list.h"
#include "types/set.h"
#include "types/stream_producers.h"
#include "types/string.h"
#include "types/zset.h"

namespace {

using namespace brim;

constexpr size_t kAskedMost = 300;  // elements that are looked up: in a listpack each is a walk

void Require(bool condition, std::source_location where = std::source_location::current()) {
  if (condition) return;
  fprintf(stderr, "line %u does not hold\n", where.line());
  abort();
}

// False: not a payload.
bool Restore(Keyspace& keyspace, std::string_view key, std::string_view payload) {
  MemoryInput input(payload);
  RdbReader reader(input);
  LoadedValue loaded;
  uint8_t type = 0;
  bool read = reader.Byte(&type);
  if (type == rdb::kHashTriples) {  // that no file has: Valkey's 22
    reader.SetVersion(rdb::kValkeyVersion);
    type = rdb::kHashMetadataPreGa;
  }
  read = read && reader.Object(type, &keyspace.heap(), &loaded);
  Require(read || !reader.error().empty());
  if (!read || loaded.empty || input.offset() != payload.size()) return false;
  InstallValue(keyspace, key, HashBytes(key), loaded, -1);
  return true;
}

KeyRef Get(Keyspace& keyspace, std::string_view key) { return keyspace.Find(key, HashBytes(key)); }

// The elements by which the value is asked: members, fields, or a list's texts.
std::vector<std::string> Walk(const KeyRef& ref) {
  std::vector<std::string> elements;
  char buffer[24];
  switch (ref.type()) {
    case Type::kList:
      for (ListPlace place = ListSeek(*ref.As<List>(), 0); place; place = ListNext(place))
        elements.emplace_back(place.Get().Text(buffer));
      break;
    case Type::kSet:
      SetForEach(ref, [&](const SetMember& member) {
        elements.emplace_back(member.text);
        return true;
      });
      break;
    case Type::kZset: {
      ZsetForRanks(ref, {0, SIZE_MAX}, false, [&](std::string_view member, double) {
        elements.emplace_back(member);
        return true;
      });
      break;
    }
    case Type::kHash:
      HashForEach(ref, [&](std::string_view field, std::string_view) { elements.emplace_back(field); });
      break;
    case Type::kStream: {
      StreamRange range(*ref.As<Stream>(), StreamId{}, StreamId::Max());
      StreamEntry entry;
      while (range.Next(&entry)) elements.emplace_back(StreamIdText(entry.id).view());
      Require(elements.size() == StreamLength(ref));
      return elements;  // a stream without entries stays
    }
    default:
      elements.emplace_back(ReadString(ref, buffer));
      Require(StringLength(ref) == elements[0].size());
      break;
  }
  Require(elements.size() == ValueLength(ref) && !elements.empty());
  return elements;
}

void Ask(const KeyRef& ref, const std::vector<std::string>& elements) {
  char buffer[24];
  double last = 0;
  for (size_t i = 0; i < elements.size() && i < kAskedMost; i++) {
    std::string_view text;
    double score;
    size_t rank;
    switch (ref.type()) {
      case Type::kList:
        Require(ListSeek(*ref.As<List>(), static_cast<int64_t>(i - elements.size())).Get().Text(buffer) == elements[i]);
        break;
      case Type::kSet:
        Require(SetContains(ref, elements[i]));
        break;
      case Type::kZset:
        Require(ZsetScore(ref, elements[i], &score) && ZsetRank(ref, elements[i], &rank) && rank == i);
        Require(i == 0 || score >= last);
        last = score;
        break;
      case Type::kHash:
        Require(HashGet(ref, elements[i], buffer, &text));
        Require(HashFieldTime(ref, elements[i]) == kNoTime || HashFieldTime(ref, elements[i]) >= HashNextDue(ref));
        break;
      case Type::kStream: {
        StreamEntry entry;
        StreamId id;
        Require(ParseStreamId(elements[i], 0, &id) && StreamContains(*ref.As<Stream>(), id));
        Require(StreamGet(*ref.As<Stream>(), id, &entry) && entry.id == id);
        break;
      }
      default:
        break;
    }
  }
}

// What is remembered is found, adding one more forgets no more than has to go, and other limits forget it all.
void ChangeProducers(Stream& stream) {
  if (stream.producers != nullptr && stream.producers->count > 0) {
    const StreamProducer& producer = *stream.producers->list[0];
    std::string pid(producer.pid());
    Require(producer.count > 0 && producer.count <= stream.producers->maxsize);
    std::string iid(producer.At(producer.count - 1).iid());
    int64_t at_ms = producer.At(producer.count - 1).at_ms;
    Require(FindRecord(stream, pid, iid, at_ms) != nullptr);
    if (FindRecord(stream, pid, "a new one", at_ms) == nullptr) {
      DropUpTo(stream, pid, "a new one");
      // A payload may remember ids that are ahead of its last one.
      AddRecord(stream, pid, "a new one", std::max(stream.last_id, StreamId{static_cast<uint64_t>(at_ms), 0}), at_ms);
      Require(FindRecord(stream, pid, "a new one", at_ms) != nullptr);
      Require(stream.producers->maxsize == 1 || FindRecord(stream, pid, iid, at_ms) != nullptr);
    }
  }
  SetProducerLimits(stream, 1, 1);
  SetProducerLimits(stream, 2, 2);
  Require(stream.producers->records == 0 && stream.producers->count == 0);
}

void ChangeStream(Stream& stream, const std::vector<std::string>& elements) {
  constexpr std::string_view kPair[] = {"a field", "a value"};
  StreamId id;
  if (StreamNextId(stream, 0, &id)) StreamAppend(stream, id, kPair, 1);
  ChangeProducers(stream);
  if (elements.empty()) return;
  Require(ParseStreamId(elements[0], 0, &id) && StreamErase(stream, id) && !StreamContains(stream, id));
  StreamTrim trim;
  trim.by = StreamTrim::kLength;
  trim.length = elements.size() / 2;
  TrimStream(stream, trim);
  Require(stream.length <= trim.length);
}

// Adds one element and removes the first; of one that becomes empty the key would be deleted.
void Change(KeyRef& ref, const std::vector<std::string>& elements) {
  constexpr std::string_view kNew =
      "an element of more than sixty-four bytes, so that what is packed is unpacked for it";
  switch (ref.type()) {
    case Type::kList:
      ListPush(*ref.As<List>(), kNew, true);
      ListPop(*ref.As<List>(), false);
      break;
    case Type::kSet:
      SetAdd(ref, kNew);
      Require(SetRemove(ref, elements[0]));
      break;
    case Type::kZset:
      ZsetSet(ref, kNew, 0.5);
      Require(ZsetRemove(ref, elements[0]));
      break;
    case Type::kHash:
      HashSet(ref, kNew, elements[0]);
      Require(HashDelete(ref, elements[0]));
      Require(HashSetFieldTime(ref, kNew, kFieldTimeMax / 2));
      Require(HashTimedFields(ref) > 0 && ref.keyspace().timed_hashes() > 0);
      break;
    case Type::kStream:
      ChangeStream(*ref.As<Stream>(), elements);
      break;
    default:
      AssignString(ref, kNew);
      break;
  }
}

// Fields that have a time go when it is past, the others stay.
void Expire(KeyRef& ref) {
  size_t length = HashLength(ref);
  size_t timed = HashTimedFields(ref);
  Require(ExpireFields(ref, INT64_MAX, INT64_MAX));
  Require(ref ? HashLength(ref) <= length && HashLength(ref) >= length - timed : timed == length);
}

void Erase(Shard& shard, std::string_view key) {
  KeyRef ref = Get(shard.db(0), key);
  if (!ref) return;
  shard.db(0).Erase(ref, true);
  while (!shard.FreeGarbage(10)) {
  }
}

Shard& TheShard() {
  static Shard* shard = [] {
    shards.Build(1, 1);
    // The table has what it needs from the first key on.
    Require(Restore(shards[0].db(0), "key", std::string_view("\0\1a", 3)));
    Erase(shards[0], "key");
    return &shards[0];
  }();
  return *shard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Shard& shard = TheShard();
  Keyspace& keyspace = shard.db(0);
  size_t used = shard.heap().used_bytes();
  if (Restore(keyspace, "key", {reinterpret_cast<const char*>(data), size})) {
    KeyRef ref = Get(keyspace, "key");
    std::vector<std::string> elements = Walk(ref);
    Ask(ref, elements);
    CommandWriter commands;
    commands.Key(ref);
    Require(!commands.bytes().empty());
    RdbWriter dump(true);
    dump.Object(ref);
    Require(Restore(keyspace, "again", dump.bytes()));
    KeyRef again = Get(keyspace, "again");
    ref = Get(keyspace, "key");
    Require(DigestValue(again) == DigestValue(ref));
    Change(ref, elements);
    if (ref.type() == Type::kHash) Expire(ref);
    Erase(shard, "key");
    Erase(shard, "again");
  }
  Require(shard.heap().used_bytes() == used && keyspace.timed_hashes() == 0 && streams_with_producers == 0);
  return 0;
}
