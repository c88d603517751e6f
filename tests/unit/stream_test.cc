#include "types/stream.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "fake_value.h"
#include "types/limits.h"
#include "types/stream_groups.h"

namespace brim {
namespace {

using Texts = std::vector<std::string>;
using Model = std::map<StreamId, Texts>;

Texts ReadEntry(const StreamEntry& entry) {
  Texts texts;
  char buffer[24];
  entry.ForEachPair([&](const listpack::Item& field, const listpack::Item& value) {
    texts.emplace_back(field.Text(buffer));
    texts.emplace_back(value.Text(buffer));
  });
  return texts;
}

Model Read(const Stream& stream, StreamId from, StreamId to, bool backward) {
  Model model;
  StreamEntry entry;
  StreamRange range(stream, from, to, backward);
  StreamId last = backward ? StreamId::Max() : StreamId();
  while (range.Next(&entry)) {
    EXPECT_TRUE(model.empty() || (backward ? entry.id < last : entry.id > last));
    last = entry.id;
    model[entry.id] = ReadEntry(entry);
  }
  return model;
}

class StreamTest : public ::testing::Test {
 protected:
  void SetUp() override { InitStream(value); }
  void TearDown() override { encoding_limits = EncodingLimits(); }

  Stream& stream() { return *value.As<Stream>(); }
  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); }

  Texts RandomEntry() {
    Texts texts;
    bool usual = Below(4) != 0;
    uint64_t pairs = usual ? 2 : Below(5) + 1;
    for (uint64_t i = 0; i < pairs; i++) {
      texts.push_back(usual ? "field" + std::to_string(i) : std::to_string(Below(30)));
      texts.push_back(Below(3) == 0 ? std::string(Below(200), 'v') : std::to_string(Below(1 << 30)));
    }
    return texts;
  }
  void Append(StreamId id, const Texts& texts) {
    std::vector<std::string_view> views(texts.begin(), texts.end());
    StreamAppend(stream(), id, views.data(), views.size() / 2);
    model[id] = texts;
  }
  void AppendNext() {
    clock += Below(3);
    StreamId id;
    ASSERT_TRUE(StreamNextId(stream(), clock, &id));
    Append(id, RandomEntry());
  }
  void Erase(StreamId id) { EXPECT_EQ(StreamErase(stream(), id), model.erase(id) == 1); }
  StreamId RandomId() { return {Below(clock + 2), Below(3)}; }

  void CompareRange(StreamId from, StreamId to) {
    Model expected;
    if (from <= to) expected = Model(model.lower_bound(from), model.upper_bound(to));
    ASSERT_EQ(Read(stream(), from, to, false), expected);
    ASSERT_EQ(Read(stream(), from, to, true), expected);
  }
  void Compare() {
    ASSERT_TRUE(stream().nodes.IsConsistent());
    ASSERT_EQ(StreamLength(value), model.size());
    ASSERT_EQ(stream().first_id, model.empty() ? StreamId() : model.begin()->first);
    ASSERT_EQ(StreamLastLive(stream()), model.empty() ? StreamId() : model.rbegin()->first);
    ASSERT_NO_FATAL_FAILURE(CompareRange(StreamId(), StreamId::Max()));
    for (int i = 0; i < 20; i++) {
      StreamId id = RandomId();
      ASSERT_NO_FATAL_FAILURE(CompareRange(id, RandomId()));
      ASSERT_EQ(StreamContains(stream(), id), model.contains(id));
      auto after = static_cast<size_t>(std::distance(model.upper_bound(id), model.end()));
      ASSERT_EQ(StreamCountAfter(stream(), id, SIZE_MAX), after);
      ASSERT_EQ(StreamCountAfter(stream(), id, 17), std::min<size_t>(after, 17));
    }
    ASSERT_EQ(static_cast<size_t>(UsedByCategory(MemoryCategory::kData) - before), StreamExternalBytes(stream()));
  }

  int64_t before = UsedByCategory(MemoryCategory::kData);
  Heap heap;
  FakeValue value{&heap, Type::kStream, Encoding::kStream, EmptyStreamBytes()};
  Model model;
  uint64_t clock = 1;
  std::mt19937_64 random{11};
};

