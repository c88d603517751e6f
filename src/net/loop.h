#pragma once
// One thread's event loop: epoll, and a mailbox through which other threads hand it work.
#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

namespace brim {

// What a file descriptor's owner does when it is ready. Only the loop's thread calls it.
class EventHandler {
 public:
  virtual ~EventHandler() = default;
  // `events` are EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP bits.
  virtual void OnEvents(uint32_t events) = 0;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // False with errno set when the kernel refuses.
  bool Add(int fd, uint32_t events, EventHandler* handler);
  void Remove(int fd);

  // Waits up to timeout_ms (0: not at all, -1: for ever), after gather_us in which it lets events come together (0:
  // none; a thread that sleeps in a wait is woken by the first of them), and runs the handlers of what is ready; mail
  // is run by the caller (TakeMail). Returns the number of ready descriptors. `before` is called after the wait, before
  // the handlers.
  int RunOnce(int timeout_ms, int gather_us, const std::function<void()>& before);
  // Events of the turn that is running.
  int ready_count() const { return ready_; }
  // A handler that goes away while others of the same wait are still to be called.
  void Forget(EventHandler* handler);

  // Within a handler of RunOnce (or after it): runs the handlers of what RunOnce has not come to yet, which it then
  // leaves out, and of what is ready now. Does not wait.
  void RunWithin(const std::function<void()>& before);

  // Any thread: the function runs on the loop's thread soon. A wake-up costs a system call only if the loop sleeps.
  void Post(std::function<void()> work);
  // As Post, for what may be run in the middle of other work too (RunArrivals): a connection comes in.
  void PostArrival(std::function<void()> work);
  void RunArrivals();
  // Any thread: something was posted and has not been run.
  bool has_mail() const { return has_mail_.load(std::memory_order_acquire); }
  // The loop's thread: runs what was posted. Returns how many.
  size_t RunMail();

 private:
  void Handle(const epoll_event& event);
  void Wake();
  static constexpr int kMaxEvents = 256;
  int epoll_fd_;
  int wake_fd_;
  epoll_event events_[kMaxEvents];
  int ready_ = 0;
  int current_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> mail_;
  std::vector<std::function<void()>> running_mail_;
  std::vector<std::function<void()>> arrivals_;
  std::atomic<bool> has_mail_{false};
  std::atomic<bool> sleeping_{false};
};

}  // namespace brim
