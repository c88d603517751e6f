#include "persist/rdb_saver.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/monotonic.h"
#include "persist/command_writer.h"
#include "persist/rdb_format.h"
#include "persist/rdb_writer.h"
#include "store/shard.h"

namespace brim {

RdbSaver::~RdbSaver() {
  if (thread_.joinable()) thread_.join();
}

bool RdbSaver::Open(const std::string& folder, const std::string& name, std::string* error) {
  return file_.Open(folder, name, error);
}

void RdbSaver::Start(const SaveOptions& options) {
  options_ = options;
  PushHeader();
  parts_.resize(static_cast<size_t>(shards.count()));
  for (Part& part : parts_) {
    if (options.commands) {
      part.writer = std::make_unique<CommandWriter>();
    } else {
      part.writer = std::make_unique<RdbWriter>(options.compress);
    }
  }
  shards_left_ = shards.count();
  thread_ = std::thread([this] { Run(); });
  Cut::Begin(this);
}

void RdbSaver::PushHeader() {
  if (!options_.commands) {
    RdbWriter header(options_.compress);
    int version = streams_with_producers.load(std::memory_order_relaxed) > 0 ? rdb::kIdempotentVersion : rdb::kVersion;
    for (int i = 0; i < shards.count(); i++) {
      for (int db = 0; db < shards[i].databases(); db++) {
        if (shards[i].db(db).timed_hashes() > 0) version = std::max(version, rdb::kTimedVersion);
      }
    }
    header.Header(options_.now_s, options_.used_memory, options_.aof_base, version);
    for (const std::string& text : options_.functions) header.Function(text);
    Push(header.TakeBytes());
  } else {
    CommandWriter header;
    if (options_.stamped) header.TimeStamp(options_.now_s);
    for (const std::string& text : options_.functions) header.Function(text);
    if (!header.bytes().empty()) Push(header.TakeBytes());
  }
  options_.functions.clear();
}

void RdbSaver::WalkAll() {
  for (int i = 0; i < shards.count(); i++) {
    while (!Cut::Walk(shards[i], INT64_MAX)) std::this_thread::yield();
  }
}

void RdbSaver::Cancel() {
  cancelled_.store(true, std::memory_order_relaxed);
  WalkAll();
  std::string ignored;
  Finish(&ignored);
}

bool RdbSaver::Finish(std::string* error) {
  if (thread_.joinable()) thread_.join();
  *error = error_;
  return good_;
}

void RdbSaver::Take(Shard& shard, int db, const KeyRef& ref, bool hurry) {
  if (cancelled_.load(std::memory_order_relaxed)) return;
  Part& part = parts_[static_cast<size_t>(shard.index())];
  if (part.db != db) {
    part.writer->SelectDb(db);
    part.db = db;
  }
  part.writer->SetHurry(hurry);
  part.writer->Key(ref);
  keys_.fetch_add(1, std::memory_order_relaxed);
  if (part.writer->bytes().size() < kPieceBytes) return;
  Push(part.writer->TakeBytes(SparePiece()));
  part.db = -1;  // pieces of several shards follow each other in any order
}

void RdbSaver::ShardDone(Shard& shard) {
  Part& part = parts_[static_cast<size_t>(shard.index())];
  if (!part.writer->bytes().empty()) Push(part.writer->TakeBytes());
  std::lock_guard guard(mutex_);
  if (--shards_left_ > 0) return;
  ended_ = true;
  wake_.notify_one();
}

void RdbSaver::Push(std::string piece) {
  queued_bytes_.fetch_add(piece.size(), std::memory_order_relaxed);
  std::lock_guard guard(mutex_);
  queue_.push_back(std::move(piece));
  wake_.notify_one();
}

std::string RdbSaver::SparePiece() {
  std::string piece;
  {
    std::lock_guard guard(mutex_);
    if (!spare_.empty()) {
      piece = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  piece.reserve(kPieceRoom);
  return piece;
}

void RdbSaver::KeepSpare(std::string piece) {
  if (piece.capacity() < kPieceRoom || piece.capacity() > 2 * kPieceRoom) return;
  std::lock_guard guard(mutex_);
  if (spare_.size() < kSparePieces) spare_.push_back(std::move(piece));
}

// After an error the pieces are still taken, so that the cut comes to its end.
void RdbSaver::Run() {
  pthread_setname_np(pthread_self(), "brim-rdb");
  int64_t cpu_us = ThreadCpuUs();
  for (;;) {
    std::string piece;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !queue_.empty() || ended_; });
      if (queue_.empty()) break;
      piece = std::move(queue_.front());
      queue_.pop_front();
    }
    if (good_ && cancelled_.load(std::memory_order_relaxed)) {
      good_ = false;
      error_ = "given up";
    }
    if (good_) good_ = file_.Write(piece, &error_);
    queued_bytes_.fetch_sub(piece.size(), std::memory_order_relaxed);
    KeepSpare(std::move(piece));
    int64_t now_us = ThreadCpuUs();
    writer_us_.fetch_add(now_us - std::exchange(cpu_us, now_us), std::memory_order_relaxed);
  }
  if (cancelled_.load(std::memory_order_relaxed)) good_ = false;
  if (good_ && options_.commands) {
    good_ = file_.Finish(&error_);
  } else if (good_) {
    char end = static_cast<char>(rdb::kEof);
    good_ = file_.Write({&end, 1}, &error_) && file_.FinishRdb(options_.check_sum, &error_);
  }
  done_.store(true, std::memory_order_release);
}

}  // namespace brim
