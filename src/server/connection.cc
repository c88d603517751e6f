#include "server/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "memory/account.h"
#include "net/socket.h"
#include "net/tls_session.h"
#include "resp/errors.h"
#include "server/acl.h"
#include "server/blocking.h"
#include "server/client_limits.h"
#include "server/client_line.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/monitor.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kCommandsABatch = 64;
constexpr size_t kKeptArguments = 4096;
constexpr size_t kLittleBytes = 1024;
constexpr size_t kFlushBytes = 256 << 10;  // replies of one pipeline are sent in pieces of about this size
constexpr size_t kInputStep = 16 << 10;
// How much of one connection's replies is sent at once: while the turn is short, and when it has become long.
constexpr size_t kSendBytes = 256 << 10;
constexpr size_t kSendFewBytes = 16 << 10;
constexpr size_t kManyBytes = 64 << 10;  // pending replies of one connection that make all clients' be looked at

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

Connection::Connection(Worker* owner, uint64_t number, int socket_fd, Transport transport)
    : worker(owner), id(number), fd(socket_fd), is_unix(transport == Transport::kUnix) {
  if (transport == Transport::kTls) tls_ = std::make_unique<TlsSession>(owner->handshakes.Room());
  address = PeerAddress(fd, server.config().unixsocket);
  local_address = LocalAddress(fd, server.config().unixsocket);
  created_ms = last_active_ms = owner->now_ms;
  user = acl.default_user();
  authenticated = !acl.asks_for_password();
}

Connection::~Connection() {
  if (waiter != nullptr) Blocking::Abandon(*this);
  if (paused) Blocking::blocked_clients.fetch_sub(1, std::memory_order_relaxed);
  if (transaction != nullptr) Transactions::Forget(*this);
  if (subscriptions != nullptr) PubSub::Forget(*this, SIZE_MAX);
  if (tracking != nullptr) KeyTracking::Stop(*this);
  Monitors::End(*this);
  worker->pushes.Forget(*this);
  worker->loop().Remove(fd);
  if (tls_ != nullptr) tls_->End(fd);
  close(fd);
}

bool Connection::IsLocal() const {
  return is_unix || address.starts_with("127.") || address.starts_with("[::1]:") || address.starts_with("[::ffff:127.");
}

void Connection::Welcome() {
  if (!server.config().protected_mode || !acl.default_user()->no_password || IsLocal()) return;
  output.Append(errors::kProtectedMode);
  CloseAfterReply();
  server.rejected_connections.fetch_add(1, std::memory_order_relaxed);
  Flush();
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
  if (tls_ != nullptr && !tls_->open()) [[unlikely]] {
    if (events != EPOLLOUT || tls_->holds()) worker->handshakes.Ready(*this);
    return;
  }
  Connection* outer = std::exchange(worker->handling, this);
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ReadSome();
  if (waiting_to_write && !close_soon && (events & EPOLLOUT)) Flush();
  worker->handling = outer;
}

void Connection::ReadSome() {
  if (worker->interrupted == this) {
    worker->ReadAgain(this);
    return;
  }
  try {
    ReadOnce();
  } catch (const std::bad_alloc&) {
    NoMemory();
  }
}

ssize_t Connection::ReadTls(char* into, size_t room) {
  bool more;
  ssize_t got = tls_->Read(fd, into, room, &more);
  // Bytes that make no whole record may be followed by the peer's end, of which no other event tells.
  if (more || peer_ended_) worker->ReadAgain(this);
  if (tls_->holds()) waiting_to_write = true;
  if (got < 0 && !tls_->error().empty()) LogVerbose("Error reading from client: " + tls_->error());
  return got;
}

bool Connection::TlsIsStuck() {
  if (tls_ == nullptr || !tls_->holds()) return false;
  if (tls_->SendHeld(fd)) return false;
  if (!tls_->holds()) CloseSoon();
  return true;
}

