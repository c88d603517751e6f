#pragma once
// Bytes on their way to a client: a chain of pieces, own memory or bytes that lie elsewhere (big values) and are given
// back once sent. Charged to kClientsOut. One thread at a time; no locks.
#include <sys/uio.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

namespace brim {

// A reply would take more memory than it may: what its command has appended is to be rolled back.
class ReplyRefused : public std::bad_alloc {};

class OutputBuffer {
 public:
  // Of the calling thread, while a command runs that can be given up, else null: asked when a buffer of kAskedBytes or
  // more is to take more memory, with what it has; where it answers false ReplyRefused is thrown.
  using MayGrow = bool (*)(size_t owned_bytes);
  static inline thread_local constinit MayGrow may_grow = nullptr;
  static constexpr size_t kAskedBytes = 1 << 20;
  // Of the calling thread, while it runs a command for a client that may be refused, else null: what may_grow is for
  // those that only read.
  static inline thread_local constinit MayGrow client_bound = nullptr;
  // While a command that will change something replies, and has not changed anything yet: it can be given up, too.
  class Bounded {
   public:
    Bounded() : outer_(may_grow) { may_grow = client_bound; }
    ~Bounded() { may_grow = outer_; }
    Bounded(const Bounded&) = delete;
    Bounded& operator=(const Bounded&) = delete;

   private:
    MayGrow outer_;
  };

  OutputBuffer() = default;
  ~OutputBuffer() { Clear(); }
  OutputBuffer(OutputBuffer&& other) noexcept { TakeFrom(other); }
  OutputBuffer& operator=(OutputBuffer&& other) noexcept {
    if (this != &other) {
      Clear();
      TakeFrom(other);
    }
    return *this;
  }
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;

  bool empty() const { return size_ == 0; }
  // Bytes still to be sent / bytes of memory of our own, shared ones that are counted included.
  size_t size_bytes() const { return size_; }
  size_t owned_bytes() const { return owned_; }
  // O(pieces).
  size_t pieces() const;

  // Room for `bytes` (at most kReserveMax) contiguous bytes; Commit tells how many were written.
  static constexpr size_t kReserveMax = 512;
  char* Reserve(size_t bytes) {
    if (tail_ == nullptr || tail_->capacity - tail_->end < bytes) [[unlikely]]
      AddChunk(bytes);
    return tail_->data + tail_->end;
  }
  void Commit(size_t bytes) {
    tail_->end += bytes;
    size_ += bytes;
  }
  void Append(std::string_view bytes) {
    if (tail_ != nullptr && tail_->capacity - tail_->end >= bytes.size()) [[likely]] {
      memcpy(tail_->data + tail_->end, bytes.data(), bytes.size());
      tail_->end += bytes.size();
      size_ += bytes.size();
    } else {
      AppendSlow(bytes);
    }
  }
  // As Append, for bytes that nobody asked for and that thousands of connections may keep: a chunk that is needed is
  // not larger than what waits already.
  void AppendTight(std::string_view bytes);
  // Bytes that stay where they are until release(token) is called.
  // `counted`: they are there for clients only, and count as this buffer's own.
  void AppendShared(const char* bytes, size_t size, void (*release)(void*), void* token, bool counted = false);

  // Leaves room for something short (kLaterBytes at most) that FillLater puts there; what was appended meanwhile moves
  // up to it. They nest: the last one is filled first.
  static constexpr size_t kLaterBytes = 24;
  void BeginLater();
  void FillLater(std::string_view bytes);

  // Where the buffer ends now; RollBack forgets what was appended since, unfilled room too. Nothing may have been
  // consumed or spliced in between.
  struct Mark {
    const void* piece;
    size_t end;
    size_t size;
    size_t later;
  };
  Mark End() const { return {tail_, tail_ != nullptr ? tail_->end : 0, size_, later_.size()}; }
  void RollBack(const Mark& mark);
  // Takes what was appended since away. As for RollBack, and no room may be unfilled.
  OutputBuffer CutAfter(const Mark& mark);

  // The first pieces for writev, `bytes` at most. Returns how many, at most `max`.
  int Gather(iovec* pieces, int max, size_t bytes = SIZE_MAX) const;
  // Forgets bytes that were sent. An emptied buffer keeps one chunk for the next replies.
  void Consume(size_t bytes);
  // Appends all of the other's pieces, which is then empty.
  void Splice(OutputBuffer& other);
  // The same for bytes that will have to wait, with no more memory than they need: few are copied, and the other keeps
  // its chunk; of more the room that chunks have left is given back first. No mark may be held. O(pieces).
  void Keep(OutputBuffer& other);
  // Forgets everything and keeps no memory.
  void Clear();

 private:
  struct Piece {
    Piece* next;
    char* data;
    size_t begin;
    size_t end;
    size_t capacity;
    void (*release)(void*);  // null: the bytes are ours
    void* token;
    bool counted;  // in owned_bytes
  };
  struct Later {
    Piece* piece;
    size_t at;
  };
  static constexpr size_t kChunkBytes = 16384 - sizeof(Piece);
  static constexpr size_t kWorthTrimming = 256;
  static constexpr size_t kCopiedBytes = 1024;
  static constexpr size_t kSmallChunkBytes = 1024 - sizeof(Piece);
  static constexpr size_t kTightChunkBytes = 1024 - sizeof(Piece);

  static size_t OwnBytes(const Piece* piece);
  void AskToGrow() const {
    if (owned_ >= kAskedBytes && may_grow != nullptr && !may_grow(owned_)) throw ReplyRefused();
  }
  void Trim();
  void AddChunk(size_t bytes);
  void AddExactChunk(size_t capacity);
  void AppendSlow(std::string_view bytes);
  void Link(Piece* piece);
  void Drop(Piece* piece);
  void TakeFrom(OutputBuffer& other);

  Piece* head_ = nullptr;
  Piece* tail_ = nullptr;
  size_t size_ = 0;
  size_t owned_ = 0;
  std::vector<Later> later_;
};

// Before a command takes so many bytes for its reply, or beside it, and while it has changed nothing: throws
// ReplyRefused where its client may not have them.
inline void RequireReplyRoom(size_t bytes) {
  if (bytes < OutputBuffer::kAskedBytes || OutputBuffer::client_bound == nullptr) return;
  if (!OutputBuffer::client_bound(bytes)) throw ReplyRefused();
}

}  // namespace brim
