#include "server/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "memory/account.h"
#include "net/socket.h"
#include "server/blocking.h"
#include "server/client_limits.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/server.h"
#include "server/transaction.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kCommandsABatch = 64;
constexpr size_t kLittleBytes = 1024;
constexpr size_t kFlushBytes = 256 << 10;  // replies of one pipeline are sent in pieces of about this size
constexpr size_t kInputStep = 16 << 10;
// How much of one connection's replies is sent at once: while the turn is short, and when it has become long.
constexpr size_t kSendBytes = 256 << 10;
constexpr size_t kSendFewBytes = 16 << 10;
constexpr size_t kDeferredBytes = 64 << 10;  // of input that a connection whose turn comes later keeps
constexpr size_t kManyBytes = 64 << 10;      // pending replies of one connection that make all clients' be looked at

ssize_t SendPieces(int fd, iovec* pieces, int count) {
  if (count == 1) return send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = static_cast<size_t>(count);
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace

char* InputBuffer::Reserve(size_t bytes) {
  if (capacity_ - end_ >= bytes) return data_ + end_;
  size_t used = end_ - begin_;
  if (capacity_ >= used + bytes) {
    memmove(data_, data_ + begin_, used);
  } else {
    size_t wanted = std::max(used + bytes, std::min(capacity_ * 2, capacity_ + (1 << 20)));
    auto* grown = static_cast<char*>(AllocateBytes(wanted, MemoryCategory::kClientsIn));
    if (used > 0) memcpy(grown, data_ + begin_, used);
    if (data_ != nullptr) FreeBytes(data_, MemoryCategory::kClientsIn);
    data_ = grown;
    capacity_ = wanted;
  }
  begin_ = 0;
  end_ = used;
  return data_ + end_;
}

void InputBuffer::Append(std::string_view text) {
  memcpy(Reserve(text.size()), text.data(), text.size());
  end_ += text.size();
}

void InputBuffer::Consume(size_t bytes) {
  begin_ += bytes;
  if (begin_ == end_) Clear();
}

void InputBuffer::Clear() {
  if (data_ != nullptr) FreeBytes(data_, MemoryCategory::kClientsIn);
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

Connection::Connection(Worker* owner, uint64_t number, int socket_fd, bool unix_socket)
    : worker(owner), id(number), fd(socket_fd), is_unix(unix_socket) {
  address = PeerAddress(fd, server.config().unixsocket);
  local_address = LocalAddress(fd, server.config().unixsocket);
  created_ms = last_active_ms = owner->now_ms;
  authenticated = server.config().requirepass.empty();
}

Connection::~Connection() {
  if (waiter != nullptr) Blocking::Abandon(*this);
  if (transaction != nullptr) Transactions::Forget(*this);
  worker->loop().Remove(fd);
  close(fd);
}

void Connection::CloseSoon() {
  if (close_soon) return;
  close_soon = true;
  worker->CloseLater(this);
}

void Connection::NoMemory() {
  LogWarning("Closing client: the system has no memory for its buffers: " + DescribeConnection(*this));
  NoteShortage();
  worker->scratch.Clear();
  worker->serving = nullptr;
  CloseSoon();
}

void Connection::OnEvents(uint32_t events) {
  if (close_soon) return;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) peer_ended_ = true;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ReadSome();
  if (waiting_to_write && !close_soon && (events & EPOLLOUT)) Flush();
}

void Connection::ReadSome() {
  try {
    ReadOnce();
  } catch (const std::bad_alloc&) {
    NoMemory();
  }
}

void Connection::ReadOnce() {
  if (deferred && input_.text().size() >= kDeferredBytes) {
    // It waits for its turn: what it sends meanwhile waits in the socket.
    worker->ReadAgain(this);
    return;
  }
  bool own = !input_.empty();
  char* into = worker->ReadSpace();
  size_t room = worker->read_room();
  if (own) {
    size_t wanted = parser_.bytes_wanted();
    size_t have = input_.text().size();
    into = input_.Reserve(wanted > have ? std::min<size_t>(wanted - have, 1 << 30) : kInputStep);
    room = input_.room();
  }
  ssize_t got = recv(fd, into, room, 0);
  worker->figures.reads++;
  if (got <= 0) {
    if (got < 0 && errno == EINTR) {
      worker->ReadAgain(this);
    } else if (got == 0 && held) {
      CloseAfterReply();
    } else if (got == 0 || errno != EAGAIN) {
      CloseSoon();
    }
    return;
  }
  auto bytes = static_cast<size_t>(got);
  if (bytes == room || peer_ended_) worker->ReadAgain(this);
  bytes_in += bytes;
  worker->figures.bytes_in += bytes;
  if (last_active_ms != worker->now_ms) worker->activity.connections++;
  last_active_ms = worker->now_ms;
  if (own) {
    input_.Commit(bytes);
    if (!parked()) ResumeInput();
  } else if (parked()) {
    input_.Append({into, bytes});
  } else {
    // Several clients with little each: all are read before the first is served, so that their keys can be prefetched.
    std::string_view data{into, bytes};
    if (bytes <= kLittleBytes && worker->loop().ready_count() > 1) {
      worker->ServeLater(this, data);
    } else {
      Serve(data);
    }
    return;
  }
  if (input_.text().size() > static_cast<size_t>(server.config().client_query_buffer_limit)) {
    LogWarning("Closing client that reached max query buffer length: " + DescribeConnection(*this));
    worker->figures.query_limit_cuts++;
    CloseSoon();
  }
}

void Connection::SaveRest(std::string_view rest) {
  size_t wanted = parser_.bytes_wanted();
  if (wanted > rest.size()) input_.Reserve(std::min<size_t>(wanted, 1 << 30));
  input_.Append(rest);
}

void Connection::Serve(std::string_view data) {
  if (close_soon) return;
  if (worker->peeked != nullptr && worker->LooksHeavy(*worker->peeked) && worker->TurnIsLong()) {
    SaveRest(data);
    worker->Defer(this);
    return;
  }
  worker->serving = this;
  worker->recorded = false;
  try {
    size_t done = Process(data);
    if (!close_soon && done < data.size()) SaveRest(data.substr(done));
    Flush();
  } catch (const std::bad_alloc&) {
    NoMemory();
  }
  worker->serving = nullptr;
}

void Connection::ResumeInput() {
  if (close_soon || input_.empty() || parked()) return;
  Connection* outer = worker->serving;  // UNPAUSE resumes others
  worker->serving = this;
  bool outer_recorded = std::exchange(worker->recorded, false);
  try {
    size_t done = Process(input_.text());
    if (!close_soon) input_.Consume(done);
    Flush();
  } catch (const std::bad_alloc&) {
    NoMemory();
  }
  worker->serving = outer;
  worker->recorded = outer_recorded;
}

void Connection::DropBuffers() {
  output.Clear();
  input_.Clear();
}

size_t Connection::Process(std::string_view data) {
  size_t done = 0;
  while (done < data.size() && !close_soon && !close_after_reply && !parked()) {
    worker->args.clear();
    worker->parsed.clear();
    // An unauthenticated client's limits change with AUTH: one command at a time until then.
    ParseStatus status = parser_.Parse(data.substr(done), authenticated ? kCommandsABatch : 1, authenticated,
                                       &worker->args, &worker->parsed);
    size_t ran = 0;
    if (!worker->parsed.empty()) ran = Dispatcher::RunBatch(*this);
    if (ran < worker->parsed.size()) {
      // Stopped early: the rest is parsed again when the connection goes on.
      done += ran == 0 ? 0 : worker->parsed[ran - 1].end;
      parser_.Reset();
      return done;
    }
    done += parser_.consumed();
    if (status == ParseStatus::kError && !close_soon) {
      Dispatcher::ProtocolError(*this, parser_.error());
      return data.size();
    }
    if (worker->scratch.size_bytes() > kFlushBytes) Flush();
    if (status == ParseStatus::kNeedMore) break;
  }
  return close_after_reply ? data.size() : done;
}

void Connection::KeepReplies() {
  OutputBuffer& fresh = worker->scratch;
  if (fresh.empty()) return;
  fresh.Trim();
  output.Splice(fresh);
}

void Connection::Flush() {
  if (worker->serving == this && worker->recorded) worker->Hold(this);
  if (held) {
    KeepReplies();
    return;
  }
  // Fresh replies go out from the worker's scratch, whose memory serves every connection; only what the socket does not
  // take becomes the connection's own.
  OutputBuffer& fresh = worker->scratch;
  if (!output.empty()) KeepReplies();
  OutputBuffer& source = output.empty() ? fresh : output;
  size_t budget = SIZE_MAX;
  if (source.size_bytes() > kSendFewBytes) {
    budget = !worker->TurnIsLong() ? kSendBytes : source.owned_bytes() > kManyBytes ? kSendFewBytes : 0;
  }
  while (!source.empty()) {
    if (budget == 0) {
      worker->FlushAgain(this);
      break;
    }
    iovec pieces[64];
    int count = source.Gather(pieces, 64, budget);
    ssize_t sent = SendPieces(fd, pieces, count);
    worker->figures.writes++;
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) CloseSoon();
      break;
    }
    source.Consume(static_cast<size_t>(sent));
    if (budget != SIZE_MAX) budget -= static_cast<size_t>(sent);
    bytes_out += static_cast<uint64_t>(sent);
    worker->figures.bytes_out += static_cast<uint64_t>(sent);
  }
  if (&source == &fresh) {
    KeepReplies();
  } else if (output.empty()) {
    output.Clear();
  }
  if (close_soon) return;
  waiting_to_write = !output.empty();
  if (waiting_to_write) {
    if (!OverOutputLimit() && output.owned_bytes() > kManyBytes) KeepClientsInBounds(*worker);
  } else if (close_after_reply) {
    CloseSoon();
  }
}

