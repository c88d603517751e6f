#include "persist/rdb_saver.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "base/monotonic.h"
#include "persist/command_writer.h"
#include "persist/rdb_format.h"
#include "persist/rdb_writer.h"
#include "store/shard.h"

namespace brim {

namespace {

// Of the writing thread: where there are not enough processors for all, who serves clients goes first.
constexpr int kNice = 10;

}  // namespace

RdbSaver::~RdbSaver() {
  if (thread_.joinable()) thread_.join();
}

bool RdbSaver::Open(const std::string& folder, const std::string& name, std::string* error) {
  return file_.Open(folder, name, error);
}

void RdbSaver::Start(const SaveOptions& options) {
  options_ = options;
  auto count = static_cast<size_t>(shards.count());
  queue_ = std::make_unique<SaveQueue>(2 * count);
  PushHeader();
  parts_.resize(count);
  for (size_t i = 0; i < count; i++) {
    parts_[i].walk.writer = NewWriter();
    parts_[i].walk.lane = 2 * i;
    parts_[i].aside.lane = 2 * i + 1;
  }
  shards_left_.store(shards.count(), std::memory_order_relaxed);
  thread_ = std::thread([this] { Run(); });
  Cut::Begin(this);
}

std::unique_ptr<EntryWriter> RdbSaver::NewWriter() const {
  std::unique_ptr<EntryWriter> writer;
  if (options_.commands) {
    writer = std::make_unique<CommandWriter>();
  } else {
    writer = std::make_unique<RdbWriter>(options_.compress);
  }
  writer->LeaveBlobs();
  return writer;
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
    for (int db = 0; db < shards[0].databases(); db++) {
      uint64_t keys = 0;
      uint64_t expires = 0;
      for (int i = 0; i < shards.count(); i++) {
        keys += shards[i].db(db).size();
        expires += shards[i].db(db).expires();
      }
      if (keys > 0) header.DatabaseSize(db, keys, expires);
    }
    queue_->Push({header.TakeBytes(), {}});
  } else {
    CommandWriter header;
    if (options_.stamped) header.TimeStamp(options_.now_s);
    for (const std::string& text : options_.functions) header.Function(text);
    if (!header.bytes().empty()) queue_->Push({header.TakeBytes(), {}});
  }
  options_.functions.clear();
}

// Around all shards: one whose walk is in the middle of a big value holds up the others.
void RdbSaver::WalkAll() {
  for (bool left = true; left;) {
    left = false;
    for (int i = 0; i < shards.count(); i++) left |= !Cut::Walk(shards[i], INT64_MAX);
    if (left) std::this_thread::yield();
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

RdbSaver::Part& RdbSaver::PartOf(const Shard& shard) { return parts_[static_cast<size_t>(shard.index())]; }

// Who is in the middle of a big value goes on as long as its own pieces are being written; the others wait meanwhile,
// for theirs would not be.
bool RdbSaver::HasRoom(Shard& shard) {
  if (cancelled_.load(std::memory_order_relaxed)) return true;
  if (shard.cut.open != nullptr) return queue_->bytes(PartOf(shard).walk.lane) < kLaneBytes;
  return open_.load(std::memory_order_relaxed) == 0 && queue_->bytes() < kQueueBytes;
}

void RdbSaver::PushPiece(Stream& stream, BlobRef blob, bool whole) {
  std::string next = stream.writer->bytes().size() < SaveQueue::kPieceBytes ? std::string() : queue_->Spare();
  SavePiece piece{stream.writer->TakeBytes(std::move(next)), std::move(blob)};
  if (whole && !stream.in_lane) {
    queue_->Push(std::move(piece));
  } else {
    queue_->PushPart(stream.lane, std::move(piece), !stream.in_lane, whole);
  }
  stream.in_lane = !whole;
  if (whole) stream.db = -1;  // pieces of several shards follow each other in any order
}

bool RdbSaver::Step(Stream& stream, const KeyRef& ref) {
  bool whole = stream.writer->KeyStep(ref, &stream.place);
  if (Blob* blob = std::exchange(stream.place.blob, nullptr)) {
    PushPiece(stream, BlobRef(blob), whole);
  } else if (stream.writer->bytes().size() >= SaveQueue::kPieceBytes || (whole && stream.in_lane)) {
    PushPiece(stream, {}, whole);
  }
  return whole;
}

bool RdbSaver::Take(Shard& shard, int db, const KeyRef& ref, const CutPace& pace) {
  const Entry* open = shard.cut.open;
  bool goes_on = open == &ref.entry();
  if (cancelled_.load(std::memory_order_relaxed)) return true;
  Part& part = PartOf(shard);
  Stream& stream = open == nullptr || goes_on ? part.walk : part.aside;
  if (stream.writer == nullptr) stream.writer = NewWriter();
  if (!goes_on) {
    if (stream.db != db) stream.writer->SelectDb(db);
    stream.db = db;
    stream.place = WritePlace();
    keys_.fetch_add(1, std::memory_order_relaxed);
  }
  stream.writer->SetHurry(pace.hurry || pace.awaited || Cut::Urgent());
  int64_t wait_until = 0;
  while (!Step(stream, ref)) {
    if (pace.hurry) {
      if (queue_->bytes(stream.lane) < kQueueBytes) continue;
      if (wait_until == 0) wait_until = MonotonicUs() + kLongestWaitUs;
      queue_->AwaitRoom(stream.lane, kQueueBytes, wait_until);
      continue;
    }
    bool over = Cut::stress.load(std::memory_order_relaxed) || SliceOver(shard.lock(), pace.deadline_us);
    if (!over && queue_->bytes(stream.lane) < kLaneBytes) continue;
    if (!goes_on) open_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (goes_on) open_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

void RdbSaver::ShardDone(Shard& shard) {
  Part& part = PartOf(shard);
  for (Stream* stream : {&part.walk, &part.aside}) {
    if (stream->writer != nullptr && !stream->writer->bytes().empty()) PushPiece(*stream, {}, true);
  }
  if (shards_left_.fetch_sub(1, std::memory_order_acq_rel) == 1) queue_->End();
}

// A string of an RDB file, or a word of a command, whose size is written.
bool RdbSaver::WriteBlob(std::string_view text) {
  if (options_.commands) return file_.Write(text, &error_);
  RdbWriter head(false);
  if (options_.compress && RdbWriter::LongCompressed(text, &compressed_)) {
    head.LongHead(text.size(), compressed_.size());
    text = compressed_;
  } else {
    head.LongHead(text.size());
  }
  return file_.Write(head.bytes(), &error_) && file_.Write(text, &error_);
}

bool RdbSaver::WritePiece(const SavePiece& piece) {
  return file_.Write(piece.bytes, &error_) && (!piece.blob || WriteBlob(piece.blob.text()));
}

// After an error the pieces are still taken, so that the cut comes to its end.
void RdbSaver::Run() {
  pthread_setname_np(pthread_self(), "brim-rdb");
  setpriority(PRIO_PROCESS, 0, kNice);
  int64_t cpu_us = ThreadCpuUs();
  for (SavePiece piece; queue_->Pop(&piece);) {
    if (good_ && cancelled_.load(std::memory_order_relaxed)) {
      good_ = false;
      error_ = "given up";
    }
    if (good_) good_ = WritePiece(piece);
    queue_->Done(std::move(piece));
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
