// A stream as blocks of memory: measured, freed and moved in slices, copied.
#include <algorithm>
#include <new>

#include "types/stream.h"
#include "types/stream_groups.h"
#include "types/stream_producers.h"

namespace brim {

namespace {

void Nothing(uint8_t*) {}

}  // namespace

size_t StreamExternalBytes(const Stream& stream) { return Heap::GrantedSize(sizeof(Stream)) + stream.heap.bytes; }

size_t StreamFreeEffort(const Stream& stream) {
  size_t effort = stream.nodes.size();
  for (uint32_t i = 0; i < stream.group_count; i++) {
    effort += stream.groups[i]->pending.leaves() + stream.groups[i]->consumer_count;
  }
  if (stream.producers != nullptr) effort += stream.producers->records + stream.producers->count;
  return effort;
}

// ---- freeing

namespace {

// Counts blocks down.
class Budget {
 public:
  explicit Budget(size_t blocks) : left_(blocks) {}
  void Take(size_t blocks) { left_ = left_ > blocks ? left_ - blocks : 0; }
  bool over() const { return left_ == 0; }
  size_t* left() { return &left_; }

 private:
  size_t left_;
};

// True when nothing is left of the group but its own block.
bool FreeGroupParts(CountedHeap& heap, StreamGroup& group, Budget& budget) {
  while (!budget.over() && group.pending.DropLeaf(heap, Nothing)) budget.Take(1);
  while (!budget.over() && group.consumer_count > 0) {
    StreamConsumer* consumer = ConsumerAt(group, group.consumer_count - 1);
    while (!budget.over() && consumer->pending.DropLeaf(heap, Nothing)) budget.Take(1);
    if (consumer->pending.leaves() > 0) return false;
    heap.Free(consumer);
    budget.Take(1);
    group.consumer_count--;
  }
  if (group.pending.leaves() > 0 || group.consumer_count > 0) return false;
  if (group.capacity > 0) {
    heap.Free(group.consumers);
    heap.Free(group.by_name);
    group.capacity = 0;
  }
  return true;
}

}  // namespace

bool StreamFreeSome(Heap& heap, Stream* stream, size_t blocks) {
  Budget budget(blocks);
  CountedHeap& counted = stream->heap;
  auto free_node = [&](uint8_t* payload) {
    counted.Free(StreamNodeAt(payload));
    budget.Take(1);
  };
  while (!budget.over() && stream->nodes.DropLeaf(counted, free_node)) {
  }
  if (stream->nodes.leaves() > 0) return false;
  while (stream->group_count > 0) {
    StreamGroup* group = stream->groups[stream->group_count - 1];
    if (budget.over() || !FreeGroupParts(counted, *group, budget)) return false;
    counted.Free(group);
    budget.Take(1);
    stream->group_count--;
  }
  if (!FreeProducersSome(*stream, budget.left())) return false;
  if (stream->group_capacity > 0) counted.Free(stream->groups);
  heap.Free(stream, sizeof(Stream), MemoryCategory::kData);
  return true;
}

// ---- moving

namespace {

// A walk over numbered units (leaves of trees, groups, consumers): those before the cursor are passed over, some are
// tidied, and the cursor says where to go on.
class TidyWalk {
 public:
  TidyWalk(CountedHeap* heap, uint64_t* cursor) : heap_(heap), cursor_(cursor) {}
  // Blocks that one slice looks at, about.
  bool over() const { return looked_at_ >= kBlocks; }

  template <class Fn>
  void Leaves(IdTree& tree, size_t blocks_each, Fn&& fn) {
    uint64_t first = unit_;
    unit_ += tree.leaves();
    if (*cursor_ >= unit_ || over()) return;
    size_t most = (kBlocks - looked_at_ + blocks_each - 1) / blocks_each;
    size_t done = tree.Tidy(*heap_, *cursor_ - first, most, fn);
    looked_at_ += done * blocks_each;
    *cursor_ += done;
  }
  template <class T>
  void Block(T** block) {
    uint64_t unit = unit_++;
    if (*cursor_ > unit || over()) return;
    *block = heap_->Moved(*block);
    looked_at_++;
    ++*cursor_;
  }
  // Units that move several blocks each: move(i) returns how many.
  template <class Fn>
  void Units(uint64_t count, Fn&& move) {
    uint64_t first = unit_;
    unit_ += count;
    for (uint64_t i = *cursor_ > first ? *cursor_ - first : 0; i < count && !over(); i++) {
      looked_at_ += move(i);
      ++*cursor_;
    }
  }
  CountedHeap& heap() { return *heap_; }