bool Connection::OverOutputLimit() {
  const auto& limit = server.config().client_output_buffer_limit[0];
  size_t pending = output.size_bytes();
  bool hard = limit.hard_bytes > 0 && pending > static_cast<size_t>(limit.hard_bytes);
  bool soft = limit.soft_bytes > 0 && pending > static_cast<size_t>(limit.soft_bytes);
  if (!soft) {
    soft_limit_since_ms = 0;
  } else if (soft_limit_since_ms == 0) {
    soft_limit_since_ms = worker->now_ms;
    soft = false;
  } else {
    soft = worker->now_ms - soft_limit_since_ms > limit.soft_seconds * 1000;
  }
  if (!hard && !soft) return false;
  LogWarning("Client " + DescribeConnection(*this) +
             " scheduled to be closed ASAP for overcoming of output buffer limits.");
  worker->figures.output_limit_cuts++;
  output.Clear();
  CloseSoon();
  return true;
}

void Connection::Deliver(OutputBuffer&& reply) {
  output.Splice(reply);
  if (journal.on()) worker->Hold(this);  // what it was waiting for has just been taken out of its list
  Flush();
}

size_t Connection::MemoryUsage() const {
  return sizeof(Connection) + input_.capacity() + output.owned_bytes() + name.capacity() +
         (transaction != nullptr ? Transactions::MemoryUsage(*transaction) : 0);
}

}  // namespace brim
