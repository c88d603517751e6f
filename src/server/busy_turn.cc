#include "server/busy_turn.h"

#include <x86intrin.h>

#include <algorithm>
#include <utility>

#include "server/transaction.h"
#include "server/worker.h"

namespace brim {

// Puts the worker's scratch aside, so that the command in hand finds it again.
class BusyTurn {
 public:
  explicit BusyTurn(Worker& worker) : worker_(worker), context_(worker.context), outer_effects_(effects) {
    if (worker.busy_read_buffer_ == nullptr) {
      worker.busy_read_buffer_ = std::make_unique_for_overwrite<char[]>(Worker::kReadBytes);
    }
    Swap();
    worker.peeked = nullptr;
    worker.serving = nullptr;
    worker.recorded = false;
    worker.read_used_ = 0;
    effects = nullptr;
    worker.interrupted = serving_;
    worker.in_busy_turn = true;
  }
  ~BusyTurn() {
    worker_.in_busy_turn = false;
    worker_.interrupted = nullptr;
    effects = outer_effects_;
    worker_.scratch.Clear();
    Swap();
    worker_.peeked = peeked_;
    worker_.serving = serving_;
    worker_.recorded = recorded_;
    worker_.read_used_ = read_used_;
    worker_.ticks = ticks_;
    worker_.context = context_;
  }
  BusyTurn(const BusyTurn&) = delete;
  BusyTurn& operator=(const BusyTurn&) = delete;

  void Run() {
    worker_.pushes.DeliverMail(false);
    worker_.loop_.RunWithin([this] {
      worker_.RefreshClock();
      worker_.turn_began_ = __rdtsc();
    });
    // Those that were read already and wait to be served.
    for (Worker::Read& read : reads_) {
      if (Connection* connection = std::exchange(read.connection, nullptr); connection != nullptr) {
        connection->Serve(read.data);
      }
    }
    worker_.ServeReads();
    // And those that wait to be read.
    for (uint64_t id : reading_again_) {
      Connection* connection = worker_.FindConnection(id);
      if (connection != nullptr && connection->read_again) worker_.read_again_.push_back(id);
    }
    worker_.ReadRests();
    worker_.ServeDeferred();
    worker_.FlushRests();
    worker_.loop_.RunArrivals();
    worker_.handshakes.Run();
    worker_.pushes.SendSome();
    CloseIdle();
  }

 private:
  void Swap() {
    worker_.args.swap(args_);
    worker_.parsed.swap(parsed_);
    worker_.key_positions.swap(key_positions_);
    std::swap(worker_.scratch, scratch_);
    std::swap(worker_.effects, log_);
    worker_.reads_.swap(reads_);
    worker_.reading_again_.swap(reading_again_);
    worker_.read_buffer_.swap(worker_.busy_read_buffer_);
  }

  // Connections that ended and are in nobody's way: those that wait or watch need locks for it, and go later.
  void CloseIdle() {
    std::vector<uint64_t> marked;
    marked.swap(worker_.closing_);
    std::vector<uint64_t> later;
    for (uint64_t id : marked) {
      Connection* connection = worker_.FindConnection(id);
      if (connection == nullptr) continue;
      bool bound = connection == serving_ || connection == worker_.handling || connection->waiter != nullptr ||
                   connection->transaction != nullptr;
      (bound ? later : worker_.closing_).push_back(id);
    }
    worker_.CloseMarked();
    worker_.closing_ = std::move(later);
  }

  Worker& worker_;
  ServerContext context_;
  EffectLog* outer_effects_;
  const Peeked* peeked_ = worker_.peeked;
  Connection* serving_ = worker_.serving;
  bool recorded_ = worker_.recorded;
  size_t read_used_ = worker_.read_used_;
  uint64_t ticks_ = worker_.ticks;
  std::vector<uint64_t> reading_again_;
  std::vector<std::string_view> args_;
  std::vector<ParsedCommand> parsed_;
  std::vector<KeyPosition> key_positions_;
  OutputBuffer scratch_;
  EffectLog log_;
  std::vector<Worker::Read> reads_;
};

void AnswerWhileBusy(Worker& worker) {
  if (worker.in_busy_turn) return;
  BusyTurn(worker).Run();
}

}  // namespace brim
