#pragma once
// A connection to another server for what has to have its answer before it goes on (MIGRATE, replication's handshake):
// the calling thread waits, each step at most the timeout. Replies of RESP2 without arrays. No locks: one thread at a
// time.
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace brim {

class TlsContext;
class TlsRecords;
class TlsSession;

struct RemoteReply {
  enum Kind : uint8_t { kSimple, kError, kInteger, kBulk, kNull };
  Kind kind = kNull;
  int64_t integer = 0;
  std::string text;  // kSimple, kBulk, and kError without its dash
};

class Client {
 public:
  enum class Failure : uint8_t {
    kNone,
    kUnknownHost,  // the name has no address, or the system has no way or no descriptor for it
    kRefused,      // nobody listens there
    kTimeout,
    kClosed,    // by the other side, or the network broke it
    kTls,       // no secure connection was agreed on: tls_error()
    kProtocol,  // what came is no reply, or one that is not read here
  };

  // A timeout of at least 1 ms.
  explicit Client(int64_t timeout_ms);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Connect makes a TLS connection; the context has to live until then.
  void UseTls(const TlsContext* context) { tls_context_ = context; }
  const std::string& tls_error() const { return tls_error_; }

  // All that follow: false with failure() set, after which the connection is of no more use.

  // Tries the host's addresses in turn, all within one timeout; looking up a name takes what the system's resolver
  // takes, on top of it.
  bool Connect(const std::string& host, int port);
  // Each 64 KiB have the timeout. What the other side sends meanwhile is kept for reading, so that neither waits for
  // the other.
  bool Send(std::string_view bytes);
  // The line without its end, valid until the next call. The whole of it is to come within the timeout.
  bool ReadLine(std::string_view* line);
  // The whole reply is to come within the timeout.
  bool ReadReply(RemoteReply* reply);

  Failure failure() const { return failure_; }
  // -1: not connected.
  int fd() const { return fd_; }
  void Close();

  // Appends a command in the protocol's form: its header, then each argument.
  static void AppendHeader(std::string* out, size_t arguments);
  static void AppendArgument(std::string* out, std::string_view argument);
  static void AppendCommand(std::string* out, std::initializer_list<std::string_view> arguments);

 private:
  bool Fail(Failure failure);
  int64_t DeadlineUs() const;
  bool ConnectTls(int64_t deadline_us);
  // As send() and recv() do.
  ssize_t SendSome(std::string_view bytes);
  ssize_t ReceiveSome(char* into, size_t room);
  bool ConnectOne(const void* address, size_t size, int family, int64_t deadline_us);
  // Until one of the events holds; they go to *ready.
  bool Wait(short events, int64_t deadline_us, short* ready);
  bool Receive();
  bool FindLine(int64_t deadline_us, std::string_view* line);
  bool ReadBulk(std::string_view digits, int64_t deadline_us, RemoteReply* reply);

  int fd_ = -1;
  Failure failure_ = Failure::kNone;
  int64_t timeout_us_;
  std::string buffer_;
  size_t at_ = 0;  // in the buffer: what is before it has been read
  const TlsContext* tls_context_ = nullptr;
  std::unique_ptr<TlsRecords> tls_records_;
  std::unique_ptr<TlsSession> tls_;  // null: a plain connection
  bool tls_more_ = false;            // bytes may be waiting that poll does not know of
  std::string tls_error_;
};

}  // namespace brim
