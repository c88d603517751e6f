#pragma once
// Requests as bytes on their way to a file: their text, and big words that lie elsewhere (a command's arguments) and
// are not copied. One thread at a time; no locks.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

class RequestBuffer {
 public:
  // Words of that many bytes are pointed at, where they stay long enough.
  static constexpr size_t kBorrowBytes = 256 << 10;

  bool empty() const { return text_.empty(); }
  size_t size() const { return text_.size() + borrowed_bytes_; }
  // Of its own.
  size_t capacity() const { return text_.capacity(); }
  // Some of its bytes are not its own.
  bool borrows() const { return !borrowed_.empty(); }

  // All or nothing where memory is refused (std::bad_alloc).
  void Add(std::span<const std::string_view> words);
  // `lasting`: words whose bytes stay as they are until whoever adds them sees to it that they are written or copied.
  void Add(std::span<const std::string_view> words, std::span<const std::string_view> lasting);
  void AddText(std::string_view text) { text_ += text; }
  void Add(const RequestBuffer& other);

  // Where it ends; back to there.
  struct Mark {
    size_t text;
    size_t borrowed;
    size_t borrowed_bytes;
  };
  Mark End() const { return {text_.size(), borrowed_.size(), borrowed_bytes_}; }
  void RollBack(const Mark& mark);

  // Calls write(bytes) for each piece in order, until one answers fewer bytes than it was given. Returns the sum.
  template <class Fn>
  size_t ForEachPiece(Fn&& write) const {
    size_t at = 0;
    size_t done = 0;
    auto piece = [&](std::string_view bytes) {
      size_t taken = bytes.empty() ? 0 : write(bytes);
      done += taken;
      return taken == bytes.size();
    };
    for (const Borrowed& each : borrowed_) {
      if (!piece({text_.data() + at, each.at - at}) || !piece(each.bytes)) return done;
      at = each.at;
    }
    piece({text_.data() + at, text_.size() - at});
    return done;
  }
  // Makes all bytes its own and forgets the first `bytes` of them. O(size).
  void OwnFrom(size_t bytes);
  // Forgets everything; keeps at most that much memory.
  void Clear(size_t keep_bytes);
  void Swap(RequestBuffer& other);

 private:
  struct Borrowed {
    size_t at;  // in the text, in front of which the bytes belong
    std::string_view bytes;
  };
  std::string text_;
  std::vector<Borrowed> borrowed_;
  size_t borrowed_bytes_ = 0;
};

}  // namespace brim
