#include "server/debug_digest.h"

#include <arpa/inet.h>

#include <cstring>

#include "base/numbers.h"
#include "store/shard.h"
#include "types/hash_expiry.h"
#include "types/list.h"
#include "types/set.h"
#include "types/stream.h"
#include "types/string.h"
#include "types/zset.h"

namespace brim {

namespace {

void Xor(Sha1Digest* digest, const Sha1Digest& other) {
  for (size_t i = 0; i < digest->size(); i++) (*digest)[i] ^= other[i];
}

// The order of what is xored in does not matter; of what is mixed in it does.
void XorText(Sha1Digest* digest, std::string_view text) { Xor(digest, Sha1(text)); }

void XorDigest(Sha1Digest* digest, const Sha1Digest& other) {
  XorText(digest, {reinterpret_cast<const char*>(other.data()), other.size()});
}

void Mix(Sha1Digest* digest, std::string_view text) {
  XorText(digest, text);
  *digest = Sha1({reinterpret_cast<const char*>(digest->data()), digest->size()});
}

void MixNumber(Sha1Digest* digest, uint32_t number) {
  uint32_t wire = htonl(number);
  Mix(digest, {reinterpret_cast<const char*>(&wire), sizeof(wire)});
}

// The number that redis-server has for a type in memory.
uint32_t TypeNumber(Type type) { return static_cast<uint32_t>(type); }

// Entries only: groups are no part of it.
void AddStream(Sha1Digest* digest, const Stream& stream) {
  char buffer[24];
  StreamEntry entry;
  StreamRange range(stream, StreamId(), StreamId::Max());
  while (range.Next(&entry)) {
    Mix(digest, std::to_string(entry.id.ms) + "." + std::to_string(entry.id.seq));
    entry.ForEachPair([&](const listpack::Item& field, const listpack::Item& value) {
      Mix(digest, field.Text(buffer));
      Mix(digest, value.Text(buffer));
    });
  }
}

void AddValue(Sha1Digest* digest, KeyRef& ref) {
  MixNumber(digest, TypeNumber(ref.type()));
  char buffer[44];
  switch (ref.type()) {
    case Type::kString:
      Mix(digest, ReadString(ref, buffer));
      break;
    case Type::kList:
      for (ListPlace place = ListSeek(*ref.As<List>(), 0); place; place = ListNext(place))
        Mix(digest, place.Get().Text(buffer));
      break;
    case Type::kSet:
      SetForEach(ref, [&](const SetMember& member) {
        XorText(digest, member.text);
        return true;
      });
      break;
    case Type::kZset:
      ZsetForRanks(ref, {0, ZsetLength(ref)}, false, [&](std::string_view member, double score) {
        Sha1Digest element{};
        Mix(&element, member);
        Mix(&element, {buffer, static_cast<size_t>(FormatDouble17(score, buffer))});
        XorDigest(digest, element);
        return true;
      });
      break;
    case Type::kHash:
      HashForEachTimed(ref, [&](std::string_view field, std::string_view value, int64_t at_ms) {
        Sha1Digest element{};
        Mix(&element, field);
        Mix(&element, value);
        if (at_ms != kNoTime) XorText(&element, "!!hexpire!!");
        XorDigest(digest, element);
      });
      break;
    case Type::kStream:
      AddStream(digest, *ref.As<Stream>());
      break;
    default:
      break;
  }
  if (ref.expiry_ms() >= 0) XorText(digest, "!!expire!!");
}

}  // namespace

Sha1Digest DigestValue(KeyRef& ref) {
  Sha1Digest digest{};
  AddValue(&digest, ref);
  return digest;
}

Sha1Digest DigestAll() {
  Sha1Digest all{};
  for (int db = 0; db < shards[0].databases(); db++) {
    size_t keys = 0;
    for (int i = 0; i < shards.count(); i++) keys += shards[i].db(db).size();
    if (keys == 0) continue;
    MixNumber(&all, static_cast<uint32_t>(db));
    for (int i = 0; i < shards.count(); i++) {
      Keyspace& keyspace = shards[i].db(db);
      keyspace.table().ForEach([&](Table::Slot slot) {
        auto* entry = slot.As<Entry>();
        KeyRef ref(&keyspace, entry, HashBytes(entry->key()));
        Sha1Digest digest{};
        Mix(&digest, entry->key());
        AddValue(&digest, ref);
        XorDigest(&all, digest);
      });
    }
  }
  return all;
}

std::string DigestHex(const Sha1Digest& digest) {
  std::string hex;
  for (uint8_t byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace brim
