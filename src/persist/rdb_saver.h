#pragma once
// Writes a cut of the databases into a file, in the RDB format or (the base of an AOF) as commands: what the cut hands
// over is encoded at once, under the shard's lock, and a thread of its own writes it. What is encoded and not yet
// written is bounded: the walk waits, clients do not.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "persist/entry_writer.h"
#include "persist/rdb_file.h"
#include "store/cut.h"

namespace brim {

struct SaveOptions {
  bool compress = true;
  bool check_sum = true;
  int64_t now_s = 0;
  int64_t used_memory = 0;
  bool aof_base = false;               // the base of an AOF
  bool commands = false;               // as commands; compression and checksum are then of no meaning
  bool stamped = false;                // commands: a time stamp goes before them
  std::vector<std::string> functions;  // texts of the libraries, which go before the keys
};

class RdbSaver final : public CutSink {
 public:
  ~RdbSaver() override;
  // Opens the file, to be called `name` in the end, under a temporary name. False with the reason in *error. Any
  // thread.
  bool Open(const std::string& folder, const std::string& name, std::string* error);
  // Begins the cut; the file is open, every thread paused.
  void Start(const SaveOptions& options);
  // Walks everything at once (SAVE); every thread paused.
  void WalkAll();
  // Gives the file up: what is left of the cut is passed over. Every thread paused.
  void Cancel();
  // The file is done, or given up. Any thread.
  bool done() const { return done_.load(std::memory_order_acquire); }
  // Waits for the file. True when it is whole; else *error says why not.
  bool Finish(std::string* error);
  uint64_t keys() const { return keys_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return file_.bytes(); }  // after Finish

  void Take(Shard& shard, int db, const KeyRef& ref, bool hurry) override;
  bool HasRoom() override {
    return cancelled_.load(std::memory_order_relaxed) || queued_bytes_.load(std::memory_order_relaxed) < kQueueBytes;
  }
  void ShardDone(Shard& shard) override;
  int64_t TakeBackgroundUs() override { return writer_us_.exchange(0, std::memory_order_relaxed); }

 private:
  static constexpr size_t kQueueBytes = 8 << 20;
  static constexpr size_t kPieceBytes = 64 << 10;
  static constexpr size_t kPieceRoom = kPieceBytes + (8 << 10);  // with the entry that ends it
  static constexpr size_t kSparePieces = 16;
  struct Part {
    std::unique_ptr<EntryWriter> writer;
    int db = -1;
  };

  void PushHeader();
  void Push(std::string piece);
  // A piece that was written, to be filled again, or a new one.
  std::string SparePiece();
  void KeepSpare(std::string piece);
  void Run();

  SaveOptions options_;
  SafeFile file_;
  std::vector<Part> parts_;  // by shard; guarded by its lock
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> queue_;
  std::vector<std::string> spare_;  // pieces of kPieceRoom; guarded by mutex_
  bool ended_ = false;              // no more pieces; guarded by mutex_
  int shards_left_ = 0;
  std::atomic<size_t> queued_bytes_{0};
  std::atomic<uint64_t> keys_{0};
  std::atomic<int64_t> writer_us_{0};  // CPU time of the thread, not yet asked for
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> done_{false};
  bool good_ = true;  // of the writing thread
  std::string error_;
  std::thread thread_;
};

}  // namespace brim
