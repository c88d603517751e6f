#pragma once
// What is encoded and waits for the thread that writes the file: pieces of many writers, in any order but for records
// that are too long for one piece. Those come in a lane of their own, and until the last piece of such a record is
// taken nothing else is.
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "types/string.h"

namespace brim {

// A reference to a blob, or none.
class BlobRef {
 public:
  BlobRef() = default;
  // Takes a reference; the lock of the blob's value is held.
  explicit BlobRef(Blob* blob) : blob_(blob) {
    if (blob != nullptr) blob->Retain();
  }
  BlobRef(BlobRef&& other) noexcept : blob_(std::exchange(other.blob_, nullptr)) {}
  BlobRef& operator=(BlobRef&& other) noexcept {
    std::swap(blob_, other.blob_);
    return *this;
  }
  ~BlobRef() {
    if (blob_ != nullptr) blob_->Release();
  }
  explicit operator bool() const { return blob_ != nullptr; }
  std::string_view text() const {
    return blob_ == nullptr ? std::string_view() : std::string_view(blob_->bytes, blob_->size);
  }

 private:
  Blob* blob_ = nullptr;
};

// Bytes for the file, and the text that follows them.
struct SavePiece {
  std::string bytes;
  BlobRef blob;
  size_t size() const { return bytes.size() + blob.text().size(); }
};

class SaveQueue {
 public:
  static constexpr size_t kPieceBytes = 64 << 10;
  static constexpr size_t kPieceRoom = kPieceBytes + (8 << 10);  // with the step that ends it

  // Once, before threads use it.
  explicit SaveQueue(size_t lanes) : lanes_(lanes + 1) {}

  // A piece that is whole by itself. Any thread.
  void Push(SavePiece piece) { Add(0, std::move(piece), true, true); }
  // A piece of a long record. The records of a lane come one after the other, each lane from one thread at a time.
  void PushPart(size_t lane, SavePiece piece, bool first, bool last) { Add(lane + 1, std::move(piece), first, last); }
  // There will be no more; a record that is not whole stays so.
  void End();
  // The next piece, for the one thread that writes; waits for it. False at the end. Its bytes count until Done.
  bool Pop(SavePiece* piece);
  void Done(SavePiece piece);

  // Waits until less than `most` bytes of the lane are left, or the time (monotonic) is over; not at all while the
  // record that is being written is another lane's. Any thread.
  void AwaitRoom(size_t lane, size_t most, int64_t until_us) const;

  // What waits or is being written; of one lane. Any thread, no lock.
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  size_t bytes(size_t lane) const { return lanes_[lane + 1].bytes.load(std::memory_order_relaxed); }

  // An empty string with room for a piece: one that was written, or a new one. Any thread.
  std::string Spare();

 private:
  static constexpr size_t kSparePieces = 16;
  struct Waiting {
    SavePiece piece;
    bool last = true;
  };
  struct Lane {
    std::deque<Waiting> pieces;
    std::atomic<size_t> bytes{0};
  };
  void Add(size_t lane, SavePiece piece, bool first, bool last);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<size_t> order_;        // lanes, by when a record of theirs began; guarded, as what follows
  std::vector<Lane> lanes_;         // 0: pieces by themselves; their bytes are not
  std::vector<std::string> spare_;  // of kPieceRoom
  std::atomic<size_t> open_{0};     // whose record has to be gone on with
  size_t taken_ = 0;                // where the piece that is being written was
  bool ended_ = false;
  std::atomic<size_t> bytes_{0};
};

}  // namespace brim
