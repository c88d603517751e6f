#include "types/stream_node.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace brim::stream_node {

namespace {

using listpack::Item;

constexpr size_t kEntryHead = 3;       // flags, milliseconds, sequence
constexpr size_t kMasterHead = 3;      // live, deleted, number of fields
constexpr size_t kItemsOnStack = 128;  // longer entries are put together on the heap

Item Number(int64_t number) { return {{}, true, number}; }
Item Text(std::string_view text) { return {text, false, 0}; }

int64_t NumberAt(const uint8_t* lp, size_t at) { return listpack::Get(lp, at).number; }

// Elements of one entry, on the stack when they are few.
class Items {
 public:
  explicit Items(size_t most) {
    if (most > kItemsOnStack) more_.resize(most);
    items_ = more_.empty() ? few_ : more_.data();
  }
  void Add(const Item& item) { items_[count_++] = item; }
  void AppendTo(ValueBytes& node) const { listpack::AppendItems(node, items_, count_); }
  size_t count() const { return count_; }

 private:
  Item few_[kItemsOnStack];
  std::vector<Item> more_;
  Item* items_;
  size_t count_ = 0;
};

}  // namespace

Head ReadHead(const uint8_t* node) {
  Head head;
  if (IsSealed(node)) {
    SealedHead sealed = ReadSealedHead(node);
    head.live = sealed.live;
    head.deleted = sealed.deleted;
    head.fields = sealed.fields;
    head.fields_at = sizeof sealed;
    head.entries_at = Skip(node, true, head.fields_at, head.fields);
    return head;
  }
  size_t at = listpack::kHeaderBytes;
  head.live = NumberAt(node, at);
  at = listpack::Skip(node, at, 1);
  head.deleted = NumberAt(node, at);
  at = listpack::Skip(node, at, 1);
  head.fields = static_cast<size_t>(NumberAt(node, at));
  head.fields_at = listpack::Skip(node, at, 1);
  head.entries_at = listpack::Skip(node, head.fields_at, head.fields + 1);
  return head;
}

// ---- walking

// The entry at `at`; returns the place behind it.
size_t Walker::ReadEntry(size_t at, StreamEntry* entry) const {
  entry->node = node_;
  entry->sealed = sealed_;
  entry->at = at;
  int64_t flags = NumberAt(node_, at);
  entry->deleted = flags & kDeletedFlag;
  at = Skip(node_, sealed_, at, 1);
  entry->id.ms = master_.ms + static_cast<uint64_t>(NumberAt(node_, at));
  at = Skip(node_, sealed_, at, 1);
  entry->id.seq = master_.seq + static_cast<uint64_t>(NumberAt(node_, at));
  at = Skip(node_, sealed_, at, 1);
  size_t behind = sealed_ ? 0 : 1;  // the number at the end
  if (flags & kSameFieldsFlag) {
    entry->pairs = head_.fields;
    entry->names_at = head_.fields_at;
    entry->values_at = at;
    return Skip(node_, sealed_, at, entry->pairs + behind);
  }
  entry->pairs = static_cast<size_t>(NumberAt(node_, at));
  entry->names_at = 0;
  entry->values_at = Skip(node_, sealed_, at, 1);
  return Skip(node_, sealed_, entry->values_at, entry->pairs * 2 + behind);
}

bool Walker::Next(StreamEntry* entry) {
  if (at_ == end_) return false;
  at_ = ReadEntry(at_, entry);
  return true;
}

bool Walker::Previous(StreamEntry* entry) {
  if (at_ == head_.entries_at) return false;
  if (!sealed_) {
    size_t last = listpack::SkipBack(node_, at_, 1);
    at_ = listpack::SkipBack(node_, last, static_cast<size_t>(NumberAt(node_, last)));
  } else {
    if (places_.empty()) {
      for (size_t at = head_.entries_at; at != end_; at = ReadEntry(at, entry)) {
        places_.push_back(static_cast<uint32_t>(at));
      }
    }
    at_ = *(std::lower_bound(places_.begin(), places_.end(), at_) - 1);
  }
  ReadEntry(at_, entry);
  return true;
}

// From the end, where the id is nearer to that: half-way by the id, wherever the entries are.
bool Walker::SeekBack(StreamId id) {
  StreamEntry entry;
  GoToEnd();
  if (!Previous(&entry)) return true;
  bool by_ms = entry.id.ms != master_.ms;
  uint64_t all = by_ms ? entry.id.ms - master_.ms : entry.id.seq - master_.seq;
  uint64_t wanted = by_ms ? id.ms - master_.ms : id.ms > master_.ms ? UINT64_MAX : id.seq - master_.seq;
  if (wanted < all / 2) return false;
  GoToEnd();
  size_t place = at_;
  while (Previous(&entry) && (entry.deleted || entry.id >= id)) {
    if (!entry.deleted) place = at_;
  }
  at_ = place;
  return true;
}