 private:
  static constexpr size_t kBlocks = 512;
  CountedHeap* heap_;
  uint64_t* cursor_;
  uint64_t unit_ = 0;
  size_t looked_at_ = 0;
};

void TidyGroup(TidyWalk& walk, StreamGroup*& group) {
  walk.Block(&group);
  if (group->capacity > 0) {
    walk.Block(&group->consumers);
    walk.Block(&group->by_name);
  }
  walk.Leaves(group->pending, 1, Nothing);
  for (uint32_t i = 0; i < group->numbers && !walk.over(); i++) {
    if (group->consumers[i] == nullptr) continue;
    walk.Block(&group->consumers[i]);
    walk.Leaves(group->consumers[i]->pending, 1, Nothing);
  }
}

}  // namespace

// The cursor counts units as they are now; what is added or goes between two slices makes the walk miss some.
bool StreamTidySome(Stream& stream, uint64_t* cursor) {
  constexpr size_t kNodesALeaf = 42;
  TidyWalk walk(&stream.heap, cursor);
  walk.Leaves(stream.nodes, kNodesALeaf,
              [&](uint8_t* payload) { SetStreamNode(payload, stream.heap.Moved(StreamNodeAt(payload))); });
  if (stream.group_capacity > 0) walk.Block(&stream.groups);
  for (uint32_t i = 0; i < stream.group_count && !walk.over(); i++) TidyGroup(walk, stream.groups[i]);
  if (stream.producers != nullptr) {
    StreamProducers*& producers = stream.producers;
    walk.Units(1, [&](uint64_t) {
      producers = stream.heap.Moved(producers);
      producers->places.Tidy(stream.heap);
      if (producers->list != nullptr) producers->list = stream.heap.Moved(producers->list);
      return 3;
    });
    walk.Units(producers->count, [&](uint64_t i) { return TidyProducer(stream.heap, producers->list[i]); });
  }
  return !walk.over();
}

// ---- copying

namespace {

StreamGroup* CopyGroup(CountedHeap& heap, const StreamGroup* from) {
  StreamGroup* group = heap.Copied(from, sizeof(StreamGroup) + from->name_size);
  group->pending = from->pending.Copy(heap, Nothing);
  if (from->capacity == 0) return group;
  group->consumers = heap.Copied(from->consumers, from->capacity * sizeof(StreamConsumer*));
  group->by_name = heap.Copied(from->by_name, from->capacity * sizeof(uint32_t));
  for (uint32_t i = 0; i < from->numbers; i++) {
    const StreamConsumer* consumer = from->consumers[i];
    if (consumer == nullptr) continue;
    group->consumers[i] = heap.Copied(consumer, sizeof(StreamConsumer) + consumer->name_size);
    group->consumers[i]->pending = consumer->pending.Copy(heap, Nothing);
  }
  return group;
}

}  // namespace

void CopyStream(const Value& src, Value& dst) {
  const auto& from = *src.As<Stream>();
  auto* copy = new (dst.heap().Allocate(sizeof(Stream), MemoryCategory::kData)) Stream(from);
  copy->heap = CountedHeap{&dst.heap()};
  copy->nodes = from.nodes.Copy(copy->heap, [&](uint8_t* payload) {
    const uint8_t* node = StreamNodeAt(payload);
    SetStreamNode(payload, copy->heap.Copied(node, stream_node::Bytes(node)));
  });
  if (from.group_capacity > 0) {
    copy->groups = copy->heap.Copied(from.groups, from.group_capacity * sizeof(StreamGroup*));
    for (uint32_t i = 0; i < from.group_count; i++) copy->groups[i] = CopyGroup(copy->heap, from.groups[i]);
  }
  if (from.producers != nullptr) copy->producers = CopyProducers(copy->heap, *from.producers);
  dst.MakeExternal(Encoding::kStream, copy);
}

}  // namespace brim
