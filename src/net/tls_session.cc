#include "net/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/tls_memory.h"

namespace brim {

namespace {

constexpr size_t kOutBytes = 40 << 10;    // of a batch with its records' headers
constexpr size_t kBatchBytes = 32 << 10;  // plain bytes that are sent at once; what may be held when the socket is full
constexpr size_t kPieceBytes = 8 << 10;   // from here on a piece is a record of its own rather than copied into one
constexpr size_t kReceiveMin = 4 << 10;

}  // namespace

TlsRecords::TlsRecords()
    : in_(std::make_unique_for_overwrite<char[]>(kInBytes)),
      staged_(std::make_unique_for_overwrite<char[]>(kRecordBytes)) {}

TlsRecords::~TlsRecords() { FreeBytes(out_, MemoryCategory::kFixed); }

bool TlsRecords::Put(const char* bytes, size_t size) {
  if (out_capacity_ - out_bytes_ < size) [[unlikely]] {
    size_t wanted = std::max({kOutBytes, out_capacity_ * 2, out_bytes_ + size});
    auto* grown = static_cast<char*>(TryAllocateBytes(wanted, MemoryCategory::kFixed));
    if (grown == nullptr) return false;
    if (out_bytes_ > 0) memcpy(grown, out_, out_bytes_);
    FreeBytes(out_, MemoryCategory::kFixed);
    out_ = grown;
    out_capacity_ = wanted;
  }
  memcpy(out_ + out_bytes_, bytes, size);
  out_bytes_ += size;
  return true;
}

// What OpenSSL takes for its socket.
struct TlsBio {
  static int Read(BIO* bio, char* into, int room) {
    auto& records = *static_cast<TlsRecords*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (records.unread_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    size_t size = std::min(static_cast<size_t>(room), records.unread_.size());
    memcpy(into, records.unread_.data(), size);
    records.unread_.remove_prefix(size);
    return static_cast<int>(size);
  }
  static int Write(BIO* bio, const char* bytes, int size) {
    auto& records = *static_cast<TlsRecords*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    return records.Put(bytes, static_cast<size_t>(size)) ? size : -1;
  }
  static long Control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* Method() {
    static const BIO_METHOD* method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records");
      BIO_meth_set_read(made, Read);
      BIO_meth_set_write(made, Write);
      BIO_meth_set_ctrl(made, Control);
      return made;
    }();
    return method;
  }
};

bool HeldBytes::Append(std::string_view bytes) {
  if (bytes.empty()) return true;
  size_t used = end_ - begin_;
  if (capacity_ - end_ < bytes.size()) {
    size_t wanted = used + bytes.size();
    auto* grown = static_cast<char*>(TryAllocateBytes(wanted, category_));
    if (grown == nullptr) return false;
    if (used > 0) memcpy(grown, data_ + begin_, used);
    FreeBytes(data_, category_);
    data_ = grown;
    capacity_ = static_cast<uint32_t>(wanted);
    begin_ = 0;
    end_ = static_cast<uint32_t>(used);
  }
  memcpy(data_ + end_, bytes.data(), bytes.size());
  end_ += static_cast<uint32_t>(bytes.size());
  return true;
}

void HeldBytes::Consume(size_t bytes) {
  begin_ += static_cast<uint32_t>(bytes);
  if (begin_ == end_) Clear();
}

void HeldBytes::Clear() {
  FreeBytes(data_, category_);
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

// A call into OpenSSL: what is allocated and freed meanwhile is the session's, and the thread's room is empty before
// and after.
class TlsSession::Call {
 public:
  explicit Call(TlsSession* session) : session_(session), before_(TlsBalanceOfThread()) {}
  ~Call() {
    TlsBalance now = TlsBalanceOfThread();
    session_->bytes_ += now.bytes - before_.bytes;
    session_->record_bytes_ += now.record_bytes - before_.record_bytes;
    session_->records_->unread_ = {};
    session_->records_->out_bytes_ = 0;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  TlsSession* session_;
  TlsBalance before_;
};

bool TlsSession::Begin(const TlsContext& context) {
  BIO* bio = BIO_new(TlsBio::Method());
  ssl_ = bio != nullptr ? SSL_new(context.get()) : nullptr;
  if (ssl_ == nullptr) {
    BIO_free(bio);
    error_ = TakeTlsError();
    return false;
  }
  BIO_set_data(bio, records_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  return true;
}

bool TlsSession::Accept(const TlsContext& context, TlsClientAuth auth) {
  Call call(this);
  if (!Begin(context)) return false;
  SSL_set_accept_state(ssl_);
  // The context's is "yes".
  if (auth == TlsClientAuth::kNo) SSL_set_verify(ssl_, SSL_VERIFY_NONE, nullptr);
  if (auth == TlsClientAuth::kOptional) SSL_set_verify(ssl_, SSL_VERIFY_PEER, nullptr);
  return true;
}

bool TlsSession::Connect(const TlsContext& context) {
  Call call(this);
  if (!Begin(context)) return false;
  SSL_set_connect_state(ssl_);
  return true;
}

void TlsSession::Drop() {
  if (ssl_ != nullptr) {
    Call call(this);
    SSL_free(ssl_);
    ssl_ = nullptr;
  }
  held_in_.Clear();
  held_out_.Clear();
  open_ = false;
  broken_ = true;
}

ssize_t TlsSession::Receive(int fd, size_t most, bool* full) {
  most = std::min(most, TlsRecords::kInBytes);
  ssize_t got = recv(fd, records_->in_.get(), most, 0);
  *full = got == static_cast<ssize_t>(most);
  if (got > 0) records_->unread_ = {records_->in_.get(), static_cast<size_t>(got)};
  return got;
}

bool TlsSession::KeepUnread() {
  std::string_view rest = std::exchange(records_->unread_, {});
  if (!held_in_.empty()) {
    held_in_.Consume(held_in_.text().size() - rest.size());  // the rest is its end
  } else if (!held_in_.Append(rest)) {
    broken_ = true;
  }
  return !broken_;
}

bool TlsSession::WantsMore(int result) {
  int reason = SSL_get_error(ssl_, result);
  if (reason == SSL_ERROR_WANT_READ) return true;
  if (reason == SSL_ERROR_ZERO_RETURN) {
    ended_ = true;
  } else {
    error_ = TakeTlsError();
    broken_ = true;
  }
  ERR_clear_error();
  return false;
}

bool TlsSession::SendRecords(int fd) {
  std::string_view out{records_->out_, std::exchange(records_->out_bytes_, 0)};
  while (!out.empty() && held_out_.empty()) {
    ssize_t sent = send(fd, out.data(), out.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      out.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      broken_ = true;
      return false;
    }
  }
  if (!held_out_.Append(out)) broken_ = true;
  return !broken_;
}

bool TlsSession::SendHeld(int fd) {
  while (!held_out_.empty() && !broken_) {
    std::string_view out = held_out_.text();
    ssize_t sent = send(fd, out.data(), out.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      held_out_.Consume(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      return false;
    } else if (errno != EINTR) {
      broken_ = true;
    }
  }
  return !broken_;
}

TlsSession::Step TlsSession::Handshake(int fd) {
  if (broken_ || (!SendHeld(fd) && broken_)) return Step::kFailed;
  bool full = true;
  while (full) {
    Call call(this);
    ssize_t got = Receive(fd, TlsRecords::kInBytes, &full);
    if (got == 0) return Step::kFailed;
    if (got < 0 && errno != EAGAIN && errno != EINTR) return Step::kFailed;
    // A client speaks first; a server has nothing to do before something has come.
    if (got < 0 && SSL_is_server(ssl_)) return Step::kAgain;
    int result = SSL_do_handshake(ssl_);
    bool waits = result != 1 && WantsMore(result);
    if (!SendRecords(fd)) return Step::kFailed;
    if (result == 1) {
      open_ = true;
      return KeepUnread() ? Step::kDone : Step::kFailed;
    }
    if (!waits) return Step::kFailed;
  }
  return Step::kAgain;
}

ssize_t TlsSession::Read(int fd, char* into, size_t room, bool* more) {
  *more = false;
  if (ended_) return 0;
  if (!open_ || broken_) {
    errno = EPIPE;
    return -1;
  }
  Call call(this);
  bool full = false;
  if (!held_in_.empty()) {
    records_->unread_ = held_in_.text();
    full = true;  // the socket has not been looked at
  } else if (SSL_pending(ssl_) == 0) {
    ssize_t got = Receive(fd, std::max(room, kReceiveMin), &full);
    if (got <= 0) return got;
  } else {
    full = true;
  }
  size_t total = 0;
  while (total < room) {
    size_t got = 0;
    int result = SSL_read_ex(ssl_, into + total, room - total, &got);
    if (result != 1) {
      WantsMore(result);  // as a rule: of a record that has only begun
      break;
    }
    total += got;
    // With nothing left to take the next call would only say so.
    if (records_->unread_.empty() && SSL_pending(ssl_) == 0) break;
  }
  KeepUnread();
  if (records_->out_bytes_ > 0) SendRecords(fd);  // an alert, say
  bool stopped = ended_ || broken_;
  *more = full || stopped || !held_in_.empty() || SSL_pending(ssl_) > 0;
  if (total > 0) return static_cast<ssize_t>(total);
  if (ended_) return 0;
  errno = broken_ ? EPROTO : EAGAIN;
  return -1;
}

bool TlsSession::Encrypt(int fd, const char* bytes, size_t size) {
  size_t written = 0;
  int result = SSL_write_ex(ssl_, bytes, size, &written);
  if (result == 1) return true;
  WantsMore(result);
  SendRecords(fd);  // an alert
  broken_ = true;
  errno = EPROTO;
  return false;
}

ssize_t TlsSession::Write(int fd, const iovec* pieces, int count) {
  if (!open_ || broken_ || holds()) {
    errno = holds() ? EAGAIN : EPIPE;
    return -1;
  }
  Call call(this);
  size_t taken = 0;
  size_t staged = 0;
  for (int i = 0; i < count && taken < kBatchBytes; i++) {
    const auto* bytes = static_cast<const char*>(pieces[i].iov_base);
    size_t size = pieces[i].iov_len;
    while (size > 0 && taken < kBatchBytes) {
      size_t part;
      if (staged == 0 && (size >= kPieceBytes || i == count - 1)) {
        part = std::min(size, kBatchBytes);
        if (part > TlsRecords::kRecordBytes) part -= part % TlsRecords::kRecordBytes;
        if (!Encrypt(fd, bytes, part)) return -1;
        taken += part;
      } else {
        part = std::min(size, TlsRecords::kRecordBytes - staged);
        memcpy(records_->staged_.get() + staged, bytes, part);
        staged += part;
        if (staged == TlsRecords::kRecordBytes) {
          if (!Encrypt(fd, records_->staged_.get(), staged)) return -1;
          taken += std::exchange(staged, 0);
        }
      }
      bytes += part;
      size -= part;
    }
  }
  // What is left of a long batch begins the next one.
  if (staged > 0 && taken < kBatchBytes) {
    if (!Encrypt(fd, records_->staged_.get(), staged)) return -1;
    taken += staged;
  }
  return SendRecords(fd) ? static_cast<ssize_t>(taken) : -1;
}

void TlsSession::End(int fd) {
  if (!open_ || broken_ || holds()) return;
  Call call(this);
  SSL_shutdown(ssl_);
  ERR_clear_error();
  std::string_view out{records_->out_, std::exchange(records_->out_bytes_, 0)};
  if (!out.empty()) send(fd, out.data(), out.size(), MSG_NOSIGNAL);
  open_ = false;
}

}  // namespace brim
