#include "server/push.h"

#include <malloc.h>
#include <time.h>
#include <x86intrin.h>

#include <algorithm>
#include <mutex>
#include <new>

#include "base/ticks.h"
#include "memory/account.h"
#include "server/client_limits.h"
#include "server/connection.h"
#include "server/memory_guard.h"
#include "server/pause.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kWorthSharing = 4 << 10;     // bytes; copying less is cheaper than a piece and a reference
constexpr size_t kUnsentBytesMost = 4 << 20;  // of all connections of a worker, before they are sent or cut
constexpr size_t kDeliveriesMost = 16 << 10;  // that may wait at one worker: a millisecond of its time
constexpr size_t kBytesADelivery = 64;        // so that not more than a megabyte of pushes waits
constexpr int64_t kPutOffMsMost = 1000;       // a worker that takes longer than that is not waited for
constexpr double kSliceUs = 500;              // of a turn, for mail
constexpr size_t kMailMost = 16 << 10;        // that may be left for later turns
constexpr size_t kKeptMail = 1024;

// Less where memory is little: it is taken before anybody can look who has too much.
size_t UnsentBytesMost() {
  int64_t limit = MemoryGuard::used_limit();
  if (limit == 0) return kUnsentBytesMost;
  return std::clamp(static_cast<size_t>(limit) / 128, kUnsentBytesMost / 16, kUnsentBytesMost);
}

}  // namespace

void* Push::operator new(size_t bytes, size_t extra) {
  return AllocateBytes(bytes + extra, MemoryCategory::kClientsOut);
}
void Push::operator delete(void* memory) { FreeBytes(memory, MemoryCategory::kClientsOut); }
void Push::operator delete(void* memory, size_t) { FreeBytes(memory, MemoryCategory::kClientsOut); }

