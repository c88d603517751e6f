#include "resp/output.h"

#include <algorithm>
#include <utility>

#include "memory/account.h"

namespace brim {

void OutputBuffer::TakeFrom(OutputBuffer& other) {
  head_ = std::exchange(other.head_, nullptr);
  tail_ = std::exchange(other.tail_, nullptr);
  size_ = std::exchange(other.size_, 0);
  owned_ = std::exchange(other.owned_, 0);
  later_ = std::move(other.later_);
}

size_t OutputBuffer::OwnBytes(const Piece* piece) { return sizeof(Piece) + (piece->counted ? piece->capacity : 0); }

void OutputBuffer::Link(Piece* piece) {
  piece->next = nullptr;
  if (tail_ == nullptr) {
    head_ = piece;
  } else {
    tail_->next = piece;
  }
  tail_ = piece;
  owned_ += OwnBytes(piece);
}

void OutputBuffer::Drop(Piece* piece) {
  if (piece->release != nullptr) piece->release(piece->token);
  owned_ -= OwnBytes(piece);
  FreeBytes(piece, MemoryCategory::kClientsOut);
}

void OutputBuffer::AddChunk(size_t bytes) {
  // Behind a shared piece comes a line end, mostly, and not much more.
  size_t usual = tail_ != nullptr && tail_->release != nullptr ? kSmallChunkBytes : kChunkBytes;
  AddExactChunk(std::max(bytes, usual));
}

void OutputBuffer::AddExactChunk(size_t capacity) {
  AskToGrow();
  auto* piece = static_cast<Piece*>(AllocateBytes(sizeof(Piece) + capacity, MemoryCategory::kClientsOut));
  *piece = {nullptr, reinterpret_cast<char*>(piece + 1), 0, 0, capacity, nullptr, nullptr, true};
  Link(piece);
}

void OutputBuffer::AppendSlow(std::string_view bytes) {
  if (tail_ != nullptr) {
    size_t fits = std::min(bytes.size(), tail_->capacity - tail_->end);
    if (fits > 0) {
      memcpy(tail_->data + tail_->end, bytes.data(), fits);
      Commit(fits);
      bytes.remove_prefix(fits);
    }
  }
  if (bytes.empty()) return;
  AddChunk(bytes.size());
  memcpy(tail_->data, bytes.data(), bytes.size());
  Commit(bytes.size());
}

void OutputBuffer::AppendShared(const char* bytes, size_t size, void (*release)(void*), void* token, bool counted) {
  AskToGrow();
  auto* piece = static_cast<Piece*>(AllocateBytes(sizeof(Piece), MemoryCategory::kClientsOut));
  // It has no room: what is appended next goes into a chunk of its own.
  *piece = {nullptr, const_cast<char*>(bytes), 0, size, size, release, token, counted};
  Link(piece);
  size_ += size;
}

void OutputBuffer::AppendTight(std::string_view bytes) {
  if (tail_ == nullptr || tail_->capacity - tail_->end < bytes.size()) {
    AddExactChunk(std::max(bytes.size(), std::clamp(size_, kTightChunkBytes, kChunkBytes)));
  }
  Append(bytes);
}

void OutputBuffer::Keep(OutputBuffer& other) {
  if (other.size_ > kCopiedBytes) {
    other.Trim();
    Splice(other);
    return;
  }
  if (other.size_ == 0) return;
  if (tail_ == nullptr || tail_->capacity - tail_->end < other.size_) AddExactChunk(other.size_);
  for (iovec piece; other.Gather(&piece, 1) > 0; other.Consume(piece.iov_len)) {
    Append({static_cast<const char*>(piece.iov_base), piece.iov_len});
  }
}

void OutputBuffer::BeginLater() {
  Reserve(kLaterBytes);
  later_.push_back({tail_, tail_->end});
  Commit(kLaterBytes);
}

void OutputBuffer::FillLater(std::string_view bytes) {
  Later later = later_.back();
  later_.pop_back();
  Piece* piece = later.piece;
  memcpy(piece->data + later.at, bytes.data(), bytes.size());
  size_t gap = kLaterBytes - bytes.size();
  size_t behind = later.at + kLaterBytes;
  memmove(piece->data + later.at + bytes.size(), piece->data + behind, piece->end - behind);
  piece->end -= gap;
  size_ -= gap;
}

void OutputBuffer::RollBack(const Mark& mark) {
  later_.resize(mark.later);
  if (mark.piece == nullptr) {
    Clear();
    return;
  }
  Piece* last = head_;
  while (last != mark.piece) last = last->next;
  while (last->next != nullptr) {
    Piece* piece = last->next;
    last->next = piece->next;
    Drop(piece);
  }
  tail_ = last;
  last->end = mark.end;
  size_ = mark.size;
}

OutputBuffer OutputBuffer::CutAfter(const Mark& mark) {
  OutputBuffer rest;
  if (size_ == mark.size) return rest;
  if (mark.piece == nullptr) {
    rest.TakeFrom(*this);
    return rest;
  }
  Piece* last = head_;
  while (last != mark.piece) last = last->next;
  if (last->end > mark.end) rest.Append({last->data + mark.end, last->end - mark.end});
  last->end = mark.end;
  for (Piece* piece = last->next; piece != nullptr;) {
    Piece* next = piece->next;
    owned_ -= OwnBytes(piece);
    rest.Link(piece);
    rest.size_ += piece->end - piece->begin;
    piece = next;
  }
  last->next = nullptr;
  tail_ = last;
  size_ = mark.size;
  return rest;
}

int OutputBuffer::Gather(iovec* pieces, int max, size_t bytes) const {
  int count = 0;
  for (Piece* piece = head_; piece != nullptr && count < max && bytes > 0; piece = piece->next) {
    if (piece->begin == piece->end) continue;
    size_t size = std::min(bytes, piece->end - piece->begin);
    pieces[count++] = {piece->data + piece->begin, size};
    bytes -= size;
  }
  return count;
}

void OutputBuffer::Consume(size_t bytes) {
  size_ -= bytes;
  while (head_ != nullptr) {
    size_t take = std::min(bytes, head_->end - head_->begin);
    head_->begin += take;
    bytes -= take;
    if (head_->begin < head_->end) return;
    if (head_->next == nullptr && head_->release == nullptr) {
      head_->begin = head_->end = 0;
      return;
    }
    Piece* done = head_;
    head_ = head_->next;
    if (head_ == nullptr) tail_ = nullptr;
    Drop(done);
  }
}

void OutputBuffer::Splice(OutputBuffer& other) {
  if (other.empty()) return;
  if (empty()) {
    Clear();
    TakeFrom(other);
    return;
  }
  // A little goes into the room that is left; more keeps its pieces.
  if (other.head_ == other.tail_ && other.size_ <= 4096 && other.head_->release == nullptr) {
    Append({other.head_->data + other.head_->begin, other.size_});
    other.Consume(other.size_);
    return;
  }
  tail_->next = other.head_;
  tail_ = other.tail_;
  size_ += other.size_;
  owned_ += other.owned_;
  other.head_ = other.tail_ = nullptr;
  other.size_ = other.owned_ = 0;
}

void OutputBuffer::Trim() {
  for (Piece** link = &head_; *link != nullptr; link = &(*link)->next) {
    Piece* piece = *link;
    size_t bytes = piece->end - piece->begin;
    if (piece->release != nullptr || piece->capacity < bytes + kWorthTrimming) continue;
    auto* exact = static_cast<Piece*>(AllocateBytes(sizeof(Piece) + bytes, MemoryCategory::kClientsOut));
    *exact = {piece->next, reinterpret_cast<char*>(exact + 1), 0, bytes, bytes, nullptr, nullptr, true};
    memcpy(exact->data, piece->data + piece->begin, bytes);
    owned_ += sizeof(Piece) + bytes;
    if (tail_ == piece) tail_ = exact;
    *link = exact;
    Drop(piece);
  }
}

size_t OutputBuffer::pieces() const {
  size_t count = 0;
  for (const Piece* piece = head_; piece != nullptr; piece = piece->next) count += piece->end > piece->begin;
  return count;
}

void OutputBuffer::Clear() {
  while (head_ != nullptr) {
    Piece* next = head_->next;
    Drop(head_);
    head_ = next;
  }
  tail_ = nullptr;
  size_ = 0;
}

}  // namespace brim
