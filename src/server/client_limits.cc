#include "server/client_limits.h"

#include <algorithm>
#include <vector>

#include "memory/pressure.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/memory_guard.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kWorthCutting = 4 << 10;  // clients with less are not what fills the memory

struct Victim {
  size_t bytes;
  Connection* connection;
};

// This worker's clients by the memory their buffers take, the biggest first.
std::vector<Victim> Biggest(const Worker& worker) {
  std::vector<Victim> victims;
  for (const auto& [id, connection] : worker.connections()) {
    if (connection->close_soon || connection->no_evict || connection.get() == worker.serving) continue;
    size_t bytes = connection->BufferBytes();
    if (bytes >= kWorthCutting) victims.push_back({bytes, connection.get()});
  }
  std::sort(victims.begin(), victims.end(), [](const Victim& a, const Victim& b) {
    // Equals: who has waited longest for its peer to read or go on writing.
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.connection->last_active_ms < b.connection->last_active_ms;
  });
  return victims;
}

}  // namespace

size_t KeepClientsInBounds(Worker& worker) {
  int64_t clients = ClientMemory();
  // The commonest case first: no limit is as low as this.
  if (clients <= MemoryGuard::client_allowance()) return 0;
  int64_t over = clients - MemoryGuard::ClientRoom();
  if (over <= 0) return 0;
  size_t freed = 0;
  for (const Victim& victim : Biggest(worker)) {
    if (static_cast<int64_t>(freed) >= over) break;
    LogWarning("Closing client over maxmemory-clients (" + std::to_string(clients) +
               " bytes in all buffers): " + DescribeConnection(*victim.connection));
    victim.connection->DropBuffers();
    victim.connection->CloseSoon();
    worker.figures.memory_cuts++;
    worker.figures.memory_cut_bytes += victim.bytes;
    CountRung(Rung::kCutClients, victim.bytes);
    freed += victim.bytes;
  }
  return freed;
}

}  // namespace brim
