#include "persist/save_queue.h"

#include <chrono>
#include <thread>

#include "base/monotonic.h"

namespace brim {

namespace {

constexpr std::chrono::microseconds kNap(100);

}  // namespace

void SaveQueue::Add(size_t lane, SavePiece piece, bool first, bool last) {
  bytes_.fetch_add(piece.size(), std::memory_order_relaxed);
  lanes_[lane].bytes.fetch_add(piece.size(), std::memory_order_relaxed);
  std::lock_guard guard(mutex_);
  lanes_[lane].pieces.push_back({std::move(piece), last});
  if (first) order_.push_back(lane);
  wake_.notify_one();
}

void SaveQueue::AwaitRoom(size_t lane, size_t most, int64_t until_us) const {
  auto comes_to_it = [&] {
    size_t open = open_.load(std::memory_order_relaxed);
    return open == 0 || open == lane + 1;
  };
  while (bytes(lane) >= most && comes_to_it() && MonotonicUs() < until_us) std::this_thread::sleep_for(kNap);
}

void SaveQueue::End() {
  std::lock_guard guard(mutex_);
  ended_ = true;
  wake_.notify_one();
}

bool SaveQueue::Pop(SavePiece* piece) {
  std::unique_lock lock(mutex_);
  auto ready = [this] { return open_ != 0 ? !lanes_[open_].pieces.empty() : !order_.empty(); };
  wake_.wait(lock, [&] { return ready() || ended_; });
  if (!ready()) return false;
  taken_ = open_;
  if (open_ == 0) {
    taken_ = order_.front();
    order_.pop_front();
  }
  Waiting& next = lanes_[taken_].pieces.front();
  *piece = std::move(next.piece);
  open_ = next.last ? 0 : taken_;
  lanes_[taken_].pieces.pop_front();
  return true;
}

void SaveQueue::Done(SavePiece piece) {
  bytes_.fetch_sub(piece.size(), std::memory_order_relaxed);
  lanes_[taken_].bytes.fetch_sub(piece.size(), std::memory_order_relaxed);
  std::string bytes = std::move(piece.bytes);
  if (bytes.capacity() < kPieceRoom || bytes.capacity() > 2 * kPieceRoom) return;
  std::lock_guard guard(mutex_);
  if (spare_.size() < kSparePieces) spare_.push_back(std::move(bytes));
}

std::string SaveQueue::Spare() {
  std::string piece;
  {
    std::lock_guard guard(mutex_);
    if (!spare_.empty()) {
      piece = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  piece.clear();
  piece.reserve(kPieceRoom);
  return piece;
}

}  // namespace brim