void Walker::Seek(StreamId id) {
  at_ = head_.entries_at;
  if (id <= master_ || (!sealed_ && SeekBack(id))) return;
  StreamEntry entry;
  at_ = head_.entries_at;
  for (size_t place = at_; Next(&entry); place = at_) {
    if (entry.deleted || entry.id < id) continue;
    at_ = place;
    return;
  }
}

// ---- open nodes

namespace {

// Whether an entry with these fields leaves them to the node's master.
bool HasFieldsOf(const uint8_t* lp, const Head& head, const std::string_view* pairs, size_t count) {
  if (head.fields != count) return false;
  size_t at = head.fields_at;
  for (size_t i = 0; i < count; i++) {
    if (!listpack::Equals(lp, at, pairs[2 * i])) return false;
    at = listpack::Skip(lp, at, 1);
  }
  return true;
}

}  // namespace

void WriteMaster(ValueBytes& node, const std::string_view* pairs, size_t count) {
  Items items(kMasterHead + count + 1);
  items.Add(Number(0));
  items.Add(Number(0));
  items.Add(Number(static_cast<int64_t>(count)));
  for (size_t i = 0; i < count; i++) items.Add(Text(pairs[2 * i]));
  items.Add(Number(0));
  items.AppendTo(node);
}

void AppendEntry(ValueBytes& node, StreamId master, StreamId id, const std::string_view* pairs, size_t count) {
  Head head = ReadHead(node.data());
  bool same = HasFieldsOf(node.data(), head, pairs, count);
  Items items(kEntryHead + 1 + 2 * count + 1);
  items.Add(Number(same ? kSameFieldsFlag : 0));
  items.Add(Number(static_cast<int64_t>(id.ms - master.ms)));
  items.Add(Number(static_cast<int64_t>(id.seq - master.seq)));
  if (!same) items.Add(Number(static_cast<int64_t>(count)));
  for (size_t i = 0; i < count; i++) {
    if (!same) items.Add(Text(pairs[2 * i]));
    items.Add(Text(pairs[2 * i + 1]));
  }
  items.Add(Number(static_cast<int64_t>(items.count())));
  items.AppendTo(node);
  listpack::ReplaceNumber(node, listpack::kHeaderBytes, head.live + 1);
}

// ---- sealing

namespace {

class SealWriter {
 public:
  explicit SealWriter(std::string* to) : to_(*to) { to_.assign(sizeof(SealedHead), '\0'); }
  void Elements(const uint8_t* open, size_t at, size_t count) {
    for (; count > 0; count--) {
      size_t body = listpack::BodyBytes(open + at);
      to_.append(reinterpret_cast<const char*>(open) + at, body);
      at = listpack::Skip(open, at, 1);
    }
  }
  void Finish(SealedHead head) {
    head.bytes = static_cast<uint32_t>(to_.size()) | kSealedBit;
    memcpy(to_.data(), &head, sizeof head);
  }

 private:
  std::string& to_;
};

class ListpackWriter {
 public:
  explicit ListpackWriter(std::string* to) : to_(*to) { to_.assign(listpack::kHeaderBytes, '\0'); }
  void Number(int64_t number) {
    uint8_t element[listpack::kNumberBytesMax];
    size_t size = listpack::WriteNumberElement(element, number);
    to_.append(reinterpret_cast<const char*>(element), size);
    count_++;
  }
  // Returns the place behind.
  size_t Elements(const uint8_t* sealed, size_t at, size_t count) {
    uint8_t back[5];
    for (; count > 0; count--) {
      size_t body = listpack::BodyBytes(sealed + at);
      to_.append(reinterpret_cast<const char*>(sealed) + at, body);
      to_.append(reinterpret_cast<const char*>(back), listpack::WriteBackLength(back, body));
      at += body;
      count_++;
    }
    return at;
  }
  void Finish() {
    to_.push_back('\xff');
    auto bytes = static_cast<uint32_t>(to_.size());
    auto count = static_cast<uint16_t>(std::min<size_t>(count_, UINT16_MAX));
    memcpy(to_.data(), &bytes, sizeof bytes);
    memcpy(to_.data() + sizeof bytes, &count, sizeof count);
  }

 private:
  std::string& to_;
  size_t count_ = 0;
};

// Elements of an entry but for the number at the end.
size_t ElementsOf(const StreamEntry& entry) {
  return kEntryHead + (entry.names_at != 0 ? entry.pairs : 1 + 2 * entry.pairs);
}

}  // namespace

void Seal(const uint8_t* open, StreamId master, std::string* sealed) {
  Head head = ReadHead(open);
  SealWriter writer(sealed);
  writer.Elements(open, head.fields_at, head.fields);
  Walker walker(open, master);
  StreamEntry entry;
  while (walker.Next(&entry)) writer.Elements(open, entry.at, ElementsOf(entry));
  writer.Finish({0, static_cast<uint32_t>(head.live), static_cast<uint32_t>(head.deleted),
                 static_cast<uint32_t>(head.fields), static_cast<uint32_t>(listpack::TotalBytes(open))});
}