TEST_F(StreamTest, RandomChanges) {
  for (int round = 0; round < 12; round++) {
    encoding_limits.stream_node_max_entries = static_cast<int64_t>(round % 4 == 3 ? 0 : 1 + Below(150));
    encoding_limits.stream_node_max_bytes = round % 3 == 2 ? 0 : 1 + Below(8000);
    for (int i = 0; i < 600; i++) {
      uint64_t kind = Below(100);
      if (kind < 60) {
        ASSERT_NO_FATAL_FAILURE(AppendNext());
      } else if (kind < 96) {
        Erase(RandomId());
      } else if (kind < 98) {
        StreamTrim trim;
        trim.by = StreamTrim::kLength;
        trim.length = Below(model.size() + 10);
        size_t over = model.size() > trim.length ? model.size() - trim.length : 0;
        ASSERT_EQ(TrimStream(stream(), trim), over);
        model.erase(model.begin(), std::next(model.begin(), static_cast<ptrdiff_t>(over)));
      } else {
        StreamTrim trim;
        trim.by = StreamTrim::kId;
        trim.min_id = RandomId();
        auto end = model.lower_bound(trim.min_id);
        ASSERT_EQ(TrimStream(stream(), trim), static_cast<size_t>(std::distance(model.begin(), end)));
        model.erase(model.begin(), end);
      }
    }
    ASSERT_NO_FATAL_FAILURE(Compare());
  }
}

// Whole nodes alone, and no more than the limit says.
TEST_F(StreamTest, ApproximateTrim) {
  encoding_limits.stream_node_max_entries = 10;
  for (int i = 0; i < 1000; i++) Append({clock++, 0}, {"f", "v"});
  StreamTrim trim;
  trim.by = StreamTrim::kLength;
  trim.length = 995;
  trim.approximate = true;
  EXPECT_EQ(TrimStream(stream(), trim), 0u);
  trim.length = 505;
  EXPECT_EQ(TrimStream(stream(), trim), 490u);
  trim.length = 0;
  trim.limit = 35;
  EXPECT_EQ(TrimStream(stream(), trim), 30u);
  EXPECT_EQ(StreamLength(value), 480u);
  EXPECT_EQ(stream().first_id, (StreamId{521, 0}));
}

// Nodes behind which others stand are sealed; one that is the last again takes entries.
TEST_F(StreamTest, SealsAndOpensNodes) {
  encoding_limits.stream_node_max_entries = 0;
  encoding_limits.stream_node_max_bytes = 2000;
  Append({1, 0}, {"f", "1"});
  Append({2, 0}, {"f", "2"});
  Append({3, 0}, {"f", std::string(2000, 'x')});
  ASSERT_EQ(stream().nodes.size(), 2u);
  EXPECT_TRUE(stream_node::IsSealed(StreamNodeAt(stream().nodes.First().payload())));
  EXPECT_FALSE(stream_node::IsSealed(StreamNodeAt(stream().nodes.Last().payload())));
  Erase({3, 0});
  Append({4, 0}, {"f", "4"});
  ASSERT_EQ(stream().nodes.size(), 1u);
  EXPECT_FALSE(stream_node::IsSealed(StreamNodeAt(stream().nodes.First().payload())));
  Compare();
}

// Sealing and opening give the same listpack again, whatever was deleted meanwhile.
TEST_F(StreamTest, SealedNodesKeepEveryByte) {
  encoding_limits.stream_node_max_entries = 0;
  encoding_limits.stream_node_max_bytes = 0;
  for (int i = 0; i < 300; i++) ASSERT_NO_FATAL_FAILURE(AppendNext());
  for (int i = 0; i < 140; i++) Erase(RandomId());
  IdTree::Cursor node = stream().nodes.First();
  const uint8_t* open = StreamNodeAt(node.payload());
  std::string sealed;
  std::string again;
  stream_node::Seal(open, node.id(), &sealed);
  const auto* bytes = reinterpret_cast<const uint8_t*>(sealed.data());
  EXPECT_TRUE(stream_node::IsSealed(bytes));
  EXPECT_EQ(stream_node::Bytes(bytes), sealed.size());
  EXPECT_LT(sealed.size(), listpack::TotalBytes(open));
  EXPECT_EQ(stream_node::ListpackBytes(bytes), listpack::TotalBytes(open));
  stream_node::Unseal(bytes, node.id(), &again);
  EXPECT_EQ(again, std::string(reinterpret_cast<const char*>(open), listpack::TotalBytes(open)));
  StreamId last;
  size_t live;
  EXPECT_TRUE(stream_node::IsValid(reinterpret_cast<const uint8_t*>(again.data()), again.size(), node.id(), true, &last,
                                   &live));
  EXPECT_EQ(live, model.size());
}

