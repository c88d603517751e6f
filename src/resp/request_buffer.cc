#include "resp/request_buffer.h"

#include <algorithm>
#include <utility>

#include "resp/request.h"

namespace brim {

void RequestBuffer::Add(std::span<const std::string_view> words) { AppendRequest(&text_, words); }

void RequestBuffer::Add(std::span<const std::string_view> words, std::span<const std::string_view> lasting) {
  size_t longest = 0;
  for (std::string_view word : words) longest = std::max(longest, word.size());
  if (longest < kBorrowBytes) {
    Add(words);
    return;
  }
  auto stays = [&](std::string_view word) {
    return word.size() >= kBorrowBytes && std::any_of(lasting.begin(), lasting.end(), [&](std::string_view each) {
             return each.data() == word.data() && each.size() == word.size();
           });
  };
  Mark mark = End();
  try {
    BeginRequest(&text_, words.size());
    for (std::string_view word : words) {
      if (!stays(word)) {
        AppendWord(&text_, word);
        continue;
      }
      text_ += "$" + std::to_string(word.size()) + "\r\n";
      borrowed_.push_back({text_.size(), word});
      borrowed_bytes_ += word.size();
      text_ += "\r\n";
    }
  } catch (...) {
    RollBack(mark);
    throw;
  }
}

void RequestBuffer::Add(const RequestBuffer& other) {
  // What may throw comes first.
  borrowed_.reserve(borrowed_.size() + other.borrowed_.size());
  size_t before = text_.size();
  text_ += other.text_;
  for (Borrowed each : other.borrowed_) {
    each.at += before;
    borrowed_.push_back(each);
  }
  borrowed_bytes_ += other.borrowed_bytes_;
}

void RequestBuffer::RollBack(const Mark& mark) {
  text_.resize(mark.text);
  borrowed_.resize(mark.borrowed);
  borrowed_bytes_ = mark.borrowed_bytes;
}

void RequestBuffer::OwnFrom(size_t bytes) {
  if (!borrows()) {
    text_.erase(0, bytes);
    return;
  }
  std::string own;
  own.reserve(size() - bytes);
  size_t skip = bytes;
  ForEachPiece([&](std::string_view piece) {
    size_t left_out = std::min(skip, piece.size());
    skip -= left_out;
    own += piece.substr(left_out);
    return piece.size();
  });
  text_ = std::move(own);
  borrowed_.clear();
  borrowed_bytes_ = 0;
}

void RequestBuffer::Clear(size_t keep_bytes) {
  if (text_.capacity() > keep_bytes) std::string().swap(text_);  // an assignment keeps the room
  text_.clear();
  if (!borrowed_.empty()) std::vector<Borrowed>().swap(borrowed_);
  borrowed_bytes_ = 0;
}

void RequestBuffer::Swap(RequestBuffer& other) {
  std::swap(text_, other.text_);
  std::swap(borrowed_, other.borrowed_);
  std::swap(borrowed_bytes_, other.borrowed_bytes_);
}

}  // namespace brim