void Connection::ReadOnce() {
  // It waits for its turn, and is read again then: what it sends meanwhile waits in the socket, and so does its end,
  // which must not overtake what it has sent before.
  if (deferred || waits_for_log) return;
  bool own = !input_.empty();
  char* into = worker->ReadSpace();
  size_t room = worker->read_room();
  if (own) {
    size_t wanted = parser_.bytes_wanted();
    size_t have = input_.text().size();
    into = input_.Reserve(wanted > have ? std::min<size_t>(wanted - have, 1 << 30) : kInputStep);
    room = input_.room();
  }
  ssize_t got = tls_ == nullptr ? recv(fd, into, room, 0) : ReadTls(into, room);
  worker->figures.reads++;
  if (got <= 0) {
    if (got < 0 && errno == EINTR) {
      worker->ReadAgain(this);
    } else if (got == 0 && (held || unwritten > 0 || flush_again)) {
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
  worker->figures.recent_input.Note(own ? input_.capacity() : bytes);
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
  NoteInput(*worker, input_.capacity());
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
    in_hand_bytes_ = data.size();
    size_t done = Process(data);
    in_hand_bytes_ = 0;
    if (!close_soon && done < data.size()) SaveRest(data.substr(done));
    Flush();
  } catch (const std::bad_alloc&) {
    NoMemory();
  }
  worker->serving = nullptr;
}

void Connection::ResumeInput() {
  if (close_soon || input_.empty() || parked() || worker->interrupted == this) return;
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

size_t Connection::BufferBytes() const {
  return input_.capacity() + parser_.kept_bytes() + output.owned_bytes() + SubscriptionBytes() +
         (transaction != nullptr ? transaction->charge.bytes() : 0) + (waiter != nullptr ? waiter->charge.bytes() : 0) +
         (tls_ != nullptr ? tls_->buffer_bytes() : 0);
}

void Connection::DropBuffers() {
  output.Clear();
  input_.Clear();
  if (transaction != nullptr) Transactions::DropQueue(*transaction);
  if (tls_ != nullptr) tls_->Drop();
}

// One command of very many arguments is no reason to keep room for them.
void Connection::ForgetArguments() {
  if (worker->args.capacity() > kKeptArguments) std::vector<std::string_view>().swap(worker->args);
  if (worker->key_positions.capacity() > kKeptArguments) std::vector<KeyPosition>().swap(worker->key_positions);
}

size_t Connection::Process(std::string_view data) {
  size_t done = 0;
  while (done < data.size() && !close_soon && !close_after_reply && !parked()) {
    worker->args.clear();
    worker->parsed.clear();
    // An unauthenticated client's limits change with AUTH: one command at a time until then.
    bool known = authenticated || !acl.asks_for_password();
    ParseStatus status =
        parser_.Parse(data.substr(done), known ? kCommandsABatch : 1, known, &worker->args, &worker->parsed);
    size_t ran = 0;
    if (!worker->parsed.empty()) ran = Dispatcher::RunBatch(*this);
    ForgetArguments();
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
    // Many small commands at once are as long as a heavy one: the others first.
    if (done < data.size() && !parked() && worker->TurnIsLong()) worker->Defer(this);
  }
  return close_after_reply ? data.size() : done;
}

void Connection::KeepReplies() {
  OutputBuffer& fresh = worker->scratch;
  if (fresh.empty() || worker->serving != this) return;
  output.Keep(fresh);
}

void Connection::Flush() {
  if (worker->serving == this && worker->recorded) worker->Hold(this);
  if (held || unwritten > 0) {
    KeepReplies();
    if (output.size_bytes() > kFlushBytes) OverOutputLimit();
    return;
  }
  Send(SIZE_MAX);
}

void Connection::Send(size_t most) {
  // Fresh replies go out from the worker's scratch, whose memory serves every connection; only what the socket does not
  // take becomes the connection's own.
  OutputBuffer& fresh = worker->scratch;
  if (!output.empty()) KeepReplies();
  OutputBuffer& source = output.empty() && worker->serving == this ? fresh : output;
  worker->figures.recent_output.Note(source.size_bytes());
  size_t budget = SIZE_MAX;
  if (source.size_bytes() > kSendFewBytes) {
    budget = !worker->TurnIsLong() ? kSendBytes : source.owned_bytes() > kManyBytes ? kSendFewBytes : 0;
  }
  bool stuck = TlsIsStuck();
  while (!stuck && !source.empty() && most > 0) {
    if (budget == 0) {
      worker->FlushAgain(this);
      break;
    }
    iovec pieces[64];
    int count = source.Gather(pieces, 64, std::min(budget, most));
    ssize_t sent = tls_ == nullptr ? SendPieces(fd, pieces, count) : tls_->Write(fd, pieces, count);
    worker->figures.writes++;
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) CloseSoon();
      break;
    }
    source.Consume(static_cast<size_t>(sent));
    if (budget != SIZE_MAX) budget -= static_cast<size_t>(sent);
    if (most != SIZE_MAX) most -= static_cast<size_t>(sent);
    stuck = tls_ != nullptr && tls_->holds();
    bytes_out += static_cast<uint64_t>(sent);
    worker->figures.bytes_out += static_cast<uint64_t>(sent);
  }
  if (&source == &fresh) {
    KeepReplies();
  } else if (output.empty()) {
    output.Clear();
  }
  if (close_soon || held || unwritten > 0) return;
  waiting_to_write = stuck || !output.empty();
  if (waiting_to_write) {
    if (!OverOutputLimit() && output.owned_bytes() > kManyBytes) KeepClientsInBounds(*worker);
  } else if (close_after_reply) {
    CloseSoon();
  }
}

bool Connection::OverOutputLimit() {
  const auto& limit = server.config().client_output_buffer_limit[subscriptions != nullptr ? 2 : 0];
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

void CutConnection(Connection& victim, const Connection* own) {
  if (&victim == own) {
    victim.CloseAfterReply();
    return;
  }
  victim.close_soon = true;
  victim.worker->loop().Post([worker = victim.worker, id = victim.id] {
    if (Connection* connection = worker->FindConnection(id)) worker->CloseLater(connection);
  });
}

size_t Connection::SubscriptionBytes() const {
  return (subscriptions != nullptr ? subscriptions->memory_bytes() : 0) +
         (tracking != nullptr ? tracking->MemoryBytes() : 0);
}

size_t Connection::MemoryUsage() const {
  return sizeof(Connection) + input_.capacity() + parser_.kept_bytes() + output.owned_bytes() + SubscriptionBytes() +
         name.capacity() + (transaction != nullptr ? Transactions::MemoryUsage(*transaction) : 0) +
         (waiter != nullptr ? Blocking::MemoryUsage(*waiter) : 0) +
         (tls_ != nullptr ? sizeof(TlsSession) + tls_->memory_bytes() : 0);
}

}  // namespace brim