void Push::Release(void* push) {
  auto* self = static_cast<Push*>(push);
  if (self->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete self;
}

PushQueue::PushQueue(Worker* worker) : worker_(worker), slice_ticks_(UsToTicks(kSliceUs)) {}

PushQueue::~PushQueue() {
  for (const Mail& mail : mail_) Push::Release(mail.push);
  for (const Mail& mail : taken_) Push::Release(mail.push);
}

void PushQueue::Post(Push* push, size_t deliveries) noexcept {
  push->AddReference();
  deliveries += malloc_usable_size(push) / kBytesADelivery;
  bool first;
  try {
    std::lock_guard guard(lock_);
    first = mail_.empty();
    mail_.push_back({push, deliveries});
    has_mail_.store(true, std::memory_order_release);
  } catch (const std::bad_alloc&) {
    Push::Release(push);
    NoteShortage();
    return;
  }
  deliveries_.fetch_add(deliveries, std::memory_order_relaxed);
  Worker* mine = current_worker;
  if (mine != nullptr) mine->pushes.posted_ = mine->pushes.care_ = true;
  if (mine != worker_) {
    // Its loop wakes up, and looks for mail at the end of each turn.
    if (first) worker_->loop().Post([] {});
  }
}

void PushQueue::TakeMail() {
  if (!has_mail()) return;
  std::lock_guard guard(lock_);
  if (taken_.empty()) {
    taken_.swap(mail_);
  } else {
    taken_.insert(taken_.end(), mail_.begin(), mail_.end());
    mail_.clear();
  }
  has_mail_.store(false, std::memory_order_relaxed);
}

void PushQueue::DeliverTaken() {
  delivering_taken_ = true;
  DeliverMail(true);
  delivering_taken_ = false;
}

void PushQueue::DeliverMail(bool all) {
  if (!delivering_taken_) TakeMail();
  if (taken_.empty()) return;
  std::vector<Mail> mail;
  mail.swap(taken_);
  uint64_t until = all || mail.size() > kMailMost ? UINT64_MAX : __rdtsc() + slice_ticks_;
  size_t done = 0;
  do {
    const Mail& each = mail[done++];
    each.push->Deliver(*worker_);
    deliveries_.fetch_sub(each.deliveries, std::memory_order_relaxed);
    Push::Release(each.push);
    // Whoever has to change first who gets what may hold locks: nothing is sent then.
    if (!delivering_taken_) KeepInBounds();
  } while (done < mail.size() && __rdtsc() < until);
  mail.erase(mail.begin(), mail.begin() + static_cast<ptrdiff_t>(done));
  if (mail.empty() && mail.capacity() > kKeptMail) return;
  mail.insert(mail.end(), taken_.begin(), taken_.end());
  taken_.swap(mail);
}

// What sockets do not take stays, so every so many bytes it is looked at, sent or not.
void PushQueue::KeepInBounds() {
  size_t most = UnsentBytesMost();
  // Little at a time: offering a megabyte to a thousand sockets takes more than a turn should.
  if (unsent_bytes_ > most) SendUntil(most - most / 8, true);
  if (unwatched_bytes_ <= most) return;
  unwatched_bytes_ = 0;
  KeepClientsInBounds(*worker_);
}

OutputBuffer& PushQueue::PlaceOf(Connection& connection, Place place) {
  if (&connection != worker_->serving) return connection.output;
  // A push never stands within a reply of several parts.
  if (worker_->context.in_transaction()) {
    care_ = true;
    return behind_;
  }
  if (!in_command_ || delivering_taken_) return worker_->scratch;
  return place == Place::kBeforeReply ? before_ : behind_;
}

void PushQueue::Send(Connection& connection, std::string_view head, std::string_view tail, Push* owner, Place place) {
  if (connection.close_soon || connection.close_after_reply) return;
  OutputBuffer& output = PlaceOf(connection, place);
  try {
    output.AppendTight(head);
    if (tail.size() < kWorthSharing || owner == nullptr) {
      output.AppendTight(tail);
    } else {
      output.AppendShared(tail.data(), tail.size(), Push::Release, owner, true);
      owner->AddReference();
    }
  } catch (const std::bad_alloc&) {
    // Half a push may be there: nothing more can follow.
    NoteShortage();
    connection.CloseSoon();
    return;
  }
  if (&output != &connection.output) return;
  if (connection.unsent_bytes == 0) unsent_.push_back(connection.id);
  size_t bytes = head.size() + tail.size();
  connection.unsent_bytes += bytes;
  unsent_bytes_ += bytes;
  unwatched_bytes_ += bytes;
  if (std::max(unwatched_bytes_, unsent_bytes_) > UnsentBytesMost()) care_ = true;
}

void PushQueue::Forget(const Connection& connection) { unsent_bytes_ -= connection.unsent_bytes; }

void PushQueue::BeginCommand() {
  care_ = in_command_ = true;
  began_at_end_ = false;
  began_ = worker_->scratch.End();
}

void PushQueue::AfterCommand(bool transaction) {
  DeliverMail(in_command_);
  care_ = in_command_ = false;
  OutputBuffer& scratch = worker_->scratch;
  if (!before_.empty()) {
    OutputBuffer reply;
    if (!transaction && !began_at_end_) reply = scratch.CutAfter(began_);
    scratch.Splice(before_);
    scratch.Splice(reply);
  }
  scratch.Splice(behind_);
  posted_too_much_ = false;
  if (posted_) WaitForBacklog();
  KeepInBounds();
}

bool PushQueue::AnyIsBehind() {
  return std::ranges::any_of(server.workers(), [](const std::unique_ptr<Worker>& worker) {
    return worker->pushes.backlog() > kDeliveriesMost;
  });
}

// Who publishes faster than the workers can deliver has to wait: what is posted takes memory. A moment is waited here,
// delivering what comes meanwhile; when that does not do, the connection waits and the others are served.
void PushQueue::WaitForBacklog() {
  posted_ = false;
  while (AnyIsBehind() && !server.stopping()) {
    if (worker_->TurnIsLong()) {
      posted_too_much_ = true;
      return;
    }
    thread_pause.CheckPoint(worker_->index());
    if (has_mail()) {
      DeliverMail(false);
      continue;
    }
    timespec nap{0, 20'000};
    nanosleep(&nap, nullptr);
  }
}

void PushQueue::PutOff(Connection& connection) {
  posted_too_much_ = false;
  if (connection.deferred) return;
  connection.deferred = true;
  if (put_off_.empty()) put_off_since_ms_ = worker_->now_ms;
  put_off_.push_back(connection.id);
}

void PushQueue::EndPutOff() {
  if (AnyIsBehind() && worker_->now_ms - put_off_since_ms_ < kPutOffMsMost) return;
  put_off_since_ms_ = worker_->now_ms;
  for (uint64_t id : put_off_) {
    Connection* connection = worker_->FindConnection(id);
    if (connection == nullptr) continue;
    connection->deferred = false;
    worker_->Defer(connection);
  }
  put_off_.clear();
}

void PushQueue::SendUntil(size_t bytes, bool whole) {
  while (!unsent_.empty() && (bytes == 0 || unsent_bytes_ > bytes)) {
    Connection* connection = worker_->FindConnection(unsent_.front());
    unsent_.pop_front();
    if (connection == nullptr || connection->unsent_bytes == 0) continue;
    unsent_bytes_ -= connection->unsent_bytes;
    connection->unsent_bytes = 0;
    // What is being served goes out with its replies.
    if (connection != worker_->serving && !connection->close_soon) connection->Flush();
    if (!whole && worker_->TurnIsLong()) return;
  }
}

}  // namespace brim
