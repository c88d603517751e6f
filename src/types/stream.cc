#include "types/stream.h"

#include <algorithm>
#include <bit>
#include <new>
#include <string>

#include "types/limits.h"

namespace brim {

namespace {

size_t NodeBytesMax() {
  size_t most = encoding_limits.stream_node_max_bytes;
  return most == 0 || most > listpack::kBytesMax ? listpack::kBytesMax : most;
}

// A node's bytes that can be resized. Blocks are only changed for larger ones: a complete node hardly changes.
class NodeBytes final : public ValueBytes {
 public:
  NodeBytes(CountedHeap* heap, uint8_t* node) : heap_(heap), node_(node), bytes_(stream_node::Bytes(node)) {}
  uint8_t* data() override { return node_; }
  size_t size() const override { return bytes_; }
  uint8_t* Resize(size_t bytes) override {
    size_t room = Heap::BlockSize(node_);
    if (bytes > room) {
      size_t wanted = std::max(bytes, std::min(room + room / 4, NodeBytesMax()));
      node_ = static_cast<uint8_t*>(heap_->Replace(node_, wanted, bytes_));
    }
    bytes_ = bytes;
    return node_;
  }

 private:
  CountedHeap* heap_;
  uint8_t* node_;
  size_t bytes_;
};

uint8_t* NewNode(CountedHeap& heap, std::string_view bytes) {
  auto* node = static_cast<uint8_t*>(heap.Allocate(bytes.size()));
  memcpy(node, bytes.data(), bytes.size());
  return node;
}

// Puts the node into the form of complete ones: sealed, without room behind it. What is very large stays as it is:
// there is little to gain, and it would be there twice meanwhile.
void SealNode(CountedHeap& heap, StreamId master, uint8_t* payload) {
  constexpr size_t kSealedMost = 64 << 10;
  uint8_t* node = StreamNodeAt(payload);
  if (stream_node::IsSealed(node)) return;
  size_t bytes = stream_node::Bytes(node);
  if (bytes <= kSealedMost) {
    std::string sealed;
    stream_node::Seal(node, master, &sealed);
    SetStreamNode(payload, NewNode(heap, sealed));
    heap.Free(node);
  } else if (Heap::GrantedSize(bytes) < Heap::BlockSize(node)) {
    SetStreamNode(payload, static_cast<uint8_t*>(heap.Replace(node, bytes, bytes)));
  }
}

// Makes a node open to which entries are to be added: those behind it are gone.
void OpenNode(CountedHeap& heap, StreamId master, uint8_t* payload) {
  uint8_t* node = StreamNodeAt(payload);
  if (!stream_node::IsSealed(node)) return;
  std::string open;
  stream_node::Unseal(node, master, &open);
  SetStreamNode(payload, NewNode(heap, open));
  heap.Free(node);
}

bool IsFull(const uint8_t* node, size_t more_bytes) {
  if (stream_node::ListpackBytes(node) + more_bytes >= NodeBytesMax()) return true;
  int64_t most = encoding_limits.stream_node_max_entries;
  if (most == 0) return false;
  stream_node::Head head = stream_node::ReadHead(node);
  return head.live + head.deleted >= most;
}

// A node for entries with these fields, its master entry written.
uint8_t* BeginNode(Stream& stream, StreamId id, const std::string_view* pairs, size_t count, size_t text_bytes) {
  // About what it and its first entry take.
  size_t wanted = listpack::kEmptyBytes + 20 + 4 * count + text_bytes;
  auto* lp = static_cast<uint8_t*>(stream.heap.Allocate(wanted));
  listpack::Init(lp);
  NodeBytes node(&stream.heap, lp);
  stream_node::WriteMaster(node, pairs, count);
  bool added;
  uint8_t* payload = stream.nodes.Insert(stream.heap, id, &added);
  SetStreamNode(payload, node.data());
  return payload;
}

void RemoveNode(Stream& stream, StreamId master, uint8_t* lp) {
  stream.heap.Free(lp);
  stream.nodes.Erase(stream.heap, master);
}

}  // namespace

size_t EmptyStreamBytes() { return sizeof(void*); }

void InitStream(Value& value) {
  Heap& heap = value.heap();
  value.MakeExternal(Encoding::kStream, new (heap.Allocate(sizeof(Stream), MemoryCategory::kData)) Stream(&heap));
}

size_t StreamLength(const Value& value) { return value.As<Stream>()->length; }

// ---- reading

StreamRange::StreamRange(const Stream& stream, StreamId from, StreamId to, bool backward)
    : from_(from), to_(to), backward_(backward) {
  if (from > to) return;
  node_ = stream.nodes.Until(backward ? to : from);
  if (!node_ && !backward) node_ = stream.nodes.First();
  if (node_) Enter();
}

void StreamRange::Enter() {
  walker_ = stream_node::Walker(StreamNodeAt(node_.payload()), node_.id());
  if (!fresh_) {
    if (backward_) walker_.GoToEnd();
    return;
  }
  fresh_ = false;
  if (!backward_) {
    walker_.Seek(from_);
    return;
  }
  // To before the first entry that is greater.
  StreamId after = to_;
  if (after.Increment()) {
    walker_.Seek(after);
  } else {
    walker_.GoToEnd();
  }
}

bool StreamRange::Next(StreamEntry* entry) {
  while (node_) {
    while (backward_ ? walker_.Previous(entry) : walker_.Next(entry)) {
      if (entry->deleted) continue;
      if (backward_ ? entry->id < from_ : entry->id > to_) {
        node_ = IdTree::Cursor();
        return false;
      }
      // What Seek left out of order among deleted ones.
      if (backward_ ? entry->id > to_ : entry->id < from_) continue;
      return true;
    }
    backward_ ? node_.Previous() : node_.Next();
    if (node_) Enter();
  }
  return false;
}

bool StreamGet(const Stream& stream, StreamId id, StreamEntry* entry) {
  IdTree::Cursor node = stream.nodes.Until(id);
  if (!node) return false;
  stream_node::Walker walker(StreamNodeAt(node.payload()), node.id());
  walker.Seek(id);
  while (walker.Next(entry)) {
    if (!entry->deleted) return entry->id == id;
  }
  return false;
}

bool StreamContains(const Stream& stream, StreamId id) {
  StreamEntry entry;
  return StreamGet(stream, id, &entry);
}

StreamId StreamLastLive(const Stream& stream) {
  StreamEntry entry;
  StreamRange range(stream, StreamId(), StreamId::Max(), true);
  return range.Next(&entry) ? entry.id : StreamId();
}

size_t StreamCountAfter(const Stream& stream, StreamId id, size_t most) {
  IdTree::Cursor node = stream.nodes.Until(id);
  if (!node) node = stream.nodes.First();
  size_t count = 0;
  bool first = true;
  for (; node && count < most; node.Next()) {
    const uint8_t* lp = StreamNodeAt(node.payload());
    if (!first) {
      count += static_cast<size_t>(stream_node::LiveEntries(lp));
      continue;
    }
    first = false;
    stream_node::Walker walker(lp, node.id());
    StreamEntry entry;
    walker.GoToEnd();
    while (walker.Previous(&entry) && (entry.deleted || entry.id > id)) count += !entry.deleted;
  }
  return std::min(count, most);
}

// ---- changing

bool StreamNextId(const Stream& stream, uint64_t now_ms, StreamId* id) {
  *id = {now_ms, 0};
  if (now_ms > stream.last_id.ms) return true;
  *id = stream.last_id;
  return id->Increment();
}

void StreamAppend(Stream& stream, StreamId id, const std::string_view* pairs, size_t count) {
  size_t text_bytes = 0;
  for (size_t i = 0; i < 2 * count; i++) text_bytes += pairs[i].size();
  IdTree::Cursor last = stream.nodes.Last();
  // One without live entries, after XSETID went back behind it.
  for (; last && id <= last.id(); last = stream.nodes.Last()) {
    RemoveNode(stream, last.id(), StreamNodeAt(last.payload()));
  }
  uint8_t* payload = last ? last.payload() : nullptr;
  StreamId master = last ? last.id() : id;
  if (payload == nullptr || IsFull(StreamNodeAt(payload), text_bytes)) {
    if (payload != nullptr) SealNode(stream.heap, master, payload);
    payload = BeginNode(stream, id, pairs, count, text_bytes);
    master = id;
  }
  OpenNode(stream.heap, master, payload);
  NodeBytes node(&stream.heap, StreamNodeAt(payload));
  stream_node::AppendEntry(node, master, id, pairs, count);
  SetStreamNode(payload, node.data());
  stream.length++;
  stream.entries_added++;
  stream.last_id = id;
  if (stream.length == 1) stream.first_id = id;
}

void StreamFindFirst(Stream& stream) {
  StreamEntry entry;
  StreamRange range(stream, StreamId(), StreamId::Max());
  stream.first_id = stream.length > 0 && range.Next(&entry) ? entry.id : StreamId();
}

bool StreamErase(Stream& stream, StreamId id) {
  IdTree::Cursor node = stream.nodes.Until(id);
  StreamEntry entry;
  if (!node || !StreamGet(stream, id, &entry)) return false;
  uint8_t* lp = StreamNodeAt(node.payload());
  if (stream_node::LiveEntries(lp) == 1) {
    RemoveNode(stream, node.id(), lp);
  } else {
    stream_node::SetDeleted(lp, entry.at);
    NodeBytes bytes(&stream.heap, lp);
    stream_node::CountDeleted(bytes, 1);
    SetStreamNode(node.payload(), bytes.data());
  }
  stream.length--;
  if (id == stream.first_id) StreamFindFirst(stream);
  return true;
}

namespace {

// Whether all of the node goes. Asked by its last entry, live or not.
bool GoesWhole(const Stream& stream, const StreamTrim& trim, const uint8_t* lp, StreamId master) {
  if (trim.by == StreamTrim::kLength) {
    return stream.length - static_cast<size_t>(stream_node::LiveEntries(lp)) >= trim.length;
  }
  stream_node::Walker walker(lp, master);
  StreamEntry entry;
  walker.GoToEnd();
  return !walker.Previous(&entry) || entry.id < trim.min_id;
}

// Removes the node's first entries; returns how many. If a deleted one behind them is too late to go, it can be that
// no live one is left; the node stays all the same, as in redis-server.
size_t TrimNode(Stream& stream, const StreamTrim& trim, StreamId master, uint8_t* payload) {
  uint8_t* node = StreamNodeAt(payload);
  stream_node::Walker walker(node, master);
  StreamEntry entry;
  size_t gone = 0;
  while (walker.Next(&entry)) {
    if (trim.by == StreamTrim::kLength ? stream.length - gone <= trim.length : entry.id >= trim.min_id) break;
    if (entry.deleted) continue;
    stream_node::SetDeleted(node, entry.at);
    gone++;
  }
  if (gone > 0) {
    NodeBytes bytes(&stream.heap, node);
    stream_node::CountDeleted(bytes, static_cast<int64_t>(gone));
    SetStreamNode(payload, bytes.data());
  }
  return gone;
}

}  // namespace

size_t TrimStream(Stream& stream, const StreamTrim& trim) {
  if (trim.by == StreamTrim::kNothing) return 0;
  size_t gone = 0;
  for (IdTree::Cursor node = stream.nodes.First(); node; node = stream.nodes.First()) {
    if (trim.by == StreamTrim::kLength && stream.length <= trim.length) break;
    uint8_t* lp = StreamNodeAt(node.payload());
    auto live = static_cast<size_t>(stream_node::LiveEntries(lp));
    if (trim.limit != 0 && gone + live > static_cast<size_t>(trim.limit)) break;
    if (GoesWhole(stream, trim, lp, node.id())) {
      RemoveNode(stream, node.id(), lp);
      stream.length -= live;
      gone += live;
      continue;
    }
    if (!trim.approximate) {
      size_t part = TrimNode(stream, trim, node.id(), node.payload());
      stream.length -= part;
      gone += part;
    }
    break;
  }
  if (gone > 0) StreamFindFirst(stream);
  return gone;
}

// ---- loading, and what XINFO tells

void StreamAddNode(Stream& stream, StreamId master, std::string_view bytes) {
  if (IdTree::Cursor last = stream.nodes.Last()) SealNode(stream.heap, last.id(), last.payload());
  uint8_t* node = NewNode(stream.heap, bytes);
  bool added;
  SetStreamNode(stream.nodes.Insert(stream.heap, master, &added), node);
}

namespace {

// Where two ids, as 16 bytes big-endian, begin to differ.
size_t CommonPrefix(StreamId a, StreamId b) {
  uint64_t differ = a.ms ^ b.ms;
  if (differ != 0) return static_cast<size_t>(std::countl_zero(differ)) / 8;
  return 8 + static_cast<size_t>(std::countl_zero(a.seq ^ b.seq)) / 8;
}

}  // namespace

// A key of its own has a leaf. Where keys part there is a node with a branch for each; what keys have in common between
// two such places is one node more.
size_t StreamRadixNodes(const Stream& stream) {
  constexpr size_t kMost = 16384;
  constexpr size_t kKeyBytes = 16;
  if (stream.nodes.empty()) return 1;
  size_t keys = 0;
  size_t nodes = 0;
  size_t parts[kKeyBytes + 1];  // the branchings on the way to the last key, and the root
  size_t depth = 0;
  StreamId last;
  // What lies between a branching (or the root) and what is below: the branching takes one byte itself.
  auto chain = [&](size_t from, bool from_root, size_t to) { return to > from + (from_root ? 0 : 1) ? 1 : 0; };
  auto close = [&](size_t until) {  // everything of the last key below the depth `until`
    size_t below = kKeyBytes;
    nodes++;
    while (depth > 0 && parts[depth - 1] > until) {
      nodes += 1 + static_cast<size_t>(chain(parts[depth - 1], false, below));
      below = parts[--depth];
    }
    return below;
  };
  for (IdTree::Cursor node = stream.nodes.First(); node && keys < kMost; node.Next()) {
    StreamId id = node.id();
    if (keys++ > 0) {
      size_t common = CommonPrefix(last, id);
      size_t below = close(common);
      if (depth == 0 || parts[depth - 1] < common) parts[depth++] = common;
      nodes += static_cast<size_t>(chain(common, false, below));
    }
    last = id;
  }
  size_t below = kKeyBytes;
  nodes++;
  while (depth > 0) {
    nodes += 1 + static_cast<size_t>(chain(parts[depth - 1], false, below));
    below = parts[--depth];
  }
  nodes += static_cast<size_t>(chain(0, true, below));
  return keys < stream.nodes.size() ? nodes * (stream.nodes.size() / keys) : nodes;
}

}  // namespace brim
