#pragma once
// Bytes for connections that did not ask for them: published messages, keyspace events, invalidations. docs/pubsub.md.
//
// Each worker has a queue of pushes. Whoever has something for connections of a worker posts it there, once however
// many connections it is for; the worker looks up who they are and puts the bytes behind what each was sent so far.
// Queues keep their order, and what is posted under a shard's lock is posted in the order of the changes. The bytes
// go out at the end of the turn, in portions that leave time to others.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "base/spin_lock.h"
#include "resp/output.h"

namespace brim {

class Connection;
class Worker;

// Something to be delivered; made once, shared by the queues and (its bytes) by the buffers they went to.
class Push {
 public:
  Push() = default;
  Push(const Push&) = delete;
  Push& operator=(const Push&) = delete;
  // On the thread of a worker that it was posted to: hands bytes to connections by PushQueue::Send.
  virtual void Deliver(Worker& worker) = 0;

  void AddReference() { references_.fetch_add(1, std::memory_order_relaxed); }
  static void Release(void* push);

  // Room for an object with `extra` bytes behind it; counted as clients' memory.
  static void* operator new(size_t bytes, size_t extra);
  static void operator delete(void* memory);
  static void operator delete(void* memory, size_t extra);

 protected:
  virtual ~Push() = default;

 private:
  std::atomic<uint32_t> references_{1};
};

// The reference of whoever makes a push.
class PushReference {
 public:
  explicit PushReference(Push* push) : push_(push) {}
  PushReference(const PushReference&) = delete;
  PushReference& operator=(const PushReference&) = delete;
  ~PushReference() { Push::Release(push_); }
  Push* get() const { return push_; }

 private:
  Push* push_;
};

class PushQueue {
 public:
  // Where bytes for the connection that is being served go: before or behind the reply of the command that runs.
  enum class Place : uint8_t { kBeforeReply, kBehindReply };

  explicit PushQueue(Worker* worker);
  ~PushQueue();

  // Any thread. `deliveries`: to about how many connections of the worker it goes. Without memory the push is lost.
  void Post(Push* push, size_t deliveries) noexcept;

  // --- the rest: the worker's thread
  bool has_mail() const { return has_mail_.load(std::memory_order_acquire) || !taken_.empty(); }
  // Delivers what was posted before, all of it or what a part of a turn suffices for; no lock held. Sends, and cuts
  // clients, when much has gathered.
  void DeliverMail(bool all);
  // The same for a command that changes who gets what: TakeMail at the moment of the change, then DeliverTaken. What
  // goes to the connection that is being served comes between the parts of its reply.
  void TakeMail();
  void DeliverTaken();

  // Puts `head` and `tail` behind what the connection is to be sent. A big tail is not copied: `owner`, whose bytes it
  // is, is kept until it has been sent.
  void Send(Connection& connection, std::string_view head, std::string_view tail, Push* owner, Place place);
  // The connection goes away.
  void Forget(const Connection& connection);

  // A command of the connection being served begins; from here on its reply is put together.
  void BeginCommand();
  // What its handler has written so far is no longer to have pushes put before it.
  void EndReply() { began_at_end_ = true; }
  // When much has gathered since the last look, sends, and cuts clients who take too much.
  void KeepInBounds();
  // At a command's end, no lock held: delivers what was posted, waits a moment when workers have too much to deliver,
  // sends when much has gathered.
  void AfterCommand(bool transaction);
  // The wait was not enough: the connection whose command it was is to be put off.
  bool posted_too_much() const { return posted_too_much_; }
  // It is neither read nor served until EndPutOff lets it go on: once the workers have caught up, or after a second.
  void PutOff(Connection& connection);
  void EndPutOff();
  bool has_put_off() const { return !put_off_.empty(); }
  // Of all that is posted and not delivered yet, to about how many connections it goes. Any thread.
  size_t backlog() const { return deliveries_.load(std::memory_order_relaxed); }
  // Whether one of the workers has so much of it that who posts is to wait. O(workers). Any thread.
  static bool AnyIsBehind();
  bool needs_care() const { return care_ || has_mail_.load(std::memory_order_relaxed) || !taken_.empty(); }
  // At the end of a turn: sends until the turn has become long.
  void SendSome() { SendUntil(0, false); }
  // The next turn is not to wait.
  bool has_work() const { return has_mail_.load(std::memory_order_relaxed) || !taken_.empty() || !unsent_.empty(); }

 private:
  struct Mail {
    Push* push;
    size_t deliveries;
  };
  OutputBuffer& PlaceOf(Connection& connection, Place place);
  void SendUntil(size_t bytes, bool whole);
  void WaitForBacklog();

  Worker* const worker_;
  const uint64_t slice_ticks_;
  SpinLock lock_;
  std::vector<Mail> mail_;  // guarded by the lock
  std::atomic<bool> has_mail_{false};
  std::atomic<size_t> deliveries_{0};  // of mail that is not delivered yet
  std::vector<Mail> taken_;
  bool delivering_taken_ = false;
  bool posted_ = false;
  bool posted_too_much_ = false;
  std::vector<uint64_t> put_off_;
  int64_t put_off_since_ms_ = 0;

  std::deque<uint64_t> unsent_;  // connections with bytes that their sockets were not offered yet
  size_t unsent_bytes_ = 0;
  size_t unwatched_bytes_ = 0;  // since KeepInBounds looked

  // Of the command that runs: where its reply begins in the scratch, what goes there and what goes behind it.
  bool care_ = false;
  bool in_command_ = false;
  bool began_at_end_ = false;
  OutputBuffer::Mark began_{};
  OutputBuffer before_;
  OutputBuffer behind_;
};

}  // namespace brim
