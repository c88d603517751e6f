#include "net/client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/monotonic.h"
#include "base/numbers.h"
#include "net/tls_session.h"

namespace brim {

namespace {

constexpr size_t kSendBytes = 64 << 10;          // that have one timeout
constexpr size_t kReceiveBytes = 16 << 10;       // asked for at once
constexpr size_t kLineBytesMax = 64 << 10;       // no reply's line is longer
constexpr int64_t kBulkBytesMax = 512LL << 20;   // nor a bulk
constexpr size_t kUnaskedBytesMax = 64ul << 20;  // received while sending; beyond it the other side has to wait
constexpr int64_t kTimeoutMsMax = INT_MAX;       // 24 days

void AppendCount(std::string* out, char type, size_t n) {
  char digits[24];
  out->push_back(type);
  out->append(digits, static_cast<size_t>(FormatUint64(n, digits)));
  out->append("\r\n");
}

}  // namespace

Client::Client(int64_t timeout_ms) : timeout_us_(std::clamp<int64_t>(timeout_ms, 1, kTimeoutMsMax) * 1000) {}

Client::~Client() { Close(); }

void Client::Close() {
  if (tls_ != nullptr && fd_ >= 0) tls_->End(fd_);
  tls_.reset();
  tls_more_ = false;
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool Client::Fail(Failure failure) {
  failure_ = failure;
  Close();
  return false;
}

int64_t Client::DeadlineUs() const { return MonotonicUs() + timeout_us_; }

bool Client::Wait(short events, int64_t deadline_us, short* ready) {
  if ((events & POLLIN) && tls_more_) {
    *ready = POLLIN;
    return true;
  }
  for (;;) {
    int64_t left_us = deadline_us - MonotonicUs();
    if (left_us <= 0) return Fail(Failure::kTimeout);
    pollfd watched{fd_, events, 0};
    int n = poll(&watched, 1, static_cast<int>((left_us + 999) / 1000));
    if (n < 0 && errno != EINTR) return Fail(Failure::kClosed);
    if (n <= 0) continue;
    *ready = watched.revents;
    return true;
  }
}

bool Client::ConnectOne(const void* address, size_t size, int family, int64_t deadline_us) {
  fd_ = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return Fail(Failure::kUnknownHost);
  int yes = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (connect(fd_, static_cast<const sockaddr*>(address), static_cast<socklen_t>(size)) == 0) return true;
  if (errno != EINPROGRESS) return Fail(errno == ECONNREFUSED ? Failure::kRefused : Failure::kUnknownHost);
  short ready;
  if (!Wait(POLLOUT, deadline_us, &ready)) return false;
  int error = 0;
  socklen_t error_size = sizeof error;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0 || error != 0) return Fail(Failure::kRefused);
  return true;
}

bool Client::Connect(const std::string& host, int port) {
  Close();
  failure_ = Failure::kNone;
  buffer_.clear();
  at_ = 0;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return Fail(Failure::kUnknownHost);
  int64_t deadline_us = DeadlineUs();
  bool connected = false;
  for (addrinfo* a = found; a != nullptr && !connected; a = a->ai_next) {
    connected = ConnectOne(a->ai_addr, a->ai_addrlen, a->ai_family, deadline_us);
    if (failure_ == Failure::kTimeout) break;
  }
  freeaddrinfo(found);
  if (connected) failure_ = Failure::kNone;
  return connected && (tls_context_ == nullptr || ConnectTls(deadline_us));
}

bool Client::ConnectTls(int64_t deadline_us) {
  if (tls_records_ == nullptr) tls_records_ = std::make_unique<TlsRecords>();
  tls_ = std::make_unique<TlsSession>(tls_records_.get());
  bool begun = tls_->Connect(*tls_context_);
  for (;;) {
    TlsSession::Step step = begun ? tls_->Handshake(fd_) : TlsSession::Step::kFailed;
    if (step == TlsSession::Step::kFailed) {
      tls_error_ = tls_->error();
      return Fail(Failure::kTls);
    }
    if (step == TlsSession::Step::kDone) {
      tls_more_ = true;
      return true;
    }
    short ready;
    if (!Wait(static_cast<short>(tls_->holds() ? POLLIN | POLLOUT : POLLIN), deadline_us, &ready)) return false;
  }
}

ssize_t Client::SendSome(std::string_view bytes) {
  if (tls_ == nullptr) return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (!tls_->SendHeld(fd_)) {
    if (tls_->holds()) errno = EAGAIN;
    return -1;
  }
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  return tls_->Write(fd_, &piece, 1);
}

ssize_t Client::ReceiveSome(char* into, size_t room) {
  if (tls_ == nullptr) return recv(fd_, into, room, 0);
  return tls_->Read(fd_, into, room, &tls_more_);
}

bool Client::Receive() {
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
  }
  char bytes[kReceiveBytes];
  ssize_t n = ReceiveSome(bytes, sizeof bytes);
  if (n > 0) {
    buffer_.append(bytes, static_cast<size_t>(n));
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  return Fail(Failure::kClosed);
}

bool Client::Send(std::string_view bytes) {
  if (fd_ < 0) return Fail(Failure::kClosed);
  while (!bytes.empty()) {
    std::string_view chunk = bytes.substr(0, kSendBytes);
    bytes.remove_prefix(chunk.size());
    int64_t deadline_us = DeadlineUs();
    while (!chunk.empty() || (tls_ != nullptr && tls_->holds())) {
      ssize_t n = SendSome(chunk);
      if (n >= 0) {
        chunk.remove_prefix(static_cast<size_t>(n));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Fail(Failure::kClosed);
      bool listens = buffer_.size() - at_ < kUnaskedBytesMax;
      short ready;
      if (!Wait(static_cast<short>(listens ? POLLOUT | POLLIN : POLLOUT), deadline_us, &ready)) return false;
      if ((ready & POLLIN) && !Receive()) return false;
    }
  }
  return true;
}

// The line stays in the buffer, whose bytes do not move until the next one is read.
bool Client::FindLine(int64_t deadline_us, std::string_view* line) {
  if (fd_ < 0) return Fail(Failure::kClosed);
  size_t seen = 0;
  for (;;) {
    size_t end = buffer_.find('\n', at_ + seen);
    if (end != std::string::npos) {
      size_t size = end - at_;
      if (size > 0 && buffer_[end - 1] == '\r') size--;
      *line = std::string_view(buffer_).substr(at_, size);
      at_ = end + 1;
      return true;
    }
    seen = buffer_.size() - at_;
    if (seen > kLineBytesMax) return Fail(Failure::kProtocol);
    short ready;
    if (!Wait(POLLIN, deadline_us, &ready) || !Receive()) return false;
  }
}

bool Client::ReadLine(std::string_view* line) { return FindLine(DeadlineUs(), line); }

bool Client::ReadBulk(std::string_view digits, int64_t deadline_us, RemoteReply* reply) {
  int64_t size;
  if (!ParseInt64(digits, &size) || size < -1 || size > kBulkBytesMax) return Fail(Failure::kProtocol);
  reply->kind = size < 0 ? RemoteReply::kNull : RemoteReply::kBulk;
  if (size < 0) return true;
  size_t whole = static_cast<size_t>(size) + 2;  // with the line's end
  while (buffer_.size() - at_ < whole) {
    short ready;
    if (!Wait(POLLIN, deadline_us, &ready) || !Receive()) return false;
  }
  std::string_view bytes = std::string_view(buffer_).substr(at_, whole);
  if (!bytes.ends_with("\r\n")) return Fail(Failure::kProtocol);
  bytes.remove_suffix(2);
  reply->text = bytes;
  at_ += whole;
  return true;
}

bool Client::ReadReply(RemoteReply* reply) {
  int64_t deadline_us = DeadlineUs();
  *reply = {};
  std::string_view line;
  if (!FindLine(deadline_us, &line)) return false;
  if (line.empty()) return Fail(Failure::kProtocol);
  char type = line[0];
  line.remove_prefix(1);
  switch (type) {
    case '+':
    case '-':
      reply->kind = type == '+' ? RemoteReply::kSimple : RemoteReply::kError;
      reply->text = line;
      return true;
    case ':':
      reply->kind = RemoteReply::kInteger;
      return ParseInt64(line, &reply->integer) || Fail(Failure::kProtocol);
    case '$':
      return ReadBulk(line, deadline_us, reply);
    default:
      return Fail(Failure::kProtocol);
  }
}

void Client::AppendHeader(std::string* out, size_t arguments) { AppendCount(out, '*', arguments); }

void Client::AppendArgument(std::string* out, std::string_view argument) {
  AppendCount(out, '$', argument.size());
  out->append(argument);
  out->append("\r\n");
}

void Client::AppendCommand(std::string* out, std::initializer_list<std::string_view> arguments) {
  AppendHeader(out, arguments.size());
  for (std::string_view argument : arguments) AppendArgument(out, argument);
}

}  // namespace brim
