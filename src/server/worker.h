#pragma once
// A thread of the server: its event loop, its connections, its scratch space, its figures.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "command/keys.h"
#include "net/loop.h"
#include "resp/output.h"
#include "server/command_watch.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/handshakes.h"
#include "server/push.h"
#include "server/script_engine.h"
#include "server/server_context.h"
#include "server/transaction.h"

namespace brim {

class Worker;

struct CommandFigures {
  std::unique_ptr<CallTimes> times;  // null: none counted yet
  uint64_t calls = 0;
  uint64_t ticks = 0;         // CPU time-stamp ticks
  uint64_t recent_ticks = 0;  // of one call, a moving mean
  uint64_t rejected = 0;
  uint64_t failed = 0;
};

// The most of the last eight seconds, a second at a time.
class RecentMost {
 public:
  void Note(size_t bytes) {
    if (bytes > seconds_[now_]) seconds_[now_] = bytes;
  }
  void Turn(int64_t second) {
    size_t next = static_cast<size_t>(second) % seconds_.size();
    if (next == now_) return;
    now_ = next;
    seconds_[now_] = 0;
  }
  size_t bytes() const { return *std::max_element(seconds_.begin(), seconds_.end()); }

 private:
  std::array<size_t, 8> seconds_{};
  size_t now_ = 0;
};

// Written by the worker's thread alone; read by others while every thread is paused.
struct WorkerFigures {
  uint64_t commands = 0;
  uint64_t connections_received = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t error_replies = 0;
  uint64_t output_limit_cuts = 0;
  uint64_t query_limit_cuts = 0;
  uint64_t handshakes = 0;  // TLS
  uint64_t handshakes_failed = 0;
  uint64_t memory_cuts = 0;  // by maxmemory-clients
  uint64_t memory_cut_bytes = 0;
  uint64_t evictions_ms = 0;
  std::array<uint64_t, 4> denied{};  // by access rules, by AclReason
  uint64_t expire_cycle_us = 0;
  std::vector<CommandFigures> commands_by_id;
  std::map<std::string, uint64_t> errors_by_code;
  RecentMost recent_input;  // of one client: requests not done with, replies not sent
  RecentMost recent_output;
};

// Of the calling thread; null for threads that are no workers.
inline thread_local Worker* current_worker = nullptr;

class Worker {
 public:
  explicit Worker(int index);
  ~Worker();

  int index() const { return index_; }
  Loop& loop() { return loop_; }
  // Runs until the server stops.
  void Run();
  // One turn of the loop, without waiting, while this thread loads the data; no background work.
  void TurnWhileLoading();

  // This thread: takes over an accepted socket.
  void Adopt(uint64_t id, int fd, Transport transport);
  Connection* FindConnection(uint64_t id);
  // The connection, which waits for nothing but its turn, is that worker's from now on; nothing happens when the system
  // refuses. Every thread paused, from this one's thread, with an empty mailbox (server/placement).
  void HandOver(Connection& connection, Worker& taker);
  const std::unordered_map<uint64_t, std::unique_ptr<Connection>>& connections() const { return connections_; }
  std::atomic<int> connection_count{0};

  // Ends of the turn.
  void CloseLater(Connection* connection) { closing_.push_back(connection->id); }
  // When blocked connections are to be looked at (ms since 1970), with their ids. This thread, or all of them paused.
  std::set<std::pair<int64_t, uint64_t>> deadlines;

