#include "net/loop.h"

#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace brim {

Loop::Loop() : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (epoll_fd_ < 0 || wake_fd_ < 0) {
    perror("epoll or eventfd");
    abort();
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event);
}

Loop::~Loop() {
  close(epoll_fd_);
  close(wake_fd_);
}

bool Loop::Add(int fd, uint32_t events, EventHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::Remove(int fd) { epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr); }

void Loop::Forget(EventHandler* handler) {
  for (int i = current_ + 1; i < ready_; i++) {
    if (events_[i].data.ptr == handler) events_[i].data.ptr = this;  // nobody's
  }
}

void Loop::Handle(const epoll_event& event) {
  void* target = event.data.ptr;
  if (target == nullptr) {
    uint64_t count;
    while (read(wake_fd_, &count, sizeof count) > 0) {
    }
  } else if (target != this) {
    static_cast<EventHandler*>(target)->OnEvents(event.events);
  }
}

void Loop::RunWithin(const std::function<void()>& before) {
  std::vector<epoll_event> due;
  for (int i = current_ + 1; i < ready_; i++) {
    due.push_back(events_[i]);
    events_[i].data.ptr = this;  // nobody's
  }
  size_t left = due.size();
  due.resize(left + kMaxEvents);
  int fresh = epoll_wait(epoll_fd_, due.data() + left, kMaxEvents, 0);
  due.resize(left + static_cast<size_t>(fresh > 0 ? fresh : 0));
  before();
  for (const epoll_event& event : due) Handle(event);
}

int Loop::RunOnce(int timeout_ms, int gather_us, const std::function<void()>& before) {
  if (gather_us > 0) {
    timespec rest{0, gather_us * 1000};
    nanosleep(&rest, nullptr);
  }
  // Announce the sleep, then look at the mail once more: who posts after that sees the announcement and wakes us.
  sleeping_.store(true, std::memory_order_seq_cst);
  if (has_mail_.load(std::memory_order_seq_cst)) timeout_ms = 0;
  ready_ = epoll_wait(epoll_fd_, events_, kMaxEvents, timeout_ms);
  sleeping_.store(false, std::memory_order_seq_cst);
  before();
  if (ready_ < 0) ready_ = 0;
  for (current_ = 0; current_ < ready_; current_++) {
    Handle(events_[current_]);
  }
  int done = ready_;
  ready_ = current_ = 0;
  return done;
}

void Loop::Post(std::function<void()> work) {
  {
    std::lock_guard guard(mutex_);
    mail_.push_back(std::move(work));
    has_mail_.store(true, std::memory_order_seq_cst);
  }
  Wake();
}

void Loop::PostArrival(std::function<void()> work) {
  {
    std::lock_guard guard(mutex_);
    arrivals_.push_back(std::move(work));
    has_mail_.store(true, std::memory_order_seq_cst);
  }
  Wake();
}

void Loop::RunArrivals() {
  if (!has_mail_.load(std::memory_order_acquire)) return;
  std::vector<std::function<void()>> arrived;
  {
    std::lock_guard guard(mutex_);
    arrived.swap(arrivals_);
  }
  for (auto& work : arrived) work();
}

void Loop::Wake() {
  if (sleeping_.load(std::memory_order_seq_cst)) {
    uint64_t one = 1;
    ssize_t written = write(wake_fd_, &one, sizeof one);
    (void)written;
  }
}

size_t Loop::RunMail() {
  if (!has_mail_.load(std::memory_order_acquire)) return 0;
  std::vector<std::function<void()>> arrived;
  {
    std::lock_guard guard(mutex_);
    arrived.swap(arrivals_);
    running_mail_.swap(mail_);
    has_mail_.store(false, std::memory_order_seq_cst);
  }
  for (auto& work : arrived) work();
  for (auto& work : running_mail_) work();
  size_t count = running_mail_.size();
  running_mail_.clear();
  return count;
}

}  // namespace brim
