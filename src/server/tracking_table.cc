#include "server/tracking_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/random.h"
#include "base/table_room.h"

namespace brim {

namespace {

constexpr size_t kBucketsMin = 4;
constexpr size_t kBucketsKept = 16;  // of a part that is not empty: rebuilding costs more than they take

}  // namespace

size_t TrackingTable::Entry::memory_bytes() const {
  return sizeof(Entry) + key_size + (count == 1 ? 0 : count * sizeof(uint64_t));
}

void TrackingTable::Destroy(Entry* entry) {
  if (entry->count > 1) FreeBytes(entry->many, MemoryCategory::kTracking);
  FreeBytes(entry, MemoryCategory::kTracking);
}

TrackingTable::~TrackingTable() {
  for (Part& part : parts_) {
    for (Entry* entry : part.buckets) {
      while (entry != nullptr) Destroy(std::exchange(entry, entry->next));
    }
  }
}

TrackingTable::Entry** TrackingTable::Part::Find(std::string_view key, uint64_t hash) {
  Entry** link = Bucket(hash);
  while (*link != nullptr && ((*link)->hash != hash || (*link)->key() != key)) link = &(*link)->next;
  return link;
}

void TrackingTable::Part::Resize(size_t count) {
  decltype(buckets) old(count, nullptr);
  old.swap(buckets);
  for (Entry* entry : old) {
    while (entry != nullptr) {
      Entry* next = entry->next;
      Entry** bucket = Bucket(entry->hash);
      entry->next = *bucket;
      *bucket = entry;
      entry = next;
    }
  }
}

void TrackingTable::AddClient(Entry* entry, uint64_t client) {
  if (entry->count == 1) {
    auto* both = static_cast<uint64_t*>(AllocateBytes(2 * sizeof(uint64_t), MemoryCategory::kTracking));
    both[0] = std::min(entry->one, client);
    both[1] = std::max(entry->one, client);
    entry->many = both;
  } else {
    uint64_t* clients = entry->many;
    size_t count = entry->count;
    size_t at = static_cast<size_t>(std::lower_bound(clients, clients + count, client) - clients);
    if ((count & (count - 1)) == 0) {
      auto* grown = static_cast<uint64_t*>(AllocateBytes(count * 2 * sizeof(uint64_t), MemoryCategory::kTracking));
      memcpy(grown, clients, count * sizeof(uint64_t));
      FreeBytes(clients, MemoryCategory::kTracking);
      entry->many = clients = grown;
    }
    memmove(clients + at + 1, clients + at, (count - at) * sizeof(uint64_t));
    clients[at] = client;
  }
  entry->count++;
}

bool TrackingTable::Add(std::string_view key, uint64_t hash, uint64_t client) {
  hash = Spread(hash);
  Part& part = parts_[hash % kParts];
  if (part.size >= part.buckets.size()) part.Resize(std::max(kBucketsMin, part.buckets.size() * 2));
  Entry** link = part.Find(key, hash);
  if (Entry* entry = *link; entry != nullptr) {
    std::span<const uint64_t> clients = entry->clients();
    if (std::binary_search(clients.begin(), clients.end(), client)) return false;
    AddClient(entry, client);
    items_++;
    return false;
  }
  auto* entry = static_cast<Entry*>(AllocateBytes(sizeof(Entry) + key.size(), MemoryCategory::kTracking));
  entry->next = nullptr;
  entry->hash = hash;
  entry->key_size = static_cast<uint32_t>(key.size());
  entry->count = 1;
  entry->one = client;
  memcpy(reinterpret_cast<char*>(entry + 1), key.data(), key.size());
  *link = entry;
  part.size++;
  keys_++;
  items_++;
  return true;
}

TrackingTable::Entry* TrackingTable::TakeFrom(Part& part, Entry** link) {
  Entry* entry = *link;
  *link = entry->next;
  keys_--;
  items_ -= entry->count;
  if (--part.size == 0) {
    decltype(part.buckets)().swap(part.buckets);
  } else if (size_t less = LessRoom(part.size, part.buckets.size(), kBucketsKept); less > 0) {
    try {
      part.Resize(less);
    } catch (const std::bad_alloc&) {
      NoteShortage();  // it keeps what it has
    }
  }
  return entry;
}

TrackingTable::Entry* TrackingTable::Take(std::string_view key, uint64_t hash) {
  hash = Spread(hash);
  Part& part = parts_[hash % kParts];
  if (part.size == 0) return nullptr;
  Entry** link = part.Find(key, hash);
  return *link == nullptr ? nullptr : TakeFrom(part, link);
}

TrackingTable::Entry* TrackingTable::TakeAny() {
  // By chance which part and where in it; from there on the next that is there.
  size_t any = RandomBelow(kParts);
  while (parts_[any].size == 0) any = (any + 1) % kParts;
  Part& part = parts_[any];
  size_t bucket = RandomBelow(part.buckets.size());
  while (part.buckets[bucket] == nullptr) bucket = (bucket + 1) % part.buckets.size();
  return TakeFrom(part, &part.buckets[bucket]);
}

size_t TrackingTable::FreeSome(size_t most) {
  size_t freed = 0;
  for (; freed_parts_ < kParts; freed_parts_++) {
    auto& buckets = parts_[freed_parts_].buckets;
    for (; !buckets.empty(); buckets.pop_back()) {
      if (freed >= most) return freed;
      for (Entry* entry = buckets.back(); entry != nullptr; freed++) Destroy(std::exchange(entry, entry->next));
    }
    std::remove_reference_t<decltype(buckets)>().swap(buckets);
  }
  return freed;
}

}  // namespace brim