TEST_F(StreamTest, SmallEntriesAreSmall) {
  for (int i = 0; i < 100000; i++) {
    Append({1700000000000 + static_cast<uint64_t>(i), 0},
           {"temp", std::to_string(i % 100), "hum", std::to_string(i % 90)});
  }
  EXPECT_LT(StreamExternalBytes(stream()), 620000u);
}

// ---- groups

using Pending = std::map<StreamId, std::pair<std::string, uint64_t>>;  // consumer, deliveries

Pending ReadPending(const StreamGroup& group) {
  Pending pending;
  for (IdTree::Cursor at = group.pending.First(); at; at.Next()) {
    StreamNack nack = NackAt(at.payload());
    pending[at.id()] = {std::string(group.consumers[nack.consumer]->name()), nack.deliveries};
  }
  // The consumers' views are the same, put together.
  size_t of_consumers = 0;
  for (size_t i = 0; i < group.consumer_count; i++) {
    const StreamConsumer& consumer = *ConsumerAt(group, i);
    EXPECT_TRUE(i == 0 || ConsumerAt(group, i - 1)->name() < consumer.name());
    for (IdTree::Cursor at = consumer.pending.First(); at; at.Next(), of_consumers++) {
      EXPECT_EQ(pending[at.id()].first, consumer.name());
    }
  }
  EXPECT_EQ(of_consumers, pending.size());
  return pending;
}

TEST_F(StreamTest, GroupsKeepWhatIsPending) {
  std::map<std::string, Pending> groups;
  for (const char* name : {"b", "a", "c", ""}) {
    ASSERT_NE(CreateGroup(stream(), name, StreamId(), 0), nullptr);
    EXPECT_EQ(CreateGroup(stream(), name, StreamId(), 0), nullptr);
    groups[name];
  }
  for (int i = 0; i < 30000; i++) {
    auto it = std::next(groups.begin(), static_cast<ptrdiff_t>(Below(groups.size())));
    StreamGroup* group = FindGroup(stream(), it->first);
    ASSERT_NE(group, nullptr);
    std::string name = "consumer" + std::to_string(Below(9));
    StreamId id{Below(800), 0};
    uint64_t kind = Below(100);
    if (kind < 55) {
      StreamConsumer* consumer = FindConsumer(*group, name);
      if (consumer == nullptr) consumer = CreateConsumer(stream(), *group, name, 1);
      SetNack(stream(), *group, id, {5, Below(7), consumer->number});
      StreamNack nack;
      ASSERT_TRUE(GetNack(*group, id, &nack));
      it->second[id] = {name, nack.deliveries};
    } else if (kind < 99) {
      ASSERT_EQ(RemoveNack(stream(), *group, id), it->second.erase(id) == 1);
    } else if (StreamConsumer* consumer = FindConsumer(*group, name)) {
      DeleteConsumer(stream(), *group, consumer);
      std::erase_if(it->second, [&](const auto& one) { return one.second.first == name; });
    }
  }
  for (const auto& [name, pending] : groups) EXPECT_EQ(ReadPending(*FindGroup(stream(), name)), pending);
  FakeValue copy{&heap, Type::kStream, Encoding::kStream, EmptyStreamBytes()};
  CopyStream(value, copy);
  for (const auto& [name, pending] : groups) EXPECT_EQ(ReadPending(*FindGroup(*copy.As<Stream>(), name)), pending);
  DestroyGroup(stream(), FindGroup(stream(), "b"));
  EXPECT_EQ(FindGroup(stream(), "b"), nullptr);
  EXPECT_EQ(ReadPending(*FindGroup(stream(), "c")), groups["c"]);
}

