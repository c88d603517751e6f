#pragma once
// What access rules have denied of late: ACL LOG. Any thread.
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/acl_check.h"

namespace brim {

class Connection;

enum class AclReason : uint8_t { kAuth, kCommand, kKey, kChannel };
inline constexpr size_t kAclReasons = 4;
enum class AclContext : uint8_t { kTopLevel, kMulti, kScript, kModule };

struct AclLogEntry {
  uint64_t count = 1;
  AclReason reason;
  AclContext context;
  std::string object;  // the command, key or channel; for kAuth the command that brought the password
  std::string user;
  std::string client;  // as CLIENT LIST describes it
  int64_t at_ms = 0;   // since 1970, the last time
};

AclReason ReasonOf(AclVerdict verdict);

class AclLog {
 public:
  // Like denials within a minute count as one. O(entries looked at: 10).
  void Add(AclLogEntry entry);
  void Clear();
  // acllog-max-len; older ones go when the next comes.
  void SetLimit(size_t entries);
  // The newest, at most `count`.
  std::vector<AclLogEntry> Newest(size_t count);

 private:
  std::mutex mutex_;
  std::list<AclLogEntry> entries_;  // newest first
  size_t limit_ = 128;
};

inline AclLog acl_log;

// Notes that something was denied to the connection, which is the calling thread's: in the log and in INFO's figures.
// Names are kept up to some kilobytes.
void NoteDenial(Connection& connection, AclReason reason, AclContext context, std::string_view object,
                std::string_view user);

}  // namespace brim
