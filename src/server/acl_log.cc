#include "server/acl_log.h"

#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/monotonic.h"
#include "server/client_line.h"
#include "server/connection.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int kLookedAt = 10;
constexpr int64_t kTogetherMs = 60'000;
constexpr size_t kNameBytes = 4096;  // of a key or user that somebody chose as long as he liked

bool Alike(const AclLogEntry& a, const AclLogEntry& b) {
  return a.reason == b.reason && a.context == b.context && std::abs(a.at_ms - b.at_ms) <= kTogetherMs &&
         a.object == b.object && a.user == b.user;
}

}  // namespace

AclReason ReasonOf(AclVerdict verdict) {
  return verdict == AclVerdict::kKey       ? AclReason::kKey
         : verdict == AclVerdict::kChannel ? AclReason::kChannel
                                           : AclReason::kCommand;
}

void AclLog::Add(AclLogEntry entry) {
  std::lock_guard guard(mutex_);
  int looked_at = 0;
  for (auto it = entries_.begin(); it != entries_.end() && looked_at < kLookedAt; ++it, looked_at++) {
    if (!Alike(*it, entry)) continue;
    it->count++;
    it->at_ms = entry.at_ms;
    it->client = std::move(entry.client);
    entries_.splice(entries_.begin(), entries_, it);
    return;
  }
  entries_.push_front(std::move(entry));
  while (entries_.size() > limit_) entries_.pop_back();
}

void AclLog::Clear() {
  std::lock_guard guard(mutex_);
  entries_.clear();
}

void AclLog::SetLimit(size_t entries) {
  std::lock_guard guard(mutex_);
  limit_ = entries;
}

std::vector<AclLogEntry> AclLog::Newest(size_t count) {
  std::lock_guard guard(mutex_);
  auto end = entries_.size() > count ? std::next(entries_.begin(), static_cast<std::ptrdiff_t>(count)) : entries_.end();
  return {entries_.begin(), end};
}

void NoteDenial(Connection& connection, AclReason reason, AclContext context, std::string_view object,
                std::string_view user) {
  connection.worker->figures.denied[static_cast<size_t>(reason)]++;
  AclLogEntry entry{.reason = reason,
                    .context = context,
                    .object = std::string(object.substr(0, kNameBytes)),
                    .user = std::string(user.substr(0, kNameBytes)),
                    .client = DescribeConnection(connection),
                    .at_ms = connection.worker->now_ms};
  acl_log.Add(std::move(entry));
}

}  // namespace brim