  WorkerFigures figures;
  // Copies that other threads may read at any time; the cron refreshes them.
  struct {
    std::atomic<uint64_t> commands{0};
    std::atomic<uint64_t> bytes_in{0};
    std::atomic<uint64_t> bytes_out{0};
    std::atomic<int64_t> busy{0};  // thousandths of the last half second
  } published;
  KeyspaceFigures keyspace_figures;
  ServerContext context;
  // Scratch of the batch being executed.
  std::vector<std::string_view> args;
  std::vector<ParsedCommand> parsed;
  std::vector<KeyPosition> key_positions;
  OutputBuffer scratch;  // replies of the connection being served
  PushQueue pushes{this};
  bool broadcast_due = false;  // KeyTracking::EndBatch has something to tell
  // Where a connection reads into: behind what others have read in this turn and not been served for.
  char* ReadSpace() { return read_buffer_.get() + read_used_; }
  size_t read_room() const { return kReadBytes - read_used_; }
  // The connection is served at the end of the turn, or as soon as the room gets short; its key is prefetched
  // meanwhile.
  void ServeLater(Connection* connection, std::string_view data);
  // Turns are kept short, so that a light request does not wait behind heavy ones: when one has become long, a
  // connection whose command is known to take its time is put off (its input kept), and replies are sent in small
  // pieces.
  bool TurnIsLong() const;
  bool LooksHeavy(const Peeked& peeked) const;
  uint64_t long_command_ticks;  // from when on a command counts as heavy
  void Defer(Connection* connection);
  // What is left of its replies is sent in a later turn, though its socket would take more now.
  void FlushAgain(Connection* connection);
  // Its socket may hold more than was read: it is read again in the next turn, which does not wait.
  void ReadAgain(Connection* connection);
  // In this millisecond: connections that sent something, and how often they were read.
  struct Activity {
    int connections = 0;
    uint64_t reads = 0;
  };
  Activity activity;
  // What the command being executed does, and whether what the connection being served did has gone to the journal: its
  // replies are held back until that is where it has to be.
  EffectLog effects;
  bool recorded = false;
  // The journal points at arguments of the command being executed, or of the transaction's in kept_queue.
  bool borrowed = false;
  std::vector<QueuedCommand> kept_queue;
  void Hold(Connection* connection);
  // Replies wait until the AOF's own thread has written what they tell of (Aof::AskWriter); any thread.
  std::atomic<bool> waits_for_log{false};
  // With appendfsync always, until when (monotonic) it will probably record something: for a moment since its turn
  // began, to whose end that is written, and since clients were answered. Others look who are about to sync.
  std::atomic<int64_t> records_until_us{0};
  // The last time that workers were asked to look at their clients' buffers and this one has (server/client_limits).
  std::atomic<uint64_t> looked_round{0};
  // Clients whose WAITAOF waits.
  struct SyncWaiter {
    uint64_t connection_id;
    uint64_t target;  // the journal's offset
    bool wants_local;
    bool wants_replicas;
  };
  std::vector<SyncWaiter> sync_waiters;
  // How many commands of the batch, from the one in hand on (`parsed` from `first` on), look for an element of the same
  // key each: server/dispatch prefetches all when it has the key's lock. Less than two: none do.
  struct Ahead {
    size_t first = 0;
    size_t commands = 0;
  };
  Ahead ahead;
  // What is known of the first command of the data being served; null: nothing.
  const Peeked* peeked = nullptr;
  Handshakes handshakes{this};
  Connection* serving = nullptr;   // whose commands are being executed
  Connection* handling = nullptr;  // whose events are being handled
  // While a script takes long (server/busy_turn): the connection whose command it is, or that waits for it.
  bool in_busy_turn = false;
  Connection* interrupted = nullptr;
  bool busy_refused = false;   // the command in hand gives way to a script that takes long: BUSY is its answer
  bool out_of_memory = false;  // by the last command that was looked at under pressure
  bool queued_failed = false;  // the errors that an EXEC answers are its commands', counted already
  bool error_counted = false;  // the error that a script answers is one of its commands', counted already
  ScriptLocks script_locks;    // of the script that runs
  // Compaction (server/compactor): when the next slice may begin (monotonic), and whether one is left over.
  int64_t next_compaction_us = 0;
  bool compacting = false;
  int64_t next_cut_us = 0;               // when the next slice of a cut may begin
  std::atomic<int64_t> last_busy_us{0};  // a turn with commands; others look: server/chores
  std::atomic<int64_t> last_turn_us{0};  // any turn; the same
  int64_t next_defrag_look_us = 0;
  int defrag_percent = 0;      // of the time, that active defragmentation wants
  size_t unwatched_input = 0;  // server/client_limits: of requests that are not whole, since it looked
  int64_t next_cron_ms = 0;    // 0: Cron is due at the end of this turn
  int64_t now_ms = 0;          // refreshed once a turn
  uint64_t ticks = 0;          // time-stamp counter when the last command ended
  WatchLimits watch;

  // Connections that CLIENT PAUSE holds back.
  std::vector<uint64_t> paused_connections;
  void ResumePaused();

  // Time spent and work left over: see cron.cc.
  void Cron();

 private:
  friend class BusyTurn;
  // Any thread: whether the connection is this worker's.
  friend bool Owns(Worker& worker, uint64_t id) { return worker.Owns(id); }
  bool Owns(uint64_t id);
  // The same, and if it is it stays so.
  friend bool Settle(Worker& worker, uint64_t id) { return worker.Settle(id); }
  bool Settle(uint64_t id);

  void RefreshClock();
  void CloseMarked();
  void ServeReads();
  void ReadRests();
  void ServeDeferred();
  void FlushRests();
  void SendHeld();
  void PutBehindLog(Connection& connection, uint64_t offset);
  void SendWritten();
  void ExpectRecords();
  void RunDeadlines();
  int WaitMs() const;
  int GatherUs() const;
  void ExpireSome();
  void FreeSomeGarbage();
  void CheckClients();

  int index_;
  Loop loop_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  SpinLock connections_lock_;  // for changes of it, and for other threads that look into it
  std::vector<uint64_t> closing_;
  std::vector<uint64_t> closing_left_;  // with subscriptions still to be ended
  struct Read {
    Connection* connection;
    std::string_view data;
    Peeked peeked;
  };
  std::vector<Read> reads_;
  std::vector<uint64_t> read_again_;
  std::vector<uint64_t> reading_again_;
  std::deque<uint64_t> deferred_;
  std::deque<uint64_t> flush_again_;
  std::vector<uint64_t> held_;
  struct Unwritten {
    uint64_t connection_id;
    uint64_t offset;       // the journal's, up to which it has to be written
    uint64_t replies_end;  // of the replies that wait for it, as Connection::bytes_out counts
  };
  std::deque<Unwritten> unwritten_;
  size_t last_held_ = 0;
  uint64_t turn_began_ = 0;
  Activity activity_before_;  // in the millisecond before
  int ready_ = 0;             // events of the last turn
  uint64_t long_turn_ticks_;
  static constexpr size_t kReadBytes = 64 << 10;
  static constexpr size_t kReadRoomMin = 16 << 10;
  static constexpr size_t kReadsMax = 64;
  std::unique_ptr<char[]> read_buffer_;
  std::unique_ptr<char[]> busy_read_buffer_;  // made when it is needed first
  size_t read_used_ = 0;
  int64_t next_second_ms_ = 0;
  uint64_t commands_at_turn_ = 0;
  bool cut_left_ = false;   // a snapshot's walk wants more turns
  bool work_left_ = false;  // lazy freeing or expiry wants the next turn soon
  std::vector<uint64_t> check_list_;
};

}  // namespace brim