void Unseal(const uint8_t* sealed, StreamId master, std::string* open) {
  Head head = ReadHead(sealed);
  ListpackWriter writer(open);
  open->reserve(ListpackBytes(sealed) + listpack::kNumberBytesMax);
  writer.Number(head.live);
  writer.Number(head.deleted);
  writer.Number(static_cast<int64_t>(head.fields));
  writer.Elements(sealed, head.fields_at, head.fields);
  writer.Number(0);
  Walker walker(sealed, master);
  StreamEntry entry;
  while (walker.Next(&entry)) {
    size_t elements = ElementsOf(entry);
    writer.Elements(sealed, entry.at, elements);
    writer.Number(static_cast<int64_t>(elements));
  }
  writer.Finish();
}

void CountDeleted(ValueBytes& node, int64_t count) {
  if (IsSealed(node.data())) {
    SealedHead head;
    memcpy(&head, node.data(), sizeof head);
    // As a listpack it may need more bytes for larger numbers, and fewer for smaller ones.
    auto bytes = [](uint32_t n) { return static_cast<uint32_t>(listpack::ElementBytes(int64_t{n})); };
    uint32_t before = bytes(head.live) + bytes(head.deleted);
    head.live -= static_cast<uint32_t>(count);
    head.deleted += static_cast<uint32_t>(count);
    head.listpack_bytes += bytes(head.live) + bytes(head.deleted) - before;
    memcpy(node.data(), &head, sizeof head);
    return;
  }
  size_t at = listpack::kHeaderBytes;
  listpack::ReplaceNumber(node, at, NumberAt(node.data(), at) - count);
  at = listpack::Skip(node.data(), at, 1);
  listpack::ReplaceNumber(node, at, NumberAt(node.data(), at) + count);
}

// ---- what comes from outside

namespace {

// Takes one element after the other from a listpack that is well-formed, as long as there are some.
class Taker {
 public:
  explicit Taker(const uint8_t* lp) : lp_(lp) {}
  bool Number(int64_t* number) {
    if (at_end()) return false;
    Item item = listpack::Get(lp_, at_);
    at_ = listpack::Skip(lp_, at_, 1);
    *number = item.number;
    return item.is_number;
  }
  // Flags are changed where they stand: they have to have the one byte, and its length, that all of them fit into.
  bool Flags(int64_t* number) {
    bool sound = !at_end() && listpack::ElementBytesAt(lp_, at_) == 2;
    return Number(number) && sound && *number >= 0 && *number <= (kDeletedFlag | kSameFieldsFlag);
  }
  // A number of elements, which cannot be more than there are bytes.
  bool Count(int64_t* number) {
    return Number(number) && *number >= 0 && static_cast<size_t>(*number) <= listpack::TotalBytes(lp_);
  }
  bool Pass(int64_t count) {
    for (; count > 0 && !at_end(); count--) at_ = listpack::Skip(lp_, at_, 1);
    return count == 0;
  }
  bool at_end() const { return at_ == listpack::EndOffset(lp_); }

 private:
  const uint8_t* lp_;
  size_t at_ = listpack::kHeaderBytes;
};

}  // namespace

bool IsValid(const uint8_t* bytes, size_t size, StreamId master, bool first, StreamId* last, size_t* live) {
  if (size >= kSealedBit || !listpack::IsValid(bytes, size) || (!first && master <= *last)) return false;
  Taker taker(bytes);
  int64_t counted_live;
  int64_t counted_deleted;
  int64_t fields;
  int64_t zero;
  if (!taker.Count(&counted_live) || !taker.Count(&counted_deleted) || !taker.Count(&fields)) return false;
  if (!taker.Pass(fields) || !taker.Number(&zero) || zero != 0) return false;
  *live = 0;
  int64_t deleted = 0;
  while (!taker.at_end()) {
    int64_t flags;
    int64_t ms;
    int64_t seq;
    int64_t pairs = fields;
    int64_t elements;
    if (!taker.Flags(&flags) || !taker.Number(&ms) || !taker.Number(&seq)) return false;
    bool same = flags & kSameFieldsFlag;
    if (!same && !taker.Count(&pairs)) return false;
    if (!taker.Pass(same ? pairs : pairs * 2) || !taker.Number(&elements)) return false;
    if (elements != static_cast<int64_t>(kEntryHead) + (same ? pairs : pairs * 2 + 1)) return false;
    if (flags & kDeletedFlag) {
      deleted++;
      continue;
    }
    StreamId id{master.ms + static_cast<uint64_t>(ms), master.seq + static_cast<uint64_t>(seq)};
    if (id < master || (*live > 0 && id <= *last)) return false;
    *last = id;
    ++*live;
  }
  if (*live == 0) *last = master;
  return counted_live == static_cast<int64_t>(*live) && counted_deleted == deleted;
}

}  // namespace brim::stream_node
