#pragma once
// One client's connection: its socket, its buffers, its state. Owned by one worker; others look at it only while every
// thread is paused, or hand its worker mail.
//
// State:  running -> (blocked on keys | parked by CLIENT PAUSE) -> running -> closing
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "command/registry.h"
#include "net/loop.h"
#include "resp/output.h"
#include "resp/parser.h"
#include "resp/reply.h"
#include "server/transport.h"

namespace brim {

class TlsSession;
class Worker;
struct Transaction;
struct User;
struct Waiter;
class Subscriptions;
struct Tracking;

// Bytes read and not yet executed. Empty connections own none.
class InputBuffer {
 public:
  ~InputBuffer() { Clear(); }
  std::string_view text() const { return {data_ + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  size_t capacity() const { return capacity_; }
  // Room for at least `bytes` more behind the text.
  char* Reserve(size_t bytes);
  size_t room() const { return capacity_ - end_; }
  void Commit(size_t bytes) { end_ += bytes; }
  void Append(std::string_view text);
  // Drops bytes from the front; an empty buffer is given back.
  void Consume(size_t bytes);
  void Clear();

 private:
  char* data_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext, kSkipping };

class Connection final : public EventHandler {
 public:
  Connection(Worker* worker, uint64_t id, int fd, Transport transport);
  ~Connection() override;

  // What a connection's socket is watched for: edges, so that a wait does not look again at sockets that were served.
  static constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  void OnEvents(uint32_t events) override;
  // It is ready for commands (a TLS handshake is done): says no where protected-mode wants that.
  void Welcome();
  // Reads once. What may be left in the socket is read in the next turn, after the others had theirs.
  void ReadSome();
  // Executes what was just read and sends the replies; what is not complete goes to the input buffer.
  void Serve(std::string_view data);
  // Executes what the input buffer holds (after blocking or a pause).
  void ResumeInput();
  // Sends what is pending; what the socket does not take waits for EPOLLOUT. May mark the connection for closing.
  void Flush();
  // The fresh replies become the connection's own and wait.
  void KeepReplies();
  // Closed at the end of the worker's turn, without or after sending what is pending.
  void CloseSoon();
  void CloseAfterReply() { close_after_reply = true; }
  // Appends a finished reply (a served BLPOP, an error of CLIENT UNBLOCK) and flushes.
  void Deliver(OutputBuffer&& reply);
  // Applies client-output-buffer-limit; true when the connection is cut.
  bool OverOutputLimit();

  size_t MemoryUsage() const;
  // Memory of the query buffer and of pending replies that is this connection's own.
  size_t BufferBytes() const;
  // Frees them, what they hold is lost: the connection is being closed, and not being served.
  void DropBuffers();
  // Requests that were received and are not done with: those being executed, and what is not complete.
  size_t input_bytes() const { return in_hand_bytes_ != 0 ? in_hand_bytes_ : input_.text().size(); }
  size_t input_capacity() const { return input_.capacity(); }
  // From this machine: its loopback interface or the Unix socket.
  bool IsLocal() const;
  // Null: a plain connection.
  TlsSession* tls() const { return tls_.get(); }
  bool peer_ended() const { return peer_ended_; }
  bool parked() const { return waiter != nullptr || paused || deferred || waits_for_log; }

  // --- state; read and written by commands through ServerContext
  Worker* worker;  // another one only after Worker::HandOver, between turns
  const uint64_t id;
  const int fd;
  const bool is_unix;
  int64_t created_ms = 0;
  int64_t last_active_ms = 0;
  int db = 0;
  int resp = 2;
  bool authenticated = false;
  std::shared_ptr<User> user;  // server/acl.h; never null
  bool no_evict = false;
  bool no_touch = false;
  bool takes_redirects = false;  // CLIENT CAPA REDIRECT
  bool monitor = false;          // listed in Monitors
  bool settled = false;          // others know it by its worker, for good: it is never handed over
  bool close_soon = false;
  bool close_after_reply = false;
  bool paused = false;            // CLIENT PAUSE holds its next command back
  bool waiting_to_write = false;  // the socket is full; EPOLLOUT tells when it is not
  bool read_again = false;        // listed for Worker::ReadAgain
  bool held = false;              // its replies wait for the journal (Worker::Hold)
  bool waits_for_log = false;     // with its input: too much of what it did is not written yet
  uint8_t unwritten = 0;          // earlier turns whose replies wait for the log's thread (Worker::PutBehindLog)
  bool flush_again = false;       // listed for Worker::FlushAgain
  bool deferred = false;          // listed for Worker::Defer: its input waits
  ReplyMode reply_mode = ReplyMode::kOn;
  std::string name;
  std::string library_name;
  std::string library_version;
  const Command* last_command = nullptr;
  int64_t served_ms = 0;                         // when that was
  std::unique_ptr<Transaction> transaction;      // null: no MULTI, no WATCH
  std::shared_ptr<Waiter> waiter;                // blocked on keys
  std::unique_ptr<Subscriptions> subscriptions;  // null: to nothing
  std::unique_ptr<Tracking> tracking;            // client-side caching; null: off
  OutputBuffer output;
  uint64_t commands_run = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  int64_t soft_limit_since_ms = 0;
  int64_t awaits_cut_us = 0;  // since when (monotonic) its next command waits for a snapshot; 0: it does not
  size_t unsent_bytes = 0;    // pushes that PushQueue has listed it for
  std::string address;        // "127.0.0.1:1234"
  std::string local_address;

 private:
  // What its subscriptions and the prefixes it tracks take.
  size_t SubscriptionBytes() const;
  void ReadOnce();
  // Sends pending replies, so many bytes at most.
  void Send(size_t most);
  // Sends replies up to there, counted as bytes_out is; those behind them still wait for the log.
  friend void FlushUpTo(Connection& connection, uint64_t end) {
    if (end > connection.bytes_out) connection.Send(end - connection.bytes_out);
  }
  // As recv() and sendmsg() do, through TLS.
  ssize_t ReadTls(char* into, size_t room);
  // The TLS session holds encrypted bytes that the socket does not take.
  bool TlsIsStuck();
  // The system refused memory for this connection's buffers.
  void NoMemory();
  // Executes the complete commands of `data`; returns how many bytes are done with.
  size_t Process(std::string_view data);
  void ForgetArguments();
  void SaveRest(std::string_view rest);

  RequestParser parser_;
  InputBuffer input_;
  std::unique_ptr<TlsSession> tls_;
  size_t in_hand_bytes_ = 0;  // of the data being executed
  bool peer_ended_ = false;   // the peer sends no more: read to the end, no further edge will come
};

// Closes a connection of any worker while every thread is paused, or one of its own thread; at once, but `own` (whose
// command is being executed) after its reply.
void CutConnection(Connection& victim, const Connection* own);

}  // namespace brim
