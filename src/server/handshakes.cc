#include "server/handshakes.h"

#include <algorithm>
#include <string>

#include "server/connection.h"
#include "server/log.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr const char* kClosed = "Connection closed within the TLS handshake";

}  // namespace

TlsRecords* Handshakes::Room() {
  if (room_ == nullptr) room_ = std::make_unique<TlsRecords>();
  return room_.get();
}

void Handshakes::Add(const Connection& connection) {
  underway_.emplace(connection.id, State());
  deadlines_.emplace_back(worker_->now_ms + kPatienceMs, connection.id);
}

void Handshakes::Ready(const Connection& connection) {
  auto it = underway_.find(connection.id);
  if (it == underway_.end() || it->second.ready) return;
  it->second.ready = true;
  (it->second.step_ms != 0 ? begun_ready_ : new_ready_).push_back(connection.id);
}

void Handshakes::Forget(uint64_t id) {
  auto it = underway_.find(id);
  if (it == underway_.end()) return;
  if (it->second.step_ms != 0) begun_.erase(it->second.place);
  underway_.erase(it);
}

void Handshakes::Fail(uint64_t id, const char* why) {
  Forget(id);
  Connection* connection = worker_->FindConnection(id);
  if (connection == nullptr || connection->close_soon) return;
  worker_->figures.handshakes_failed++;
  LogWarning("Error accepting a client connection: " + std::string(why) + " (addr=" + connection->address +
             " laddr=" + connection->local_address + ")");
  connection->CloseSoon();
}

void Handshakes::GiveUpLate() {
  while (!deadlines_.empty() && deadlines_.front().first <= worker_->now_ms) {
    uint64_t id = deadlines_.front().second;
    deadlines_.pop_front();
    if (underway_.contains(id)) Fail(id, "the TLS handshake takes too long");
  }
}

bool Handshakes::IsFull() const { return begun_.size() >= std::max<size_t>(kBegunMax / server.workers().size(), 1); }

bool Handshakes::HasRoom() const {
  return !IsFull() || worker_->now_ms - underway_.at(begun_.front()).step_ms >= kStallMs;
}

void Handshakes::Progress(uint64_t id, State* state) {
  if (state->step_ms == 0) {
    state->place = begun_.insert(begun_.end(), id);
  } else {
    begun_.splice(begun_.end(), begun_, state->place);
  }
  state->step_ms = worker_->now_ms;
}

void Handshakes::Step(uint64_t id) {
  auto it = underway_.find(id);
  if (it == underway_.end()) return;
  it->second.ready = false;
  Connection* connection = worker_->FindConnection(id);
  if (connection == nullptr || connection->close_soon) {
    Forget(id);
    return;
  }
  TlsSession& session = *connection->tls();
  if (!session.begun() && connection->peer_ended()) {
    Fail(id, kClosed);  // it has cost nothing yet
    return;
  }
  if (!session.begun() && IsFull()) {
    Fail(begun_.front(), "too many TLS handshakes at once, and this one stands still");
  }
  bool begun = session.begun() || (server.tls.accept != nullptr &&
                                   session.Accept(*server.tls.accept, TlsContexts::ClientAuth(server.config())));
  TlsSession::Step step = begun ? session.Handshake(connection->fd) : TlsSession::Step::kFailed;
  switch (step) {
    case TlsSession::Step::kAgain:
      Progress(id, &it->second);
      if (connection->peer_ended()) Ready(*connection);
      break;
    case TlsSession::Step::kDone:
      Forget(id);
      worker_->figures.handshakes++;
      connection->Welcome();
      if (!connection->close_soon) connection->ReadSome();  // what came with its end
      break;
    case TlsSession::Step::kFailed:
      Fail(id, session.error().empty() ? kClosed : session.error().c_str());
      break;
  }
}

void Handshakes::RunSome() {
  GiveUpLate();
  while (waiting()) {
    bool take_new = begun_ready_.empty() || (steps_++ % 4 == 3 && !new_ready_.empty() && HasRoom());
    auto& queue = take_new ? new_ready_ : begun_ready_;
    uint64_t id = queue.front();
    queue.pop_front();
    Step(id);
    if (worker_->TurnIsLong()) return;
  }
}

}  // namespace brim