// ---- as memory

TEST_F(StreamTest, CopiesAndFreesInSlices) {
  for (int i = 0; i < 20000; i++) ASSERT_NO_FATAL_FAILURE(AppendNext());
  StreamGroup* group = CreateGroup(stream(), "g", StreamId(), 0);
  StreamConsumer* consumer = CreateConsumer(stream(), *group, "c", 0);
  for (const auto& [id, texts] : model) SetNack(stream(), *group, id, {1, 1, consumer->number});
  size_t before = heap.used_bytes();
  FakeValue copy{&heap, Type::kStream, Encoding::kStream, EmptyStreamBytes()};
  CopyStream(value, copy);
  EXPECT_EQ(Read(*copy.As<Stream>(), StreamId(), StreamId::Max(), false), model);
  EXPECT_EQ(heap.used_bytes() - before, StreamExternalBytes(*copy.As<Stream>()));
  auto* detached = static_cast<Stream*>(copy.ReleaseStructure());
  EXPECT_GT(StreamFreeEffort(*detached), 200u);
  int slices = 1;
  while (!StreamFreeSome(heap, detached, 50)) slices++;
  EXPECT_GT(slices, 10);
  EXPECT_EQ(heap.used_bytes(), before);
}

TEST_F(StreamTest, MovesItsBlocksOutOfGaps) {
  encoding_limits.stream_node_max_entries = 10;
  for (int i = 0; i < 20000; i++) Append({clock++, 0}, {"f", std::to_string(Below(1 << 20))});
  for (int g = 0; g < 3; g++) {
    StreamGroup* group = CreateGroup(stream(), "group" + std::to_string(g), StreamId(), 0);
    for (int c = 0; c < 40; c++) CreateConsumer(stream(), *group, "consumer" + std::to_string(c), 0);
    for (const auto& [id, texts] : model) SetNack(stream(), *group, id, {1, 1, static_cast<uint32_t>(Below(40))});
  }
  for (auto it = model.begin(); it != model.end();) {
    StreamId id = (it++)->first;
    if (id.ms / 10 % 6 == 0) continue;
    Erase(id);
    RemoveReferences(stream(), id);
  }
  std::map<int, Pending> pending;
  for (int g = 0; g < 3; g++) pending[g] = ReadPending(*stream().groups[g]);
  size_t before = heap.own().page_bytes();
  EXPECT_GT(heap.own().BeginEvacuation(BlockKind::kPart, SIZE_MAX), 0u);
  uint64_t cursor = 0;
  int slices = 1;
  while (!StreamTidySome(stream(), &cursor)) slices++;
  EXPECT_GT(slices, 3);
  // The root is moved by who points at it.
  EXPECT_LE(heap.own().EndEvacuation(BlockKind::kPart), 1u);
  EXPECT_LT(heap.own().page_bytes(), before);
  Compare();
  for (int g = 0; g < 3; g++) EXPECT_EQ(ReadPending(*stream().groups[g]), pending[g]);
}

// ---- what XINFO says of redis-server's tree

TEST_F(StreamTest, CountsRadixNodes) {
  encoding_limits.stream_node_max_entries = 1;
  EXPECT_EQ(StreamRadixNodes(stream()), 1u);
  Append({1, 1}, {"f", "v"});
  EXPECT_EQ(StreamRadixNodes(stream()), 2u);
  Append({1, 2}, {"f", "v"});  // 15 bytes in common, a node with two branches, two leaves
  EXPECT_EQ(StreamRadixNodes(stream()), 4u);
  Append({1, 3}, {"f", "v"});
  EXPECT_EQ(StreamRadixNodes(stream()), 5u);
  Append({2, 0}, {"f", "v"});  // 7 in common; below the first branch 7 more are, below the second 8
  EXPECT_EQ(StreamRadixNodes(stream()), 9u);
}

}  // namespace
}  // namespace brim
