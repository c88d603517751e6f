// Ids of streams: any text as an id, against another reading of the same rules; ids one up, one down, written and read
// again; and a stream that gets, loses and shows entries with ids from both ends of what there is, against a map.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "fuzz_input.h"
#include "types/detached_value.h"
#include "types/limits.h"
#include "types/stream.h"

namespace brim {
namespace {

class Input : public FuzzInput {
 public:
  using FuzzInput::FuzzInput;
  // Near both ends of the numbers, and anything.
  uint64_t Number() {
    uint8_t kind = Byte();
    if (kind < 96) return kind % 16;
    if (kind < 160) return UINT64_MAX - kind % 16;
    if (kind < 192) return uint64_t{1} << kind % 64;
    uint64_t number = 0;
    for (int i = kind % 8; i >= 0; i--) number = number << 8 | Byte();
    return number;
  }
};

// ---- texts

// A number as strtoull reads it, all of it; but no negative one in its usual form.
bool ReadNumber(std::string_view text, uint64_t* number) {
  size_t at = 0;
  while (at < text.size() && strchr(" \t\n\v\f\r", text[at]) != nullptr) at++;
  bool negative = at < text.size() && text[at] == '-';
  if (negative || (at < text.size() && text[at] == '+')) at++;
  bool usual = at == 1 && negative && text.size() > 1 && text[1] != '0';
  if (at == text.size()) return false;
  unsigned __int128 sum = 0;
  for (; at < text.size(); at++) {
    if (text[at] < '0' || text[at] > '9') return false;
    sum = sum * 10 + static_cast<unsigned>(text[at] - '0');
    if (sum > UINT64_MAX) return false;
  }
  if (usual && sum <= uint64_t{1} << 63) return false;
  *number = static_cast<uint64_t>(negative ? 0 - sum : sum);
  return true;
}

// *open: "ms-*".
bool ReadId(std::string_view text, uint64_t missing_seq, StreamId* id, bool* open) {
  *open = false;
  if (text.size() > 127) return false;
  text = text.substr(0, text.find('\0'));
  size_t dash = text.find('-');
  if (!ReadNumber(text.substr(0, dash), &id->ms)) return false;
  id->seq = missing_seq;
  if (dash == std::string_view::npos) return true;
  std::string_view seq = text.substr(dash + 1);
  *open = seq == "*";
  return ReadNumber(seq, &id->seq);
}

void LookAtText(std::string_view text) {
  for (uint64_t missing : {uint64_t{0}, UINT64_MAX}) {
    StreamId id;
    StreamId expected;
    bool open;
    bool good = ReadId(text, missing, &expected, &open);
    Require(ParseStreamId(text, missing, &id) == good);
    Require(!good || id == expected);
    bool low = text == "-" || (text.size() > 1 && text[0] == '-' && text[1] == '\0');
    bool high = text == "+" || (text.size() > 1 && text[0] == '+' && text[1] == '\0');
    Require(ParseStreamIdOrEdge(text, missing, &id) == (good || low || high));
    Require(!low || id.is_zero());
    Require(!high || id == StreamId::Max());
    bool seq_given = false;
    bool fresh = ParseNewStreamId(text, &id, &seq_given);
    Require(fresh == (good || open));
    Require(!fresh || seq_given == !open);
    Require(!open || !fresh || (id.ms == expected.ms && id.seq == 0));
  }
}

void LookAtId(StreamId id) {
  StreamIdText text(id);
  StreamId same;
  Require(text.view().size() < kStreamIdTextMax);
  Require(ParseStreamId(text.view(), 7, &same) && same == id);
  auto whole = [](StreamId each) { return static_cast<unsigned __int128>(each.ms) << 64 | each.seq; };
  StreamId next = id;
  Require(next.Increment() == (id != StreamId::Max()));
  Require(next == id ? id == StreamId::Max() : whole(next) == whole(id) + 1 && next > id && next.Decrement());
  Require(next == id);
  StreamId previous = id;
  Require(previous.Decrement() != id.is_zero());
  Require(previous == id ? id.is_zero() : whole(previous) == whole(id) - 1 && previous < id);
}

// ---- a stream

class Streamed final : public DetachedValue {
 public:
  using DetachedValue::DetachedValue;
};

class Play {
 public:
  explicit Play(Input* input) : input_(*input) {
    InitStream(value_);
    encoding_limits.stream_node_max_entries = input_.Byte() % 8;
    encoding_limits.stream_node_max_bytes = input_.Byte() % 4 == 0 ? 0 : 40 + input_.Byte();
  }

  void Run() {
    for (int steps = 0; steps < 300 && !input_.empty(); steps++) {
      Step(input_.Byte() % 12);
      Require(stream().length == model_.size());
      Require(stream().first_id == (model_.empty() ? StreamId() : model_.begin()->first));
    }
    Require(stream().nodes.IsConsistent());
    Compare(StreamId(), StreamId::Max());
    Require(StreamLastLive(stream()) == (model_.empty() ? StreamId() : model_.rbegin()->first));
    Require(StreamRadixNodes(stream()) > 0);
  }

 private:
  using Texts = std::vector<std::string>;

  static Heap* Shared() {
    static Heap heap;
    return &heap;
  }
  Stream& stream() { return *value_.As<Stream>(); }

