#pragma once
// One TLS connection over a non-blocking socket that somebody else owns. docs/tls.md.
//
// State:  new -> handshake -> open -> ended (the peer sends no more) | broken
//
// OpenSSL never sees the socket. It reads from and writes to its thread's TlsRecords: a read takes what the socket has
// in one system call, however many records that are, and a write sends the records of a whole batch of replies in one.
// What it is given it always takes, and what it writes always has room; so it never waits in the middle of a record and
// nothing has to be repeated with the same bytes. What the socket does not take of the encrypted bytes is held here.
//
// One thread at a time, always with the TlsRecords of the first call.
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "memory/account.h"
#include "net/tls.h"

struct bio_st;
struct ssl_st;

namespace brim {

// A thread's room for encrypted bytes on their way in and out, used by its sessions one after another.
class TlsRecords {
 public:
  TlsRecords();
  ~TlsRecords();
  TlsRecords(const TlsRecords&) = delete;
  TlsRecords& operator=(const TlsRecords&) = delete;

 private:
  friend class TlsSession;
  friend struct TlsBio;
  static constexpr size_t kInBytes = 64 << 10;
  static constexpr size_t kRecordBytes = 16 << 10;  // the most plain bytes that a record holds
  // Appends to `out`, which grows as needed. False: no memory.
  bool Put(const char* bytes, size_t size);

  std::unique_ptr<char[]> in_;
  std::unique_ptr<char[]> staged_;  // small pieces of replies become one record
  std::string_view unread_;         // given by the socket, not yet taken by OpenSSL
  char* out_ = nullptr;
  size_t out_bytes_ = 0;
  size_t out_capacity_ = 0;
};

// Bytes that wait in the connection; none takes no memory.
class HeldBytes {
 public:
  explicit HeldBytes(MemoryCategory category) : category_(category) {}
  ~HeldBytes() { Clear(); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;
  bool empty() const { return begin_ == end_; }
  std::string_view text() const { return {data_ + begin_, end_ - begin_}; }
  size_t capacity() const { return capacity_; }
  // False: no memory. The bytes may not be its own.
  bool Append(std::string_view bytes);
  void Consume(size_t bytes);
  void Clear();

 private:
  char* data_ = nullptr;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
  uint32_t capacity_ = 0;
  MemoryCategory category_;
};

class TlsSession {
 public:
  enum class Step : uint8_t { kDone, kAgain, kFailed };

  explicit TlsSession(TlsRecords* records) : records_(records) {}
  ~TlsSession() { Drop(); }
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Memory for a session is first taken here. False: there is none.
  bool Accept(const TlsContext& context, TlsClientAuth auth);
  bool Connect(const TlsContext& context);
  bool begun() const { return ssl_ != nullptr; }
  // One step of the handshake: takes what the socket has, answers it. kAgain: more has to come, or held bytes to go.
  Step Handshake(int fd);
  bool open() const { return open_; }

  // Like recv(): bytes, 0 at the end, -1 with errno. *more: call again, no event will tell of what is left.
  ssize_t Read(int fd, char* into, size_t room, bool* more);
  // Like sendmsg(): how many plain bytes are taken, at least one record's while there are any; -1 with errno. While
  // bytes are held it answers EAGAIN.
  ssize_t Write(int fd, const iovec* pieces, int count);
  // Sends what is held. False while something is left or the connection is broken.
  bool SendHeld(int fd);
  bool holds() const { return !held_out_.empty(); }
  // Says goodbye, once, if that can be said.
  void End(int fd);
  // Frees everything; what it holds is lost, and it neither reads nor writes any more.
  void Drop();

  // All that it has allocated / what it has beyond a connection at rest: bytes on their way.
  size_t memory_bytes() const { return static_cast<size_t>(bytes_) + held_in_.capacity() + held_out_.capacity(); }
  size_t buffer_bytes() const {
    return static_cast<size_t>(record_bytes_) + held_in_.capacity() + held_out_.capacity();
  }
  // Why Handshake or Read has failed; empty: the peer or the system ended the connection.
  const std::string& error() const { return error_; }

 private:
  class Call;
  bool Begin(const TlsContext& context);
  // Like recv(), into the thread's room. *full: there may be more.
  ssize_t Receive(int fd, size_t most, bool* full);
  bool Encrypt(int fd, const char* bytes, size_t size);
  // Sends what OpenSSL has written; the rest is held. False: broken.
  bool SendRecords(int fd);
  // What OpenSSL has not taken waits for the next Read. False: broken, no memory.
  bool KeepUnread();
  // After a call that did not succeed: true when it only wants more bytes.
  bool WantsMore(int result);

  ssl_st* ssl_ = nullptr;
  TlsRecords* records_;
  HeldBytes held_in_{MemoryCategory::kClientsIn};    // encrypted, received, for the next Read
  HeldBytes held_out_{MemoryCategory::kClientsOut};  // encrypted, for the socket
  int64_t bytes_ = 0;
  int64_t record_bytes_ = 0;
  bool open_ = false;
  bool ended_ = false;
  bool broken_ = false;
  std::string error_;
};

}  // namespace brim
