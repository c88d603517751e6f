// Listpacks: random operations against a vector of texts; and hostile bytes that IsValid lets through must be readable.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "fuzz_input.h"
#include "types/listpack.h"

namespace {

using brim::Require;

class Bytes final : public brim::ValueBytes {
 public:
  explicit Bytes(size_t size) : bytes_(size) {}
  uint8_t* data() override { return bytes_.data(); }
  size_t size() const override { return bytes_.size(); }
  uint8_t* Resize(size_t bytes) override {
    std::vector<uint8_t> moved(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(std::min(bytes, bytes_.size())));
    moved.resize(bytes);
    bytes_.swap(moved);
    return bytes_.data();
  }

 private:
  std::vector<uint8_t> bytes_;
};

class Input : public brim::FuzzInput {
 public:
  using FuzzInput::FuzzInput;
  std::string Text() {
    uint8_t kind = Byte();
    if (kind < 60) return std::to_string(static_cast<int8_t>(Byte()) * (kind + 1));
    if (kind < 80) return std::to_string(static_cast<int64_t>(Byte()) << (kind % 56));
    if (kind < 90) return std::string(static_cast<size_t>(Byte()) * 40, 'x');
    std::string text;
    for (int i = kind % 16; i > 0 && !empty(); i--) text += static_cast<char>(Byte());
    return text;
  }
};

void Compare(Bytes& value, const std::vector<std::string>& model) {
  const uint8_t* lp = value.data();
  Require(brim::listpack::IsValid(lp, value.size()));
  Require(brim::listpack::Count(lp) == model.size());
  size_t at = brim::listpack::First(lp);
  char buffer[24];
  for (const std::string& text : model) {
    Require(at != brim::listpack::kEnd && brim::listpack::Get(lp, at).Text(buffer) == text);
    at = brim::listpack::Next(lp, at);
  }
  Require(at == brim::listpack::kEnd);
}

void Operate(Input input) {
  Bytes value(brim::listpack::kEmptyBytes);
  brim::listpack::Init(value.data());
  std::vector<std::string> model;
  for (int steps = 0; !input.empty() && steps < 200; steps++) {
    uint8_t what = input.Byte();
    std::string text = input.Text();
    size_t index = model.empty() ? 0 : input.Byte() % model.size();
    auto place = model.begin() + static_cast<ptrdiff_t>(index);
    size_t at = model.empty() ? brim::listpack::EndOffset(value.data())
                              : brim::listpack::At(value.data(), static_cast<int64_t>(index));
    if (what % 4 == 0) {
      brim::listpack::Append(value, text);
      model.push_back(text);
    } else if (what % 4 == 1) {
      brim::listpack::Insert(value, at, text);
      model.insert(place, text);
    } else if (!model.empty() && what % 4 == 2) {
      brim::listpack::Replace(value, at, text);
      *place = text;
    } else if (!model.empty()) {
      brim::listpack::Erase(value, at);
      model.erase(place);
    }
    Compare(value, model);
  }
}

void ReadHostile(const uint8_t* bytes, size_t size) {
  std::vector<uint8_t> copy(bytes, bytes + size);
  if (!brim::listpack::IsValid(copy.data(), copy.size())) return;
  size_t forward = 0;
  size_t backward = 0;
  for (size_t at = brim::listpack::First(copy.data()); at != brim::listpack::kEnd;
       at = brim::listpack::Next(copy.data(), at)) {
    forward += brim::listpack::TextSize(copy.data(), at);
  }
  for (size_t at = brim::listpack::Last(copy.data()); at != brim::listpack::kEnd;
       at = brim::listpack::Previous(copy.data(), at)) {
    backward += brim::listpack::TextSize(copy.data(), at);
  }
  Require(forward == backward);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Operate(Input(bytes, size));
  ReadHostile(bytes, size);
  return 0;
}
