#pragma once
// Writes a cut of the databases into a file, in the RDB format or (the base of an AOF) as commands: what the cut hands
// over is encoded under the shard's lock, a big collection in parts, and a thread of its own writes it. Of a long
// string just a reference is taken; that thread compresses it. What is encoded and not yet written is bounded: the walk
// waits, clients do not.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "persist/entry_writer.h"
#include "persist/rdb_file.h"
#include "persist/save_queue.h"
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

  bool Take(Shard& shard, int db, const KeyRef& ref, const CutPace& pace) override;
  bool HasRoom(Shard& shard) override;
  bool Alone() override { return open_.load(std::memory_order_relaxed) > 0; }
  bool Urgent() override { return Alone() && queue_->bytes() > kQueueBytes; }
  void ShardDone(Shard& shard) override;
  int64_t TakeBackgroundUs() override { return writer_us_.exchange(0, std::memory_order_relaxed); }

 private:
  static constexpr size_t kQueueBytes = 8 << 20;
  static constexpr size_t kLaneBytes = 1 << 20;  // of a big value
  // How long a command that changes a big value waits for the disk, all together, before memory is taken instead.
  static constexpr int64_t kLongestWaitUs = 1'000'000;
  // What entries are written into, one after the other.
  struct Stream {
    std::unique_ptr<EntryWriter> writer;
    size_t lane = 0;
    int db = -1;
    bool in_lane = false;  // a piece of the last record was pushed and there is more of it
    WritePlace place;      // of an entry that is not whole
  };
  // A shard's; guarded by its lock.
  struct Part {
    Stream walk;
    Stream aside;  // what is in a hurry while the walk is in the middle of an entry
  };

  Part& PartOf(const Shard& shard);
  std::unique_ptr<EntryWriter> NewWriter() const;
  void PushHeader();
  void PushPiece(Stream& stream, BlobRef blob, bool whole);
  // The next step of an entry. True when it is whole.
  bool Step(Stream& stream, const KeyRef& ref);
  bool WriteBlob(std::string_view text);
  bool WritePiece(const SavePiece& piece);
  void Run();

  SaveOptions options_;
  SafeFile file_;
  std::vector<Part> parts_;  // by shard
  std::unique_ptr<SaveQueue> queue_;
  std::atomic<int> shards_left_{0};
  std::atomic<int> open_{0};  // shards whose walk is in the middle of an entry
  std::atomic<uint64_t> keys_{0};
  std::atomic<int64_t> writer_us_{0};  // CPU time of the thread, not yet asked for
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> done_{false};
  bool good_ = true;  // of the writing thread
  std::string error_;
  std::string compressed_;  // of the writing thread
  std::thread thread_;
};

}  // namespace brim