  // Anything, or about where there is something.
  StreamId Id() {
    uint8_t kind = input_.Byte() % 4;
    if (kind == 0 || model_.empty()) return {input_.Number(), input_.Number()};
    StreamId id = stream().last_id;
    if (kind < 3) id = std::next(model_.begin(), static_cast<ptrdiff_t>(input_.Byte() % model_.size()))->first;
    uint8_t step = input_.Byte() % 3;
    if (step == 1) id.Increment();
    if (step == 2) id.Decrement();
    return id;
  }

  void Append(StreamId id) {
    if (id <= stream().last_id) return;
    uint8_t shape = input_.Byte();
    Texts texts;
    for (int i = 0; i <= shape % 3; i++) {
      texts.emplace_back(shape < 200 ? "field" + std::to_string(i) : std::to_string(shape));
      texts.emplace_back(shape % 5 == 0 ? std::string(shape, 'x') : std::to_string(input_.Number()));
    }
    std::vector<std::string_view> views(texts.begin(), texts.end());
    StreamAppend(stream(), id, views.data(), views.size() / 2);
    Require(stream().last_id == id);
    model_[id] = texts;
  }

  void Next() {
    uint64_t now_ms = input_.Number();
    StreamId last = stream().last_id;
    StreamId id;
    if (!StreamNextId(stream(), now_ms, &id)) {
      Require(last == StreamId::Max());
      return;
    }
    Require(id > last && id.ms >= std::min(now_ms, last.ms));
    Append(id);
  }

  void Trim(bool by_id, bool approximate) {
    StreamTrim trim;
    trim.by = by_id ? StreamTrim::kId : StreamTrim::kLength;
    trim.approximate = approximate;
    trim.min_id = by_id ? Id() : StreamId();
    trim.length = by_id ? 0 : input_.Byte() % (model_.size() + 3);
    if (approximate && input_.Byte() % 2 == 0) trim.limit = input_.Byte();
    size_t most = by_id ? static_cast<size_t>(std::distance(model_.begin(), model_.lower_bound(trim.min_id)))
                        : model_.size() - std::min(model_.size(), trim.length);
    size_t gone = TrimStream(stream(), trim);
    // As in redis-server a deleted entry that is out of order ends an exact trim by id too.
    Require(approximate || (by_id && disordered_) ? gone <= most : gone == most);
    Require(trim.limit == 0 || gone <= static_cast<size_t>(trim.limit));
    model_.erase(model_.begin(), std::next(model_.begin(), static_cast<ptrdiff_t>(gone)));
  }

  void CompareEntry(const StreamEntry& entry, const std::pair<const StreamId, Texts>& expected) {
    Require(entry.id == expected.first && entry.pairs * 2 == expected.second.size());
    char buffer[24];
    size_t i = 0;
    entry.ForEachPair([&](const listpack::Item& field, const listpack::Item& value) {
      Require(field.Text(buffer) == expected.second[i]);
      Require(value.Text(buffer) == expected.second[i + 1]);
      i += 2;
    });
  }

  void Compare(StreamId from, StreamId to) {
    auto low = model_.lower_bound(from);
    auto high = model_.upper_bound(to);
    if (from > to) high = low;
    StreamEntry entry;
    StreamRange forward(stream(), from, to);
    for (auto at = low; at != high; ++at) {
      Require(forward.Next(&entry));
      CompareEntry(entry, *at);
    }
    Require(!forward.Next(&entry));
    StreamRange backward(stream(), from, to, true);
    for (auto at = high; at != low;) {
      Require(backward.Next(&entry));
      CompareEntry(entry, *--at);
    }
    Require(!backward.Next(&entry));
  }

  void Look() {
    StreamId id = Id();
    StreamEntry entry;
    auto there = model_.find(id);
    Require(StreamContains(stream(), id) == (there != model_.end()));
    if (StreamGet(stream(), id, &entry)) CompareEntry(entry, *there);
    auto after = static_cast<size_t>(std::distance(model_.upper_bound(id), model_.end()));
    size_t most = input_.Byte() % 2 == 0 ? SIZE_MAX : input_.Byte();
    Require(StreamCountAfter(stream(), id, most) == std::min(after, most));
  }

  void Step(uint8_t what) {
    switch (what) {
      case 0:
      case 1:
        return Append(Id());
      case 2:
      case 3:
        return Next();
      case 4: {
        StreamId id = Id();
        Require(StreamErase(stream(), id) == (model_.erase(id) == 1));
        return;
      }
      case 5:
        return Trim(false, input_.Byte() % 2 == 0);
      case 6:
        return Trim(true, input_.Byte() % 2 == 0);
      case 7: {  // as XSETID
        StreamId id = Id();
        if (!model_.empty() && id < model_.rbegin()->first) return;
        disordered_ |= id < stream().last_id;
        stream().last_id = id;
        return;
      }
      case 8:
      case 9:
        return Look();
      default:
        StreamId from = Id();
        return Compare(from, Id());
    }
  }

  Input& input_;
  Streamed value_{Shared(), Type::kStream, Encoding::kStream, EmptyStreamBytes()};
  std::map<StreamId, Texts> model_;
  bool disordered_ = false;  // an id went back behind those of deleted entries
};

}  // namespace
}  // namespace brim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace brim;
  LookAtText({reinterpret_cast<const char*>(data), size});
  if (size > 0 && data[0] >= '0' && data[0] <= '9') return 0;  // a text and nothing else
  Input input(data, size);
  LookAtId({input.Number(), input.Number()});
  Play(&input).Run();
  return 0;
}
